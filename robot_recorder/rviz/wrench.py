"""Draws a wrench as arrows with numbers: force coloured by its size, torque violet."""

from __future__ import annotations

import math
from dataclasses import dataclass

from robot_recorder.model.arrays import Floats
from robot_recorder.rviz.shapes import (
    GREEN,
    GREY,
    RED,
    VIOLET,
    YELLOW,
    Arrow,
    Colour,
    Key,
    Point,
    Shape,
    Text,
    between,
)

_LETTER_M = 0.024
_SHOWN_N, _SHOWN_NM = 0.5, 0.3  # less is noise, whose arrow would flicker
_LONGEST_M = 0.8  # a crash must not fill the view; its number shows the force


@dataclass(frozen=True)
class WrenchScale:
    """The scale of arrows.

    Attributes:
        m_per_n: length of 1 N.
        m_per_nm: length of 1 N m.
        red_n: force from which an arrow is red, N; half of it is yellow.
    """

    m_per_n: float = 0.008
    m_per_nm: float = 0.05
    red_n: float = 40.0


def wrench_shapes(
    number: int, frame: str, values: Floats, scale: WrenchScale, silent: bool = False
) -> list[Shape]:
    """Draw a wrench where it acts.

    Args:
        number: of the stream, for the keys.
        frame: its origin is the point of action.
        values: float64[6], force in N, then torque in N m, in ``frame``.
        scale: of the arrows.
        silent: whether the wrench is old; then it is grey.
    """
    if not all(math.isfinite(v) for v in values.tolist()):
        return []
    fx, fy, fz, tx, ty, tz = values.tolist()
    force_n, torque_nm = math.hypot(fx, fy, fz), math.hypot(tx, ty, tz)
    colour = GREY if silent else between(force_n / scale.red_n, (GREEN, YELLOW, RED))
    violet = GREY if silent else VIOLET
    shapes: list[Shape] = []
    tip: Point = (0.0, 0.0, 0.0)
    if force_n >= _SHOWN_N:
        tip = _tip((fx, fy, fz), scale.m_per_n)
        shapes.append(Arrow(Key("force", 2 * number), frame, (0.0, 0.0, 0.0), tip, 0.012, colour))
    # Always show the number, so that an untouched sensor is visibly alive.
    shapes.append(_label(Key("force", 2 * number + 1), frame, tip, _figure(force_n) + " N", colour))
    if torque_nm >= _SHOWN_NM:
        tip = _tip((tx, ty, tz), scale.m_per_nm)
        arrow = Arrow(Key("torque", 2 * number), frame, (0.0, 0.0, 0.0), tip, 0.006, violet)
        label = _figure(torque_nm) + " N m"
        shapes += [arrow, _label(Key("torque", 2 * number + 1), frame, tip, label, violet)]
    return shapes


def _tip(vector: Point, m_per_unit: float) -> Point:
    factor = min(m_per_unit, _LONGEST_M / math.hypot(*vector))
    x, y, z = (round(v * factor, 4) for v in vector)
    return x, y, z


def _label(key: Key, frame: str, tip: Point, text: str, colour: Colour) -> Text:
    """Place a label beyond the arrow's tip, or beside the frame's origin without an arrow."""
    length = math.hypot(*tip)
    if length < 1e-3:
        at: Point = (0.0, 0.0, 0.06)
    else:
        x, y, z = (round(v * (1 + 0.045 / length), 4) for v in tip)
        at = x, y, z
    return Text(key, frame, at, _LETTER_M, text, colour)


def _figure(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"
