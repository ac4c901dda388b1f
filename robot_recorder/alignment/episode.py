"""Aligning a whole bag, with the aligner that the robot uses live."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from robot_recorder.alignment.plan import Plan
from robot_recorder.core.aligner import Aligner
from robot_recorder.core.certificate import Certificate, FrameStats, StreamEvidence, certify
from robot_recorder.core.decoder import StreamCounts
from robot_recorder.core.errors import BagError
from robot_recorder.core.frames import Column, Frames, Window
from robot_recorder.core.stream_tally import StreamTally
from robot_recorder.core.streams import FrameClock, StreamConfig
from robot_recorder.storage.columns import Segment, read_columns
from robot_recorder.storage.episodes import Episode


@dataclass(frozen=True)
class Alignment:
    """A bag's frames.

    Attributes:
        streams: aligned ones, in the order of the frames' columns.
        value_names: of each, with units.
        counts: of each, what became of its samples.
        problem: why the bag could not be read to its end; empty when it could.
    """

    streams: tuple[StreamConfig, ...]
    frames: Frames
    value_names: tuple[tuple[str, ...], ...]
    counts: tuple[StreamCounts, ...]
    certificate: Certificate
    problem: str = ""


def align_episode(
    episode: Episode,
    plan: Plan,
    frame_clock: FrameClock,
    progress: Callable[[float], None] = lambda share: None,
) -> Alignment:
    """All frames of a bag.

    Args:
        progress: told the share that has been read, 0 to 1.

    Raises:
        BagError: nothing of it can be read.
    """
    parts: list[Frames] = []
    aligner = Aligner(
        plan.aligned, frame_clock, plan.profile.deadline_ns, parts.append,
        plan.seeds, plan.restamp, plan.decoders,
    )  # fmt: skip
    models = {lane.config.name: lane.clock.model for lane in aligner.lanes}
    tallies = {s.name: StreamTally(s, models.get(s.name)) for s in plan.profile.streams}
    problem, span = "", (2**62, 0)
    try:
        for segment in read_columns(episode.path, set(plan.topics.values())):
            span = _push(segment, plan, aligner, tallies, span)
            aligner.advance(segment.until_ns)
            progress(segment.share)
    except BagError as error:
        if not span[1]:
            raise
        problem = str(error)
    aligner.finish()
    stats = FrameStats()
    names = tuple(s.name for s in plan.aligned)
    for part in parts:
        stats.add_all(part, names)
    evidence = [
        StreamEvidence(
            s,
            plan.topics[s.name],
            tallies[s.name].facts(*span),
            _lost(episode, plan.topics[s.name]),
        )
        for s in plan.profile.streams
        if s.rate_hz is not None
    ]
    return Alignment(
        plan.aligned,
        join_frames(parts, aligner),
        tuple(n or () for n in aligner.value_names),
        tuple(aligner.counts),
        certify(evidence, stats, frame_clock),
        problem,
    )


def _push(
    segment: Segment,
    plan: Plan,
    aligner: Aligner,
    tallies: dict[str, StreamTally],
    span: tuple[int, int],
) -> tuple[int, int]:
    numbers = {s.name: i for i, s in enumerate(plan.aligned)}
    for stream in plan.profile.streams:
        column = segment.columns.get(plan.topics[stream.name])
        if column is None:
            continue
        receives = column.receives
        stamps = column.stamps() if stream.name in plan.stamped else np.zeros_like(receives)
        tallies[stream.name].push(stamps, receives)
        span = min(span[0], int(receives.min())), max(span[1], int(receives.max()))
        if stream.name in numbers:
            aligner.push(numbers[stream.name], stamps, receives, column.payloads)  # type: ignore[arg-type]
    return span


def _lost(episode: Episode, topic: str) -> int | None:
    """What is known to be lost of a topic; None where nobody counted."""
    counted = episode.streams.get(topic, {}).get("lost")
    if counted is None or None in counted.values():
        return None
    return int(sum(counted.values()))


def join_frames(parts: list[Frames], aligner: Aligner) -> Frames:
    """All that an aligner has emitted, in one."""
    empty = np.empty(0, dtype=np.int64)
    if not parts:
        columns = tuple(
            Column(empty.astype(np.uint8), empty, empty, empty, np.empty((0, 0)))
            for _ in aligner.lanes
        )
        return Frames(empty, empty, empty, columns)
    columns = tuple(_join_column([p.columns[i] for p in parts]) for i in range(len(aligner.lanes)))
    return Frames(
        np.concatenate([p.index for p in parts]),
        np.concatenate([p.ticks for p in parts]),
        np.concatenate([p.due for p in parts]),
        columns,
    )


def _join_column(parts: list[Column]) -> Column:
    windows = [p.window for p in parts if p.window is not None]
    window = None
    if windows:
        offsets = np.cumsum([0, *(len(w.stamps) for w in windows)])
        splits = [w.splits[:-1] + offset for w, offset in zip(windows, offsets)]
        window = Window(
            np.concatenate([*splits, offsets[-1:]]),
            np.concatenate([w.stamps for w in windows]),
            np.concatenate([w.numbers for w in windows]),
            _stack([w.values for w in windows]),
        )
    return Column(
        np.concatenate([p.status for p in parts]),
        np.concatenate([p.stamps for p in parts]),
        np.concatenate([p.skews for p in parts]),
        np.concatenate([p.numbers for p in parts]),
        _stack([p.values for p in parts]),
        window,
    )


def _stack(parts: list[np.ndarray]) -> np.ndarray:
    """Rows under each other; those of before the values' names were known are NaN."""
    width = max(p.shape[1] for p in parts)
    return np.concatenate(
        [p if p.shape[1] == width else np.full((len(p), width), np.nan) for p in parts]
    )
