"""Statistics of features that leave out what is missing: exact mean, deviation and extremes, and quantiles.

Values arrive in batches; memory does not grow with their number. Quantiles are exact up to
``_EXACT`` values of a channel and those of a histogram beyond.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from robot_recorder.model.arrays import Floats

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
_EXACT, _BINS = 20_000, 4096


class FeatureStats:
    """Statistics of one feature, per channel; NaN and infinite values are left out."""

    def __init__(self, channels: int) -> None:
        """Begin without values.

        Args:
            channels: number of channels.
        """
        self._rows = 0
        self._count = np.zeros(channels, dtype=np.int64)
        self._mean, self._squares = np.zeros(channels), np.zeros(channels)
        self._low, self._high = np.full(channels, np.inf), np.full(channels, -np.inf)
        self._kept: list[Floats] | None = []
        self._edges: Floats = np.empty((channels, 0))
        self._bins = np.zeros((channels, _BINS), dtype=np.int64)

    def add(self, values: np.ndarray) -> None:
        """Add values [n, channels]."""
        rows = np.array(values, dtype=np.float64).reshape(len(values), len(self._count))
        rows[~np.isfinite(rows)] = np.nan
        self._rows += len(rows)
        there = ~np.isnan(rows)
        count = there.sum(axis=0)
        filled = np.where(there, rows, 0.0)
        mean = np.divide(filled.sum(axis=0), count, out=np.zeros(len(count)), where=count > 0)
        squares = (np.where(there, rows - mean, 0.0) ** 2).sum(axis=0)
        whole = self._count + count
        share = np.divide(count, whole, out=np.zeros(len(count)), where=whole > 0)
        delta = mean - self._mean
        self._squares += squares + delta**2 * self._count * share  # Chan et al., 1979
        self._mean += delta * share
        self._count = whole
        self._low = np.minimum(self._low, np.where(there, rows, np.inf).min(axis=0, initial=np.inf))
        self._high = np.maximum(
            self._high, np.where(there, rows, -np.inf).max(axis=0, initial=-np.inf)
        )
        if self._kept is not None:
            self._kept.append(rows)
            if self._rows > _EXACT:
                self._bin(np.concatenate(self._kept))
                self._kept = None
        else:
            self._bin(rows)

    def _bin(self, rows: Floats) -> None:
        """Count values in bins, whose range is that of the first ones and doubles when it must."""
        for channel in range(rows.shape[1]):
            values = rows[:, channel][~np.isnan(rows[:, channel])]
            if not len(values):
                continue
            if self._edges.shape[1] == 0:
                self._edges = np.full((rows.shape[1], 2), np.nan)
            low, high = self._edges[channel]
            if np.isnan(low):
                low, high = float(values.min()), float(values.max())
                high = high if high > low else low + 1e-9
            bins = self._bins[channel]
            while values.min() < low or values.max() > high:
                width = high - low
                if values.min() < low:
                    low, bins[:] = low - width, _halved(bins, True)
                else:
                    high, bins[:] = high + width, _halved(bins, False)
            self._edges[channel] = low, high
            bins += np.histogram(values, bins=_BINS, range=(low, high))[0]

    def result(self) -> dict[str, Floats]:
        """Return min, max, mean, std and quantiles, float64[channels]; NaN: it has no value at all.

        Also ``count``, int64[1], the number of rows, and ``known``, int64[channels], of which have
        a value.
        """
        none = self._count == 0
        std = np.sqrt(np.divide(self._squares, self._count, out=np.zeros(len(none)), where=~none))
        found = {
            "min": self._low, "max": self._high, "mean": self._mean, "std": std,
            **self._quantiles(),
        }  # fmt: skip
        found = {key: np.where(none, np.nan, value) for key, value in found.items()}
        return {**found, "count": np.array([self._rows]), "known": self._count}

    def _quantiles(self) -> dict[str, Floats]:
        if self._kept is not None:
            rows = np.concatenate(self._kept) if self._kept else np.empty((0, len(self._count)))
            known = (self._count > 0).nonzero()[0]
            values = np.full((len(QUANTILES), len(self._count)), np.nan)
            if len(known):
                values[:, known] = np.nanquantile(rows[:, known], list(QUANTILES.values()), axis=0)
            return dict(zip(QUANTILES, values))
        return {key: self._of_bins(share) for key, share in QUANTILES.items()}

    def _of_bins(self, share: float) -> Floats:
        found = np.full(len(self._count), np.nan)
        for channel, (low, high) in enumerate(self._edges):
            sums = np.cumsum(self._bins[channel])
            if np.isnan(low) or not sums[-1]:
                continue
            at = int(np.searchsorted(sums, share * sums[-1]))
            found[channel] = low + (at + 0.5) * (high - low) / _BINS
        return np.asarray(np.clip(found, self._low, self._high))


def _halved(bins: np.ndarray, to_the_right: bool) -> np.ndarray:
    """Return bins of twice the width: the old range is the right half, or the left one."""
    half = bins.reshape(-1, 2).sum(axis=1)
    empty = np.zeros_like(half)
    return np.concatenate((empty, half) if to_the_right else (half, empty))


class PixelStats:
    """Statistics of pictures, red, green and blue from 0 to 1; exact, from counts of each level."""

    def __init__(self) -> None:
        self._counts = np.zeros((3, 256), dtype=np.int64)
        self._pictures = 0

    def add(self, bgr: np.ndarray) -> None:
        """Add pixels of a picture, uint8[height, width, 3], blue, green, red."""
        for channel in range(3):
            levels = bgr[..., 2 - channel].ravel()
            self._counts[channel] += np.bincount(levels, minlength=256)
        self._pictures += 1

    def result(self) -> dict[str, Floats]:
        """Return the statistics of ``FeatureStats.result``, float64[3]; NaN: no picture."""
        total = self._counts.sum(axis=1)
        known = np.maximum(total, 1)
        levels = np.arange(256) / 255
        mean = (self._counts * levels).sum(axis=1) / known
        squares = (self._counts * levels**2).sum(axis=1) / known
        sums = np.cumsum(self._counts, axis=1)
        found = {
            "min": levels[(self._counts > 0).argmax(axis=1)],
            "max": levels[255 - (self._counts[:, ::-1] > 0).argmax(axis=1)],
            "mean": mean,
            "std": np.sqrt(np.maximum(squares - mean**2, 0)),
        }
        for name, share in QUANTILES.items():
            found[name] = levels[(sums >= share * total[:, None]).argmax(axis=1)]
        found = {key: np.where(total > 0, value, np.nan) for key, value in found.items()}
        return {**found, "count": np.array([self._pictures]), "known": total}


def joined(parts: Iterable[dict[str, Any]]) -> dict[str, Floats]:
    """Return the statistics of several episodes together.

    Mean, deviation and extremes are exact; quantiles are means weighted by counts, as LeRobot joins
    them (aggregate_feature_stats).

    Args:
        parts: what ``result`` returned, arrays or lists of any shape.
    """
    every = [{key: np.asarray(value, dtype=np.float64) for key, value in p.items()} for p in parts]
    counts = np.array([p["count"].ravel()[0] for p in every])
    stacked = {key: np.stack([p[key] for p in every]) for key in every[0] if key != "count"}
    weights = stacked.pop("known")
    total = weights.sum(axis=0)

    def weighted(values: Floats) -> Floats:
        whole = (np.nan_to_num(values) * weights).sum(axis=0)
        return np.asarray(
            np.divide(whole, total, out=np.full(total.shape, np.nan), where=total > 0)
        )

    mean = weighted(stacked["mean"])
    variance = weighted(stacked["std"] ** 2 + (stacked["mean"] - mean) ** 2)
    found = {key: weighted(stacked[key]) for key in stacked if key.startswith("q")}
    low = np.where(np.isnan(stacked["min"]), np.inf, stacked["min"]).min(axis=0)
    high = np.where(np.isnan(stacked["max"]), -np.inf, stacked["max"]).max(axis=0)
    return {
        "min": np.where(total > 0, low, np.nan), "max": np.where(total > 0, high, np.nan),
        "mean": mean, "std": np.sqrt(variance), "count": np.array([int(counts.sum())]),
        "known": total, **found,
    }  # fmt: skip
