"""Logs numbers as curves: which values share a plot, and their colours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

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
# Equal joints of two arms have different colours.
_PALETTES: tuple[tuple[Colour, ...], ...] = (
    PALETTE,
    ((255, 150, 120), (120, 220, 120), (190, 160, 255), (255, 120, 180), (200, 230, 80), (80, 210, 220)),
    ((90, 220, 210), (255, 190, 60), (230, 130, 255), (130, 170, 255), (255, 110, 110), (170, 200, 120)),
    ((220, 180, 120), (100, 160, 255), (255, 140, 220), (140, 230, 160), (240, 240, 120), (200, 140, 100)),
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


def joint_colour(number: int, palette: int = 0) -> Colour:
    """Return the colour of a joint by its rank among those that move most in its stream."""
    colours = _PALETTES[palette % len(_PALETTES)]
    return colours[number % len(colours)]


@dataclass(frozen=True)
class CurveChoice:
    """What is drawn of one stream.

    Attributes:
        names: of its values.
        constant: those of them that never change, as far as is known before the whole bag is read.
        most: of joints, those that move most.
        palette: of joints, number of the colours.
    """

    names: tuple[str, ...] = ()
    constant: frozenset[str] = frozenset()
    most: tuple[str, ...] = ()
    palette: int = 0

    def curves(self, topic: Topic, names: Sequence[str]) -> list[Curves]:
        """Return the curves of a stream without those that never change.

        Args:
            topic: of the stream.
            names: of the values in a message.
        """
        joints = topic.sort is Sort.JOINTS
        found = []
        for curves in of_joints(names, self.most) if joints else grouped(names):
            pairs = [(c, label) for c, label in zip(curves.columns, curves.labels)
                     if names[c] not in self.constant]  # fmt: skip
            if pairs:
                columns, labels = zip(*pairs)
                found.append(replace(curves, columns=columns, labels=labels))
        return found


class CurveLog:
    """The log of all numbers that change, as curves."""

    def __init__(
        self, log: RerunLog, topics: Iterable[Topic], choices: Mapping[str, CurveChoice]
    ) -> None:
        """Log to a recording.

        Args:
            log: the recording.
            topics: all topics of the bag.
            choices: what is drawn, by stream.
        """
        self._log = log
        self._wrenches = [t.stream for t in topics if t.sort is Sort.WRENCH]
        self._choices = choices
        self._groups: dict[tuple[str, tuple[str, ...]], list[Curves]] = {}
        self._constant: dict[tuple[str, str], float] = {}
        self.late: dict[str, set[str]] = {}  # names of values that did change, by stream

    def add(self, numbers: Numbers) -> None:
        """Log the next samples."""
        key = numbers.topic.stream, numbers.names
        if key not in self._groups:
            self._groups[key] = self._begin(numbers.topic, numbers.names)
        for curves in self._groups[key]:
            path = stream_entity(numbers.topic.stream, *curves.parts)
            values = numbers.values[:, list(curves.columns)]
            self._send(path, numbers.times_s, values)
        self._watch(numbers)

    def _watch(self, numbers: Numbers) -> None:
        """Log what was taken for constant, from when it changes on, in places of its own."""
        stream = numbers.topic.stream
        constant = self._choices.get(stream, CurveChoice()).constant
        late = self.late.setdefault(stream, set())
        for column, name in enumerate(numbers.names) if constant else ():
            if name not in constant:
                continue
            values = numbers.values[:, column]
            known = values[np.isfinite(values)]
            if not len(known):
                continue
            first = self._constant.setdefault((stream, name), float(known[0]))
            if name in late or (known != first).any():
                late.add(name)
                path = late_entity(stream, name)
                self._log.once(path, rr.SeriesLines(names=split_name(name)[0], widths=_WIDTH))
                self._send(path, numbers.times_s, values[:, None])

    def _send(self, path: str, times_s: Floats, values: Floats) -> None:
        columns = rr.Scalars.columns(scalars=np.ascontiguousarray(values).ravel())
        width = values.shape[1]
        if width > 1:
            columns = columns.partition(np.full(len(values), width))
        self._log.send(path, times_s, columns)

    def _begin(self, topic: Topic, names: tuple[str, ...]) -> list[Curves]:
        choice = self._choices.get(topic.stream, CurveChoice())
        groups = choice.curves(topic, names)
        for curves in groups:
            path = stream_entity(topic.stream, *curves.parts)
            self._log.once(path, self._style(topic, curves, choice))
        return groups

    def _style(self, topic: Topic, curves: Curves, choice: CurveChoice) -> rr.SeriesLines:
        if topic.sort is Sort.JOINTS:
            ranks = {joint: rank for rank, joint in enumerate(choice.most)}
            colours = [
                joint_colour(ranks.get(joint, number), choice.palette)
                for number, joint in enumerate(curves.labels)
            ]
            if topic.role is Role.ACTION:
                labels = [f"{joint}, commanded" for joint in curves.labels]
                pale = [_paler(colour) for colour in colours]
                return rr.SeriesLines(names=labels, colors=pale, widths=_COMMAND_WIDTH)
            return rr.SeriesLines(names=curves.labels, colors=colours, widths=_WIDTH)
        number = self._wrenches.index(topic.stream) if topic.stream in self._wrenches else 0
        stream = f"{topic.stream} " if topic.sort is Sort.WRENCH else ""
        axes = None
        if set(curves.labels) <= set(_AXES):
            axes = [_paler(_AXES[a]) if number % 2 else _AXES[a] for a in curves.labels]
        return rr.SeriesLines(
            names=[f"{stream}{label}" for label in curves.labels], colors=axes, widths=_WIDTH
        )


def late_entity(stream: str, name: str) -> str:
    """Return the entity path of a value that was taken for constant at first."""
    return stream_entity(stream, "late", *split_name(name)[0].split("/"))


def _paler(colour: Colour) -> Colour:
    red, green, blue = (round(c + _PALE * (255 - c)) for c in colour)
    return red, green, blue
