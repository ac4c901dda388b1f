"""Align a whole bag, with the same aligner as on the live robot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from robot_recorder.alignment.aligner import Aligner
from robot_recorder.alignment.certificate import Certificate, FrameStats, TickSpan
from robot_recorder.alignment.frames import FrameColumn, Frames, Window
from robot_recorder.alignment.stream_decoder import StreamCounts, widened
from robot_recorder.bags.columns import Column, Segment
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.facts import lost_of
from robot_recorder.model.errors import BagError
from robot_recorder.model.streams import FrameClock, RobotProfile, StreamConfig
from robot_recorder.offline.plan import Plan, make_plan
from robot_recorder.quality.audit import EpisodeAudit

_AT_ONCE = 12_000  # samples of a stream pushed together, below lane.MAX_SAMPLES


@dataclass(frozen=True)
class Alignment:
    """The aligned frames of a bag.

    Attributes:
        streams: aligned streams, in the order of the frames' columns.
        frames: all frames.
        value_names: names of each stream's values, with units.
        counts: what became of each stream's samples.
        certificate: how well the streams could be aligned.
        skipped_ticks: number of ticks left out because no stream had received anything for 10 s.
        problem: why the bag could not be read to its end; empty: it was read to its end.
        notes: why a stream's messages have no values, by stream name.
    """

    streams: tuple[StreamConfig, ...]
    frames: Frames
    value_names: tuple[tuple[str, ...], ...]
    counts: tuple[StreamCounts, ...]
    certificate: Certificate
    skipped_ticks: int = 0
    problem: str = ""
    notes: dict[str, list[str]] = field(default_factory=dict)

    def column(self, stream: str) -> FrameColumn:
        """Return the part of a stream in all frames.

        Raises:
            KeyError: no aligned stream has this name.
        """
        return self.frames.columns[self._index(stream)]

    def names(self, stream: str) -> tuple[str, ...]:
        """Return the names of a stream's values, with units, in the order of its columns.

        Raises:
            KeyError: no aligned stream has this name.
        """
        return self.value_names[self._index(stream)]

    def _index(self, stream: str) -> int:
        names = [s.name for s in self.streams]
        if stream not in names:
            raise KeyError(f"no aligned stream '{stream}'; there are {', '.join(names)}")
        return names.index(stream)


def frames_of(
    episode: Episode,
    rate_hz: float | None = None,
    reference: str = "",
    profile: RobotProfile | None = None,
) -> Alignment:
    """Align an episode or any bag. Part of the Python API.

    Args:
        episode: the bag.
        rate_hz: frame rate; None: as in the profile.
        reference: stream with a frame at each of its samples; "none": a fixed rate; empty: as in
            the profile.
        profile: the robot's profile; None: the one in the bag, or a guess.

    Raises:
        BagError: no message can be read.
        ConfigError: the bag has no topics of the profile, or the reference does not exist.
    """
    plan = make_plan(episode, profile)
    return align_episode(episode, plan, plan.frame_clock(rate_hz, reference))


def align_episode(
    episode: Episode,
    plan: Plan,
    frame_clock: FrameClock,
    progress: Callable[[float], None] = lambda share: None,
) -> Alignment:
    """Align all messages of a bag to frames.

    Args:
        episode: the bag.
        plan: which streams to align, and how.
        frame_clock: rate or reference stream of the frames.
        progress: called with the share of the bag read so far, 0 to 1.

    Raises:
        BagError: no message can be read.
    """
    parts: list[Frames] = []
    aligner = Aligner(
        plan.aligned, frame_clock, plan.profile.deadline_ns, parts.append,
        plan.seeds, plan.restamp, plan.decoders,
    )  # fmt: skip
    audit = EpisodeAudit(plan.audited(plan.profile.streams))
    problem, span = "", (2**62, 0)
    try:
        for segment in plan.read(episode.path, set(plan.topics.values())):
            for until_ns, columns in _pieces(segment):
                span = _push(columns, plan, aligner, audit, span)
                aligner.advance(until_ns)
            progress(segment.share)
    except BagError as error:
        if not span[1]:
            raise
        problem = str(error)
    aligner.finish()
    by_name = [lane for lane in aligner.lanes if lane.decoder.by_name]
    words = {lane.config.name: lane.decoder.words for lane in by_name}
    return Alignment(
        plan.aligned,
        join_frames(parts, aligner),
        tuple(n or () for n in aligner.value_names),
        tuple(aligner.counts),
        _noted(_certificate(episode, plan, frame_clock, parts, audit, span, words), plan),
        aligner.skipped_ticks,
        problem,
        {name: [why] for name, why in plan.unread.items()},
    )


def _certificate(
    episode: Episode,
    plan: Plan,
    frame_clock: FrameClock,
    parts: list[Frames],
    audit: EpisodeAudit,
    span: tuple[int, int],
    notes: dict[str, tuple[str, ...]],
) -> Certificate:
    """Certify the frames as the recorder does: for our own episodes, the figures are the same."""
    deadline_ns = plan.profile.deadline_ns
    episode, _ = episode.readable()
    if "stop_ns" in episode.facts:
        of = episode.span
        span = of.start_ns, of.to_ns or span[1]
        ticks = TickSpan.of_episode(of.from_ns, *span, deadline_ns)
    else:
        ticks = TickSpan.of_bag(*span, deadline_ns)
    stats = FrameStats(ticks)
    names = tuple(s.name for s in plan.aligned)
    for part in parts:
        stats.add_all(part, names)
    return audit.certificate(
        *span,
        stats,
        frame_clock,
        lambda topic: lost_of(episode.streams.get(topic, {})),
        lambda name: notes.get(name, ()),
    )


def _noted(certificate: Certificate, plan: Plan) -> Certificate:
    """Add the plan's notes to the clock events of every stream."""
    streams = {
        name: replace(stream, clock_events=(*stream.clock_events, *plan.notes))
        for name, stream in certificate.streams.items()
    }
    return replace(certificate, streams=streams)


