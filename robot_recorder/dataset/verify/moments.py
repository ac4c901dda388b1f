"""Number, mean, deviation and extremes of values, joined part by part."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from robot_recorder.model.arrays import Floats


class Moments:
    """Number, mean, squared deviations and extremes of values, per channel; only finite ones count.

    Attributes:
        rows: of all, also of those without a value.
        count, mean, squares, low, high: float64[width].
    """

    def __init__(self, width: int) -> None:
        self.rows = 0
        self.count, self.mean, self.squares = np.zeros(width), np.zeros(width), np.zeros(width)
        self.low, self.high = np.full(width, np.inf), np.full(width, -np.inf)

    @classmethod
    def of(cls, values: Floats) -> Moments:
        """Return those of values [n, width]."""
        found, finite = cls(values.shape[1]), np.isfinite(values)
        there = True if finite.all() else finite
        found.rows, found.count = len(values), finite.sum(0).astype(np.float64)
        found.mean = values.sum(0, where=there) / np.maximum(found.count, 1)
        found.squares = ((values - found.mean) ** 2).sum(0, where=there)
        found.low = values.min(0, where=there, initial=np.inf)
        found.high = values.max(0, where=there, initial=-np.inf)
        return found

    def merge(self, other: Moments) -> None:
        """Add others (Chan et al., 1979)."""
        whole = self.count + other.count
        share = other.count / np.maximum(whole, 1)
        delta = other.mean - self.mean
        self.squares = self.squares + other.squares + delta**2 * self.count * share
        self.mean = self.mean + delta * share
        self.count, self.rows = whole, self.rows + other.rows
        self.low, self.high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)

    def by_rows(self) -> Moments:
        """Return them weighted by rows, as LeRobot joins episodes."""
        found = Moments(len(self.count))
        found.rows, found.mean, found.low, found.high = self.rows, self.mean, self.low, self.high
        found.count = np.where(self.count > 0, float(self.rows), 0.0)
        found.squares = self.variance * found.count
        return found

    def reduced(self, size: int) -> Moments:
        """Return those of the last dimension, of this size, over the others."""
        if size == len(self.count):
            return self
        found = Moments(size)
        for start in range(0, len(self.count), size):
            piece = Moments(size)
            for name in ("count", "mean", "squares", "low", "high"):
                setattr(piece, name, getattr(self, name)[start : start + size])
            found.merge(piece)
        found.rows = self.rows
        return found

    @property
    def variance(self) -> Floats:
        """Return float64[width]."""
        return np.asarray(self.squares / np.maximum(self.count, 1))


@dataclass
class EpisodeRows:
    """Consecutive rows of one episode in one file.

    Attributes:
        place: number of the first row in the dataset.
        values: of each feature, in parts [n, width]; empty unless its quantiles are checked.
    """

    number: int
    place: int
    rows: int = 0
    tasks: set[int] = field(default_factory=set)
    moments: dict[str, Moments] = field(default_factory=dict)
    values: dict[str, list[Floats]] = field(default_factory=dict)
