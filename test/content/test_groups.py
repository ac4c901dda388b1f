"""Grouping the values of a series."""

from __future__ import annotations

import numpy as np

from robot_recorder.content.contents import Topic
from robot_recorder.content.groups import groups, most_moving, short_name
from robot_recorder.content.series import Series
from robot_recorder.messages.kinds import Sort
from robot_recorder.model.streams import Role


def topic(name: str) -> Topic:
    return Topic(name, "a/msg/B", 1, Sort.NUMBERS, "b", Role.OBSERVATION)


def test_fields_are_grouped_with_their_units() -> None:
    names = ("force/x (N)", "force/y (N)", "torque/x (N m)", "tip/0 (?)", "plain", "a/b/c (rad/s)")
    found = groups(Series(topic("/w"), names, np.arange(1.0), np.zeros((1, 6))))
    assert [(g.name, g.unit, g.items, g.columns) for g in found] == [
        ("force", "N", ("x", "y"), (0, 1)),
        ("torque", "N m", ("x",), (2,)),
        ("tip", "", ("0",), (3,)),
        ("", "", ("plain",), (4,)),
        ("a/b", "rad/s", ("c",), (5,)),
    ]


def test_many_numbered_cells_are_an_array() -> None:
    cells = tuple(f"tip/{i} (?)" for i in range(22)) + tuple(f"grid/{i},0 (Pa)" for i in range(8))
    few = tuple(f"few/{i} (?)" for i in range(3)) + tuple(f"joint_{i}/x (?)" for i in range(9))
    arrays = groups(Series(topic("/p"), cells + few, np.arange(1.0), np.zeros((1, 42))))
    assert [g.is_array for g in arrays] == [True, True] + [False] * 10


def test_the_value_that_moves_most_comes_first_in_spite_of_gaps() -> None:
    values = np.array([[0, 0, 5.0], [1, np.nan, 5.0], [0, 9, 5.0]])
    assert most_moving(values, 2) == [1, 0]
    assert most_moving(np.full((2, 2), np.nan), 2) == [0, 1]


def test_topics_have_a_short_name() -> None:
    names = [
        "/robot_07/left_wrist_camera/image/compressed",
        "/left_wrist/wrench",
        "/pressure/l_tip",
        "/data",
    ]
    assert [short_name(topic(n)) for n in names] == [
        "left wrist camera",
        "left wrist",
        "l tip",
        "data",
    ]


def test_a_joint_may_have_a_slash_in_its_name() -> None:
    joints = Topic("/j", "sensor_msgs/msg/JointState", 1, Sort.JOINTS, "j", Role.OBSERVATION)
    (found,) = groups(
        Series(joints, ("position/left/elbow (rad)",), np.arange(1.0), np.zeros((1, 1)))
    )
    assert (found.name, found.items) == ("position", ("left/elbow",))
