"""Quantiles of the skew between a stream's samples and their ticks, in bounded memory."""

from __future__ import annotations

import array

import numpy as np

from robot_recorder.model.arrays import Floats, Int64s
from robot_recorder.model.streams import NS_PER_MS

EXACT = 2000  # number of skews up to which quantiles are exact: a minute of frames at 30 Hz
ERROR_SHARE, ERROR_NS = 0.001, 1000  # beyond, the largest error of a quantile: the larger of both

_UNIT_NS = 1000
_FINE = 1024  # number of bins of one unit; above them, each octave has half as many bins
_HALF = _FINE // 2
_MOST = 1 << 50  # units


class Skews:
    """Absolute skews: individual values while they are few, else a histogram with growing bins.

    The result depends only on the skews, and not on how they were batched: two runs with the same
    frames give the same figures.
    """

    def __init__(self) -> None:
        self._few: array.array[int] = array.array("q")
        self._bins: Int64s = np.zeros(0, dtype=np.int64)
        self._count = 0
        self._most_ns = 0

    def add(self, skews: Int64s) -> None:
        """Add many skews, int64[n], ns."""
        for at in range(0, len(skews), EXACT):
            part = np.abs(skews[at : at + EXACT])
            self._few.frombytes(part.astype(np.int64).tobytes())
            self._count += len(part)
            if len(self._few) >= 2 * EXACT:
                self._sort_in()

    def _sort_in(self) -> None:
        """Move the individual values into the histogram."""
        values = np.frombuffer(self._few.tobytes(), dtype=np.int64)
        self._few = array.array("q")
        self._most_ns = max(self._most_ns, int(values.max(initial=0)))
        counts = np.bincount(_bin_of(values))
        if len(counts) > len(self._bins):
            self._bins = np.concatenate((self._bins, np.zeros(len(counts) - len(self._bins), int)))
        self._bins[: len(counts)] += counts

    def quantiles_ms(self, percents: tuple[float, ...]) -> tuple[float | None, ...]:
        """Return quantiles of the absolute skew, ms, to 3 decimals; None: no skews.

        The maximum is exact. Other quantiles of more than ``EXACT`` skews are off by at most
        ``ERROR_SHARE`` of themselves or ``ERROR_NS``, whichever is larger.
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
        """Interpolate quantiles, ns, between the values of two ranks, like numpy.percentile."""
        places = percents / 100 * (self._count - 1)
        sums = np.cumsum(self._bins)
        below, above = (
            np.minimum(_middle_ns(np.searchsorted(sums, rank, "right")), self._most_ns)
            for rank in (np.floor(places), np.ceil(places))
        )
        found = below + (above - below) * (places - np.floor(places))
        return np.where(percents >= 100, self._most_ns, found)


def _bin_of(values: Int64s) -> Int64s:
    """Return the histogram bins of skews, ns."""
    units = np.minimum((values + _UNIT_NS // 2) // _UNIT_NS, _MOST)
    octave = np.maximum(np.frexp(units.astype(np.float64))[1] - 10, 0)  # 2**10 units are fine
    return np.asarray(octave * _HALF + (units >> octave), dtype=np.int64)


def _middle_ns(bins: Int64s) -> Floats:
    """Return the middle of histogram bins, ns."""
    octave = np.maximum(bins // _HALF - 1, 0)
    units = (bins - octave * _HALF).astype(np.float64)
    return np.asarray(((units + 0.5) * np.exp2(octave) - 0.5) * _UNIT_NS)
