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
def test_path_and_unit(name: str, path: str, unit: str) -> None:
    assert split_name(name) == (path, unit)


@given(st.text(), st.text(st.characters(exclude_characters="()?")))
def test_whatever_a_joint_is_called_it_is_found(joint: str, unit: str) -> None:
    name = f"position/{joint} ({unit})"
    assert joint_of(name) == joint and split_name(name)[1] == unit


def test_label() -> None:
    assert joint_label("left_elbow_joint") == "left_elbow"
    assert joint_label("_joint") == "_joint" and joint_label("wheel") == "wheel"
