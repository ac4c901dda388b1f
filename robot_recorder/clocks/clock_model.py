"""Estimate offset and drift between a stream's source clock and the robot clock while it runs.

Only receive time minus source stamp can be observed: the clocks' offset plus a transport delay that
is never negative. The minimum of each second is therefore offset plus shortest delay. A robust line
through the minima gives offset and drift. If the medians of the seconds lie closer to a line
(delays that spread evenly about their mean), the drift is taken from them. Delays, bursts and
single broken stamps do not affect the result.

Sources: minima over windows: Paxson, "On calibrating measurements of packet transit times",
SIGMETRICS 1998. Line and its interval: Theil 1950; Sen, "Estimates of the regression coefficient
based on Kendall's tau", JASA 63, 1968.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from robot_recorder.model.arrays import Int64s
from robot_recorder.model.streams import NS_PER_MS, NS_PER_S

# One minimum per bucket of robot time; estimates change only between buckets.
BUCKET_NS = NS_PER_S
WINDOW = 60  # buckets used for an estimate
_DRIFT_AFTER = 5  # buckets needed to estimate a drift
_RECENT = 5  # buckets that a new one is compared with
_STEP_NS = 10 * NS_PER_MS  # _DRIFT_AFTER buckets further off mean that the clock was set
_LEAP_NS = 100 * NS_PER_MS  # one bucket later by this means that the clock was set
_FUTURE_NS = 2 * NS_PER_MS  # tolerance for messages received before their stamp
_EPOCH_NS = 86_400 * NS_PER_S
_FROZEN = 10  # consecutive messages with the same stamp
_MAX_EVENTS = 100


class ClockTrouble(str, Enum):
    """A kind of problem of a source clock."""

    JUMP = "jump"
    FROZEN = "frozen"
    FUTURE = "future"
    EPOCH = "epoch"


@dataclass(frozen=True)
class ClockEvent:
    """One problem of a source clock.

    Attributes:
        kind: of the problem.
        at_ns: when it happened, robot clock.
        by_ns: JUMP: change of the source's stamps; FUTURE, EPOCH: least distance from receive time
            to stamp; FROZEN: how long the stamp did not change.
    """

    kind: ClockTrouble
    at_ns: int
    by_ns: int

    @property
    def text(self) -> str:
        """A clause about the problem, with the remedy if there is one."""
        seconds = self.by_ns / NS_PER_S
        if self.kind is ClockTrouble.JUMP:
            return f"its clock jumped by {seconds:+.3f} s"
        if self.kind is ClockTrouble.FROZEN:
            return f"its stamp did not change for {seconds:.2f} s: its driver repeats itself"
        if self.kind is ClockTrouble.FUTURE:
            return (
                f"its stamps are {seconds * 1e3:.1f} ms after their receipt: synchronise its clock "
                "(PTP, chrony)"
            )
        return (
            f"its stamps have another epoch ({seconds / 86400:+.1f} days): set 'clock: device' in "
            "the profile, or synchronise its clock"
        )


@dataclass(frozen=True)
class ClockEstimate:
    """Robot clock minus source clock plus shortest delay, as a line over source stamps.

    Attributes:
        at_ns: source stamp at which the offset is ``offset_ns``.
        offset_ns: receive time minus source stamp at the shortest delay.
        slope: change of the offset per ns of source time.
        offset_pm_ns, drift_pm_ppm: half widths of the 95 % intervals; the drift's is infinite
            during the first seconds.
        buckets: number of seconds used for the estimate.
    """

    at_ns: int
    offset_ns: int
    slope: float
    offset_pm_ns: float
    drift_pm_ppm: float
    buckets: int

    @property
    def drift_ppm(self) -> float:
        """How much too fast the source clock runs, ppm."""
        return -self.slope * 1e6

    def offsets(self, stamps: Int64s) -> Int64s:
        """Return the offsets at source stamps, int64[n], ns."""
        # Subtract first: floats resolve ns since the epoch to 256 ns only.
        change: Int64s = np.rint((stamps - self.at_ns) * self.slope).astype(np.int64)
        return change + self.offset_ns


class _Low(NamedTuple):
    """A bucket's sample with the shortest delay, and its median delay."""

    stamp_ns: int
    receive_ns: int
    delay_ns: int
    median_ns: int = 0


def by_bucket(receives: Int64s) -> Iterator[tuple[int, slice]]:
    """Yield each bucket with the slice of receive times that fall into it.

    Args:
        receives: int64[n], receive times, ns, not falling; at least one.
    """
    buckets = receives // BUCKET_NS
    if buckets[0] == buckets[-1]:
        yield int(buckets[0]), slice(0, len(buckets))
        return
    borders = [0, *(np.flatnonzero(np.diff(buckets)) + 1).tolist(), len(buckets)]
    for first, last in itertools.pairwise(borders):
        yield int(buckets[first]), slice(first, last)


