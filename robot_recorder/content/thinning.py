"""Thin out curves without losing spikes."""

from __future__ import annotations

import numpy as np

from robot_recorder.model.arrays import Floats, Places


def at_most(times_s: Floats, rate_hz: float) -> Places:
    """Return the indices of samples to keep so that there are at most ``rate_hz`` per second."""
    slots = np.floor(times_s * rate_hz)
    return np.flatnonzero(np.diff(slots, prepend=np.nan) != 0)


def lowest_and_highest(values: Floats, starts: Places) -> tuple[Floats, Floats]:
    """Return the lowest and the highest value of each bin; NaN only if all its values are NaN.

    Args:
        values: float64[n, k].
        starts: intp[m], index of each bin's first sample, rising.

    Returns:
        float64[m, k] twice.
    """
    return np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)


def halved(times: Floats, values: Floats, by: int) -> tuple[Floats, Floats]:
    """Return a curve with two samples, the lowest and the highest, for every ``2 * by``.

    Args:
        times: float64[n], rising.
        values: float64[n, k].
    """
    starts = np.arange(0, len(times), 2 * by)
    ends = np.append(starts[1:], len(times)) - 1
    pairs = np.stack(lowest_and_highest(values, starts), axis=1)
    both = np.stack([times[starts], times[ends]], axis=1)
    return both.ravel(), pairs.reshape(-1, values.shape[1])
