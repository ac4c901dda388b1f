"""Colours between colours."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.rviz.shapes import GREEN, RED, between


@given(st.floats(0, 1), st.floats(0, 1))
def test_an_interpolated_colour_is_between_its_neighbours(one: float, other: float) -> None:
    low, high = sorted((one, other))
    for a, b in zip(between(low, (GREEN, RED)), between(high, (GREEN, RED))):
        assert 0 <= a <= 1 and 0 <= b <= 1
    assert between(low, (GREEN, RED))[0] <= between(high, (GREEN, RED))[0]  # red grows
