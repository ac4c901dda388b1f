"""An operator in 3D: in its own place beside the robot, or on a link of the robot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rerun")

from rerun.chunk import RrdReader
from support.described import URDF

from robot_recorder.content.contents import Numbers, Topic
from robot_recorder.messages.kinds import Sort
from robot_recorder.messages.skeleton import ASIDE_M
from robot_recorder.messages.urdf import parse_urdf
from robot_recorder.model.streams import Role
from robot_recorder.view import viewer
from robot_recorder.view.log import RerunLog
from robot_recorder.view.operator import OperatorLog

POSE = "geometry_msgs/msg/PoseStamped"
BODY = "sensor_msgs/msg/MultiDOFJointState"
PLAIN = ("position/x (m)", "position/y (m)", "position/z (m)", "orientation/x (1)",
         "orientation/y (1)", "orientation/z (1)", "orientation/w (1)")  # fmt: skip
TIMES = np.arange(100) / 100


def numbers(name: str, kind: str, names: tuple[str, ...], role: Role = Role.ACTION) -> Numbers:
    """Return a second at 100 Hz of poses that move along x, each 1 m above the one before."""
    bodies = len(names) // 7
    values = np.tile([0.0, 0, 0, 0, 0, 0, 1.0], (100, bodies))
    values[:, 0::7] = TIMES[:, None]
    values[:, 2::7] = np.arange(bodies)
    return Numbers(
        Topic(f"/{name}", kind, 100, Sort.POSE, name.replace("/", "_"), role), names, TIMES, values
    )


def logged(target: Path, frames: dict[str, str], *parts: Numbers) -> dict[str, dict]:
    """Return the columns of every entity."""
    recording = viewer.new_recording()
    with viewer.saved(recording, target):
        log = OperatorLog(RerunLog(recording, 0), parse_urdf(URDF), frames)
        for part in parts:
            log.add(part)
    found: dict[str, dict] = {}
    for chunk in RrdReader(target).stream():
        found.setdefault(chunk.entity_path, {}).update(chunk.to_record_batch().to_pydict())
    return found


def test_head_and_hands_move_beside_the_robot_50_times_a_second(tmp_path: Path) -> None:
    head = numbers("vr/head", POSE, PLAIN)
    found = logged(tmp_path / "one.rrd", {"/vr/head": "stage"}, head, head)
    assert found["/operator"]["Transform3D:translation"][0][0] == pytest.approx([0, -ASIDE_M, 0])
    places = np.array(found["/operator/vr_head"]["Transform3D:translation"])[:, 0]
    assert len(places) == 50 and places[:, 0] == pytest.approx(np.arange(50) / 50, abs=0.011)
    assert found["/operator/vr_head"]["Points3D:labels"] == [["head"]]
    assert len(found["/operator/vr_head/axes"]["Arrows3D:vectors"][0]) == 3


def test_poses_in_a_frame_of_the_robot_are_drawn_there(tmp_path: Path) -> None:
    target = numbers("wrist_target", POSE, PLAIN)
    seen = numbers("cup", POSE, PLAIN, Role.OBSERVATION)
    found = logged(tmp_path / "one.rrd", {"/wrist_target": "hand", "/cup": "hand"}, target, seen)
    assert "/robot/hand/wrist_target" in found
    assert not [path for path in found if "cup" in path], "an observed pose is no operator's"


def test_a_body_is_drawn_as_bones_and_joints(tmp_path: Path) -> None:
    names = tuple(p.replace("/", f"/{n}/") for n in ("pelvis", "chest", "head") for p in PLAIN)
    body = numbers("body", BODY, names)
    found = logged(tmp_path / "one.rrd", {}, body)
    joints = np.array(found["/operator/body/joints"]["Points3D:positions"])
    assert joints.shape == (50, 3, 3) and (joints[:, :, 2] == [0, 1, 2]).all()
    bones = np.array(found["/operator/body/bones"]["LineStrips3D:strips"])
    assert bones.shape == (50, 2, 2, 3), "samples, bones, ends, axes"
    assert np.allclose(bones[-1, 0], [[TIMES[98], 0, 0], [TIMES[98], 0, 1]])