def _pieces(segment: Segment) -> Iterator[tuple[int, dict[str, Column]]]:
    """Split a segment into pieces that fit the streams' buffers: (end time, columns by topic)."""
    busiest = max(segment.columns.values(), key=lambda c: len(c.receives), default=None)
    if busiest is None or len(busiest.receives) <= _AT_ONCE:
        yield segment.until_ns, segment.columns
        return
    receives = {t: np.maximum.accumulate(c.receives) for t, c in segment.columns.items()}
    cuts = np.unique(np.maximum.accumulate(busiest.receives)[_AT_ONCE::_AT_ONCE]).tolist()
    before = dict.fromkeys(segment.columns, 0)
    for until_ns in [*cuts, segment.until_ns]:
        columns = {}
        for topic, column in segment.columns.items():
            end = int(np.searchsorted(receives[topic], until_ns, "left"))
            end = len(column.receives) if until_ns == segment.until_ns else end
            if end > before[topic]:
                columns[topic] = column.part(before[topic], end)
                before[topic] = end
        yield until_ns, columns


def _push(
    columns: dict[str, Column],
    plan: Plan,
    aligner: Aligner,
    audit: EpisodeAudit,
    span: tuple[int, int],
) -> tuple[int, int]:
    """Push messages to the aligner and the tallies; return the span of receive times so far, ns."""
    numbers = {s.name: i for i, s in enumerate(plan.aligned)}
    for stream in plan.profile.streams:
        column = columns.get(plan.topics[stream.name])
        if column is None:
            continue
        receives = column.receives
        stamps = plan.stamps(stream.name, column)
        audit.add(stream.name, stamps, receives, restamp=plan.restamp)
        span = min(span[0], int(receives.min())), max(span[1], int(receives.max()))
        if stream.name in numbers:
            aligner.push(numbers[stream.name], stamps, receives, column.payloads)  # type: ignore[arg-type]
    return span


def join_frames(parts: list[Frames], aligner: Aligner) -> Frames:
    """Join the frames that an aligner has emitted in several parts."""
    empty = np.empty(0, dtype=np.int64)
    if not parts:
        columns = tuple(
            FrameColumn(empty.astype(np.uint8), empty, empty, empty, np.empty((0, 0)))
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


def _join_column(parts: list[FrameColumn]) -> FrameColumn:
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
    return FrameColumn(
        np.concatenate([p.status for p in parts]),
        np.concatenate([p.stamps for p in parts]),
        np.concatenate([p.skews for p in parts]),
        np.concatenate([p.numbers for p in parts]),
        _stack([p.values for p in parts]),
        window,
    )


def _stack(parts: list[np.ndarray]) -> np.ndarray:
    """Concatenate rows; values that an earlier part does not know are NaN in it."""
    width = max(p.shape[1] for p in parts)
    return np.concatenate([widened(p, width) for p in parts])
