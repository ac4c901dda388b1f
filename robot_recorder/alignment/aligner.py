"""Align samples of many streams to frames: one aligner for the live robot and for bags.

It has no clock of its own. The caller tells the time with the receive time of each sample and with
``advance``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from robot_recorder.alignment.frames import FrameColumn, Frames, Window
from robot_recorder.alignment.lane import MAX_PAUSE_NS, Lane, Stamps
from robot_recorder.alignment.stream_decoder import Decoder, StreamCounts
from robot_recorder.alignment.ticks import FixedRate, ReferenceTicks
from robot_recorder.clocks.clock_model import ClockEstimate
from robot_recorder.clocks.source_clock import ClockSetting, Restamp, SourceClock
from robot_recorder.messages.decoders import Decoded
from robot_recorder.messages.kinds import decoder_of, kind_of
from robot_recorder.model.arrays import Int64s
from robot_recorder.model.payloads import Payloads
from robot_recorder.model.streams import FrameClock, StreamConfig

_MOST_WAITING = 1000  # pushes of a stream that are processed although no tick is due


@dataclass(frozen=True)
class Seed:
    """What a live run knew about a stream, to reproduce its frames from the bag.

    Attributes:
        value_names: order of the values in its frames; None: the order of the first sample.
        clock: corrections applied to its stamps; None: estimate them.
        first: correction until the first estimate; None: its first second is unknown.
    """

    value_names: tuple[str, ...] | None = None
    clock: Sequence[ClockSetting] | None = None
    first: ClockEstimate | None = None


class Aligner:
    """Aligner of several streams to common ticks.

    Ticks of a fixed rate lie at ``index / rate`` since the epoch, so that every run at this rate,
    live or offline, has the same ticks. A frame is emitted once every stream's watermark has passed
    its tick (see Lane), or when the deadline after the tick has passed. Memory is bounded: each
    stream keeps the samples since the last tick or within its tolerance, whichever is more, up to
    ``lane.MAX_SAMPLES``.
    """

    def __init__(
        self,
        streams: Sequence[StreamConfig],
        frame_clock: FrameClock,
        deadline_ns: int,
        emit: Callable[[Frames], None],
        seeds: Mapping[str, Seed] | None = None,
        restamp: Restamp | None = None,
        decoders: Mapping[str, Callable[[bytes], Decoded]] | None = None,
    ) -> None:
        """
        Args:
            streams: the aligned streams, in the order of frames.
            frame_clock: rate or reference stream of the ticks.
            deadline_ns: how long after a tick to wait for late samples.
            emit: called with frames, in order of strictly rising ticks.
            seeds: knowledge of the live run by stream name.
            restamp: removes jumps of the machine's wall clock from stamps; None: no jumps.
            decoders: by stream name, for streams that are read by a definition; without one, a
                stream has no values.

        Raises:
            ValueError: the reference is not one of the streams.
        """
        self.lanes: list[Lane] = []
        for config in streams:
            seed = (seeds or {}).get(config.name, Seed())
            counts = StreamCounts()
            by_name = kind_of(config).by_name
            decode = decoder_of(config, decoders or {})
            decoder = Decoder(decode, counts, seed.value_names, by_name)
            clock = SourceClock(config, seed.clock, restamp, seed.first)
            self.lanes.append(Lane(config, deadline_ns, clock, decoder, counts))
        self._deadline_ns = deadline_ns
        self._emit = emit
        self._now_ns = 0
        self._begin_ns: int | None = None  # earliest time of the first tick
        self.skipped_ticks = 0
        self._ticks: FixedRate | ReferenceTicks
        if frame_clock.reference:
            names = [s.name for s in streams]
            if frame_clock.reference not in names:
                raise ValueError(
                    f"the reference stream '{frame_clock.reference}' does not exist; there are "
                    f"{', '.join(names)}"
                )
            lane = self.lanes[names.index(frame_clock.reference)]
            self._ticks = ReferenceTicks(lane, frame_clock.rate_hz)
        else:
            assert frame_clock.rate_hz is not None
            self._ticks = FixedRate(frame_clock.rate_hz)

    @property
    def counts(self) -> list[StreamCounts]:
        """What became of the samples, per stream."""
        return [lane.counts for lane in self.lanes]

    @property
    def value_names(self) -> list[tuple[str, ...] | None]:
        """Names of the values, per stream; None until a frame has chosen a sample."""
        return [lane.decoder.names for lane in self.lanes]

    def set_restamp(self, restamp: Restamp | None) -> None:
        """Set the function that removes jumps of the machine's wall clock from later stamps."""
        for lane in self.lanes:
            lane.clock.restamp = restamp

    def push(
        self,
        stream: int,
        stamps: Stamps,
        receives: Sequence[int] | Int64s,
        payloads: Payloads,
    ) -> None:
        """Add samples of one stream. No frame is emitted before ``advance``.

        Args:
            stream: index into the streams given at construction.
            stamps: source stamps, ns; 0: not stamped.
            receives: receive times, robot clock, ns; not earlier than those of previous calls.
            payloads: message bytes, decoded only if a frame chooses them.
        """
        if not len(stamps):
            return
        lane = self.lanes[stream]
        lane.push(stamps, receives, payloads)
        if lane.waiting > _MOST_WAITING:
            lane.absorb()

    def advance(self, now_ns: int) -> None:
        """Emit the frames that are due.

        Args:
            now_ns: everything received before this time has been pushed, robot clock, ns.
        """
        self._now_ns = max(self._now_ns, now_ns)
        if not self.lanes:
            return
        hints = [lane.hint_ns for lane in self.lanes]
        if not self._ticks.due(self._until(hints)):
            return
        for lane in self.lanes:
            lane.absorb()
        self._take(self._until([lane.watermark_ns for lane in self.lanes]))

    def _take(self, until_ns: int, final: bool = False) -> None:
        """Emit the frames of the ticks up to a time."""
        if self._begin_ns is None:
            self._begin_ns = self._find_begin(final)
        if self._begin_ns is None:
            return
        from_ns = self._begin_ns
        while True:
            index, ticks = self._ticks.take(from_ns, until_ns)
            if not len(ticks):
                return
            last_ns = int(ticks[-1])
            if not self._align(index, ticks):
                # Skip the ticks of a long pause, which may last years between two recordings.
                later = [n for lane in self.lanes if (n := lane.next_ns(last_ns)) is not None]
                from_ns = max(last_ns, min(later, default=until_ns) - MAX_PAUSE_NS)
                self.skipped_ticks += self._ticks.skip(min(from_ns, until_ns))

    def _find_begin(self, final: bool) -> int | None:
        """Return the time of the first tick, once all streams that begin together have begun.

        Earlier frames would only lack the others. A stream that begins more than a deadline after
        the first one is missing until then.
        """
        begun = [lane for lane in self.lanes if lane.first_receive_ns is not None]
        if not begun:
            return None
        together_ns = min(lane.first_receive_ns or 0 for lane in begun) + self._deadline_ns
        together = [lane for lane in begun if (lane.first_receive_ns or 0) <= together_ns]
        settled_ns = max((x.first_receive_ns or 0) + x.config.disorder_ns for x in together)
        if len(begun) < len(self.lanes):
            settled_ns = max(settled_ns, together_ns)
        if self._now_ns <= settled_ns and not final:
            return None  # samples received until then may change the result
        return max(lane.first_ns or 0 for lane in together)

    def _until(self, watermarks: Sequence[int | None]) -> int:
        """Return the time up to which ticks can be emitted."""
        passed = [w for w in watermarks if w is not None]
        by_deadline = self._now_ns - self._deadline_ns
        return max(min(passed), by_deadline) if len(passed) == len(watermarks) else by_deadline

    def finish(self) -> None:
        """Emit the remaining frames, up to the ticks that all streams still running have passed.

        For later ticks it is unknown whether a sample was missing or would have come.
        """
        for lane in self.lanes:
            lane.absorb()
        passed = [w for lane in self.lanes if (w := lane.watermark_ns) is not None]
        if passed:
            end_ns = max(self._now_ns, *passed)
            running = [w for w in passed if w > end_ns - self._deadline_ns]
            self._now_ns = max(self._now_ns, end_ns + self._deadline_ns)
            self._take(min(running, default=end_ns), final=True)
        for lane in self.lanes:
            lane.clock.end()

    def _align(self, index: Int64s, ticks: Int64s) -> int:
        """Emit frames of ticks, except those in a pause of all streams; return their number."""
        columns = [lane.align(ticks) for lane in self.lanes]
        due = ticks + self._deadline_ns
        due = np.minimum(due, np.max([lane.passed_ns for lane in self.lanes], axis=0))
        served = np.zeros(len(ticks), dtype=bool)
        for lane in self.lanes:
            served |= lane.heard
            if served.all():
                break
        if not served.all():
            self.skipped_ticks += int(len(ticks) - served.sum())
            rows = np.flatnonzero(served)
            index, ticks, due = index[rows], ticks[rows], due[rows]
            columns = [_rows(column, rows) for column in columns]
        if len(ticks):
            self._emit(Frames(index, ticks, due, tuple(columns)))
        return len(ticks)


def _rows(column: FrameColumn, rows: Int64s) -> FrameColumn:
    """Select some frames of a stream."""
    window = column.window
    if window is not None:  # samples of the ticks left out are dropped
        inside = np.concatenate(
            [np.arange(window.splits[r], window.splits[r + 1]) for r in rows] or [rows[:0]]
        )
        splits = np.concatenate(([0], np.cumsum(np.diff(window.splits)[rows])))
        window = Window(
            splits, window.stamps[inside], window.numbers[inside], window.values[inside]
        )
    return FrameColumn(
        column.status[rows], column.stamps[rows], column.skews[rows], column.numbers[rows],
        column.values[rows], window,
    )  # fmt: skip
