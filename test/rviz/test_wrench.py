"""Arrows of forces and torques: direction, length and colour."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.rviz.shapes import GREEN, RED, VIOLET, YELLOW, Arrow
from robot_recorder.rviz.wrench import WrenchScale, wrench_shapes

SCALE = WrenchScale(m_per_n=0.01, m_per_nm=0.1, red_n=40.0)
numbers = st.floats(-1e4, 1e4)


def of_wrench(*values: float, silent: bool = False) -> dict:
    shapes = wrench_shapes(3, "hand", np.array(values), SCALE, silent)
    return {(s.key.kind, s.key.number): s for s in shapes}


def test_a_force_arrow_has_the_direction_and_size_of_the_force() -> None:
    shapes = of_wrench(0, -20, 0, 0, 0, 2)
    force, number = shapes["force", 6], shapes["force", 7]
    assert (force.frame, force.tail, force.head) == ("hand", (0, 0, 0), (0, -0.2, 0))
    assert force.colour == YELLOW and number.text == "20 N" and number.colour == YELLOW
    assert number.at[1] < -0.2, "the number is beyond the tip"
    torque, number = shapes["torque", 6], shapes["torque", 7]
    assert torque.head == (0, 0, 0.2) and torque.colour == VIOLET and number.text == "2.0 N m"
    assert torque.thickness < force.thickness


@pytest.mark.parametrize(("newton", "colour"), [(1e-9, GREEN), (20, YELLOW), (40, RED), (90, RED)])
def test_the_colour_shows_the_force(newton: float, colour: tuple) -> None:
    assert of_wrench(newton, 0, 0, 0, 0, 0)["force", 7].colour == pytest.approx(colour, abs=1e-3)


def test_noise_has_a_number_but_no_arrow_and_invalid_values_have_neither() -> None:
    assert {k: s.text for k, s in of_wrench(0.1, 0, 0, 0.1, 0, 0).items()} == {
        ("force", 7): "0.1 N"
    }
    assert not of_wrench(math.nan, 0, 0, 0, 0, 0) and not of_wrench(0, 0, 0, 0, math.inf, 0)


@given(st.lists(numbers, min_size=6, max_size=6))
def test_arrows_never_leave_the_view_and_keep_their_direction(values: list[float]) -> None:
    for shape in of_wrench(*values).values():
        if isinstance(shape, Arrow):
            vector = np.array(values[:3] if shape.key.kind == "force" else values[3:])
            head = np.array(shape.head)
            assert np.linalg.norm(head) <= 0.8 + 1e-3
            assert head @ vector == pytest.approx(
                np.linalg.norm(head) * np.linalg.norm(vector), rel=0.02
            )
