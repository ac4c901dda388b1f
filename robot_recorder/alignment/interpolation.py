"""Interpolate between two samples.

Each result depends on its own row alone, to the last bit, because the number of ticks aligned
together must not change a frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from robot_recorder.model.arrays import Floats

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
