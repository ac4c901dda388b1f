"""Clock models: how a stream's source clock lies against the robot clock, estimated while it runs.

All that can be seen is receive stamp minus source stamp: the clocks' offset plus a transport delay
that is never negative. Its lower envelope, one minimum a second, is therefore offset plus shortest
delay. A robust line through the minima gives offset and drift; where the seconds' medians lie closer to a
line (delays that spread evenly about their mean), the drift is theirs. Delays, bursts and single broken
stamps do not move it.

Sources: minima over windows: Paxson, "On calibrating measurements of packet transit times", SIGMETRICS 1998.
Line and its interval: Theil 1950; Sen, "Estimates of the regression coefficient based on Kendall's tau",
JASA 63, 1968.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from operator import itemgetter
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from robot_recorder.model.arrays import Int64s
from robot_recorder.model.streams import NS_PER_MS, NS_PER_S

BUCKET_NS = (
    NS_PER_S  # one minimum for each of these, by robot clock; estimates change at their borders
)
WINDOW = 60  # buckets that an estimate is made from
_DRIFT_AFTER = 5  # buckets; fewer say nothing about a slope
_RECENT = 5  # buckets that a new one is compared with
_STEP_NS = 10 * NS_PER_MS  # further off for as many buckets, the clock was set
_LEAP_NS = 100 * NS_PER_MS  # later than this by a whole bucket is no delay any more
_FUTURE_NS = 2 * NS_PER_MS  # before its stamp nothing can arrive; this much is reading two clocks
_EPOCH_NS = 86_400 * NS_PER_S
_FROZEN = 10  # messages in a row with one stamp
_MAX_EVENTS = 100


class ClockTrouble(str, Enum):
    """What can be wrong with a source clock."""

    JUMP = "jump"
    FROZEN = "frozen"
    FUTURE = "future"
    EPOCH = "epoch"


@dataclass(frozen=True)
class ClockEvent:
    """A source clock misbehaved.

    Attributes:
        at_ns: robot clock.
        by_ns: JUMP: what was added to the source's stamps; FUTURE, EPOCH: stamp minus receipt at best;
            FROZEN: for how long the stamp stood still.
    """

    kind: ClockTrouble
    at_ns: int
    by_ns: int

    @property
    def text(self) -> str:
        """A sentence part, with the remedy where there is one."""
        seconds = self.by_ns / NS_PER_S
        if self.kind is ClockTrouble.JUMP:
            return f"its clock jumped by {seconds:+.3f} s"
        if self.kind is ClockTrouble.FROZEN:
            return f"its stamp stood still for {seconds:.2f} s: its driver repeats itself"
        if self.kind is ClockTrouble.FUTURE:
            return f"its stamps are {seconds * 1e3:.1f} ms after their receipt: synchronise its clock (PTP, chrony)"
        return (
            f"its stamps are of another epoch ({seconds / 86400:+.1f} days): say 'clock: device' in the "
            "profile, or synchronise its clock"
        )


@dataclass(frozen=True)
class ClockEstimate:
    """Robot clock minus source clock, shortest delay included, as a line over source stamps.

    Attributes:
        at_ns: source stamp that ``offset_ns`` holds at.
        offset_ns: receive stamp minus source stamp at best.
        slope: change of that per ns of source time.
        offset_pm_ns, drift_pm_ppm: half widths of the 95 % intervals; the drift's is infinite while the
            stream is too young.
        buckets: seconds that it is made from.
    """

    at_ns: int
    offset_ns: int
    slope: float
    offset_pm_ns: float
    drift_pm_ppm: float
    buckets: int

    @property
    def drift_ppm(self) -> float:
        """How much too fast the source clock runs."""
        return -self.slope * 1e6

    def offsets(self, stamps: Int64s) -> Int64s:
        """The line at source stamps, ns."""
        # Differences first: as floats, ns since the epoch would be good to 256 ns only.
        change: Int64s = np.rint((stamps - self.at_ns) * self.slope).astype(np.int64)
        return change + self.offset_ns


class _Low(NamedTuple):
    """A bucket: its best sample, and the median delay."""

    stamp_ns: int
    receive_ns: int
    delay_ns: int
    median_ns: int = 0


def by_bucket(receives: Int64s) -> Iterator[tuple[int, slice]]:
    """Buckets that receipts fall into, and which of these do.

    Args:
        receives: int64[n], ns, not falling; at least one.
    """
    buckets = receives // BUCKET_NS
    if buckets[0] == buckets[-1]:
        yield int(buckets[0]), slice(0, len(buckets))
        return
    borders = [0, *(np.flatnonzero(np.diff(buckets)) + 1).tolist(), len(buckets)]
    for first, last in itertools.pairwise(borders):
        yield int(buckets[first]), slice(first, last)


class ClockModel:
    """Follows one stream. Memory: a minute of one minimum a second, and one second of samples."""

    def __init__(self, own_clock: bool) -> None:
        """
        Args:
            own_clock: stamped by a clock of its own, so that any constant offset is as it should be.
        """
        self.events: list[ClockEvent] = []
        self._own_clock = own_clock
        self._lows: deque[_Low] = deque(maxlen=WINDOW)
        self._off: list[_Low] = []  # the last buckets, while they do not fit the others
        self._bucket = -1
        self._delays: list[Int64s] = []
        self._low: _Low | None = None
        self._frozen = (0, 0, 0)  # a stamp, since when it has been the same, how many times
        self._estimate: ClockEstimate | None = None

    def push(self, stamps: Int64s, receives: Int64s) -> None:
        """Take samples in order of receipt; they may span buckets.

        Args:
            stamps: int64[n], source stamps, ns.
            receives: int64[n], robot clock, ns, not falling.
        """
        if not len(stamps):
            return
        self._watch_frozen(stamps, receives)
        for bucket, part in by_bucket(receives):
            self._push_bucket(bucket, stamps[part], receives[part])

    def _push_bucket(self, bucket: int, stamps: Int64s, receives: Int64s) -> None:
        self.close_before(bucket)
        self._bucket = bucket
        delays = receives - stamps
        at = int(delays.argmin())
        low = _Low(int(stamps[at]), int(receives[at]), int(delays[at]))
        if self._low is None or low.delay_ns < self._low.delay_ns:
            self._low = low
        self._delays.append(delays)

    def close_before(self, bucket: int) -> None:
        """Say that everything received before ``bucket * BUCKET_NS`` has been pushed."""
        low = self._low
        if low is None or bucket <= self._bucket:
            return
        delays = self._delays[0] if len(self._delays) == 1 else np.concatenate(self._delays)
        self._low, self._delays = None, []
        self._judge(low._replace(median_ns=int(np.median(delays))))
        self._estimate = None

    @property
    def estimate(self) -> ClockEstimate | None:
        """What the closed buckets say; None before the first one."""
        if self._estimate is None and self._lows:
            self._estimate = _fit(self._lows)
        return self._estimate

    def _judge(self, low: _Low) -> None:
        """Take a closed bucket, unless its clock has been set."""
        if not self._lows:
            self._first(low)
            return
        # Not against the line: that would have to be fitted for every bucket.
        before = len(self._lows) - len(self._off)  # what does not fit is no measure
        recent = [self._lows[i].delay_ns for i in range(max(0, before - _RECENT), before)]
        expected = sorted(recent)[len(recent) // 2]
        off = low.delay_ns - expected
        median_off = low.median_ns - expected
        steady = len(self._off) >= _DRIFT_AFTER - 1
        if off > _LEAP_NS or median_off < -_STEP_NS:
            self._restart([low], -off)
        elif abs(off) > _STEP_NS:
            self._off.append(low)
            if steady:
                self._restart(self._off, -off)
            else:
                self._lows.append(low)
        else:
            self._off.clear()
            self._lows.append(low)
            self._watch_future(low)

    def _first(self, low: _Low) -> None:
        self._lows.append(low)
        if not self._own_clock and abs(low.delay_ns) > _EPOCH_NS:
            self._say(ClockTrouble.EPOCH, low.receive_ns, -low.delay_ns)
        else:
            self._watch_future(low)

    def _restart(self, lows: list[_Low], by_ns: int) -> None:
        self._say(ClockTrouble.JUMP, lows[0].receive_ns, by_ns)
        self._lows.clear()
        self._lows.extend(lows)
        self._off = []

    def _watch_future(self, low: _Low) -> None:
        if self._own_clock or low.delay_ns >= -_FUTURE_NS:
            return
        last = self.events[-1] if self.events else None
        if last is None or last.kind is not ClockTrouble.FUTURE:  # once is enough
            self._say(ClockTrouble.FUTURE, low.receive_ns, -low.delay_ns)

    def _watch_frozen(self, stamps: Int64s, receives: Int64s) -> None:
        value, since, count = self._frozen
        changed = np.flatnonzero(np.diff(stamps, prepend=value))
        if len(changed) == len(stamps):  # as it should be: each one differs
            self._end_frozen(int(receives[0]))
            self._frozen = (int(stamps[-1]), int(receives[-1]), 1)
            return
        ends = [*changed.tolist(), len(stamps)]
        count += ends[0]
        for first, last in itertools.pairwise(ends):
            self._frozen = (value, since, count)
            self._end_frozen(int(receives[first]))
            value, since, count = int(stamps[first]), int(receives[first]), last - first
        self._frozen = (value, since, count)

    def _end_frozen(self, now_ns: int) -> None:
        _, since, count = self._frozen
        if count >= _FROZEN:
            self._say(ClockTrouble.FROZEN, since, now_ns - since)

    def end(self) -> None:
        """Say that nothing more comes: what is under way is judged, too."""
        if self._low is not None:
            self._end_frozen(int(self._low.receive_ns))
            self.close_before(self._bucket + 1)

    def _say(self, kind: ClockTrouble, at_ns: int, by_ns: int) -> None:
        if len(self.events) < _MAX_EVENTS:
            self.events.append(ClockEvent(kind, at_ns, by_ns))


def _fit(lows: deque[_Low]) -> ClockEstimate:
    first, last = lows[0], lows[-1]
    x = np.array([low.stamp_ns - first.stamp_ns for low in lows], dtype=np.float64)
    y = np.array([low.delay_ns - first.delay_ns for low in lows], dtype=np.float64)
    slope, pm = 0.0, float("inf")
    if len(lows) >= _DRIFT_AFTER:
        medians = np.array([low.median_ns - first.median_ns for low in lows], dtype=np.float64)
        slope, pm = min(_theil_sen(x, y), _theil_sen(x, medians), key=itemgetter(1))
    rest = y - slope * x
    level = float(np.median(rest))
    spread = 1.4826 * float(
        np.median(np.abs(rest - level))
    )  # a standard deviation, outliers left out
    reach = abs(x[-1] - float(np.median(x))) * pm if np.isfinite(pm) else 0.0
    return ClockEstimate(
        at_ns=last.stamp_ns,
        offset_ns=first.delay_ns + round(level + slope * float(x[-1])),
        slope=slope,
        offset_pm_ns=2 * spread + reach,
        drift_pm_ppm=pm * 1e6,
        buckets=len(lows),
    )


def _theil_sen(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Median of all pairs' slopes, and the half width of its 95 % interval by Kendall's variance."""
    n = len(x)
    i, j = np.triu_indices(n, 1)
    run = x[j] - x[i]
    slopes = np.sort((y[j] - y[i])[run > 0] / run[run > 0])
    if not len(slopes):
        return 0.0, float("inf")
    width = 1.96 * np.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    low = max(int((len(slopes) - width) / 2), 0)
    high = min(int((len(slopes) + width) / 2) + 1, len(slopes) - 1)
    return float(np.median(slopes)), float(slopes[high] - slopes[low]) / 2
