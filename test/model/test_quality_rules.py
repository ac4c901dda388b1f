"""Figures by which streams are judged before, during and after an episode."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.model.quality_rules import delay_ms, future_ms, rate_off


@given(st.floats(1, 1000), st.floats(0, 2000), st.integers(0, 10_000))
def test_one_sample_more_or_less_is_chance(declared: float, measured: float, count: int) -> None:
    off = rate_off(measured, declared, count)
    exact = abs(measured - declared) / declared
    assert 0 <= off <= exact and off == pytest.approx(max(exact - 1 / max(count, 1), 0))


def test_a_declared_rate_is_that_of_each_driver_or_of_all_together() -> None:
    assert rate_off(200, 200, 10**6, (0.5, 0.5)) == 0
    assert rate_off(200, 100, 10**6, (0.5, 0.5)) == 0
    assert rate_off(125, 100, 10**6, (0.8, 0.2)) == pytest.approx(0.25, abs=0.01)
    assert rate_off(200, 100, 10**6, (1.0,)) == pytest.approx(1, abs=0.01)


@given(st.floats(-1e6, 1e6))
def test_stamps_are_either_early_or_late(offset_ms: float) -> None:
    assert delay_ms(offset_ms) - future_ms(offset_ms) == offset_ms
    assert min(delay_ms(offset_ms), future_ms(offset_ms)) == 0