class ClockModel:
    """Estimator of one stream's clock. Memory: 60 minima, and the samples of one second.

    Attributes:
        events: problems so far, at most 100.
    """

    def __init__(self, own_clock: bool) -> None:
        """
        Args:
            own_clock: whether the device has its own clock, so that any constant offset is normal.
        """
        self.events: list[ClockEvent] = []
        self._own_clock = own_clock
        self._lows: deque[_Low] = deque(maxlen=WINDOW)
        self._off: list[_Low] = []  # the last buckets, if they do not fit the earlier ones
        self._bucket = -1
        self._delays: list[Int64s] = []
        self._low: _Low | None = None
        self._frozen = (0, 0, 0)  # last stamp, receive time of its first message, message count
        self._estimate: ClockEstimate | None = None

    def push(self, stamps: Int64s, receives: Int64s) -> None:
        """Add samples in order of receipt; they may span buckets.

        Args:
            stamps: int64[n], source stamps, ns.
            receives: int64[n], receive times, robot clock, ns, not falling.
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
        """Close the current bucket if it is earlier than ``bucket``, as it gets no more samples."""
        low = self._low
        if low is None or bucket <= self._bucket:
            return
        delays = self._delays[0] if len(self._delays) == 1 else np.concatenate(self._delays)
        self._low, self._delays = None, []
        self._judge(low._replace(median_ns=int(median(delays))))
        self._estimate = None

    @property
    def estimate(self) -> ClockEstimate | None:
        """Estimate from the closed buckets; None before the first one."""
        if self._estimate is None and self._lows:
            self._estimate = _fit(self._lows)
        return self._estimate

    def _judge(self, low: _Low) -> None:
        """Add a closed bucket; start anew if it shows that the clock has been set."""
        if not self._lows:
            self._first(low)
            return
        # Compare with recent buckets, because fitting the line for every bucket costs too much.
        before = len(self._lows) - len(self._off)  # leave out the buckets that do not fit
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
        """Add the first bucket, and check its epoch."""
        self._lows.append(low)
        if not self._own_clock and abs(low.delay_ns) > _EPOCH_NS:
            self._say(ClockTrouble.EPOCH, low.receive_ns, -low.delay_ns)
        else:
            self._watch_future(low)

    def _restart(self, lows: list[_Low], by_ns: int) -> None:
        """Report a jump, and forget all buckets before it."""
        self._say(ClockTrouble.JUMP, lows[0].receive_ns, by_ns)
        self._lows.clear()
        self._lows.extend(lows)
        self._off = []

    def _watch_future(self, low: _Low) -> None:
        """Report stamps in the future."""
        if self._own_clock or low.delay_ns >= -_FUTURE_NS:
            return
        last = self.events[-1] if self.events else None
        if last is None or last.kind is not ClockTrouble.FUTURE:  # report consecutive ones once
            self._say(ClockTrouble.FUTURE, low.receive_ns, -low.delay_ns)

    def _watch_frozen(self, stamps: Int64s, receives: Int64s) -> None:
        """Report stamps that do not change."""
        value, since, count = self._frozen
        changed = np.flatnonzero(np.diff(stamps, prepend=value))
        if len(changed) == len(stamps):  # the usual case: each stamp differs
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
        """Finish: close the last bucket, and report a stamp that has not changed."""
        if self._low is not None:
            self._end_frozen(int(self._low.receive_ns))
            self.close_before(self._bucket + 1)

    def _say(self, kind: ClockTrouble, at_ns: int, by_ns: int) -> None:
        if len(self.events) < _MAX_EVENTS:
            self.events.append(ClockEvent(kind, at_ns, by_ns))


def _fit(lows: deque[_Low]) -> ClockEstimate:
    """Fit a line to the minima of buckets."""
    first, last = lows[0], lows[-1]
    x = np.array([low.stamp_ns - first.stamp_ns for low in lows], dtype=np.float64)
    y = np.array([low.delay_ns - first.delay_ns for low in lows], dtype=np.float64)
    slope, pm = 0.0, float("inf")
    if len(lows) >= _DRIFT_AFTER:
        medians = np.array([low.median_ns - first.median_ns for low in lows], dtype=np.float64)
        slope, pm = min(_theil_sen(x, y), _theil_sen(x, medians), key=itemgetter(1))
    rest = y - slope * x
    level = median(rest)
    # The standard deviation without outliers, from the median absolute deviation.
    spread = 1.4826 * median(np.abs(rest - level))
    reach = abs(x[-1] - median(x)) * pm if np.isfinite(pm) else 0.0
    return ClockEstimate(
        at_ns=last.stamp_ns,
        offset_ns=first.delay_ns + round(level + slope * float(x[-1])),
        slope=slope,
        offset_pm_ns=2 * spread + reach,
        drift_pm_ppm=pm * 1e6,
        buckets=len(lows),
    )


def median(values: Int64s | npt.NDArray[np.float64]) -> float:
    """Return what ``np.median`` does for numbers in one dimension, none of them NaN, at a fifth of its cost."""
    half = len(values) // 2
    if len(values) % 2:
        return float(np.partition(values, half)[half])
    low, high = np.partition(values, (half - 1, half))[half - 1 : half + 1].tolist()
    return (float(low) + float(high)) / 2


@lru_cache(4)  # streams have about as many buckets as each other
def _pairs(n: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the places of all pairs of n things."""
    return np.triu_indices(n, 1)


def _theil_sen(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return the median slope of all pairs, and the half width of its 95 % interval (Kendall)."""
    n = len(x)
    i, j = _pairs(n)
    run, rise = x[j] - x[i], y[j] - y[i]
    later = run > 0
    slopes = np.sort(rise[later] / run[later])
    if not len(slopes):
        return 0.0, float("inf")
    width = 1.96 * np.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    low = max(int((len(slopes) - width) / 2), 0)
    high = min(int((len(slopes) + width) / 2) + 1, len(slopes) - 1)
    return median(slopes), float(slopes[high] - slopes[low]) / 2
