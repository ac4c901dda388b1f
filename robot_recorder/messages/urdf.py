"""Read robot descriptions (URDF): links, their shapes, joints, and forward kinematics.

Source of the format: http://wiki.ros.org/urdf/XML. Extensions (Gazebo, ros2_control, transmissions)
are ignored. Joints with more than one degree of freedom (floating, planar) stay at their origin.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from xml.etree import ElementTree

import numpy as np

from robot_recorder.model.arrays import Floats
from robot_recorder.model.errors import DecodeError

Colour = tuple[float, float, float, float]
_MOST_TEXT = 20_000_000
_LIMITED = ("revolute", "prismatic")  # continuous joints have no limits
_TURNING = ("revolute", "continuous")


class Shape(str, Enum):
    """Shape of a body."""

    BOX = "box"
    CYLINDER = "cylinder"
    SPHERE = "sphere"
    MESH = "mesh"


@dataclass(frozen=True)
class Visual:
    """One body of a link.

    Attributes:
        shape: its shape.
        size: box: x, y, z, m; cylinder: radius and length along z, m; sphere: radius, m; mesh:
            scale along x, y, z.
        pose: float64[4, 4], in the link's frame, m.
        colour: red, green, blue, alpha, 0 to 1; None: not given.
        mesh: location of the file: ``package://...``, ``file://...`` or a path.
    """

    shape: Shape
    size: tuple[float, ...]
    pose: Floats
    colour: Colour | None = None
    mesh: str = ""


@dataclass(frozen=True)
class Joint:
    """A joint between two links.

    Attributes:
        name: its name.
        kind: its type in the description: revolute, fixed, ...
        parent: name of the parent link.
        child: name of the child link.
        origin: float64[4, 4], the child's frame in the parent's at position 0, m.
        axis: float64[3], unit length, in the child's frame.
        follows: mimic joint: name of the followed joint, multiplier, and offset (rad or m).
    """

    name: str
    kind: str
    parent: str
    child: str
    origin: Floats
    axis: Floats
    follows: tuple[str, float, float] | None = None

    def motion(self, positions: Floats) -> Floats:
        """Return the child's motion for joint positions, float64[n, 4, 4].

        Args:
            positions: float64[n], rad or m.
        """
        moved = np.tile(np.eye(4), (len(positions), 1, 1))
        if self.kind == "prismatic":
            moved[:, :3, 3] = positions[:, None] * self.axis
        elif self.kind in _TURNING:
            x, y, z = self.axis
            cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
            sine, cosine = np.sin(positions)[:, None, None], np.cos(positions)[:, None, None]
            moved[:, :3, :3] += sine * cross + (1 - cosine) * (cross @ cross)  # Rodrigues' formula
        return moved


@dataclass(frozen=True)
class RobotModel:
    """A parsed description.

    Attributes:
        name: name of the robot.
        links: bodies of each link, by name.
        joints: joints, parents before children.
    """

    name: str
    links: dict[str, tuple[Visual, ...]]
    joints: tuple[Joint, ...]

    @property
    def roots(self) -> tuple[str, ...]:
        """Return the links without a parent; a valid robot has one."""
        held = {joint.child for joint in self.joints}
        return tuple(link for link in self.links if link not in held)

    def link_poses(self, positions: Mapping[str, Floats]) -> dict[str, Floats]:
        """Return the poses of the links by forward kinematics.

        Args:
            positions: float64[n] by joint, rad or m; missing joints stay at 0.

        Returns:
            float64[n, 4, 4] by link, in the root's frame, m; n is 1 without positions.
        """
        count = len(next(iter(positions.values()), [0.0]))
        poses = dict.fromkeys(self.roots, np.tile(np.eye(4), (count, 1, 1)))
        for joint in self.joints:
            source, times, more = joint.follows or (joint.name, 1.0, 0.0)
            at = positions.get(source)
            at = np.zeros(count) if at is None else np.asarray(at, dtype=np.float64)
            moved = joint.motion(times * at + more)
            poses[joint.child] = poses[joint.parent] @ (joint.origin @ moved)
        return poses


def parse_urdf(description: str) -> RobotModel:
    """Parse a robot description.

    Raises:
        DecodeError: it is not valid URDF, or its joints do not form trees.
    """
    try:
        robot = _parsed(description)
        if robot.tag != "robot":
            raise DecodeError(
                f"the robot description is a <{robot.tag}>, not the <robot> of a URDF"
            )
        colours = {m.get("name", ""): _colour(m) for m in robot.iterfind("material")}
        links = {
            link.get("name", ""): tuple(_visuals(link, colours)) for link in robot.iterfind("link")
        }
        joints = [_joint(joint) for joint in robot.iterfind("joint")]
    except (ElementTree.ParseError, ValueError) as error:
        raise DecodeError(f"the robot description cannot be read: {error}") from error
    if not links:
        raise DecodeError("the robot description has no links")
    return RobotModel(robot.get("name", ""), links, _parents_first(links, joints))


def quaternions(poses: Floats) -> Floats:
    """Return unit quaternions (x, y, z, w), float64[n, 4], of the rotations in float64[n, 4, 4].

    Source: S. W. Shepperd, Quaternion from rotation matrix, 1978: it computes the largest of the
    four parts first, which avoids divisions by values near 0.
    """
    r = poses[:, :3, :3]
    diagonal = r[:, (0, 1, 2), (0, 1, 2)]
    trace = diagonal.sum(axis=1, keepdims=True)
    squares = np.concatenate(
        (1 + 2 * diagonal - trace, 1 + trace), axis=1
    )  # four times x x, y y, z z, w w
    sums = [r[:, i, j] + r[:, j, i] for i, j in ((0, 1), (0, 2), (1, 2))]
    turns = [r[:, j, i] - r[:, i, j] for i, j in ((1, 2), (2, 0), (0, 1))]
    products = np.empty((len(r), 4, 4))  # four times each part by each part
    products[:, range(4), range(4)] = squares
    for (i, j), value in zip(((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)), sums + turns):
        products[:, i, j] = products[:, j, i] = value
    rows = products[np.arange(len(r)), squares.argmax(axis=1)]
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def joint_limits(description: str) -> dict[str, tuple[float, float]]:
    """Return lowest and highest position by joint, rad or m; empty: the URDF cannot be read."""
    try:
        robot = _parsed(description)
    except ElementTree.ParseError:
        return {}
    found = {}
    for joint in robot.iter("joint"):
        limit = joint.find("limit")
        if limit is None or joint.get("type") not in _LIMITED:
            continue
        try:
            low, high = float(limit.get("lower", 0)), float(limit.get("upper", 0))
        except ValueError:
            continue
        if high > low:
            found[joint.get("name", "")] = (low, high)
    return found


def _parents_first(links: Mapping[str, object], joints: list[Joint]) -> tuple[Joint, ...]:
    for joint in joints:
        for link in (joint.parent, joint.child):
            if link not in links:
                raise DecodeError(
                    f"the robot description has joint '{joint.name}' at link '{link}', which is missing"
                )
    held = [joint.child for joint in joints]
    twice = next((child for child in held if held.count(child) > 1), None)
    if twice is not None:
        raise DecodeError(f"the robot description has several joints with the child link '{twice}'")
    ordered: list[Joint] = []
    known = set(links) - set(held)
    left = joints
    while left:
        ready = [joint for joint in left if joint.parent in known]
        if not ready:
            raise DecodeError(
                f"the robot description's joint '{left[0].name}' is part of a loop, or below one"
            )
        known |= {joint.child for joint in ready}
        ordered += ready
        left = [joint for joint in left if joint.child not in known]
    return tuple(ordered)


def _parsed(description: str) -> ElementTree.Element:
    """Parse the XML of a description.

    Raises:
        ElementTree.ParseError: it is not XML, too long, or defines entities.
    """
    text = description.strip()
    if len(text) > _MOST_TEXT:
        raise ElementTree.ParseError(f"it is longer than {_MOST_TEXT:,} characters")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:  # entities can expand to gigabytes
        raise ElementTree.ParseError("it defines entities")
    return ElementTree.fromstring(text)


def _joint(element: ElementTree.Element) -> Joint:
    axis = _numbers(_attribute(element, "axis", "xyz"), (1.0, 0.0, 0.0))
    length = float(np.linalg.norm(axis))
    mimic = element.find("mimic")
    follows = None
    if mimic is not None:
        times, more = float(mimic.get("multiplier", 1)), float(mimic.get("offset", 0))
        follows = (mimic.get("joint", ""), times, more)
    return Joint(
        element.get("name", ""),
        element.get("type", ""),
        _attribute(element, "parent", "link"),
        _attribute(element, "child", "link"),
        _pose(element),
        np.array(axis) / (length or 1.0),
        follows,
    )


def _visuals(link: ElementTree.Element, colours: Mapping[str, Colour | None]) -> Iterator[Visual]:
    for element in link.iterfind("visual"):
        body = element.find("geometry/*")
        if body is None or body.tag not in set(Shape):
            continue
        shape = Shape(body.tag)
        mesh, size = "", (1.0, 1.0, 1.0)
        if shape is Shape.MESH:
            mesh, size = body.get("filename", ""), _numbers(body.get("scale", ""), size)
        elif shape is Shape.BOX:
            size = _numbers(body.get("size", ""), size)
        else:
            names = ("radius", "length") if shape is Shape.CYLINDER else ("radius",)
            size = tuple(float(body.get(name, "")) for name in names)  # type: ignore[assignment]
        material = element.find("material")
        colour = None
        if material is not None:
            colour = _colour(material) or colours.get(material.get("name", ""))
        yield Visual(shape, size, _pose(element), colour, mesh)


def _colour(material: ElementTree.Element) -> Colour | None:
    values = _attribute(material, "color", "rgba").split()
    if len(values) != 4:
        return None
    red, green, blue, alpha = (float(value) for value in values)
    return red, green, blue, alpha


def _pose(element: ElementTree.Element) -> Floats:
    """Return the pose of an element's origin, float64[4, 4]; rpy: rotations about fixed axes."""
    pose = np.eye(4)
    pose[:3, 3] = _numbers(_attribute(element, "origin", "xyz"), (0.0, 0.0, 0.0))
    roll, pitch, yaw = _numbers(_attribute(element, "origin", "rpy"), (0.0, 0.0, 0.0))
    (sr, cr), (sp, cp), (sy, cy) = ((np.sin(a), np.cos(a)) for a in (roll, pitch, yaw))
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    pose[:3, :3] = about_z @ about_y @ about_x
    return pose


def _attribute(element: ElementTree.Element, child: str, name: str) -> str:
    found = element.find(child)
    return "" if found is None else found.get(name, "")


def _numbers(text: str, default: tuple[float, float, float]) -> tuple[float, float, float]:
    """Parse three numbers; empty text gives the default.

    Raises:
        ValueError: it is not three numbers.
    """
    if not text.strip():
        return default
    values = tuple(float(value) for value in text.split())
    if len(values) != 3:
        raise ValueError(f"'{text}' is not three numbers")
    return values
