"""Shows an operator in 3D beside the robot: head and hands with their axes, a body as a figure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import rerun as rr

from robot_recorder.content.contents import Contents, Numbers
from robot_recorder.content.thinning import at_most
from robot_recorder.messages.skeleton import Body, beside, bodies, bones, is_head, is_operators
from robot_recorder.messages.urdf import RobotModel
from robot_recorder.model.arrays import Floats
from robot_recorder.view.log import RerunLog, entity
from robot_recorder.view.robot import RATE_HZ
from robot_recorder.view.robot import ROOT as ROBOT

ROOT = "operator"
_DEVICE_COLOUR, _BODY_COLOUR = (255, 115, 185), (80, 190, 220)
_AXIS_COLOURS = ((240, 80, 70), (90, 205, 100), (85, 145, 255))
_HEAD_M, _HAND_M, _JOINT_M = 0.10, 0.035, 0.02  # radii
_SUIT_HEAD_M = 0.085  # inside that of a headset
_BONE_M, _AXIS_M, _AXIS_RADIUS_M = 0.011, 0.13, 0.006


def has_operator(contents: Contents) -> bool:
    """Return whether an episode has poses that an operator gives."""
    return any(is_operators(t.sort, t.role) and not t.unreadable for t in contents.topics)


class OperatorLog:
    """The log of an operator's poses, on the robot where their frame is a link, else beside it."""

    def __init__(self, log: RerunLog, model: RobotModel, frame_ids: Mapping[str, str]) -> None:
        """Log to a recording.

        Args:
            log: the recording.
            model: the robot.
            frame_ids: frames by topic.
        """
        self._log = log
        self._links = {topic: f for topic, f in frame_ids.items() if f in model.links}
        self._place = beside(model)
        self._begun: set[tuple[str, tuple[str, ...]]] = set()

    def add(self, numbers: Numbers) -> None:
        """Log the next samples of a stream; others than an operator's are ignored."""
        topic = numbers.topic
        found = bodies(numbers.names) if is_operators(topic.sort, topic.role) else []
        if not found:
            return
        link = self._links.get(topic.name)
        path = entity(ROBOT, link, topic.stream) if link else entity(ROOT, topic.stream)
        if not self._begun:
            self._log.once(ROOT, rr.Transform3D(translation=self._place))
        few = at_most(numbers.times_s, RATE_HZ)
        times_s, values = numbers.times_s[few], numbers.values[few]
        key = topic.name, numbers.names
        fresh = key not in self._begun
        self._begun.add(key)
        # Names of the whole streams would cover each other.
        name = topic.name.rpartition("/")[2]
        if found[0].name:
            self._figure(path, name, found, times_s, values, fresh)
        else:
            self._single(path, name, found[0], times_s, values, fresh)

    def _single(
        self, path: str, name: str, body: Body, times_s: Floats, values: Floats, fresh: bool
    ) -> None:
        """Log a head or a hand."""
        if fresh:
            radius = _HEAD_M if is_head(name) else _HAND_M
            ball = rr.Points3D(
                [[0.0, 0.0, 0.0]], radii=radius, colors=[_DEVICE_COLOUR], labels=[name],
                show_labels=True,
            )  # fmt: skip
            axes = rr.Arrows3D(
                vectors=np.eye(3) * _AXIS_M, colors=_AXIS_COLOURS, radii=_AXIS_RADIUS_M
            )
            self._log.once(path, ball)
            self._log.once(f"{path}/axes", axes)
        places = np.ascontiguousarray(values[:, list(body.position)])
        turns = np.tile([0.0, 0.0, 0.0, 1.0], (len(places), 1))
        if body.orientation:
            turns = np.ascontiguousarray(values[:, list(body.orientation)])
        columns = rr.Transform3D.columns(translation=places, quaternion=turns)
        self._log.send(path, times_s, columns)

    def _figure(
        self,
        path: str,
        name: str,
        found: list[Body],
        times_s: Floats,
        values: Floats,
        fresh: bool,
    ) -> None:
        """Log bones and joints of a body."""
        names = [body.name for body in found]
        pairs = np.array(bones(names), dtype=np.int64).reshape(-1, 2)
        if fresh:
            radii = [_SUIT_HEAD_M if is_head(body) else _JOINT_M for body in names]
            self._log.once(
                f"{path}/joints", rr.Points3D.from_fields(radii=radii, colors=[_BODY_COLOUR])
            )
            style = rr.LineStrips3D.from_fields(radii=[_BONE_M], colors=[_BODY_COLOUR])
            self._log.once(f"{path}/bones", style)
            label = rr.Points3D.from_fields(
                radii=[0.0], colors=[_BODY_COLOUR], labels=[name], show_labels=True
            )
            self._log.once(f"{path}/name", label)
        columns = [list(body.position) for body in found]
        places = values[:, columns]  # [samples, bodies, 3]
        first = rr.Points3D.columns(positions=np.ascontiguousarray(places[:, 0]))
        self._log.send(f"{path}/name", times_s, first)
        joints = rr.Points3D.columns(positions=places.reshape(-1, 3))
        self._log.send(f"{path}/joints", times_s, joints.partition([len(found)] * len(places)))
        if len(pairs):
            strips = places[:, pairs].reshape(-1, 2, 3)
            lines = rr.LineStrips3D.columns(strips=list(strips))
            self._log.send(f"{path}/bones", times_s, lines.partition([len(pairs)] * len(places)))
