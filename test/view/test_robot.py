"""The robot in 3D: meshes, bones and the joint states that move it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rerun")

from rerun.chunk import RrdReader
from support.bags import angle
from support.described import SECONDS, URDF
from support.recordings import Recorded

from robot_recorder.content.contents import Numbers, Topic
from robot_recorder.messages.kinds import Sort
from robot_recorder.messages.urdf import parse_urdf, quaternions
from robot_recorder.model.streams import Role
from robot_recorder.view import viewer
from robot_recorder.view.log import RerunLog
from robot_recorder.view.robot import RobotLog, driving

JOINTS = "sensor_msgs/msg/JointState"


def joints(name: str, role: Role | None = Role.OBSERVATION) -> Topic:
    return Topic(f"/{name}", JOINTS, 100, Sort.JOINTS, name, role)


def logged(target: Path, urdf: str, mesh: Path | None, *parts: Numbers) -> dict[str, dict]:
    """Return the columns of every entity."""
    recording = viewer.new_recording()
    with viewer.saved(recording, target):
        RobotLog(RerunLog(recording, 0), parse_urdf(urdf), lambda uri: mesh).add(parts)
    found: dict[str, dict] = {}
    for chunk in RrdReader(target).stream():
        found.setdefault(chunk.entity_path, {}).update(chunk.to_record_batch().to_pydict())
    return found


def test_a_mesh_is_put_into_the_recording_with_its_scale(tmp_path: Path) -> None:
    mesh = tmp_path / "hand.stl"
    triangle = np.array([0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0], "<f4").tobytes()
    mesh.write_bytes(bytes(80) + (1).to_bytes(4, "little") + triangle + bytes(2))
    urdf = URDF.replace("hand.stl", 'hand.stl" scale="0.001 0.002 0.003')
    found = logged(tmp_path / "one.rrd", urdf, mesh)["/robot/hand/visual\\ 1"]
    assert bytes(found["Asset3D:blob"][0][0]) == mesh.read_bytes()
    matrix = np.array(found["Transform3D:mat3x3"][0][0]).reshape(3, 3)
    assert matrix == pytest.approx(np.diag([0.001, 0.002, 0.003]))


def test_a_robot_without_bodies_is_drawn_as_bones(tmp_path: Path) -> None:
    links = "".join(f'<link name="{name}"/>' for name in ("base", "arm", "hand"))
    joints_only = URDF[URDF.index("  <joint") :]
    found = logged(tmp_path / "one.rrd", f'<robot name="bare">{links}{joints_only}', None)
    assert np.array(found["/robot/arm/bones"]["LineStrips3D:strips"][0][0][1]) == pytest.approx(
        [0.4, 0, 0]
    )
    assert not any("visual" in path for path in found)


def test_joints_of_several_topics_move_one_robot(tmp_path: Path) -> None:
    times = np.arange(100) / 100
    first = Numbers(joints("a"), ("position/joint_0 (rad)",), times, np.full((100, 1), 0.5))
    names = ("position/joint_1 (rad)", "velocity/joint_1 (rad/s)")
    second = Numbers(joints("b"), names, times, np.full((100, 2), 0.3))
    found = logged(tmp_path / "one.rrd", URDF, None, first, second)
    places = np.array(found["/robot/hand"]["Transform3D:translation"])[:, 0]
    assert places == pytest.approx(np.tile([0.4 * np.cos(0.5), 0.4 * np.sin(0.5), 0.1], (50, 1)))
    quaternion = np.array(found["/robot/hand"]["Transform3D:quaternion"])[0, 0]
    assert abs(quaternion[3]) == pytest.approx(np.cos(0.25) * np.cos(0.15), abs=1e-6)


def test_observed_joints_move_the_robot_and_commands_only_without_them() -> None:
    observed, commanded = joints("a"), joints("b", Role.ACTION)
    assert driving([commanded, observed]) == [observed]
    assert driving([commanded]) == [commanded]


def test_links_have_the_poses_that_the_joints_give(recorded: Recorded) -> None:
    times, places = recorded.rows("/robot/hand", "Transform3D:translation")
    _, turns = recorded.rows("/robot/hand", "Transform3D:quaternion")
    assert len(times) == pytest.approx((SECONDS + 0.5) * 50, abs=2), "50 Hz of 100"
    positions = {"joint_0": angle(times), "joint_1": angle(times + 0.4)}
    poses = parse_urdf(URDF).link_poses(positions)["hand"]
    assert np.array(places)[:, 0] == pytest.approx(poses[:, :3, 3], abs=1e-6)
    alike = np.abs((np.array(turns)[:, 0] * quaternions(poses)).sum(axis=1))
    assert alike == pytest.approx(1, abs=1e-6)
    assert recorded.rows("/robot/base", "Transform3D:translation")[1] == [[[0, 0, 0]]]
    assert recorded.rows("/robot/base/visual\\ 0", "Boxes3D:half_sizes")[1] == [
        [pytest.approx([0.1, 0.1, 0.05])]
    ]
    assert any("meshes not found (package://nowhere" in n for n in recorded.viewed.notes)
