"""The sync certificate: how well an episode's streams fit on one time axis."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from robot_recorder.alignment.frames import Frames, SampleStatus
from robot_recorder.alignment.skews import Skews
from robot_recorder.alignment.stream_tally import StreamFigures
from robot_recorder.clocks.clock_model import ClockTrouble
from robot_recorder.model.arrays import Int64s
from robot_recorder.model.streams import (
    NS_PER_MS,
    NS_PER_S,
    FrameClock,
    Policy,
    SourceClockKind,
    StreamConfig,
)

SLOW_SHARE = 0.9  # of the declared rate; below, a stream is slow
_LONG_GAP = 5.0  # periods
_SET_BACK_MS = 1000.0  # more disorder than this is not a network delay


@dataclass(frozen=True)
class StreamCertificate:
    """Figures of one stream over one episode. None: unknown, or not applicable to this stream.

    Attributes:
        topic: fully qualified topic.
        policy: how samples are chosen for ticks, see Policy.
        tolerance_ms: of the profile; 0: not aligned.
        expected_hz: rate declared in the profile.
        measured_hz: mean rate of the samples.
        count: number of samples received.
        lost: number of messages known to be lost, at any place.
        longest_gap_ms: longest time between two samples, or to the beginning or end of the episode.
        duplicates: number of samples with the stamp of an earlier one.
        out_of_order: number of samples stamped before an earlier one.
        disorder_ms: largest difference by which a sample was stamped before an earlier one.
        clock: ``robot``, ``device`` (estimated and corrected) or ``none`` (receive times are used).
        offset_ms: robot clock minus source clock plus the shortest delay, at the end.
        drift_ppm: how much too fast the source clock runs.
        offset_pm_ms, drift_pm_ppm: half widths of the 95 % intervals.
        clock_events: sentences about clock problems.
        clock_jump_ms: size of the largest clock jump.
        skew_*_ms: percentiles of the absolute skew over all frames that have a sample.
        fresh, interpolated, held, missing: number of frames by status.
        lost_unknown: why the number of lost messages is unknown, if it should be known.
        layout_notes: sentences about joints that only some messages name.
        stamp: where its stamps came from, such as ``header``; empty: unknown.
    """

    topic: str
    policy: str
    tolerance_ms: float
    expected_hz: float | None
    measured_hz: float | None
    count: int
    lost: int | None
    longest_gap_ms: float
    duplicates: int
    out_of_order: int
    disorder_ms: float
    clock: str
    offset_ms: float | None
    offset_pm_ms: float | None
    drift_ppm: float | None
    drift_pm_ppm: float | None
    clock_events: tuple[str, ...]
    clock_jump_ms: float
    skew_p50_ms: float | None
    skew_p95_ms: float | None
    skew_p99_ms: float | None
    skew_max_ms: float | None
    fresh: int
    interpolated: int
    held: int
    missing: int
    lost_unknown: str = ""
    layout_notes: tuple[str, ...] = ()
    stamp: str = ""

    @property
    def frames(self) -> int:
        """Number of frames of all statuses."""
        return self.fresh + self.interpolated + self.held + self.missing

    def findings(self) -> list[str]:
        """Return sentences about problems, worst first, with their remedies."""
        found = []
        if self.count == 0:
            return [f"nothing was recorded of it: is {self.topic} published?"]
        for status, count in (("missing", self.missing), ("held", self.held)):
            if count:
                found.append(f"{status} in {count / self.frames:.1%} of the frames")
        found += self.clock_events
        found += self.layout_notes
        if self.expected_hz and (self.measured_hz or 0) < SLOW_SHARE * self.expected_hz:
            found.append(f"{self.measured_hz or 0:.1f} Hz instead of {self.expected_hz:g} Hz")
        if self.lost:
            found.append(f"{self.lost} messages lost")
        if self.lost_unknown:
            found.append(f"the number of lost messages is unknown: {self.lost_unknown}")
        aligned = self.policy != Policy.NONE.value
        rate = self.expected_hz or (self.measured_hz if aligned else None)
        if rate and self.longest_gap_ms > _LONG_GAP * 1000 / rate:
            found.append(f"silent for {self.longest_gap_ms:.0f} ms at the longest")
        if self.out_of_order and self.disorder_ms < _SET_BACK_MS:
            found.append(
                f"{self.out_of_order} samples out of order by up to {self.disorder_ms:.1f} ms: "
                f"'disorder_ms: {math.ceil(self.disorder_ms)}' in the profile, below its "
                "deadline_ms, would wait for them"
            )
        elif self.out_of_order:
            found.append(
                f"{self.out_of_order} samples out of order by up to "
                f"{self.disorder_ms / 1000:.1f} s: was its clock set back, or do two drivers "
                "publish it?"
            )
        if self.duplicates:
            found.append(f"{self.duplicates} samples repeat a stamp")
        if self._drifts:
            found.append(
                f"its clock drifts by {self.drift_ppm:+.0f} ppm: synchronise it, or set "
                "'clock: device' in the profile"
            )
        return found

    @property
    def _drifts(self) -> bool:
        """Whether the clock drifts significantly, and more than two crystals in one machine do."""
        if self.clock != SourceClockKind.ROBOT.value or self.drift_ppm is None:
            return False
        return self.drift_is_known and abs(self.drift_ppm) > 20

    @property
    def drift_is_known(self) -> bool:
        """Whether the drift differs from 0 significantly."""
        if self.drift_ppm is None or self.drift_pm_ppm is None:
            return False
        return abs(self.drift_ppm) > 2 * self.drift_pm_ppm


@dataclass(frozen=True)
class Certificate:
    """Certificate of all streams of one episode.

    Attributes:
        rate_hz, reference: rate and reference stream of the frame clock.
        frames: number of frames.
        complete: number of frames without a held or missing stream.
        streams: certificates by stream name, in profile order.
        expected: number of frames expected between start and stop; None: unknown.
        absent: how many of the expected frames do not exist; None: unknown.
        unreadable: number of the recorder's own messages that are unreadable, or cannot come from
            this robot's synchronizer; None: not counted.
        unreadable_why: what is wrong with the first of them.
    """

    rate_hz: float | None
    reference: str
    frames: int
    complete: int
    streams: dict[str, StreamCertificate]
    expected: int | None = None
    absent: int | None = None
    unreadable: int | None = None
    unreadable_why: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Certificate:
        """Build a certificate from the output of ``to_dict``; missing fields become unknown.

        Raises:
            ValueError: a value has the wrong type.
        """
        blank: dict[str, Any] = dict.fromkeys(StreamCertificate.__dataclass_fields__)
        blank |= {
            "topic": "",
            "policy": "",
            "lost_unknown": "",
            "clock": "",
            "stamp": "",
            "clock_events": (),
            "layout_notes": (),
            "count": 0,
        }
        blank |= dict.fromkeys(
            ("longest_gap_ms", "disorder_ms", "tolerance_ms", "clock_jump_ms"), 0.0
        )
        blank |= dict.fromkeys(
            ("duplicates", "out_of_order", "fresh", "interpolated", "held", "missing"), 0
        )
        streams = {
            name: StreamCertificate(**_known(s, blank))
            for name, s in values.get("streams", {}).items()
        }
        own = {"rate_hz": None, "reference": "", "frames": 0, "complete": 0, "unreadable_why": ""}
        own |= dict.fromkeys(("expected", "absent", "unreadable"))
        return cls(**_known(values, own), streams=streams)

    @property
    def summary(self) -> str:
        """One sentence about the frames."""
        if not self.frames:
            return f"no frames: nothing was aligned{self._spoiled}"
        share = self.complete / self.frames
        worst = max(
            ((s.skew_p95_ms, n) for n, s in self.streams.items() if s.skew_p95_ms is not None),
            default=None,
        )
        skew = f"; worst skew p95 {worst[0]:.1f} ms ({worst[1]})" if worst else ""
        clock = FrameClock(self.rate_hz, self.reference).text
        absent = f", {self.absent} of {self.expected} frames are absent" if self.absent else ""
        return f"{self.frames} frames {clock}, {share:.1%} complete{absent}{skew}{self._spoiled}"

    @property
    def _spoiled(self) -> str:
        if not self.unreadable:
            return ""
        return (
            f"; {self.unreadable} of the recorder's own messages cannot be used "
            f"({self.unreadable_why})"
        )


_MOST = 1 << 63  # larger figures are invalid


def _known(values: dict[str, Any], blank: dict[str, Any]) -> dict[str, Any]:
    """Return ``blank`` updated by values of the same types, where None stands for a number."""
    found = dict(blank)
    for key in blank.keys() & values.keys():
        value, like = values[key], blank[key]
        if isinstance(like, int):
            fits = isinstance(value, int) and 0 <= value < _MOST
        elif isinstance(like, float):
            fits = isinstance(value, (int, float)) and abs(value) < _MOST
        elif like is None:  # an unknown figure may be infinite or NaN
            fits = value is None or isinstance(value, float)
            fits = fits or (isinstance(value, int) and abs(value) < _MOST)
        elif isinstance(like, tuple):
            fits = all(isinstance(v, str) for v in value)
            value = tuple(value)
        else:
            fits = isinstance(value, str)
        if not fits:
            raise ValueError(f"'{key}' of a certificate is {value!r}")
        found[key] = value
    return found


def certified(config: StreamConfig) -> bool:
    """Tell whether a stream gets a certificate: it is aligned, or has a declared rate."""
    return config.policy is not Policy.NONE or config.rate_hz is not None


_SETTLING_NS = 500 * NS_PER_MS  # the live run also used samples from before the bag begins
_UNDER_WAY_NS = 250 * NS_PER_MS  # after the deadline, for frames delayed by a busy machine
_ALWAYS = 1 << 62


@dataclass(frozen=True)
class TickSpan:
    """Span of the ticks that a certificate covers, both ends inclusive, robot clock.

    A frame is emitted up to the deadline after its tick, so that the last frames before a stop are
    not in the bag.

    Attributes:
        first_ns, last_ns: only frames of ticks in this span are counted.
        from_ns, until_ns: a frame is expected at every tick in this span.
    """

    first_ns: int
    last_ns: int
    from_ns: int
    until_ns: int

    @classmethod
    def of_episode(cls, from_ns: int, start_ns: int, stop_ns: int, deadline_ns: int) -> TickSpan:
        """Return the span of an episode of this package.

        Args:
            from_ns: beginning of the pre-roll, which may be without frames.
            start_ns, stop_ns: when the episode was started and stopped.
            deadline_ns: how long a frame waits for late samples.
        """
        until_ns = stop_ns - deadline_ns - _UNDER_WAY_NS
        return cls(min(start_ns, from_ns + _SETTLING_NS), until_ns, start_ns, until_ns)

    @classmethod
    def of_bag(cls, first_ns: int, last_ns: int, deadline_ns: int) -> TickSpan:
        """Return the span of any other bag, from its first and last receive time."""
        margin_ns = deadline_ns + _UNDER_WAY_NS
        return cls(-_ALWAYS, _ALWAYS, first_ns + margin_ns, last_ns - margin_ns)

    def ticks(self, rate_hz: float) -> int:
        """Return the number of frames expected at a rate."""
        return max(0, math.floor((self.until_ns - self.from_ns) * rate_hz / NS_PER_S))


@dataclass
class _Tally:
    skews: Skews = field(default_factory=Skews)
    statuses: Any = field(default_factory=lambda: np.zeros(len(SampleStatus), dtype=np.int64))


class FrameStats:
    """Counter of frames by status and of their skews, in bounded memory.

    Attributes:
        span: ticks that are counted.
        frames: number of frames.
        complete: number of frames without a held or missing stream.
        asked: number of frames at ticks where one is expected.
    """

    def __init__(self, span: TickSpan) -> None:
        self.span = span
        self._streams: dict[str, _Tally] = {}
        self.frames = 0
        self.complete = 0
        self.asked = 0

    def add(
        self,
        ticks: Int64s,
        statuses: npt.NDArray[np.uint8],
        skews: Int64s,
        names: tuple[str, ...],
    ) -> None:
        """Count the frames whose ticks are in the span.

        Args:
            ticks: int64[n], ns.
            statuses: uint8[n, k], SampleStatus by stream.
            skews: int64[n, k], ns; those of MISSING samples do not count.
            names: of the k streams.
        """
        span = self.span
        inside = (span.first_ns <= ticks) & (ticks <= span.last_ns)
        self.frames += int(inside.sum())
        self.asked += int(((span.from_ns <= ticks) & (ticks <= span.until_ns)).sum())
        statuses, skews = statuses[inside], skews[inside]
        self.complete += int((statuses <= SampleStatus.INTERPOLATED).all(axis=1).sum())
        for name, status, skew in zip(names, statuses.T, skews.T, strict=True):
            tally = self._streams.setdefault(name, _Tally())
            tally.statuses += np.bincount(status, minlength=len(SampleStatus))
            tally.skews.add(skew[status != SampleStatus.MISSING])

    def add_all(self, frames: Frames, names: tuple[str, ...]) -> None:
        """Count the frames whose ticks are in the span."""
        shape = (len(frames.columns), len(frames))
        statuses = np.array([column.status for column in frames.columns], dtype=np.uint8)
        skews = np.array([column.skews for column in frames.columns], dtype=np.int64)
        self.add(frames.ticks, statuses.reshape(shape).T, skews.reshape(shape).T, names)

    def quantiles_ms(self, name: str) -> tuple[float | None, ...]:
        """Return p50, p95, p99 and maximum of a stream's absolute skew, ms."""
        tally = self._streams.get(name, _Tally())
        return tally.skews.quantiles_ms((50, 95, 99, 100))

    def statuses(self, name: str) -> tuple[int, ...]:
        """Return a stream's number of frames by status."""
        tally = self._streams.get(name)
        return tuple(int(n) for n in tally.statuses) if tally else (0,) * len(SampleStatus)


