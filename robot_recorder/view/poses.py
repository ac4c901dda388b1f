"""Shows streams of poses in 3D: every body with its axes, its name and the way it came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import rerun as rr

from robot_recorder.content.contents import Numbers, Topic
from robot_recorder.content.thinning import at_most
from robot_recorder.messages.kinds import Sort
from robot_recorder.messages.skeleton import Body, bodies
from robot_recorder.model.arrays import Floats
from robot_recorder.view.curves import PALETTE
from robot_recorder.view.log import RerunLog, stream_entity
from robot_recorder.view.robot import RATE_HZ

TRAIL_S = 2.0
_AXIS_M, _POINT_M, _TRAIL_M = 0.08, 0.012, 0.004  # lengths and radii
_TRANSFORMS = (
    "tf2_msgs/msg/TFMessage"  # each in the frame of another one: they have no common place
)


def posed_bodies(topic: Topic, names: Sequence[str]) -> list[Body]:
    """Return the bodies of a stream that have a place in a common frame, each with a name."""
    if topic.sort is not Sort.POSE or topic.type == _TRANSFORMS:
        return []
    return [replace(body, name=body.name or topic.stream) for body in bodies(names)]


def body_entity(stream: str, body: str) -> str:
    """Return the entity path of a body."""
    return stream_entity(stream, "bodies", body)


def trail_entity(stream: str, body: str) -> str:
    """Return the entity path of the way a body came."""
    return stream_entity(stream, "trails", body)


def by_frame(topics: Sequence[Topic], frames: Mapping[str, str]) -> dict[str, list[Topic]]:
    """Group streams of poses by the frame that their messages name.

    Args:
        topics: all topics.
        frames: by topic; those without a frame are alone.

    Returns:
        By the name of the view.
    """
    found: dict[str, list[Topic]] = {}
    for topic in topics:
        if topic.sort is Sort.POSE and topic.type != _TRANSFORMS and not topic.unreadable:
            frame = frames.get(topic.name, "")
            found.setdefault(f"Poses in {frame}" if frame else topic.stream, []).append(topic)
    return found


class PoseLog:
    """The log of bodies, one entity each."""

    def __init__(self, log: RerunLog) -> None:
        """Log to a recording."""
        self._log = log
        self._begun: set[tuple[str, str]] = set()

    def add(self, numbers: Numbers) -> None:
        """Log the next samples; of other streams than poses nothing."""
        found = posed_bodies(numbers.topic, numbers.names)
        if not found:
            return
        few = at_most(numbers.times_s, RATE_HZ)
        times_s, values = numbers.times_s[few], numbers.values[few]
        for number, body in enumerate(found):
            self._add(numbers.topic.stream, number, body, times_s, values)

    def _add(self, stream: str, number: int, body: Body, times_s: Floats, values: Floats) -> None:
        places = values[:, list(body.position)]
        there = np.isfinite(places).all(axis=1)  # a body out of sight has no place
        turns = np.tile([0.0, 0.0, 0.0, 1.0], (len(places), 1))
        if body.orientation:
            turns = values[:, list(body.orientation)]
            there &= np.isfinite(turns).all(axis=1) & (np.linalg.norm(turns, axis=1) > 0.5)
        if not there.any():
            return
        path, trail = body_entity(stream, body.name), trail_entity(stream, body.name)
        if (stream, body.name) not in self._begun:
            self._begun.add((stream, body.name))
            colour = PALETTE[number % len(PALETTE)]
            point = rr.Points3D([[0.0, 0.0, 0.0]], radii=_POINT_M, colors=[colour],
                                labels=[body.name], show_labels=True)  # fmt: skip
            self._log.once(path, point, rr.TransformAxes3D(_AXIS_M))
            self._log.once(trail, rr.Points3D.from_fields(radii=[_TRAIL_M], colors=[colour]))
        places, turns = np.ascontiguousarray(places[there]), np.ascontiguousarray(turns[there])
        moved = rr.Transform3D.columns(translation=places, quaternion=turns)
        self._log.send(path, times_s[there], moved)
        self._log.send(trail, times_s[there], rr.Points3D.columns(positions=places))
