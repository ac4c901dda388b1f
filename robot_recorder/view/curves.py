"""Logs numbers as curves: which values share a plot, and their colours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import rerun as rr

from robot_recorder.content.contents import Numbers, Topic
from robot_recorder.messages.kinds import Sort
from robot_recorder.model.arrays import Floats
from robot_recorder.model.streams import Role
from robot_recorder.model.value_names import group_values, joint_label, split_name
from robot_recorder.view.log import RerunLog, stream_entity

Colour = tuple[int, int, int]
MOVING, OTHERS = "moving", "others"
# Distinguishable on black, also for most colour-blind people.
PALETTE: tuple[Colour, ...] = (
    (86, 180, 233), (240, 150, 30), (0, 190, 140), (235, 110, 180),
    (240, 228, 66), (150, 130, 255), (255, 105, 90), (190, 190, 190),
)  # fmt: skip
_AXES: dict[str, Colour] = {
    "x": (235, 85, 75), "y": (80, 190, 90), "z": (80, 140, 250), "w": (190, 190, 190),
}  # fmt: skip
_WIDTH, _COMMAND_WIDTH = 1.5, 1.0
_PALE = 0.5  # share of white in the colours of commands and of every second wrench


@dataclass(frozen=True)
class Curves:
    """Values of one stream that are drawn in one plot.

    Attributes:
        parts: path below that of the stream.
        unit: empty: unknown.
        columns: indices of the values in the message.
        labels: one for each.
    """

    parts: tuple[str, ...]
    unit: str
    columns: tuple[int, ...]
    labels: tuple[str, ...]


def grouped(names: Sequence[str]) -> list[Curves]:
    """Group values by all but the last part of their names, such as x, y and z of a force."""
    found: list[Curves] = []
    for path, unit, items, columns in group_values(names, by_field=False):
        if path:
            found.append(Curves(tuple(path.split("/")), unit, columns, items))
        else:  # values without a common part get a plot each
            found += [Curves((item,), unit, (c,), (item,)) for item, c in zip(items, columns)]
    return found


def of_joints(names: Sequence[str], most: Sequence[str]) -> list[Curves]:
    """Group the values of a joint state by quantity, and by joints that move most and others.

    One plot per joint would be easier to read, but would take a viewer five times the memory.

    Args:
        names: names of the values.
        most: the joints that move most, in the order in which they are shown.
    """
    groups: dict[tuple[str, str, str], dict[str, int]] = {}
    for number, name in enumerate(names):
        path, unit = split_name(name)
        field, _, joint = path.partition("/")
        joint = joint_label(joint)
        which = MOVING if joint in most else OTHERS
        groups.setdefault((field, which, unit), {})[joint] = number
    found = []
    for (field, which, unit), columns in sorted(groups.items()):
        joints = [j for j in most if j in columns] if which == MOVING else list(columns)
        found.append(Curves((field, which), unit, tuple(columns[j] for j in joints), tuple(joints)))
    return found


def joint_colour(number: int) -> Colour:
    """Return the colour of a joint by its rank among those that move most."""
    return PALETTE[number % len(PALETTE)]


class CurveLog:
    """The log of all numbers as curves."""

    def __init__(self, log: RerunLog, topics: Iterable[Topic], most: Sequence[str]) -> None:
        """Log to a recording.

        Args:
            log: the recording.
            topics: all topics of the bag.
            most: the joints that move most.
        """
        self._log = log
        self._wrenches = [t.name for t in topics if t.sort is Sort.WRENCH]
        self._most = most
        self._groups: dict[tuple[str, tuple[str, ...]], list[Curves]] = {}

    def add(self, numbers: Numbers) -> None:
        """Log the next samples."""
        key = numbers.topic.name, numbers.names
        if key not in self._groups:
            self._groups[key] = self._begin(numbers.topic, numbers.names)
        for curves in self._groups[key]:
            path = stream_entity(numbers.topic.stream, *curves.parts)
            values = numbers.values[:, list(curves.columns)]
            self._send(path, numbers.times_s, values)

    def _send(self, path: str, times_s: Floats, values: Floats) -> None:
        columns = rr.Scalars.columns(scalars=np.ascontiguousarray(values).ravel())
        width = values.shape[1]
        if width > 1:
            columns = columns.partition(np.full(len(values), width))
        self._log.send(path, times_s, columns)

    def _begin(self, topic: Topic, names: tuple[str, ...]) -> list[Curves]:
        joints = topic.sort is Sort.JOINTS
        groups = of_joints(names, self._most) if joints else grouped(names)
        for curves in groups:
            path = stream_entity(topic.stream, *curves.parts)
            self._log.once(path, self._style(topic, curves))
        return groups

    def _style(self, topic: Topic, curves: Curves) -> rr.SeriesLines:
        if topic.sort is Sort.JOINTS:
            colours = [joint_colour(number) for number in range(len(curves.labels))]
            if topic.role is Role.ACTION:
                labels = [f"{joint}, commanded" for joint in curves.labels]
                pale = [_paler(colour) for colour in colours]
                return rr.SeriesLines(names=labels, colors=pale, widths=_COMMAND_WIDTH)
            return rr.SeriesLines(names=curves.labels, colors=colours, widths=_WIDTH)
        number = self._wrenches.index(topic.name) if topic.name in self._wrenches else 0
        stream = f"{topic.stream} " if topic.sort is Sort.WRENCH else ""
        axes = None
        if set(curves.labels) <= set(_AXES):
            axes = [_paler(_AXES[a]) if number % 2 else _AXES[a] for a in curves.labels]
        return rr.SeriesLines(
            names=[f"{stream}{label}" for label in curves.labels], colors=axes, widths=_WIDTH
        )


def _paler(colour: Colour) -> Colour:
    red, green, blue = (round(c + _PALE * (255 - c)) for c in colour)
    return red, green, blue
