"""The simulated robot's description as URDF: its links, joints and their limits, from the compiled model.

Source of the format: http://wiki.ros.org/urdf/XML.
"""

from __future__ import annotations

import math
from xml.etree import ElementTree

import mujoco
import numpy as np

_FASTEST_RAD_S = 20.0
_ROOT = "pelvis"


def robot_description(model: mujoco.MjModel) -> str:
    """URDF of the robot alone, without meshes. Lengths in m, angles in rad."""
    robot = ElementTree.Element("robot", name="g1_sim")
    root = model.body(_ROOT).id
    for body in range(model.nbody):
        if not _belongs(model, body, root):
            continue
        ElementTree.SubElement(robot, "link", name=model.body(body).name)
        if body != root:
            _add_joint(robot, model, body)
    ElementTree.indent(robot)
    return ElementTree.tostring(robot, encoding="unicode")


def _belongs(model: mujoco.MjModel, body: int, root: int) -> bool:
    while body not in (0, root):
        body = int(model.body_parentid[body])
    return body == root


def _add_joint(robot: ElementTree.Element, model: mujoco.MjModel, body: int) -> None:
    name, count = model.body(body).name, int(model.body_jntnum[body])
    moves = count == 1
    joint = int(model.body_jntadr[body])
    element = ElementTree.SubElement(
        robot,
        "joint",
        name=model.joint(joint).name if moves else f"{name}_fixed",
        type="revolute" if moves else "fixed",
    )
    parent = model.body(int(model.body_parentid[body])).name
    ElementTree.SubElement(element, "parent", link=parent)
    ElementTree.SubElement(element, "child", link=name)
    ElementTree.SubElement(
        element,
        "origin",
        xyz=_numbers(model.body_pos[body]),
        rpy=_numbers(_rpy(model.body_quat[body])),
    )
    if moves:
        low, high = model.jnt_range[joint]
        effort = max(abs(x) for x in model.jnt_actfrcrange[joint])
        ElementTree.SubElement(element, "axis", xyz=_numbers(model.jnt_axis[joint]))
        ElementTree.SubElement(
            element, "limit", lower=f"{low:.6g}", upper=f"{high:.6g}", effort=f"{effort:.6g}",
            velocity=f"{_FASTEST_RAD_S:g}",
        )  # fmt: skip


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:.6g}" for value in values)


def _rpy(quaternion: np.ndarray) -> np.ndarray:
    """Roll, pitch, yaw of a unit quaternion (w, x, y, z)."""
    w, x, y, z = quaternion
    roll = math.atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    pitch = math.asin(max(-1.0, min(1.0, 2 * (w * y - z * x))))
    yaw = math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    return np.array([roll, pitch, yaw])
