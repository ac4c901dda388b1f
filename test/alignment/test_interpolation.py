"""Interpolation: rotations by the shorter arc, and independent rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from robot_recorder.alignment import interpolation
from robot_recorder.alignment.interpolation import blend, interpolate, slerp


def test_slerp_takes_the_shorter_arc() -> None:
    half = math.sin(math.pi / 4)
    quarter_turn = [0, 0, half, half]
    middle = slerp([0, 0, 0, 1.0], [-q for q in quarter_turn], 0.5)
    eighth = np.array([0, 0, math.sin(math.pi / 8), math.cos(math.pi / 8)])
    assert abs(middle @ eighth) == pytest.approx(1)
    assert np.linalg.norm(slerp(quarter_turn, quarter_turn, 0.3)) == pytest.approx(1)


angles = st.floats(-3.0, 3.0)


@given(angles, angles, st.floats(0, 1))
def test_slerp_turns_evenly(first: float, second: float, share: float) -> None:
    """Around one axis, the angle is interpolated on the shorter arc."""
    a, b = ([0, math.sin(x / 2), 0, math.cos(x / 2)] for x in (first, second))
    turn = (second - first + math.pi) % (2 * math.pi) - math.pi
    expected = (first + share * turn) / 2
    got = slerp(a, b, share)
    same = abs(np.dot(got, [0, math.sin(expected), 0, math.cos(expected)]))
    assert same == pytest.approx(1, abs=1e-9) or abs(turn) == pytest.approx(math.pi)


rows = arrays.arrays(np.float64, (7, 6), elements=st.floats(-1e6, 1e6))


@given(rows, rows, arrays.arrays(np.float64, 7, elements=st.floats(0, 1)))
def test_a_row_does_not_depend_on_the_others(first, second, shares) -> None:
    together = interpolate(first, second, shares, quaternions=(1,))
    for row in range(7):
        part = slice(row, row + 1)
        alone = interpolate(first[part], second[part], shares[part], quaternions=(1,))
        assert alone.tobytes() == together[part].tobytes()


@given(
    arrays.arrays(np.float64, (5, 6), elements=st.floats(width=64)),
    st.lists(st.tuples(st.integers(-1, 4), st.integers(-1, 4), st.floats(0, 1)), max_size=8),
    st.sampled_from([(), (1,)]),
)
def test_the_compiled_part_blends_as_numpy_does(
    rows: np.ndarray, ticks: list[tuple[int, int, float]], quaternions: tuple[int, ...]
) -> None:
    ticks = [(first, second if first >= 0 else -1, share) for first, second, share in ticks]
    places = np.array([[t[0] for t in ticks], [t[1] for t in ticks]], dtype=np.int64)
    shares = np.array([t[2] for t in ticks], dtype=np.float64)
    if quaternions:  # whose square must not overflow
        rows = np.clip(np.nan_to_num(rows), -1, 1)
    with np.errstate(all="ignore"), pytest.MonkeyPatch.context() as patch:
        found = blend(rows, places, shares, quaternions)
        patch.setattr(interpolation, "_blend", None)
        assert np.array_equal(blend(rows, places, shares, quaternions), found, equal_nan=True)


def test_without_values_there_is_nothing_to_blend() -> None:
    assert blend(np.zeros((3, 0)), np.array([[0, 2], [-1, 1]]), np.zeros(2)).shape == (2, 0)


def test_places_beyond_the_rows_are_an_error() -> None:
    for places in ([[2], [0]], [[0], [2]]):
        with pytest.raises(ValueError, match="do not fit"):
            blend(np.zeros((2, 3)), np.array(places), np.zeros(1))