@dataclass(frozen=True)
class StreamInput:
    """Input of a stream's certificate, apart from the frames.

    Attributes:
        config: the stream's profile entry.
        topic: fully qualified topic.
        figures: figures of its samples.
        lost: number of lost messages; None: unknown.
        lost_unknown: why that number is unknown, if it should be known.
        notes: sentences about joints that only some messages name.
        stamp: where its stamps came from; empty: unknown.
    """

    config: StreamConfig
    topic: str
    figures: StreamFigures
    lost: int | None
    lost_unknown: str = ""
    notes: tuple[str, ...] = ()
    stamp: str = ""


def certify(
    inputs: list[StreamInput],
    stats: FrameStats,
    frame_clock: FrameClock,
    unreadable: int | None = None,
    unreadable_why: str = "",
) -> Certificate:
    """Return the certificate of an episode.

    Args:
        inputs: one per stream.
        stats: counts of the frames.
        frame_clock: rate or reference stream of the frames.
        unreadable: number of the recorder's own messages that are unreadable; None: not counted.
        unreadable_why: what is wrong with the first of them.
    """
    streams = {e.config.name: _certify_stream(e, stats) for e in inputs}
    expected = _expected_frames(inputs, stats.span, frame_clock)
    return Certificate(
        frame_clock.rate_hz, frame_clock.reference, stats.frames, stats.complete, streams,
        expected, None if expected is None else max(expected - stats.asked, 0),
        unreadable, unreadable_why,
    )  # fmt: skip


