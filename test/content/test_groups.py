"""Grouping the values of a series."""

from __future__ import annotations

import numpy as np

from robot_recorder.content.contents import Topic
from robot_recorder.content.groups import cell_shape, changing, groups, most_moving
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


def test_values_that_never_change_are_told_from_those_that_do() -> None:
    gaps = [[0, 1, np.nan, 5], [0, np.nan, np.nan, 5], [0, 2, np.nan, np.nan]]
    assert changing(np.array(gaps)).tolist() == [False, True, False, False]
    assert not changing(np.empty((0, 2))).any()


def test_poses_are_grouped_by_body_and_pads_by_pad() -> None:
    poses = Topic("/b", "a/msg/B", 1, Sort.POSE, "b", Role.OBSERVATION)
    names = (
        "position/hand/x (m)",
        "position/hand/y (m)",
        "orientation/hand/w (1)",
        "position/head/x (m)",
    )
    found = groups(Series(poses, names, np.arange(1.0), np.zeros((1, 4))))
    assert [g.name for g in found] == ["position/hand", "orientation/hand", "position/head"]
    pads = Topic("/p", "a/msg/B", 1, Sort.TACTILE, "p", Role.OBSERVATION)
    cells = ("normal/tip/0,0 (raw)", "normal/tip/0,1 (raw)", "normal/palm/0 (raw)")
    found = groups(Series(pads, cells, np.arange(1.0), np.zeros((1, 3))))
    assert [(g.name, g.items) for g in found] == [
        ("normal/tip", ("0,0", "0,1")),
        ("normal/palm", ("0",)),
    ]
    assert cell_shape(found[0].items) == (1, 2) and cell_shape(found[1].items) is None


def test_a_joint_may_have_a_slash_in_its_name() -> None:
    joints = Topic("/j", "sensor_msgs/msg/JointState", 1, Sort.JOINTS, "j", Role.OBSERVATION)
    (found,) = groups(
        Series(joints, ("position/left/elbow (rad)",), np.arange(1.0), np.zeros((1, 1)))
    )
    assert (found.name, found.items) == ("position", ("left/elbow",))
