"""Units of joints: converted, labelled, and chosen by pattern."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.model.units import RADIANS, JointUnit, is_measured, unit_of


@pytest.mark.parametrize(
    ("said", "unit", "factor"),
    [
        ("rad", "rad", 1.0),
        ("deg", "rad", math.pi / 180),
        ("degrees", "rad", math.pi / 180),
        ("turn", "rad", 2 * math.pi),
        ("mm", "m", 0.001),
        ("metre", "m", 1.0),
        ("percent", "%", 1.0),
        ("ticks", "ticks", 1.0),
    ],
)
def test_a_declared_unit_is_converted_or_kept_as_a_label(
    said: str, unit: str, factor: float
) -> None:
    found = JointUnit.declared("grip*", said, 0.5)
    assert found.unit == unit and found.factor == pytest.approx(0.5 * factor)
    assert found.factors == (found.factor, found.factor, 1.0), "efforts stay as they are"


@pytest.mark.parametrize(
    ("unit", "units"),
    [("rad", ("rad", "rad/s", "N m")), ("m", ("m", "m/s", "N")), ("%", ("%", "%/s", "?"))],
)
def test_velocity_and_effort_have_units_of_their_own(unit: str, units: tuple[str, ...]) -> None:
    assert JointUnit(unit=unit).units == units


@given(st.text(max_size=10))
def test_the_first_pattern_that_fits_gives_the_unit(joint: str) -> None:
    grip, rest = JointUnit("grip*", "%"), JointUnit("*", "m")
    assert unit_of(joint, [grip, rest]) is (grip if joint.startswith("grip") else rest)
    assert unit_of(joint, []) is RADIANS


def test_only_angles_and_lengths_are_measured() -> None:
    assert is_measured("position/a (rad)") and is_measured("position/a (m)")
    assert not is_measured("position/a (%)") and not is_measured("position/a")
