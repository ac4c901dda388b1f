"""Compare stored statistics of a feature to themselves and to those of its values."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from robot_recorder.dataset.verify.findings import first, some
from robot_recorder.dataset.verify.moments import Moments
from robot_recorder.dataset.verify.reading import OpenedSet, StoredFeature
from robot_recorder.model.arrays import Bools, Floats

StatArrays = dict[str, Floats]
QUANTILE = re.compile(r"q\d\d")
_BASIC = ("min", "max", "mean", "std")
_RELATIVE = 1e-3


def stat_arrays(plain: Any) -> StatArrays | None:
    """Return the statistics of a feature as arrays; None: they are no numbers."""
    try:
        return {str(key): np.asarray(value, dtype=np.float64) for key, value in plain.items()}
    except (AttributeError, ValueError, TypeError):
        return None


def disorder(ds: OpenedSet, feature: StoredFeature, stats: StatArrays | None) -> str:
    """Return what is wrong with statistics by themselves; empty: nothing."""
    if stats is None:
        return "they are no numbers"
    wanted = _BASIC if ds.version == (2, 0) else (*_BASIC, "count")
    lacking = [key for key in wanted if key not in stats]
    if lacking:
        return f"there is no {some(lacking, 5)}"
    if "count" in stats and stats["count"].size != 1:
        return f"count has {stats['count'].size} values, not 1"
    quantiles = sorted(key for key in stats if QUANTILE.fullmatch(key))
    flat = {key: stats[key].ravel() for key in (*_BASIC, *quantiles)}
    sizes, allowed = {v.size for v in flat.values()}, {feature.width, feature.shape[-1], 1}
    if feature.is_camera:
        allowed = {1, 3} if feature.is_depth or 1 in feature.shape else {3}
    if len(sizes) > 1 or not sizes <= allowed:
        return f"there are {some(sorted(sizes))} values, not {some(sorted(allowed))}"
    near = _RELATIVE * np.maximum(np.abs(flat["min"]), np.abs(flat["max"])) + 1e-9
    rising = [("min", "mean"), ("mean", "max")]
    if quantiles:
        rising += zip(("min", *quantiles), (*quantiles, "max"))
    for small, large in rising:
        if (flat[small] > flat[large] + near).any():
            return f"{small} is above {large}"
    if (flat["std"] < 0).any():
        return "std is negative"
    if feature.is_camera and not feature.is_depth:
        if not all(((flat[k] >= -1e-6) & (flat[k] <= 1 + 1e-6)).all() for k in _BASIC):
            return "values of pictures are not from 0 to 1"
    return ""


def difference(
    feature: StoredFeature, stats: StatArrays, true: Moments, longest: int
) -> tuple[str, bool]:
    """Return what differs from the statistics of the data, and whether it matters.

    Args:
        longest: rows of the longest episode.

    Returns:
        Empty: nothing differs. A deviation that is lost in LeRobot's own arithmetic is told, but
        is not fatal.
    """
    flat = {key: stats[key].ravel() for key in _BASIC}
    true = true.reduced(flat["mean"].size)
    known, variance = true.count > 0, true.variance
    spread = np.sqrt(variance)
    for key, value in (("mean", true.mean), ("min", true.low), ("max", true.high)):
        near = _RELATIVE * np.maximum(np.abs(value), spread) + 1e-9
        text = apart(key, flat[key], known & ~(np.abs(flat[key] - value) <= near), value)
        if text:
            return text, True
    # LeRobot subtracts squares in the precision of the data, which it adds one by one. What that
    # loses was measured with lerobot 0.4.4, for episodes of 50 to 100,000 rows.
    single, std = feature.dtype in ("float16", "float32"), flat["std"]
    precision = float(np.finfo(np.float32 if single else np.float64).eps)
    lost = precision * max(32, longest / 12) * (true.mean**2 + variance)
    near = 2.1 * _RELATIVE * variance + lost + 1e-12
    text = apart("std", std, known & ~(np.abs(std**2 - variance) <= near), spread)
    small = known & (std < spread / 2) & (variance > 1e-12 * true.mean**2)
    return (text, True) if text else (apart("std", std, small, spread), False)


def quantile_difference(stats: StatArrays, parts: list[Floats]) -> str:
    """Return which quantile lies far from that of values [n, width]; empty: none."""
    size = stats["mean"].size
    rows = np.concatenate(parts).reshape(-1, size)
    rows = np.sort(np.where(np.isfinite(rows), rows, np.nan), axis=0)  # NaN comes last
    count, channel = np.isfinite(rows).sum(axis=0), np.arange(size)
    known, last = count > 0, np.maximum(count - 1, 0)
    near = _RELATIVE * (rows[last, channel] - rows[0]) + 1e-6 * np.abs(rows[0]) + 1e-9
    for key in filter(QUANTILE.fullmatch, stats):
        share, value = int(key[1:]) / 100, stats[key].ravel()
        low = rows[np.floor(last * max(share - 0.1, 0)).astype(int), channel]
        high = rows[np.ceil(last * min(share + 0.1, 1)).astype(int), channel]
        wrong = known & ~((value >= low - near) & (value <= high + near))
        if wrong.any():
            return apart(key, value, wrong, low, high, place="about {} in the data")
    return ""


def apart(
    key: str, stored: Floats, wrong: Bools, *true: Floats, place: str = "{} in the data"
) -> str:
    """Return how the first wrong channel differs; empty: none is wrong.

    Args:
        true: what it should be, or the lowest and highest.
        place: where that was found.
    """
    if not wrong.any():
        return ""
    at = first(wrong)
    reach = " to ".join(f"{value[at]:.6g}" for value in true)
    return f"{key} of channel {at} is {stored[at]:.6g}, but {place.format(reach)}"
