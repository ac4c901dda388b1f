"""The sync certificate: how well an episode's streams can be put on one time axis, in figures and words."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from robot_recorder.alignment.frames import Frame, Frames, SampleStatus
from robot_recorder.alignment.skews import Skews
from robot_recorder.alignment.stream_tally import StreamFigures
from robot_recorder.clocks.clock_model import ClockTrouble
from robot_recorder.model.streams import (
    NS_PER_MS,
    NS_PER_S,
    FrameClock,
    Policy,
    SourceClockKind,
    StreamConfig,
)

SLOW_SHARE = 0.9  # of the declared rate
_LONG_GAP = 5.0  # periods
_SET_BACK_MS = 1000.0  # no network is so late


@dataclass(frozen=True)
class StreamCertificate:
    """One stream over one episode. None: not known, or there is no such thing for this stream.

    Attributes:
        tolerance_ms: of the profile; 0: not aligned.
        expected_hz: as the profile declares.
        lost: known to be missing, wherever it was lost.
        lost_unknown: why nobody can say what is lost, where that is not as it should be.
        longest_gap_ms: between two samples, or to the beginning or end of the episode.
        disorder_ms: how far the latest out-of-order sample was behind.
        clock: ``robot``, ``device`` (estimated and corrected) or ``none`` (receipt counts).
        offset_ms: robot clock minus source clock plus the shortest delay, at the end.
        drift_ppm: how much too fast the source clock runs.
        offset_pm_ms, drift_pm_ppm: half widths of the 95 % intervals.
        clock_events: sentences.
        layout_notes: sentences about what its messages name, and leave out.
        clock_jump_ms: the largest of them that is a jump.
        skew_*_ms: of the absolute skew over all frames that have a sample.
        fresh, interpolated, held, missing: frames by status.
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

    @property
    def frames(self) -> int:
        """All of them together."""
        return self.fresh + self.interpolated + self.held + self.missing

    def findings(self) -> list[str]:
        """What a person should know, worst first, with the remedy."""
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
            found.append(f"nobody knows how many messages are lost: {self.lost_unknown}")
        aligned = self.policy != Policy.NONE.value
        rate = self.expected_hz or (self.measured_hz if aligned else None)
        if rate and self.longest_gap_ms > _LONG_GAP * 1000 / rate:
            found.append(f"silent for {self.longest_gap_ms:.0f} ms at the longest")
        if self.out_of_order and self.disorder_ms < _SET_BACK_MS:
            found.append(
                f"{self.out_of_order} samples out of order by up to {self.disorder_ms:.1f} ms: "
                f"'disorder_ms: {math.ceil(self.disorder_ms)}' in the profile, below its deadline_ms, would "
                "wait for them"
            )
        elif self.out_of_order:
            found.append(
                f"{self.out_of_order} samples out of order by up to {self.disorder_ms / 1000:.1f} s: was "
                "its clock set back, or do two drivers publish it?"
            )
        if self.duplicates:
            found.append(f"{self.duplicates} samples repeat a stamp")
        if self._drifts:
            found.append(
                f"its clock drifts by {self.drift_ppm:+.0f} ppm: synchronise it, or say "
                "'clock: device' in the profile"
            )
        return found

    @property
    def _drifts(self) -> bool:
        """Surely, and by more than an undisciplined crystal next to another one in the same machine."""
        if self.clock != SourceClockKind.ROBOT.value or self.drift_ppm is None:
            return False
        return self.drift_is_known and abs(self.drift_ppm) > 20

    @property
    def drift_is_known(self) -> bool:
        """It is not 0 by chance."""
        if self.drift_ppm is None or self.drift_pm_ppm is None:
            return False
        return abs(self.drift_ppm) > 2 * self.drift_pm_ppm


