"""The shapes of a 3D view in plain numbers; a node turns them into markers."""

from __future__ import annotations

from dataclasses import dataclass

Colour = tuple[float, float, float, float]
Point = tuple[float, float, float]

GREY: Colour = (0.55, 0.57, 0.60, 1.0)
WHITE: Colour = (0.95, 0.95, 0.95, 1.0)
GREEN: Colour = (0.36, 0.84, 0.42, 1.0)
YELLOW: Colour = (0.98, 0.83, 0.20, 1.0)
ORANGE: Colour = (1.00, 0.62, 0.15, 1.0)
RED: Colour = (0.97, 0.30, 0.27, 1.0)
BLUE: Colour = (0.45, 0.72, 1.00, 1.0)
VIOLET: Colour = (0.74, 0.50, 0.98, 1.0)
PINK: Colour = (1.00, 0.45, 0.72, 1.0)
SKY: Colour = (0.30, 0.75, 0.85, 1.0)


@dataclass(frozen=True)
class Key:
    """The identity of a shape for as long as it is shown.

    Attributes:
        kind: force, torque, touch, operator or episode, which can be switched on and off separately.
        number: unique within its kind.
    """

    kind: str
    number: int


@dataclass(frozen=True)
class Arrow:
    """An arrow; lengths in m, in ``frame``."""

    key: Key
    frame: str
    tail: Point
    head: Point
    thickness: float
    colour: Colour


@dataclass(frozen=True)
class Text:
    """A line of text that faces the viewer.

    Attributes:
        at: its centre, m, in ``frame``.
        height: of a capital letter, m.
        text: what is drawn of it, ``rviz/text.py`` tells.
    """

    key: Key
    frame: str
    at: Point
    height: float
    text: str
    colour: Colour


@dataclass(frozen=True)
class Cells:
    """Boxes of one size, each with its own colour.

    Attributes:
        centres: m, in ``frame``.
        size: m, along the axes of ``frame``.
        colours: one per centre.
    """

    key: Key
    frame: str
    centres: tuple[Point, ...]
    size: Point
    colours: tuple[Colour, ...]


@dataclass(frozen=True)
class Ball:
    """A sphere.

    Attributes:
        at: its centre, m, in ``frame``.
        size: diameter, m.
    """

    key: Key
    frame: str
    at: Point
    size: float
    colour: Colour


@dataclass(frozen=True)
class Lines:
    """Straight lines, each with its own colour.

    Attributes:
        ends: both ends of each line, one after the other, m, in ``frame``.
        thickness: m.
        colours: one per line.
    """

    key: Key
    frame: str
    ends: tuple[Point, ...]
    thickness: float
    colours: tuple[Colour, ...]


Shape = Arrow | Text | Cells | Ball | Lines


def between(share: float, stops: tuple[Colour, ...]) -> Colour:
    """Return the colour at a share from 0 to 1 along ``stops``; above 1 the last one."""
    place = min(max(share, 0.0), 1.0) * (len(stops) - 1)
    first = min(int(place), len(stops) - 2)
    part = place - first
    red, green, blue, alpha = (
        round(a + part * (b - a), 3) for a, b in zip(stops[first], stops[first + 1])
    )
    return red, green, blue, alpha
