"""Generates the simulated robot's URDF from its model: links, joints, visuals, sensor frames.

It refers to no files, so that a bag alone shows the whole robot on any machine.
Source of the format: http://wiki.ros.org/urdf/XML.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from xml.etree import ElementTree

import mujoco
import numpy as np

from robot_recorder.model.arrays import Floats
from robot_recorder.sim.cameras import CAMERAS
from robot_recorder.sim.model import SIDES
from robot_recorder.sim.visuals import Primitive, primitives

_FASTEST_RAD_S = 20.0
_ROOT = "pelvis"
_Rgba = tuple[float, float, float, float]


def robot_description(model: mujoco.MjModel) -> str:
    """Return the URDF of the robot without its surroundings and without meshes, in m and rad."""
    robot = ElementTree.Element("robot", name="g1_sim")
    root = model.body(_ROOT).id
    bodies = [body for body in range(model.nbody) if _belongs(model, body, root)]
    looks = {body: primitives(model, body) for body in bodies}
    materials = _add_materials(robot, [p for each in looks.values() for p in each])
    for body in bodies:
        link = ElementTree.SubElement(robot, "link", name=model.body(body).name)
        for look in looks[body]:
            _add_visual(link, look, materials[look.rgba])
        if body != root:
            _add_joint(robot, model, body)
    for name, parent, place, turn in _sensor_frames(model):
        ElementTree.SubElement(robot, "link", name=name)
        joint = ElementTree.SubElement(robot, "joint", name=f"{name}_fixed", type="fixed")
        ElementTree.SubElement(joint, "parent", link=parent)
        ElementTree.SubElement(joint, "child", link=name)
        _add_origin(joint, place, turn)
    ElementTree.indent(robot, space="")
    return ElementTree.tostring(robot, encoding="unicode")


def _belongs(model: mujoco.MjModel, body: int, root: int) -> bool:
    while body not in (0, root):
        body = int(model.body_parentid[body])
    return body == root


def _add_materials(robot: ElementTree.Element, looks: list[Primitive]) -> dict[_Rgba, str]:
    """Define every colour once, and return the names."""
    names: dict[_Rgba, str] = {}
    for look in looks:
        if look.rgba not in names:
            names[look.rgba] = f"colour_{len(names)}"
            material = ElementTree.SubElement(robot, "material", name=names[look.rgba])
            ElementTree.SubElement(material, "color", rgba=_numbers(look.rgba))
    return names


def _add_visual(link: ElementTree.Element, look: Primitive, material: str) -> None:
    visual = ElementTree.SubElement(link, "visual")
    _add_origin(visual, look.centre, look.turn)
    geometry = ElementTree.SubElement(visual, "geometry")
    if look.shape == "box":
        ElementTree.SubElement(geometry, "box", size=_numbers(look.size))
    else:
        names = ("radius", "length")[: len(look.size)]
        sizes = {name: _numbers([size]) for name, size in zip(names, look.size)}
        ElementTree.SubElement(geometry, look.shape, sizes)
    ElementTree.SubElement(visual, "material", name=material)


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
    _add_origin(element, model.body_pos[body], _matrix(model.body_quat[body]), digits=6)
    if moves:
        low, high = model.jnt_range[joint]
        effort = max(abs(x) for x in model.jnt_actfrcrange[joint])
        ElementTree.SubElement(element, "axis", xyz=_numbers(model.jnt_axis[joint]))
        ElementTree.SubElement(
            element, "limit", lower=f"{low:.6g}", upper=f"{high:.6g}", effort=f"{effort:.6g}",
            velocity=f"{_FASTEST_RAD_S:g}",
        )  # fmt: skip


def _sensor_frames(model: mujoco.MjModel) -> Iterator[tuple[str, str, Floats, Floats]]:
    """Yield name, parent link, position (m) and axes of each frame that messages name."""
    for side, inward in zip(SIDES, (-1.0, 1.0)):
        wrist = f"{side}_wrist_yaw_link"
        yield f"{side}_wrist_ft", wrist, *_site(model, f"{side}_wrist_ft")
        # x towards the fingertips, z out of the palm: along the wrist's y, or opposite to it.
        place, _ = _site(model, f"{side}_palm")
        yield f"{side}_palm", wrist, place, np.array([[1, 0, 0], [0, 0, inward], [0, -inward, 0]])
    yield "imu_in_torso", "torso_link", *_site(model, "imu_in_torso")
    for name, camera in CAMERAS.items():
        right, up = camera.axes().reshape(2, 3)
        # Optical frames of REP 103: x right, y down, z forward.
        axes = np.column_stack((right, -up, np.cross(up, right)))
        yield f"{name}_optical_frame", camera.body, np.array(camera.position_m), axes


def _site(model: mujoco.MjModel, name: str) -> tuple[Floats, Floats]:
    site = model.site(name).id
    return model.site_pos[site], _matrix(model.site_quat[site])


def _add_origin(element: ElementTree.Element, place: Floats, turn: Floats, digits: int = 4) -> None:
    angles = _numbers(_rpy(turn), digits)
    origin = {"xyz": _numbers(place, digits)}
    if angles != "0 0 0":
        origin["rpy"] = angles
    ElementTree.SubElement(element, "origin", origin)


def _numbers(values: Floats | tuple[float, ...] | list[float], digits: int = 4) -> str:
    return " ".join(f"{round(float(value), digits) + 0.0:.{digits + 2}g}" for value in values)


def _matrix(quaternion: Floats) -> Floats:
    """Return float64[3, 3] for a unit quaternion (w, x, y, z)."""
    turn = np.empty(9)
    mujoco.mju_quat2Mat(turn, quaternion)
    return turn.reshape(3, 3)


def _rpy(turn: Floats) -> Floats:
    """Return roll, pitch and yaw of a rotation matrix about fixed axes, rad."""
    level = math.hypot(turn[0, 0], turn[1, 0])
    pitch = math.atan2(-turn[2, 0], level)
    if level < 1e-9:  # gimbal lock: roll and yaw have the same axis
        return np.array([math.atan2(-turn[1, 2], turn[1, 1]), pitch, 0.0])
    return np.array([math.atan2(turn[2, 1], turn[2, 2]), pitch, math.atan2(turn[1, 0], turn[0, 0])])
