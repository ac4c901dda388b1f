"""Quantiles of skews: exact for few, close for many, and independent of batches."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_recorder.alignment.skews import ERROR_NS, ERROR_SHARE, EXACT, Skews

PERCENTS = (50, 95, 99, 100)


def spread(seed: int, count: int, scale_ns: float) -> np.ndarray:
    """Return skews of either sign, most of them small, some a thousand times as large."""
    rng = np.random.default_rng(seed)
    size = rng.exponential(scale_ns, count) * np.where(rng.random(count) < 0.02, 1000, 1)
    return np.rint(size * rng.choice((-1, 1), count)).astype(np.int64)


def exact_ms(skews: np.ndarray) -> np.ndarray:
    return np.percentile(np.abs(skews), PERCENTS) / 1e6


@given(st.integers(0, 2**32 - 1), st.integers(1, EXACT), st.floats(1, 1e9))
@settings(max_examples=50)
def test_quantiles_of_few_skews_are_exact(seed: int, count: int, scale_ns: float) -> None:
    skews = spread(seed, count, scale_ns)
    found = Skews()
    found.add(skews)
    assert found.quantiles_ms(PERCENTS) == pytest.approx(exact_ms(skews), abs=0.00051)


@given(st.integers(0, 2**32 - 1), st.integers(EXACT + 1, 6 * EXACT), st.floats(1, 1e9))
@settings(max_examples=50)
def test_quantiles_of_many_skews_are_within_the_stated_error(
    seed: int, count: int, scale_ns: float
) -> None:
    skews = spread(seed, count, scale_ns)
    found = Skews()
    found.add(skews)
    wanted = exact_ms(skews)
    *quantiles, most = found.quantiles_ms(PERCENTS)
    for quantile, exact in zip(quantiles, wanted):
        assert abs(quantile - exact) <= max(ERROR_SHARE * exact, ERROR_NS / 1e6) + 0.0005
    assert most == round(float(wanted[-1]), 3)


@given(st.integers(0, 2**32 - 1), st.integers(1, 4 * EXACT), st.lists(st.integers(1, 4 * EXACT)))
@settings(max_examples=30)
def test_quantiles_do_not_depend_on_batches(seed: int, count: int, cuts: list[int]) -> None:
    skews = spread(seed, count, 1e6)
    one_by_one, some, all_of_them = Skews(), Skews(), Skews()
    for skew in skews.tolist():
        one_by_one.add(np.array([skew]))
    for part in np.split(skews, sorted(cuts)):
        some.add(part)
    all_of_them.add(skews)
    told = all_of_them.quantiles_ms(PERCENTS)
    assert one_by_one.quantiles_ms(PERCENTS) == told == some.quantiles_ms(PERCENTS)
    assert all_of_them.quantiles_ms(PERCENTS) == told  # asked again


def test_quantiles_without_skews_are_unknown() -> None:
    assert Skews().quantiles_ms(PERCENTS) == (None,) * 4


def test_memory_is_the_same_after_an_hour_as_after_some_minutes() -> None:
    def room(count: int) -> int:
        skews = Skews()
        for _ in range(count // 3000):
            skews.add(spread(1, 3000, 3e6))
        return sum(map(sys.getsizeof, (skews._few, skews._bins)))

    assert room(108_000) <= room(12_000) < 200_000
