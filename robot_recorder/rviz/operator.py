"""Draws what an operator wears: head and hands with their axes, and a body as a figure of lines."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from robot_recorder.messages.skeleton import Body, bodies, bones, is_head
from robot_recorder.model.arrays import Floats
from robot_recorder.rviz.shapes import (
    GREY,
    PINK,
    SKY,
    WHITE,
    Ball,
    Colour,
    Key,
    Lines,
    Point,
    Shape,
    Text,
)

_KIND = "operator"
_PER_STREAM = 1000  # numbers of shapes
_HEAD_M, _HAND_M, _JOINT_M = 0.20, 0.07, 0.04  # diameters
_SUIT_HEAD_M = 0.17  # inside that of a headset
_BONE_M, _AXIS_M, _AXIS_THICK_M = 0.022, 0.13, 0.010
_LETTER_M, _ABOVE_M, _ABOVE_HEAD_M = 0.035, 0.07, 0.17
_AXIS_COLOURS: tuple[Colour, ...] = (
    (0.95, 0.30, 0.26, 1.0), (0.35, 0.80, 0.38, 1.0), (0.34, 0.56, 1.00, 1.0),
)  # fmt: skip


@dataclass(frozen=True)
class OperatorReading:
    """The poses of one message.

    Attributes:
        name: of the stream.
        names: of the values.
        values: float64[len(names)], positions in m, unit quaternions x, y, z, w.
    """

    name: str
    names: tuple[str, ...]
    values: Floats


def operator_shapes(
    number: int, reading: OperatorReading, frame: str, offset: Point, silent: bool = False
) -> list[Shape]:
    """Draw poses: one as a ball with axes, several as a figure.

    Args:
        number: of the stream, for the keys.
        reading: the poses.
        frame: of the shapes.
        offset: of the poses' origin in ``frame``, m, with parallel axes.
        silent: whether the message is old; then it is grey.
    """
    drawing = _Drawing(number, reading, frame, offset, silent)
    found = [b for b in bodies(reading.names) if drawing.is_known(b)]
    if not found:
        return []
    return drawing.single(found[0]) if not found[0].name else drawing.figure(found)


class _Drawing:
    """The shapes of one stream."""

    def __init__(
        self, number: int, reading: OperatorReading, frame: str, offset: Point, silent: bool
    ) -> None:
        self._number, self._reading, self._frame = number, reading, frame
        self._offset, self._silent = offset, silent

    def is_known(self, body: Body) -> bool:
        return bool(np.isfinite(self._reading.values[list(body.position)]).all())

    def single(self, body: Body) -> list[Shape]:
        """Return a head or a hand with its axes and its name."""
        name, at = self._reading.name, self._place(body)
        head = is_head(name)
        colour = GREY if self._silent else PINK
        above = _ABOVE_HEAD_M if head else _ABOVE_M
        return [
            Ball(self._key(0), self._frame, at, _HEAD_M if head else _HAND_M, colour),
            self._axes(1, body),
            self._label(2, at, above, name, colour),
        ]

    def figure(self, found: list[Body]) -> list[Shape]:
        """Return bones, joints, a head and the name of the stream above the highest body."""
        places = [self._place(body) for body in found]
        colour = GREY if self._silent else SKY
        pairs = bones([body.name for body in found])
        ends = tuple(places[end] for pair in pairs for end in pair)
        shapes: list[Shape] = []
        if ends:
            colours = (colour,) * len(pairs)
            shapes.append(Lines(self._key(0), self._frame, ends, _BONE_M, colours))
        for number, (body, at) in enumerate(zip(found, places)):
            size = _SUIT_HEAD_M if is_head(body.name) else _JOINT_M
            shapes.append(Ball(self._key(2 + number), self._frame, at, size, colour))
        top = max(places, key=lambda at: at[2])
        # Above the label of a headset that the same person wears.
        above = _ABOVE_HEAD_M + 1.5 * _LETTER_M
        return [*shapes, self._label(1, top, above, self._reading.name, colour)]

    def _axes(self, key: int, body: Body) -> Lines:
        """Return the axes x red, y green and z blue."""
        at, turn = self._place(body), _axes_of(self._reading.values, body)
        ends: list[Point] = []
        for axis in turn.T:
            x, y, z = (round(a + _AXIS_M * float(d), 4) for a, d in zip(at, axis))
            ends += [at, (x, y, z)]
        colours = (GREY,) * 3 if self._silent else _AXIS_COLOURS
        return Lines(self._key(key), self._frame, tuple(ends), _AXIS_THICK_M, colours)

    def _label(self, key: int, at: Point, above_m: float, text: str, colour: Colour) -> Text:
        x, y, z = at
        place = (x, y, round(z + above_m, 4))
        colour = WHITE if colour is SKY else colour
        return Text(self._key(key), self._frame, place, _LETTER_M, text, colour)

    def _place(self, body: Body) -> Point:
        values = self._reading.values[list(body.position)].tolist()
        x, y, z = (round(v + o, 4) for v, o in zip(values, self._offset))
        return x, y, z

    def _key(self, number: int) -> Key:
        return Key(_KIND, self._number * _PER_STREAM + number)


def _axes_of(values: Floats, body: Body) -> Floats:
    """Return the axes of a body as columns, float64[3, 3]; the outer ones if they are unknown."""
    x, y, z, w = values[list(body.orientation)].tolist() if body.orientation else (0, 0, 0, 1)
    length = math.sqrt(x * x + y * y + z * z + w * w)
    if not 0.5 < length < 2.0:  # also if it is not a number
        return np.eye(3)
    x, y, z, w = x / length, y / length, z / length, w / length
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip
