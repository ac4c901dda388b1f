"""Find inertial measurement units in the fields of a message type."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from robot_recorder.offline.field_values import QUATERNION, VECTOR, ReadField
from robot_recorder.offline.guessed_stream import (
    GuessedStream,
    by_parent,
    elements_of,
    suffix_of,
)

DOUBTS = {"variance", "covariance", "var", "std", "sigma", "noise", "error", "err", "bias"}
"""Words of fields that say how well another one is known."""
TURN_WORDS = {"quaternion", "quat", "orientation", "rotation", "q", "ori", "rot"}
_GYRO = {"gyro", "gyroscope", "gyr", "omega"}
_ACCELERATION = {"accel", "acc", "accelerometer", "acceleration"}
_OF_IMU = {
    *_GYRO, *_ACCELERATION, *TURN_WORDS, "angular", "linear", "velocity", "ang", "vel", "rad", "deg",
    "m", "s", "ms", "2", "g", "raw", "data", "xyz",
}  # fmt: skip
_NO_TURN = {"delta", "reset", "joint", "joints", "motor", "motors"}
_MOST_ELEMENTS = 4  # of an array, of which each becomes a stream


def read_imus(fields: Sequence[ReadField], every: Sequence[ReadField]) -> Iterator[GuessedStream]:
    """Yield the IMUs of a message type.

    Args:
        fields: that are not read otherwise.
        every: all fields.
    """
    for parent, members in by_parent(fields).items():
        if parent.count("[]") > 1:
            continue
        elements = elements_of(members) if parent.endswith("[]") else 1
        if not 0 < elements <= _MOST_ELEMENTS:
            continue
        for stem, parts in _imu_parts(members, elements).items():
            for number in range(elements):
                yield _imu(parent, stem, parts, elements, number)


def _imu_parts(members: Sequence[ReadField], elements: int) -> dict[str, dict[str, ReadField]]:
    """Return gyroscope, acceleration and orientation by the other words of their names."""
    found: dict[str, dict[str, ReadField]] = {}
    for one in members:
        words, width = set(one.words), one.count / elements
        if words & DOUBTS:
            continue
        part = ""
        if width == 3 and (
            words & _GYRO or {"angular", "velocity"} <= words or {"ang", "vel"} <= words
        ):
            part = "angular_velocity"
        elif width == 3 and (words & _ACCELERATION and "angular" not in words):
            part = "linear_acceleration"
        elif (
            width == 4 and (one.sort == QUATERNION or words & TURN_WORDS) and is_unit(one, elements)
        ):
            part = "orientation"
        if part and not one.whole and (one.sort in ("", VECTOR, QUATERNION)):
            stem = "_".join(w for w in one.words if w not in _OF_IMU)
            found.setdefault(stem, {}).setdefault(part, one)
    return {stem: parts for stem, parts in found.items()
            if {"angular_velocity", "linear_acceleration"} <= parts.keys()}  # fmt: skip


def read_orientations(
    fields: Sequence[ReadField], every: Sequence[ReadField]
) -> Iterator[GuessedStream]:
    """Yield single orientations: quaternions by type or name, or any 4 numbers of length 1.

    Args:
        fields: that are not read otherwise.
        every: all fields.
    """
    for one in fields:
        others = [f for f in every if f.parent == one.parent and f not in fields and _is_turn(f)]
        again = any(_is_same_turn(one, other) for other in others)
        if "[]" not in one.path and one.count == 4 and not again and _is_orientation(one):
            guess = GuessedStream("imu", {"orientation": one.path}, suffix_of(one.parent, one.name))
            guess.map["order"], why = quaternion_order(one, one.values, None)
            guess.remarks["map.order"] = [why]
            guess.paths = set(one.claims)
            yield guess


def read_angles(fields: Sequence[ReadField], every: Sequence[ReadField]) -> Iterator[GuessedStream]:
    """Yield roll, pitch and yaw of a message without a quaternion; degrees cannot be said.

    Args:
        fields: that are not read otherwise.
        every: all fields.
    """
    turned = {f.parent for f in every if f.sort == QUATERNION or TURN_WORDS & {*f.words}}
    for parent, members in by_parent(fields).items():
        angles = roll_pitch_yaw(members)
        if angles and parent not in turned and "[]" not in parent:
            guess = GuessedStream("imu", {"rpy": [one.path for one in angles]})
            guess.suffix = suffix_of(parent, "rpy")
            guess.paths = {one.path for one in angles}
            yield guess


def roll_pitch_yaw(members: Sequence[ReadField]) -> list[ReadField]:
    """Return roll, pitch and yaw of a message, in rad; empty: it has none, or in degrees."""
    floats = {m.name: m for m in members if m.type in ("float32", "float64") and not m.many}
    angles = [floats[n] for n in ("roll", "pitch", "yaw") if n in floats]
    fits = len(angles) == 3 and all(not one.most > 2 * math.pi for one in angles)
    return angles if fits else []


def add_orientations(streams: Sequence[GuessedStream], fields: Sequence[ReadField]) -> None:
    """Give IMUs the quaternion beside them, although a pose may have it, too."""
    by_path = {one.path: one for one in fields}
    for stream in streams:
        gyro = by_path.get(str(stream.map.get("angular_velocity")))
        if stream.meaning != "imu" or gyro is None or "orientation" in stream.map:
            continue
        turns = [f for f in fields if f.parent == gyro.parent and _is_turn(f)]
        if turns and not {"w", "world"} & {*gyro.words}:  # what is measured in the world is turned
            up = by_path[stream.map["linear_acceleration"]].values
            order, why = quaternion_order(turns[0], turns[0].values, up)
            stream.map = {"orientation": turns[0].path, "order": order, **stream.map}
            stream.remarks["map.order"] = [why]


def _is_same_turn(one: ReadField, other: ReadField) -> bool:
    """Return whether two quaternions have the same numbers, perhaps in another order."""
    if one.values.shape != other.values.shape or not one.values.size:
        return False
    return any(np.allclose(np.roll(one.values, n, axis=1), other.values) for n in (-1, 0, 1))


def _is_turn(one: ReadField) -> bool:
    named = one.sort == QUATERNION or (TURN_WORDS & {*one.words} and not one.whole)
    return bool(named) and one.count == 4 and one.many != bool(one.sort) and _is_orientation(one)


def _is_orientation(one: ReadField) -> bool:
    words = set(one.words)
    plain = not one.sort and one.many and one.type in ("float32", "float64")
    if not (one.sort == QUATERNION or plain) or words & (DOUBTS | _NO_TURN):
        return False
    if one.sort == QUATERNION:
        return is_unit(one) or not np.any(one.values)  # the driver may not know it yet
    if words & TURN_WORDS:
        return bool(len(one.values)) and is_unit(one)
    # Of any other name they have to move: [1, 0, 0, 0] may be many things.
    moved = len(one.values) > 1 and bool((one.values != one.values[:1]).any())
    return moved and is_unit(one)


def is_unit(one: ReadField, elements: int = 1) -> bool:
    """Return whether the numbers are quaternions: of length 1."""
    if not len(one.values):
        return True
    with np.errstate(all="ignore"):
        lengths = np.linalg.norm(one.values.reshape(len(one.values), elements, -1), axis=2)
        return bool(np.isfinite(lengths).all() and (np.abs(lengths - 1) < 0.02).mean() > 0.9)


def _imu(
    parent: str, stem: str, parts: dict[str, ReadField], elements: int, number: int
) -> GuessedStream:
    """Return one IMU; of the elements of an array, the one with a number."""
    array = parent.endswith("[]")
    guess = GuessedStream("imu", {}, suffix_of(parent, stem) or "imu")
    if array and elements > 1:
        guess.suffix += f"_{number}"

    def path(one: ReadField) -> str:
        return one.path.replace("[]", f"[{number}]") if array else one.path

    turn = parts.get("orientation")
    acceleration = _of_element(parts["linear_acceleration"], elements, number)
    if turn is not None:
        guess.map["orientation"] = path(turn)
        order, why = quaternion_order(turn, _of_element(turn, elements, number), acceleration)
        guess.map["order"] = order
        guess.remarks["map.order"] = [why]
    guess.map["angular_velocity"] = path(parts["angular_velocity"])
    guess.map["linear_acceleration"] = path(parts["linear_acceleration"])
    with np.errstate(all="ignore"):
        norm = (
            float(np.median(np.linalg.norm(acceleration, axis=1)))
            if len(acceleration)
            else math.nan
        )
    if 0.8 < norm < 1.2:
        text = (
            "its length is about 1, so it is in g: values are to be m/s^2, tell the driver's author"
        )
        guess.remarks["map.linear_acceleration"] = [text]
    # The first of several elements claims the fields for all of them.
    guess.paths = {f"{f.path}#{number}" for f in parts.values()}
    guess.paths |= {path for f in parts.values() if number == 0 for path in f.claims}
    return guess


def _of_element(one: ReadField, elements: int, number: int) -> np.ndarray:
    """Return float64[n, k], the values of one element of an array."""
    if not len(one.values):
        return np.empty((0, max(one.count // elements, 1)))
    return one.values.reshape(len(one.values), elements, -1)[:, number]


def quaternion_order(one: ReadField, values: np.ndarray, up: np.ndarray | None) -> tuple[str, str]:
    """Return the order of a quaternion's numbers, and how that is known.

    Args:
        one: the field.
        values: float64[n, 4], of it.
        up: float64[n, 3], accelerations measured with it; None: there are none.
    """
    if one.axes:
        return ("wxyz" if one.axes[0] == "w" else "xyzw"), "by the names of its fields"
    for order in ("wxyz", "xyzw"):
        if order in one.words:
            return order, "by the name of the field"
    if not len(values):
        return "wxyz", "guessed: look at it"
    if up is not None and len(up) == len(values):
        tilts = [_tilt(np.roll(values, -1, axis=1), up), _tilt(values, up)]
        if abs(tilts[0] - tilts[1]) > 0.2:
            order = "wxyz" if tilts[0] < tilts[1] else "xyzw"
            return order, "with it gravity points down, with the other order it does not"
    size = np.abs(values).mean(axis=0)
    order = "wxyz" if size[0] >= size[3] else "xyzw"
    return order, "guessed, as w is the largest number: turn the device and look at it"


def _tilt(turns: np.ndarray, up: np.ndarray) -> float:
    """Return how far turned accelerations are from upwards, 0 to 2.

    Args:
        turns: float64[n, 4], x, y, z, w.
        up: float64[n, 3].
    """
    with np.errstate(all="ignore"):
        axis, w = turns[:, :3], turns[:, 3:]
        turned = up + 2 * np.cross(axis, np.cross(axis, up) + w * up)
        height = turned[:, 2] / np.linalg.norm(turned, axis=1)
    height = height[np.isfinite(height)]
    return float(1 - height.mean()) if len(height) else 1.0