@dataclass(frozen=True)
class Certificate:
    """All streams of one episode.

    Attributes:
        rate_hz, reference: the frame clock.
        frames, complete: how many, and how many without a held or missing stream.
        streams: by name, in profile order.
        expected: frames that the time from start to stop asks for; None: nobody can say.
        absent: of these, how many there are not.
        unreadable: messages of the recorder's own topics that nobody can read, or that cannot be of
            this robot's synchronizer; None: nobody counted.
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
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Certificate:
        """From what ``to_dict`` gave; what an older version did not know is unknown.

        Raises:
            ValueError: a value of another type.
        """
        blank: dict[str, Any] = dict.fromkeys(StreamCertificate.__dataclass_fields__)
        blank |= {
            "topic": "",
            "policy": "",
            "lost_unknown": "",
            "clock": "",
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
        """One sentence."""
        if not self.frames:
            return f"no frames: nothing was aligned{self._spoiled}"
        share = self.complete / self.frames
        worst = max(
            ((s.skew_p95_ms, n) for n, s in self.streams.items() if s.skew_p95_ms is not None),
            default=None,
        )
        skew = f"; worst skew p95 {worst[0]:.1f} ms ({worst[1]})" if worst else ""
        clock = FrameClock(self.rate_hz, self.reference).text
        absent = f", {self.absent} of {self.expected} frames are not there" if self.absent else ""
        return f"{self.frames} frames {clock}, {share:.1%} complete{absent}{skew}{self._spoiled}"

    @property
    def _spoiled(self) -> str:
        if not self.unreadable:
            return ""
        return f"; {self.unreadable} messages of the recorder's own cannot be used ({self.unreadable_why})"


_MOST = 1 << 63  # more than that nobody has counted, or measured


def _known(values: dict[str, Any], blank: dict[str, Any]) -> dict[str, Any]:
    """What is known of the values, the others blank; of the types that blank ones have, None: a number."""
    found = dict(blank)
    for key in blank.keys() & values.keys():
        value, like = values[key], blank[key]
        if isinstance(like, int):
            fits = isinstance(value, int) and 0 <= value < _MOST
        elif isinstance(like, float):
            fits = isinstance(value, (int, float)) and abs(value) < _MOST
        elif like is None:  # what is not known may be infinite, or no number
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
    """Whether there is anything to hold a stream to: frames, or a rate."""
    return config.policy is not Policy.NONE or config.rate_hz is not None


_SETTLING_NS = 500 * NS_PER_MS  # a live run knew samples of before the bag's first ones
_UNDER_WAY_NS = 250 * NS_PER_MS  # beyond the deadline, for a busy machine
_ALWAYS = 1 << 62


@dataclass(frozen=True)
class TickSpan:
    """Which ticks a certificate speaks of: both ends belong to it, robot clock, ns.

    A frame leaves up to the deadline after its tick, so those of the last moments before a stop are in no bag.

    Attributes:
        first_ns, last_ns: frames of other ticks are not counted.
        from_ns, until_ns: a frame is asked for at every tick between them.
    """

    first_ns: int
    last_ns: int
    from_ns: int
    until_ns: int

    @classmethod
    def of_episode(cls, from_ns: int, start_ns: int, stop_ns: int, deadline_ns: int) -> TickSpan:
        """Of an episode of ours.

        Args:
            from_ns: what it begins with: earlier than its start by the pre-roll, which need not be there.
        """
        until_ns = stop_ns - deadline_ns - _UNDER_WAY_NS
        return cls(min(start_ns, from_ns + _SETTLING_NS), until_ns, start_ns, until_ns)

    @classmethod
    def of_bag(cls, first_ns: int, last_ns: int, deadline_ns: int) -> TickSpan:
        """Of somebody else's, from its first message to its last."""
        margin_ns = deadline_ns + _UNDER_WAY_NS
        return cls(-_ALWAYS, _ALWAYS, first_ns + margin_ns, last_ns - margin_ns)

    def ticks(self, rate_hz: float) -> int:
        """How many are asked for at a rate."""
        return max(0, math.floor((self.until_ns - self.from_ns) * rate_hz / NS_PER_S))


@dataclass
class _Tally:
    skews: Skews = field(default_factory=Skews)
    statuses: Any = field(default_factory=lambda: np.zeros(len(SampleStatus), dtype=np.int64))


class FrameStats:
    """Gathers frames' statuses and skews, in bounded memory.

    Attributes:
        asked: frames of ticks at which one was asked for.
    """

    def __init__(self, span: TickSpan) -> None:
        self.span = span
        self._streams: dict[str, _Tally] = {}
        self.frames = 0
        self.complete = 0
        self.asked = 0

    def add(self, frame: Frame, names: tuple[str, ...]) -> None:
        """Count one frame, if it belongs to the span."""
        if not self.span.first_ns <= frame.tick_ns <= self.span.last_ns:
            return
        self.frames += 1
        self.asked += self.span.from_ns <= frame.tick_ns <= self.span.until_ns
        self.complete += frame.complete
        for name, sample in zip(names, frame.samples, strict=True):
            tally = self._streams.setdefault(name, _Tally())
            tally.statuses[sample.status] += 1
            if sample.status is not SampleStatus.MISSING:
                tally.skews.add(sample.skew_ns)

    def add_all(self, frames: Frames, names: tuple[str, ...]) -> None:
        """Count those of many frames that belong to the span."""
        span, ticks = self.span, frames.ticks
        inside = (span.first_ns <= ticks) & (ticks <= span.last_ns)
        self.frames += int(inside.sum())
        self.asked += int(((span.from_ns <= ticks) & (ticks <= span.until_ns)).sum())
        self.complete += int(frames.complete[inside].sum())
        for name, column in zip(names, frames.columns, strict=True):
            tally, status = self._streams.setdefault(name, _Tally()), column.status[inside]
            tally.statuses += np.bincount(status, minlength=len(SampleStatus))
            tally.skews.add_all(column.skews[inside][status != SampleStatus.MISSING])

    def quantiles_ms(self, name: str) -> tuple[float | None, ...]:
        """p50, p95, p99 and maximum of the absolute skew."""
        tally = self._streams.get(name, _Tally())
        return tally.skews.quantiles_ms((50, 95, 99, 100))

    def statuses(self, name: str) -> tuple[int, ...]:
        """Frames by status."""
        tally = self._streams.get(name)
        return tuple(int(n) for n in tally.statuses) if tally else (0,) * len(SampleStatus)


