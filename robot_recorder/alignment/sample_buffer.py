"""Buffer of the samples of one stream that are kept for later ticks, in order of arrival."""

from __future__ import annotations

import numpy as np

from robot_recorder.model.arrays import Bools, Int64s

_STAMP, _RECEIVE, _NUMBER, _USED, _HOMED, _SHAPE = range(6)


class SampleBuffer:
    """Samples as columns of equal length.

    Attributes:
        rising: whether stamps are strictly rising.
    """

    def __init__(self) -> None:
        self._rows = np.empty((6, 0), dtype=np.int64)
        self.rising = True

    def _row(self, which: int) -> Int64s:
        row: Int64s = self._rows[which]
        return row

    def __len__(self) -> int:
        return self._rows.shape[1]

    @property
    def stamps(self) -> Int64s:
        """Corrected stamps, int64[n], ns."""
        return self._row(_STAMP)

    @property
    def receives(self) -> Int64s:
        """Receive times, int64[n], ns, not falling."""
        return self._row(_RECEIVE)

    @property
    def numbers(self) -> Int64s:
        """Numbers of the samples in their stream, int64[n], rising."""
        return self._row(_NUMBER)

    @property
    def used(self) -> Int64s:
        """Whether a tick has chosen the sample, int64[n], 1: yes."""
        return self._row(_USED)

    @property
    def homed(self) -> Int64s:
        """Whether the sample has been assigned to a tick, int64[n], 1: yes."""
        return self._row(_HOMED)

    @property
    def shapes(self) -> Int64s:
        """Shapes, which tell the values of a sample, int64[n], see Layouts."""
        return self._row(_SHAPE)

    def add(
        self, stamps: Int64s, receives: Int64s, numbers: Int64s, shapes: Int64s, rising: bool
    ) -> None:
        """Append samples.

        Args:
            stamps, receives, numbers, shapes: int64[n], columns of the new samples.
            rising: whether their stamps are in order, and later than all kept ones.
        """
        known = len(self)
        rows = np.zeros((6, known + len(stamps)), dtype=np.int64)  # each row lies in one piece
        rows[:, :known] = self._rows
        rows[_STAMP, known:], rows[_NUMBER, known:], rows[_SHAPE, known:] = stamps, numbers, shapes
        # Receive times cannot go back: samples are in order of arrival.
        last = self._rows[_RECEIVE, -1] if known else receives[0]
        rows[_RECEIVE, known:] = np.maximum(np.maximum.accumulate(receives), last)
        self._rows = rows
        self.rising = self.rising and rising

    def drop(self, count: int) -> None:
        """Drop the first ``count`` samples."""
        self._rows = self._rows[:, count:]
        if not self.rising:
            self._look()

    def keep(self, which: Bools) -> None:
        """Drop all samples except those selected, bool[n]."""
        self._rows = np.ascontiguousarray(self._rows[:, which])
        if not self.rising:
            self._look()

    def _look(self) -> None:
        """Update ``rising``."""
        self.rising = bool((np.diff(self.stamps) > 0).all())
