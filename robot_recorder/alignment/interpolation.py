"""Interpolate between two samples.

Each result depends on its own row alone, to the last bit, because the number of ticks aligned
together must not change a frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from robot_recorder.model.arrays import Floats, Int64s

try:  # part of the package that is compiled where it can be: a tenth of the cost
    from robot_recorder.alignment._choice import blend as _blend
except ImportError:
    _blend = None

_NEARLY_EQUAL = 0.9995  # cosine; above it, dividing by the sine of the angle loses digits


def interpolate(
    first: Floats, second: Floats, shares: Floats, quaternions: Sequence[int] = ()
) -> Floats:
    """Interpolate between the rows of ``first`` and ``second``.

    Args:
        first, second: float64[n, k].
        shares: float64[n], position between first (0) and second (1).
        quaternions: columns where unit quaternions (x, y, z, w) begin, which are interpolated by
            slerp.
    """
    rows = first + (second - first) * shares[:, np.newaxis]
    for at in quaternions:
        for row, a, b, share in zip(rows, first, second, shares.tolist()):
            row[at : at + 4] = slerp(a[at : at + 4].tolist(), b[at : at + 4].tolist(), share)
    return rows


def blend(rows: Floats, places: Int64s, shares: Floats, quaternions: Sequence[int] = ()) -> Floats:
    """Put the values of n ticks together, float64[n, k].

    Args:
        rows: float64[m, k], values of samples.
        places: int64[2, n], rows of each tick's sample, and of the one to interpolate with; -1: none. Without
            a first one values are NaN.
        shares: float64[n], where between the two each tick is.
        quaternions: as for ``interpolate``.
    """
    values: Floats = np.empty((places.shape[1], rows.shape[1]))
    if _blend is not None and not quaternions:
        _blend(np.ascontiguousarray(rows), places, shares, values)
        return values
    values[:] = np.nan
    (first, second), there = places, places >= 0
    values[there[0]] = rows[first[there[0]]]
    both = there[1]
    values[both] = interpolate(values[both], rows[second[both]], shares[both], quaternions)
    return values


def slerp(first: Sequence[float], second: Sequence[float], share: float) -> list[float]:
    """Return the unit quaternion at ``share`` of the shorter arc from first to second.

    Source: Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985.
    """
    # One by one with math: vectorised sines may round differently by their place in an array.
    dot = sum(a * b for a, b in zip(first, second))
    sign = 1.0
    if dot < 0:  # q and -q are the same rotation
        sign, dot = -1.0, -dot
    if dot > _NEARLY_EQUAL:
        mixed = [a + (sign * b - a) * share for a, b in zip(first, second)]
        norm = math.sqrt(sum(m * m for m in mixed))
        return [m / norm for m in mixed] if norm > 0 else mixed
    angle = math.acos(dot)
    w0 = math.sin((1 - share) * angle) / math.sin(angle)
    w1 = sign * math.sin(share * angle) / math.sin(angle)
    return [a * w0 + b * w1 for a, b in zip(first, second)]