@dataclass(frozen=True)
class StreamInput:
    """What a stream's certificate is made from, beside the frames."""

    config: StreamConfig
    topic: str
    facts: StreamFigures
    lost: int | None
    lost_unknown: str = ""
    notes: tuple[str, ...] = ()


def certify(
    inputs: list[StreamInput],
    stats: FrameStats,
    frame_clock: FrameClock,
    unreadable: int | None = None,
    unreadable_why: str = "",
) -> Certificate:
    """The certificate of an episode.

    Args:
        unreadable: messages of the recorder's own that cannot be read; None: nobody counted.
        unreadable_why: what is wrong with the first one.
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
    """Of a reference stream as many as it gave ticks, by its mean rate; None where nothing is aligned."""
    if all(e.config.policy is Policy.NONE for e in inputs):
        return None
    rates = [frame_clock.rate_hz] if frame_clock.rate_hz else []
    for config, facts in ((e.config, e.facts) for e in inputs):
        if config.name == frame_clock.reference:
            rate_hz = facts.rate_hz or config.rate_hz or 0.0
            # Ticks rise: what was overtaken on its way is none.
            no_ticks = (facts.out_of_order + facts.duplicates) / max(facts.count, 1)
            rates += [rate_hz * (1 - no_ticks)] if rate_hz else []
    return span.ticks(min(rates)) if rates else None


def _certify_stream(stream: StreamInput, stats: FrameStats) -> StreamCertificate:
    config, facts, clock = stream.config, stream.facts, stream.facts.clock
    statuses = stats.statuses(config.name)
    p50, p95, p99, most = stats.quantiles_ms(config.name)
    jumps = [abs(e.by_ns) / NS_PER_MS for e in facts.events if e.kind is ClockTrouble.JUMP]
    aligned = config.policy is not Policy.NONE and stats.frames > 0
    if aligned and not sum(statuses):
        statuses = (0, 0, 0, stats.frames)
    return StreamCertificate(
        topic=stream.topic,
        policy=config.policy.value,
        tolerance_ms=round(config.tolerance_ns / NS_PER_MS, 3),
        expected_hz=config.rate_hz,
        measured_hz=_rounded(facts.rate_hz),
        count=facts.count,
        lost=stream.lost,
        lost_unknown=stream.lost_unknown,
        longest_gap_ms=round(facts.longest_gap_ns / NS_PER_MS, 3),
        duplicates=facts.duplicates,
        out_of_order=facts.out_of_order,
        disorder_ms=round(facts.disorder_ns / NS_PER_MS, 3),
        clock=config.clock.value if facts.stamped else "none",
        offset_ms=_rounded(clock.offset_ns / NS_PER_MS) if clock else None,
        offset_pm_ms=_rounded(clock.offset_pm_ns / NS_PER_MS) if clock else None,
        drift_ppm=_rounded(clock.drift_ppm)
        if clock and math.isfinite(clock.drift_pm_ppm)
        else None,
        drift_pm_ppm=_rounded(clock.drift_pm_ppm)
        if clock and math.isfinite(clock.drift_pm_ppm)
        else None,
        clock_events=(*_unstamped(facts), *(e.text for e in facts.events)),
        layout_notes=stream.notes,
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


def _unstamped(facts: StreamFigures) -> tuple[str, ...]:
    if not facts.unstamped:
        return ()
    many = "all" if facts.unstamped == facts.count else f"{facts.unstamped} of {facts.count}"
    return (f"{many} of its stamps are 0: the time of receipt is used instead",)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