def _expected_frames(
    inputs: list[StreamInput], span: TickSpan, frame_clock: FrameClock
) -> int | None:
    """Return the number of frames expected, by the rate of the ticks; None: unknown."""
    if all(e.config.policy is Policy.NONE for e in inputs):
        return None
    rates = [frame_clock.rate_hz] if frame_clock.rate_hz else []
    for config, figures in ((e.config, e.figures) for e in inputs):
        if config.name == frame_clock.reference:
            rate_hz = figures.rate_hz or config.rate_hz or 0.0
            # Ticks rise strictly: overtaken and repeated samples make none.
            no_ticks = (figures.out_of_order + figures.duplicates) / max(figures.count, 1)
            rates += [rate_hz * (1 - no_ticks)] if rate_hz else []
    return span.ticks(min(rates)) if rates else None


def _certify_stream(stream: StreamInput, stats: FrameStats) -> StreamCertificate:
    config, figures, clock = stream.config, stream.figures, stream.figures.clock
    statuses = stats.statuses(config.name)
    p50, p95, p99, most = stats.quantiles_ms(config.name)
    jumps = [abs(e.by_ns) / NS_PER_MS for e in figures.events if e.kind is ClockTrouble.JUMP]
    # A counter of milliseconds hides a drift of less than its step.
    step_ns = NS_PER_MS if config.stamp.unit_ns == NS_PER_MS else 0
    step_ppm = step_ns * (figures.rate_hz or 0.0) / max(figures.count, 1) / 1000
    aligned = config.policy is not Policy.NONE and stats.frames > 0
    if aligned and not sum(statuses):
        statuses = (0, 0, 0, stats.frames)
    return StreamCertificate(
        topic=stream.topic,
        policy=config.policy.value,
        tolerance_ms=round(config.tolerance_ns / NS_PER_MS, 3),
        expected_hz=config.rate_hz,
        measured_hz=_rounded(figures.rate_hz),
        count=figures.count,
        lost=stream.lost,
        lost_unknown=stream.lost_unknown,
        longest_gap_ms=round(figures.longest_gap_ns / NS_PER_MS, 3),
        duplicates=figures.duplicates,
        out_of_order=figures.out_of_order,
        disorder_ms=round(figures.disorder_ns / NS_PER_MS, 3),
        clock=config.clock.value if figures.stamped else "none",
        offset_ms=_rounded(clock.offset_ns / NS_PER_MS) if clock else None,
        offset_pm_ms=_rounded((clock.offset_pm_ns + step_ns / 2) / NS_PER_MS) if clock else None,
        drift_ppm=_rounded(clock.drift_ppm)
        if clock and math.isfinite(clock.drift_pm_ppm)
        else None,
        drift_pm_ppm=_rounded(clock.drift_pm_ppm + step_ppm)
        if clock and math.isfinite(clock.drift_pm_ppm)
        else None,
        clock_events=(*_unstamped(stream), *(e.text for e in figures.events)),
        layout_notes=stream.notes,
        stamp=stream.stamp,
        clock_jump_ms=round(max(jumps, default=0.0), 3),
        skew_p50_ms=p50,
        skew_p95_ms=p95,
        skew_p99_ms=p99,
        skew_max_ms=most,
        fresh=statuses[SampleStatus.FRESH],
        interpolated=statuses[SampleStatus.INTERPOLATED],
        held=statuses[SampleStatus.HELD],
        missing=statuses[SampleStatus.MISSING],
    )


def _unstamped(stream: StreamInput) -> tuple[str, ...]:
    """Say where stamps came from, if headers are 0."""
    figures = stream.figures
    if figures.unstamped:
        every = figures.unstamped == figures.count
        many = "all" if every else f"{figures.unstamped} of {figures.count}"
        return (f"{many} of its stamps are 0: the receive time is used instead",)
    used, _, why = stream.stamp.partition(": ")
    if why:
        return (f"{why}: the {used} is used instead",)
    declared, _, others = stream.stamp.partition("; ")
    usual = declared in ("", "DDS source stamp")  # a late message has none that counts
    return () if usual or not others else (f"its {declared} is 0 at times: {others}",)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
