"""Detects readings that stop at the end of a sensor's range."""

from __future__ import annotations

from collections import Counter

import numpy as np

from robot_recorder.model.arrays import Bools, Floats, Int64s
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.quality.checks.values import bits

_FEW, _FAR_MORE = 3, 3
_NEXT = (
    3  # readings below the highest; of a thousand taxels with whole counts, some skip one by chance
)
_LEAST = 5  # samples exactly at the extreme; noise does not hit the same number twice
_USUAL = 16  # columns; each doubling asks for one sample more, because chance has more tries


class ClipCounter:
    """The number of samples, per column, at the very highest (or lowest) reading of the episode.

    A reading that is not clipped reaches its extreme once or twice. Rows equal to the one before do
    not count: a sensor whose readings never change is frozen, not clipped.
    """

    def __init__(self, range: float | None, both_ends: bool) -> None:
        """Create a counter without samples.

        Args:
            range: readings from this one on count as clipped, too; None: only the extreme counts.
            both_ends: whether the smallest reading can be clipped, too.
        """
        self._range = range
        self._signs = (1.0, -1.0) if both_ends else (1.0,)
        self._extremes: list[Floats] = []
        self._counts: list[Floats] = []
        self._least: Floats = np.empty(0)
        self._beyond: Floats = np.empty(0)
        self._levels: dict[tuple[int, int], Counter[float]] = {}
        self._last: Int64s | None = None
        self._span = [0, 0]
        self._samples = 0

    def add(self, times: Int64s, rows: Floats) -> None:
        """Take samples in order of receipt.

        Args:
            times: int64[n], ns.
            rows: float64[n, k].
        """
        if self._last is None:
            width = rows.shape[1]
            self._extremes = [np.full(width, -np.inf) for _ in self._signs]
            self._counts = [np.zeros(width) for _ in self._signs]
            self._beyond = np.zeros(width)
            self._least = np.full(width, np.inf)
            self._last, self._span[0] = bits(np.full((1, width), np.nan)), int(times[0])
        if rows.shape[1] != self._last.shape[1]:
            return
        self._span[1] = int(times[-1])
        self._samples += len(rows)
        self._least = np.minimum(self._least, rows.min(axis=0))
        alive = self._alive(rows)
        for number, sign in enumerate(self._signs):
            highest = rows.max(axis=0) if sign > 0 else -rows.min(axis=0)
            known, counts = self._extremes[number], self._counts[number]
            if not (highest >= known).any():
                continue
            found = ((rows == sign * highest) & alive[:, None]).sum(axis=0)
            self._counts[number] = np.where(
                highest > known, found, counts + np.where(highest == known, found, 0)
            )
            self._extremes[number] = np.maximum(highest, known)
            for column in np.flatnonzero(found >= _FEW).tolist():
                self._note_levels(number, column, sign * rows[alive, column])
        if self._range:
            self._beyond += (np.abs(rows) >= 0.999 * self._range).sum(axis=0)

    def _note_levels(self, number: int, column: int, signed: Floats) -> None:
        """Count the highest readings; where values are whole counts, all of them are frequent."""
        levels, counts = np.unique(signed, return_counts=True)
        noted = self._levels.setdefault((number, column), Counter())
        for level, count in zip(levels[-1 - _NEXT :].tolist(), counts[-1 - _NEXT :].tolist()):
            noted[level] += count
        for level in sorted(noted)[: -2 - _NEXT]:
            del noted[level]

    def _stands_out(self, number: int, column: int) -> bool:
        """Return whether the highest reading is far more frequent than the next ones."""
        noted = self._levels.get((number, column), Counter())
        highest, *others = [noted[level] for level in sorted(noted, reverse=True)] or [0]
        return highest >= _FAR_MORE * max(others[:_NEXT], default=0)

    def _alive(self, rows: Floats) -> Bools:
        assert self._last is not None
        numbers = bits(rows)
        before = np.concatenate((self._last, numbers[:-1]))
        self._last = numbers[-1:].copy()
        return np.asarray((numbers != before).any(axis=1))

    def seconds(self) -> Floats:
        """Return float64[k], how long each column was clipped, s; never NaN."""
        if not self._samples:
            return np.zeros(1)
        period_s = (self._span[1] - self._span[0]) / NS_PER_S / max(self._samples - 1, 1)
        ends = []
        for number, (counts, extremes) in enumerate(zip(self._counts, self._extremes)):
            out = [self._stands_out(number, column) for column in range(len(counts))]
            ends.append(counts * self._is_end(extremes) * np.array(out))
        most = np.maximum.reduce(ends)
        least = _LEAST + np.log2(max(len(most) / _USUAL, 1.0))
        return np.maximum(np.where(most >= least, most, 0), self._beyond) * period_s

    def _is_end(self, extremes: Floats) -> Bools:
        """Return bool[k]: whether an extreme is large enough to be a range's end."""
        largest = np.maximum(self._extremes[0], -self._least)
        return np.asarray((self._extremes[0] > self._least) & (extremes >= 0.5 * largest))

    def worst(self) -> tuple[float, int, float]:
        """Return the worst column: seconds clipped, its index, and the reading it stopped at."""
        seconds = self.seconds()
        column = int(np.argmax(seconds))
        if not self._extremes:
            return 0.0, 0, 0.0
        ends = [sign * e[column] for sign, e in zip(self._signs, self._extremes)]
        most = int(np.argmax([c[column] for c in self._counts]))
        return float(seconds[column]), column, float(ends[most])
