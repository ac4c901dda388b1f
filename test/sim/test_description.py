"""The simulated robot's description says what the model is."""

from __future__ import annotations

import numpy as np
import pytest

mujoco = pytest.importorskip("mujoco")

from xml.etree import ElementTree

from robot_recorder.core.quality.urdf import joint_limits
from robot_recorder.sim.description import robot_description
from robot_recorder.sim.model import JOINT_NAMES


def _transform(element: ElementTree.Element) -> np.ndarray:
    """4x4 of a joint's origin: fixed axes, roll first."""
    origin = element.find("origin")
    assert origin is not None
    roll, pitch, yaw = (float(v) for v in origin.get("rpy", "").split())
    (cr, sr), (cp, sp), (cy, sy) = ((np.cos(a), np.sin(a)) for a in (roll, pitch, yaw))
    turn = (
        np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
        @ np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
        @ np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    )
    whole = np.eye(4)
    whole[:3, :3] = turn
    whole[:3, 3] = [float(v) for v in origin.get("xyz", "").split()]
    return whole


def test_it_has_every_joint_with_its_limits(model) -> None:
    limits = joint_limits(robot_description(model))
    assert set(JOINT_NAMES) <= set(limits)
    for name in JOINT_NAMES:
        assert limits[name] == pytest.approx(tuple(model.joint(name).range), abs=1e-4)


def test_its_links_stand_where_the_model_has_them(model) -> None:
    robot = ElementTree.fromstring(robot_description(model))
    parents = {j.find("child").get("link"): j for j in robot.iter("joint")}
    data = mujoco.MjData(model)
    data.qpos[:] = 0
    mujoco.mj_kinematics(model, data)
    root = np.eye(4)
    root[:3, :3] = data.body("pelvis").xmat.reshape(3, 3)
    root[:3, 3] = data.body("pelvis").xpos
    for link in ("head_link", "left_wrist_yaw_link", "right_ankle_roll_link"):
        if link not in parents:
            continue
        chain, at = np.eye(4), link
        while at != "pelvis":
            chain = _transform(parents[at]) @ chain
            at = parents[at].find("parent").get("link")
        found = (root @ chain)[:3, 3]
        assert found == pytest.approx(data.body(link).xpos, abs=1e-3), link
