"""Shows the robot in 3D, moved by its joint states: bodies of its description, or its bones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import rerun as rr

from robot_recorder.content.contents import Numbers, Topic
from robot_recorder.content.thinning import at_most
from robot_recorder.messages.kinds import Sort
from robot_recorder.messages.urdf import RobotModel, Shape, Visual, quaternions
from robot_recorder.model.arrays import Floats
from robot_recorder.model.streams import Role
from robot_recorder.model.value_names import joint_of
from robot_recorder.view.log import RerunLog, entity

ROOT = "robot"
RATE_HZ = 50.0
_COLOUR = (165, 170, 180)  # of bodies without a colour
_BONE_COLOUR, _BONE_M, _NODE_M = (120, 170, 220), 0.008, 0.014


class RobotLog:
    """The log of every link's pose, in the frame of the description's root."""

    def __init__(
        self, log: RerunLog, model: RobotModel, find: Callable[[str], Path | None]
    ) -> None:
        """Log the links that do not move, and what all links look like.

        Args:
            log: the recording.
            model: the robot.
            find: returns the file of a mesh; None: not found.
        """
        self._log = log
        self._model = model
        self._positions: dict[str, float] = {}
        self.missing_meshes: list[str] = []
        log.once(ROOT, rr.ViewCoordinates.RIGHT_HAND_Z_UP)
        still = _still_links(model)
        self._moving = [link for link in model.links if link not in still]
        for link, pose in model.link_poses({}).items():
            if link in still:
                log.once(link_entity(link), _transform(pose[0]))
        if any(model.links.values()):
            self._bodies(find)
        else:
            self._bones()

    def add(self, parts: Iterable[Numbers]) -> None:
        """Log the next seconds of all joint states that move the robot."""
        parts = [p for p in parts if len(p.times_s)]
        if not parts:
            return
        most = max(parts, key=lambda p: len(p.names))
        times_s = most.times_s[at_most(most.times_s, RATE_HZ)]
        count = len(times_s)
        positions = {joint: np.full(count, at) for joint, at in self._positions.items()}
        for part in parts:
            for number, name in enumerate(part.names):
                if name.startswith("position/"):
                    joint = joint_of(name)
                    values = part.values[:, number]
                    positions[joint] = np.interp(times_s, part.times_s, values)
                    self._positions[joint] = float(values[-1])
        poses = self._model.link_poses(positions)
        for link in self._moving:
            pose = poses[link]
            columns = rr.Transform3D.columns(
                translation=pose[:, :3, 3], quaternion=quaternions(pose)
            )
            self._log.send(link_entity(link), times_s, columns)

    def _bodies(self, find: Callable[[str], Path | None]) -> None:
        for link, visuals in self._model.links.items():
            for number, visual in enumerate(visuals):
                path = entity(ROOT, link, f"visual {number}")
                body = self._body(visual, find)
                if body is not None:
                    self._log.once(path, _transform(visual.pose, visual), body)

    def _body(self, visual: Visual, find: Callable[[str], Path | None]) -> rr.AsComponents | None:
        colour = _bytes(visual.colour) if visual.colour else _COLOUR
        solid = rr.components.FillMode.Solid
        if visual.shape is Shape.BOX:
            return rr.Boxes3D(sizes=[visual.size], colors=[colour], fill_mode=solid)
        if visual.shape is Shape.SPHERE:
            half = [visual.size[0]] * 3
            return rr.Ellipsoids3D(half_sizes=[half], colors=[colour], fill_mode=solid)
        if visual.shape is Shape.CYLINDER:
            radius, length = visual.size
            return rr.Cylinders3D(
                radii=[radius], lengths=[length], colors=[colour], fill_mode=solid
            )
        file = find(visual.mesh)
        if file is None:
            self.missing_meshes.append(visual.mesh)
            return None
        return rr.Asset3D(path=file, albedo_factor=colour if visual.colour else None)

    def _bones(self) -> None:
        """Log lines from each joint to the next ones, for links without bodies."""
        for link in self._model.links:
            ends = [j.origin[:3, 3] for j in self._model.joints if j.parent == link]
            bones = [[[0.0, 0.0, 0.0], end.tolist()] for end in ends]
            path = entity(ROOT, link, "bones")
            self._log.once(path, rr.LineStrips3D(bones, colors=[_BONE_COLOUR], radii=_BONE_M))
            node = rr.Points3D([[0.0, 0.0, 0.0]], colors=[_BONE_COLOUR], radii=_NODE_M)
            self._log.once(entity(ROOT, link, "joint"), node)


def link_entity(link: str) -> str:
    """Return the entity path of a link's pose."""
    return entity(ROOT, link)


def driving(topics: Iterable[Topic]) -> list[Topic]:
    """Return the joint states that move the robot: observed ones, or else commands."""
    topics = list(topics)
    joints = [t for t in topics if t.sort is Sort.JOINTS]
    joints = [t for t in joints if t.role is not Role.ACTION] or joints
    # If the bag has several robots, take the one that the description belongs to.
    described = [t.name for t in topics if t.name.endswith("robot_description")]
    own = described[0].removesuffix("robot_description") if described else "/"
    return [t for t in joints if t.name.startswith(own)] or joints


def _still_links(model: RobotModel) -> set[str]:
    """Return the links that no joint moves."""
    still = set(model.roots)
    for joint in model.joints:
        if joint.parent in still and joint.kind not in ("revolute", "continuous", "prismatic"):
            still.add(joint.child)
    return still


def _transform(pose: Floats, visual: Visual | None = None) -> rr.Transform3D:
    scale = visual.size if visual is not None and visual.shape is Shape.MESH else (1.0, 1.0, 1.0)
    return rr.Transform3D(translation=pose[:3, 3], mat3x3=pose[:3, :3] * np.array(scale))


def _bytes(colour: Iterable[float]) -> tuple[int, ...]:
    return tuple(round(255 * min(max(part, 0.0), 1.0)) for part in colour)
