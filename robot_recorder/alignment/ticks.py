"""Sources of ticks: a fixed rate, or the stamps of a reference stream."""

from __future__ import annotations

import numpy as np

from robot_recorder.alignment.lane import Lane
from robot_recorder.model.arrays import Int64s
from robot_recorder.model.streams import NS_PER_S

# A tick of a reference stream may be early by this share of the wanted period, so that a camera at
# exactly this rate keeps all its images in spite of jitter.
_EARLY_SHARE = 0.25

MOST_TICKS = 1000  # per call of ``take``


class FixedRate:
    """Ticks at whole multiples of the period since the epoch."""

    def __init__(self, rate_hz: float) -> None:
        self._millihertz = round(rate_hz * 1000)
        self._next: int | None = None

    def _tick_ns(self, index: int) -> int:
        # Integer arithmetic: a float period would drift over the 1.7e18 ns since the epoch.
        return index * NS_PER_S * 1000 // self._millihertz

    def due(self, until_ns: int) -> bool:
        """Tell whether ``take`` may return ticks."""
        return self._next is None or self._tick_ns(self._next) <= until_ns

    def take(self, from_ns: int, until_ns: int) -> tuple[Int64s, Int64s]:
        """Return indices and times, int64[n], ns, of the next ticks in a time span; empty: no more.

        Ticks returned by an earlier call are not repeated.
        """
        first = self._number(from_ns)
        at = first if self._next is None else max(first, self._next)
        index: list[int] = []
        while self._tick_ns(at) <= until_ns and len(index) < MOST_TICKS:
            index.append(at)
            at += 1
        if index:
            self._next = at
        return _pair(index, [self._tick_ns(i) for i in index])

    def skip(self, until_ns: int) -> int:
        """Leave out the ticks before a time; return their number."""
        before = self._next or 0
        self._next = max(before, self._number(until_ns))
        return self._next - before

    def _number(self, at_ns: int) -> int:
        """Return the index of the first tick at or after a time."""
        return -(-at_ns * self._millihertz // (NS_PER_S * 1000))


class ReferenceTicks:
    """Ticks at the samples of one stream; the index of a tick is its time."""

    def __init__(self, lane: Lane, rate_hz: float | None) -> None:
        """
        Args:
            lane: the reference stream.
            rate_hz: highest rate of ticks; None: unlimited.
        """
        self._lane = lane
        lane.make_reference()
        self._period_ns = round(NS_PER_S / rate_hz) if rate_hz else 0
        self._early_ns = round(_EARLY_SHARE * self._period_ns)
        self._due_ns = -(2**62)

    def due(self, until_ns: int) -> bool:
        """Tell whether ``take`` may return ticks."""
        return self._lane.waiting > 0 or any(t <= until_ns for t in self._lane.ticks or ())

    def take(self, from_ns: int, until_ns: int) -> tuple[Int64s, Int64s]:
        """Return indices and times, int64[n], ns, of the next ticks in a time span."""
        waiting = sorted(self._lane.ticks or ())
        ticks = []
        for tick in waiting:
            if from_ns <= tick <= until_ns and tick >= self._due_ns - self._early_ns:
                ticks.append(tick)
                late = tick - self._due_ns > self._early_ns  # restart the period at this tick
                self._due_ns = (tick if late else self._due_ns) + max(self._period_ns, 1)
        self._lane.ticks = [tick for tick in waiting if tick > until_ns]
        return _pair(ticks, ticks)

    def skip(self, until_ns: int) -> int:
        """Return 0: a reference stream has no ticks in a pause."""
        return 0


def _pair(index: list[int], ticks: list[int]) -> tuple[Int64s, Int64s]:
    return np.array(index, dtype=np.int64), np.array(ticks, dtype=np.int64)
