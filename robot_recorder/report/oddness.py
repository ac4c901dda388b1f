"""Compares repeats of one task: which one is odd, where, and when."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_recorder.model.arrays import Bools, Floats

_SHARE = 0.05  # of a channel's range: smaller differences do not matter
_MAD = 1.4826  # converts a median absolute deviation to a standard deviation (normal distribution)
_ODD, _TIMES = 3.0, 1.5  # odd: distance above this, and above so many times the usual distance
_LASTING_S = 0.5
_MOST = 10.0  # differences are clipped here, in multiples of the usual one
_LEAST = 3  # fewest repeats of which one can be odd


@dataclass(frozen=True)
class Oddness:
    """How far one repeat is from the others.

    Attributes:
        distance: root mean square over channels and time, in multiples of the usual difference.
        odd: whether it stands out.
        channel, at_s: where and when it differs most; -1 and NaN when nothing can be compared.
        by: by how much there, signed, in the channel's unit.
    """

    distance: float
    odd: bool
    channel: int
    at_s: float
    by: float


def oddness(values: Floats, times_s: Floats, least: Floats, kinds: Sequence[str]) -> list[Oddness]:
    """Compare each repeat with the median of all.

    Args:
        values: float64[repeats, times, channels], NaN where a repeat has no value.
        times_s: float64[times], since the start.
        least: float64[channels], differences that do not matter, in the channel's unit.
        kinds: kind of each channel; every kind has the same weight, however many channels it has.

    Returns:
        One result per repeat.
    """
    nothing = Oddness(float("nan"), False, -1, float("nan"), float("nan"))
    if not values.size:
        return [nothing] * len(values)
    with np.errstate(all="ignore"):
        enough = np.isfinite(values).sum(axis=0) >= min(_LEAST, len(values))
        off = values - np.where(enough, _median(values), np.nan)
        flat = values.reshape(-1, values.shape[2])
        usual = _MAD * _median(np.abs(off).reshape(flat.shape))
        span = _largest(flat) + _largest(-flat)
        scale = np.fmax(np.fmax(usual, _SHARE * span), least)
        squares = np.clip(off / scale, -_MOST, _MOST) ** 2
    known = np.isfinite(squares)
    squares[~known] = 0.0
    sums, counts = squares.sum(axis=1), known.sum(axis=1)
    means = [
        sums[:, mine].sum(axis=1) / np.maximum(counts[:, mine].sum(axis=1), 1)
        for kind in sorted(set(kinds))
        if (mine := [k == kind for k in kinds])
    ]
    distances = np.sqrt(np.mean(means, axis=0))
    comparable = counts.any(axis=1)
    standing_out = np.zeros(len(values), dtype=bool)
    standing_out[comparable] = _standing_out(distances[comparable])
    found = []
    for i, distance in enumerate(distances.tolist()):
        if not comparable[i]:
            found.append(nothing)
            continue
        time, channel = _worst(np.sqrt(squares[i]), known[i], times_s)
        by = float(off[i, time, channel])
        found.append(
            Oddness(distance, bool(standing_out[i]), int(channel), float(times_s[time]), by)
        )
    return found


def _worst(apart: Floats, known: Bools, times_s: Floats) -> tuple[int, int]:
    """Return when and in which channel the difference is largest over ``_LASTING_S``.

    Differences of a moment, such as edges slightly apart, do not count.
    """
    step_s = float(times_s[1] - times_s[0]) if len(times_s) > 1 else _LASTING_S
    width = min(max(1, round(_LASTING_S / step_s)), len(apart))
    sums = np.cumsum(np.concatenate([np.zeros((1, apart.shape[1])), apart]), axis=0)
    lasting = sums[width:] - sums[:-width]
    first, channel = np.unravel_index(int(lasting.argmax()), lasting.shape)
    inside = np.where(known, apart, -1.0)[first : first + width, channel]
    if inside.max() < 0:  # nothing differs at all
        return int(known.any(axis=1).argmax()), int(known[known.any(axis=1).argmax()].argmax())
    return int(first + inside.argmax()), int(channel)


def _standing_out(distances: Floats) -> Bools:
    if len(distances) < _LEAST:
        return np.zeros(len(distances), dtype=bool)
    usual = float(np.median(distances))
    return np.asarray((distances > _ODD) & (distances > _TIMES * usual))


def _median(values: Floats) -> Floats:
    """Return the median along the first axis without NaN; NaN where all values are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmedian(values, axis=0), dtype=np.float64)


def _largest(values: Floats) -> Floats:
    return np.asarray(np.fmax.reduce(values, axis=0, initial=-np.inf), dtype=np.float64)
