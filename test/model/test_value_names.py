"""Names of values: their path, unit and joint."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.model.value_names import joint_label, joint_of, split_name


@pytest.mark.parametrize(
    ("name", "path", "unit"),
    [
        ("force/x (N)", "force/x", "N"),
        ("linear_acceleration/x (m/s^2)", "linear_acceleration/x", "m/s^2"),
        ("data/3 (?)", "data/3", ""),
        ("data", "data", ""),
        ("position/arm (left) (rad)", "position/arm (left)", "rad"),
        ("", "", ""),
    ],
)
def test_a_name_is_split_into_path_and_unit(name: str, path: str, unit: str) -> None:
    assert split_name(name) == (path, unit)


@given(st.text(), st.text(st.characters(exclude_characters="()?")))
def test_a_joint_with_any_name_is_found(joint: str, unit: str) -> None:
    name = f"position/{joint} ({unit})"
    assert joint_of(name) == joint and split_name(name)[1] == unit


def test_the_label_of_a_joint_has_no_joint_ending() -> None:
    assert joint_label("left_elbow_joint") == "left_elbow"
    assert joint_label("_joint") == "_joint" and joint_label("wheel") == "wheel"
