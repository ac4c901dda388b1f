"""The samples of one stream that are kept for ticks to come, in order of arrival."""

from __future__ import annotations

import numpy as np

from robot_recorder.model.arrays import Bools, Int64s

_STAMP, _RECEIVE, _NUMBER, _USED, _HOMED, _SHAPE = range(6)


class SampleBuffer:
    """Columns of one length.

    Attributes:
        rising: stamps are in order.
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
        """int64[n], corrected, ns."""
        return self._row(_STAMP)

    @property
    def receives(self) -> Int64s:
        """int64[n], ns, not falling."""
        return self._row(_RECEIVE)

    @property
    def numbers(self) -> Int64s:
        """int64[n], in their stream, rising."""
        return self._row(_NUMBER)

    @property
    def used(self) -> Int64s:
        """int64[n], 1: a tick wanted it."""
        return self._row(_USED)

    @property
    def homed(self) -> Int64s:
        """int64[n], 1: the tick that its stamp belongs to is over."""
        return self._row(_HOMED)

    @property
    def shapes(self) -> Int64s:
        """int64[n], which values they have, see Layouts."""
        return self._row(_SHAPE)

    def add(
        self, stamps: Int64s, receives: Int64s, numbers: Int64s, shapes: Int64s, rising: bool
    ) -> None:
        """Append samples.

        Args:
            rising: all of them are stamped in order, after those that are there.
        """
        fresh = np.zeros((6, len(stamps)), dtype=np.int64)
        fresh[_STAMP], fresh[_NUMBER], fresh[_SHAPE] = stamps, numbers, shapes
        # Receipts that go back are none: what is behind another arrived after it.
        last = self._rows[_RECEIVE, -1] if len(self) else receives[:1]
        fresh[_RECEIVE] = np.maximum(np.maximum.accumulate(receives), last)
        self._rows = np.concatenate((self._rows, fresh), axis=1)
        self.rising = self.rising and rising

    def drop(self, count: int) -> None:
        """Forget the first ones."""
        self._rows = self._rows[:, count:]
        if not self.rising:
            self._look()

    def keep(self, which: Bools) -> None:
        """Forget the others."""
        self._rows = self._rows[:, which]
        if not self.rising:
            self._look()

    def _look(self) -> None:
        self.rising = bool((np.diff(self.stamps) > 0).all())
