"""How far a stream's samples were from their ticks: quantiles in bounded memory."""

from __future__ import annotations

import array

import numpy as np

from robot_recorder.model.arrays import Floats, Int64s
from robot_recorder.model.streams import NS_PER_MS

EXACT = 2000  # skews up to which nothing is rounded: a minute of frames at 30 Hz
ERROR_SHARE, ERROR_NS = 0.001, 1000  # of a quantile of more than that: whichever is larger

_UNIT_NS = 1000
_FINE = 1024  # bins of one unit; above, each octave has half as many
_HALF = _FINE // 2
_MOST = 1 << 50  # units


class Skews:
    """Absolute skews: each one while they are few, else a histogram whose bins widen with the skew.

    Which of them it is depends on how many there are, not on how they came: two runs with the same
    frames give the same figures.
    """

    def __init__(self) -> None:
        self._few: array.array[int] = array.array("q")
        self._bins: Int64s = np.zeros(0, dtype=np.int64)
        self._count = 0
        self._most_ns = 0

    def add(self, skew_ns: int) -> None:
        """Take one."""
        self._few.append(abs(skew_ns))
        self._count += 1
        if len(self._few) >= 2 * EXACT:
            self._sort_in()

    def add_all(self, skews: Int64s) -> None:
        """Take many. int64[n], ns."""
        for at in range(0, len(skews), EXACT):
            part = np.abs(skews[at : at + EXACT])
            self._few.frombytes(part.astype(np.int64).tobytes())
            self._count += len(part)
            if len(self._few) >= 2 * EXACT:
                self._sort_in()

    def _sort_in(self) -> None:
        values = np.frombuffer(self._few.tobytes(), dtype=np.int64)
        self._few = array.array("q")
        self._most_ns = max(self._most_ns, int(values.max(initial=0)))
        counts = np.bincount(_bin_of(values))
        if len(counts) > len(self._bins):
            self._bins = np.concatenate((self._bins, np.zeros(len(counts) - len(self._bins), int)))
        self._bins[: len(counts)] += counts

    def quantiles_ms(self, percents: tuple[float, ...]) -> tuple[float | None, ...]:
        """Of the absolute skew, to 3 digits; None: there is no skew. The largest one is exact.

        Of more than ``EXACT`` skews a quantile is at most ``ERROR_SHARE`` of itself or ``ERROR_NS`` off.
        """
        if not self._count:
            return (None,) * len(percents)
        if self._count <= EXACT:
            values = np.array(self._few, dtype=np.float64)
            found = np.percentile(values, percents)
        else:
            self._sort_in()
            found = self._of_bins(np.array(percents))
        return tuple(round(float(q) / NS_PER_MS, 3) for q in found)

    def _of_bins(self, percents: Floats) -> Floats:
        """As numpy.percentile does it: between the two values that stand around a place."""
        places = percents / 100 * (self._count - 1)
        sums = np.cumsum(self._bins)
        below, above = (
            np.minimum(_middle_ns(np.searchsorted(sums, rank, "right")), self._most_ns)
            for rank in (np.floor(places), np.ceil(places))
        )
        found = below + (above - below) * (places - np.floor(places))
        return np.where(percents >= 100, self._most_ns, found)


def _bin_of(values: Int64s) -> Int64s:
    units = np.minimum((values + _UNIT_NS // 2) // _UNIT_NS, _MOST)
    octave = np.maximum(np.frexp(units.astype(np.float64))[1] - 10, 0)  # 2**10 units are fine
    return np.asarray(octave * _HALF + (units >> octave), dtype=np.int64)


def _middle_ns(bins: Int64s) -> Floats:
    octave = np.maximum(bins // _HALF - 1, 0)
    units = (bins - octave * _HALF).astype(np.float64)
    return np.asarray(((units + 0.5) * np.exp2(octave) - 0.5) * _UNIT_NS)
