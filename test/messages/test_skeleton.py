"""Bodies of a person are found among values, and joined by their names."""

from __future__ import annotations

import numpy as np
import pytest

from robot_recorder.messages.skeleton import ASIDE_M, arm_links, beside, bodies, bones, chest_link
from robot_recorder.messages.urdf import parse_urdf

PLAIN = ("position/x (m)", "position/y (m)", "position/z (m)", "orientation/x (1)",
         "orientation/y (1)", "orientation/z (1)", "orientation/w (1)")  # fmt: skip


def named(*names: str) -> tuple[str, ...]:
    return tuple(p.replace("/", f"/{name}/") for name in names for p in PLAIN)


def joined(*names: str) -> set[tuple[str, str]]:
    return {(names[a], names[b]) for a, b in bones(names)}


def test_one_pose_and_named_poses_are_found_by_the_names_of_their_values() -> None:
    (only,) = bodies(PLAIN)
    assert (only.name, only.position, only.orientation) == ("", (0, 1, 2), (3, 4, 5, 6))
    first, second = bodies(named("hand", "a/b"))
    assert (first.name, second.name) == ("hand", "a/b")
    assert second.position == (7, 8, 9) and second.orientation == (10, 11, 12, 13)
    (bare,) = bodies(PLAIN[:3])
    assert bare.orientation == ()
    assert bodies(("position/joint_1 (rad)", "force/x (N)")) == []


def test_the_simulated_suit_is_joined_to_one_figure() -> None:
    human = pytest.importorskip("robot_recorder.sim.human")
    found = joined(*human.LINKS)
    assert len(found) == len(human.LINKS) - 1, "a tree"
    assert {("pelvis", "chest"), ("chest", "neck"), ("neck", "head"), ("neck", "left_upper_arm"),
            ("left_forearm", "left_hand"), ("pelvis", "right_thigh")} <= found  # fmt: skip


def test_other_suits_use_other_words() -> None:
    xsens = ("Pelvis", "L5", "L3", "T12", "T8", "Neck", "Head", "RightShoulder", "RightUpperArm",
             "RightForeArm", "RightHand", "RightUpperLeg", "RightLowerLeg", "RightFoot", "RightToe")  # fmt: skip
    found = joined(*xsens)
    assert len(found) == len(xsens) - 1
    assert {("T8", "Neck"), ("Neck", "Head"), ("T8", "RightShoulder"), ("L5", "L3"),
            ("Pelvis", "RightUpperLeg")} <= found  # fmt: skip
    assert joined("l_wrist", "l_elbow", "hips") == {("hips", "l_elbow"), ("l_elbow", "l_wrist")}
    assert joined("l_wrist", "l_elbow") == {("l_elbow", "l_wrist")}
    assert joined("s/t8", "s/neck", "s/head") == {("s/t8", "s/neck"), ("s/neck", "s/head")}
    assert joined("marker_1", "marker_2") == set()
    assert joined() == set()


def test_what_drives_a_robot_is_found_in_any_suit() -> None:
    names = ("skeleton_t12", "skeleton_t8", "skeleton_left_upper_arm", "skeleton_left_forearm",
             "skeleton_left_hand", "skeleton_neck")  # fmt: skip
    assert chest_link(names) == 1 and arm_links(names, "left") == (2, 3, 4)
    assert arm_links(names, "right") == (None, None, None) and chest_link(("LeftHand",)) is None


def test_a_person_stands_beside_the_robot_on_its_floor() -> None:
    urdf = """<robot name="r"><link name="base"/><link name="foot"/><joint name="j" type="fixed">
    <parent link="base"/><child link="foot"/><origin xyz="0.1 0 -0.7"/></joint></robot>"""
    assert np.allclose(beside(parse_urdf(urdf)), [0.0, -ASIDE_M, -0.7])
