"""Robot descriptions: parsing, errors and forward kinematics."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.messages.urdf import Shape, joint_limits, parse_urdf, quaternions
from robot_recorder.model.errors import DecodeError

ARM = """<?xml version="1.0"?>
<robot name="arm">
  <material name="red"><color rgba="1 0 0 1"/></material>
  <link name="tip"><visual><geometry><sphere radius="0.05"/></geometry></visual></link>
  <link name="base">
    <visual><origin xyz="0 0 0.1" rpy="0 0 1.5708"/><geometry><box size="0.1 0.2 0.3"/></geometry>
      <material name="red"/></visual>
    <visual><geometry><mesh filename="package://arm/base.stl" scale="0.001 0.001 0.001"/></geometry></visual>
    <visual><geometry><heightmap/></geometry></visual>
    <collision><geometry><box size="9 9 9"/></geometry></collision>
  </link>
  <link name="upper"><visual><geometry><cylinder radius="0.02" length="0.4"/></geometry>
    <material name="own"><color rgba="0 1 0 0.5"/></material></visual></link>
  <link name="slide"/>
  <link name="finger"/>
  <joint name="tip_fixed" type="fixed"><parent link="slide"/><child link="tip"/><origin xyz="0 0 0.1"/></joint>
  <joint name="slide_joint" type="prismatic"><parent link="upper"/><child link="slide"/>
    <origin xyz="0.4 0 0"/><axis xyz="2 0 0"/><limit lower="0" upper="0.3"/></joint>
  <joint name="shoulder" type="revolute"><parent link="base"/><child link="upper"/>
    <origin xyz="0 0 0.5"/><axis xyz="0 0 1"/><limit lower="-1" upper="1.5"/></joint>
  <joint name="finger_joint" type="prismatic"><parent link="slide"/><child link="finger"/>
    <axis xyz="0 1 0"/><mimic joint="slide_joint" multiplier="-0.5" offset="0.02"/></joint>
</robot>"""


def test_shapes_and_limits_are_read() -> None:
    robot = parse_urdf(ARM)
    assert robot.name == "arm" and robot.roots == ("base",)
    box, mesh = robot.links["base"]
    assert box.shape is Shape.BOX and box.size == (0.1, 0.2, 0.3) and box.colour == (1, 0, 0, 1)
    assert box.pose[:3, 3] == pytest.approx([0, 0, 0.1])
    assert box.pose[:3, 0] == pytest.approx([0, 1, 0], abs=1e-4)
    assert mesh.mesh == "package://arm/base.stl" and mesh.size == (0.001, 0.001, 0.001)
    (rod,) = robot.links["upper"]
    assert rod.shape is Shape.CYLINDER and rod.size == (0.02, 0.4) and rod.colour == (0, 1, 0, 0.5)
    assert robot.links["tip"][0].size == (0.05,) and robot.links["tip"][0].colour is None
    assert joint_limits(ARM) == {"slide_joint": (0, 0.3), "shoulder": (-1, 1.5)}


def test_joints_move_their_child_links() -> None:
    robot = parse_urdf(ARM)
    turns, slides = np.array([0.0, math.pi / 2]), np.array([0.0, 0.1])
    poses = robot.link_poses({"shoulder": turns, "slide_joint": slides})
    assert poses["base"][1] == pytest.approx(np.eye(4))
    assert poses["tip"][0][:3, 3] == pytest.approx([0.4, 0, 0.6])
    assert poses["tip"][1][:3, 3] == pytest.approx([0, 0.5, 0.6])
    assert poses["finger"][1][:3, 3] == pytest.approx([0.03, 0.5, 0.5]), "mimics: -0.5 x 0.1 + 0.02"
    assert robot.link_poses({})["tip"].shape == (1, 4, 4), "missing joints stay at 0"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cannot be read"),
        ("<sdf/>", "not the <robot>"),
        (ARM.replace('<link name="slide"/>', ""), "link 'slide', which is missing"),
        (ARM.replace('<parent link="base"/>', '<parent link="tip"/>'), "loop"),
        (
            ARM.replace('<child link="finger"/>', '<child link="tip"/>'),
            "several joints with the child",
        ),
        (ARM.replace('xyz="0 0 0.5"', 'xyz="0 0"'), "not three numbers"),
        (ARM.replace('radius="0.05"', ""), "cannot be read"),
    ],
)
def test_invalid_descriptions_are_rejected_with_a_reason(text: str, words: str) -> None:
    with pytest.raises(DecodeError, match=words):
        parse_urdf(text)


@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1))
def test_quaternions_rotate_like_their_matrix(parts: list[float]) -> None:
    x, y, z, w = np.array(parts) / np.linalg.norm(parts)
    pose = np.eye(4)[None]
    pose[0, :3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    (found,) = quaternions(pose)
    assert abs(found @ [x, y, z, w]) == pytest.approx(1, abs=1e-12), "both signs are correct"


def test_link_poses_agree_with_the_physics_engine(model_cache: Path) -> None:
    mujoco = pytest.importorskip("mujoco")
    from robot_recorder.sim.description import robot_description
    from robot_recorder.sim.model import JOINT_NAMES, build_model

    model = build_model(model_cache)
    robot = parse_urdf(robot_description(model))
    rng = np.random.default_rng(0)
    ranges = np.array([model.joint(name).range for name in JOINT_NAMES])
    angles = rng.uniform(ranges[:, 0], ranges[:, 1], (20, len(JOINT_NAMES)))
    poses = robot.link_poses(dict(zip(JOINT_NAMES, angles.T)))
    data = mujoco.MjData(model)
    bodies = {model.body(i).name for i in range(model.nbody)} & set(robot.links)
    assert len(bodies) > len(JOINT_NAMES)
    for row, pose in enumerate(angles):
        for name, angle in zip(JOINT_NAMES, pose):
            data.joint(name).qpos = angle
        mujoco.mj_kinematics(model, data)
        root = data.body("pelvis").xmat.reshape(3, 3)
        for body in bodies:
            place = root.T @ (data.body(body).xpos - data.body("pelvis").xpos)
            turn = root.T @ data.body(body).xmat.reshape(3, 3)
            assert poses[body][row, :3, 3] == pytest.approx(place, abs=1e-4), body
            assert np.abs(poses[body][row, :3, :3] - turn).max() < 1e-4, body
