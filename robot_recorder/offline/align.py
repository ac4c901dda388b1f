"""Align a whole bag, with the same aligner as on the live robot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

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
    run = BagAligner(plan, frame_clock, EpisodeAudit(plan.audited(plan.profile.streams)))
    parts = list(run.parts(episode.path, progress))
    by_name = [lane for lane in run.aligner.lanes if lane.decoder.by_name]
    words = {lane.config.name: lane.decoder.words for lane in by_name}
    return Alignment(
        plan.aligned,
        join_frames(parts, run.aligner),
        run.value_names,
        tuple(run.aligner.counts),
        _noted(_certificate(episode, plan, frame_clock, parts, run, words), plan),
        run.aligner.skipped_ticks,
        run.problem,
        {name: [why] for name, why in plan.unread.items()},
    )


class BagAligner:
    """One pass of the aligner over a bag, in bounded memory.

    Attributes:
        aligner: the aligner.
        span: receive times of the first and the last message so far, ns.
        problem: why the bag could not be read to its end; empty: it was, or is still being read.
    """

    def __init__(
        self, plan: Plan, frame_clock: FrameClock, audit: EpisodeAudit | None = None
    ) -> None:
        """
        Args:
            plan: which streams to align, and how.
            frame_clock: rate or reference stream of the frames.
            audit: counts all streams of the profile for a certificate; None: only the aligned ones
                are read.
        """
        self.plan, self.audit = plan, audit
        self.span, self.problem = (2**62, 0), ""
        self._emitted: list[Frames] = []
        self.aligner = Aligner(
            plan.aligned, frame_clock, plan.profile.deadline_ns, self._emitted.append,
            plan.seeds, plan.restamp, plan.decoders,
        )  # fmt: skip

    @property
    def value_names(self) -> tuple[tuple[str, ...], ...]:
        """Return the names of each aligned stream's values so far, with units."""
        return tuple(names or () for names in self.aligner.value_names)

    def parts(
        self, path: Path, progress: Callable[[float], None] = lambda share: None
    ) -> Iterator[Frames]:
        """Read the bag once and yield its frames, in order.

        Args:
            path: of the bag.
            progress: called with the share of the bag read so far, 0 to 1.

        Raises:
            BagError: no message can be read.
        """
        streams = self.plan.aligned if self.audit is None else self.plan.profile.streams
        try:
            for segment in self.plan.read(path, {self.plan.topics[s.name] for s in streams}):
                for until_ns, columns in _pieces(segment):
                    self._push(columns, streams)
                    self.aligner.advance(until_ns)
                    yield from self._taken()
                progress(segment.share)
        except BagError as error:
            if not self.span[1]:
                raise
            self.problem = str(error)
        self.aligner.finish()
        yield from self._taken()

    def _taken(self) -> list[Frames]:
        taken = list(self._emitted)
        self._emitted.clear()
        return taken

    def _push(self, columns: dict[str, Column], streams: Sequence[StreamConfig]) -> None:
        """Push messages to the aligner and the tallies."""
        numbers = {s.name: i for i, s in enumerate(self.plan.aligned)}
        for stream in streams:
            column = columns.get(self.plan.topics[stream.name])
            if column is None:
                continue
            receives = column.receives
            stamps = self.plan.stamps(stream.name, column)
            if self.audit is not None:
                self.audit.add(stream.name, stamps, receives, restamp=self.plan.restamp)
            first, last = int(receives.min()), int(receives.max())
            self.span = min(self.span[0], first), max(self.span[1], last)
            if stream.name in numbers:
                self.aligner.push(numbers[stream.name], stamps, receives, column.payloads)  # type: ignore[arg-type]


def _certificate(
    episode: Episode,
    plan: Plan,
    frame_clock: FrameClock,
    parts: list[Frames],
    run: BagAligner,
    notes: dict[str, tuple[str, ...]],
) -> Certificate:
    """Certify the frames as the recorder does: for our own episodes, the figures are the same."""
    assert run.audit is not None
    deadline_ns, span = plan.profile.deadline_ns, run.span
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
    return run.audit.certificate(
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
