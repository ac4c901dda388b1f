"""Guess what the fields of an unknown message type mean, by their names and values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from robot_recorder.messages.definition import PRIMITIVES, TEXTS
from robot_recorder.offline.field_values import (
    POSE,
    QUATERNION,
    TWIST,
    VECTOR,
    WRENCH,
    ReadField,
    name_words,
)
from robot_recorder.offline.guess_joints import read_joints
from robot_recorder.offline.guess_names import element_names, sibling_names, unique_words

_TOUCH = {"pressure", "pressures", "press", "touch", "tactile", "taxel", "taxels", "tac", "force",
          "forces", "skin"}  # fmt: skip
_GYRO = {"gyro", "gyroscope", "gyr", "omega"}
_ACCELERATION = {"accel", "acc", "accelerometer", "acceleration"}
_TURN = {"quaternion", "quat", "orientation", "rotation", "q", "ori", "rot"}
_PLACE = {"position", "pos", "translation", "xyz", "p"}
_NO_VALUE = {"reserve", "reserved", "crc", "version", "seq", "sequence", "checksum", "head", "sn",
             "stamp", "timestamp", "tick", "padding"}  # fmt: skip
_MOST_NUMBERS = 64  # values of a stream of plain numbers
_MOST_ELEMENTS = 4  # of an array, of which each becomes a stream
_GRAVITY = 9.81


@dataclass
class GuessedStream:
    """What some fields of a message type seem to be.

    Attributes:
        meaning: ``as`` of a profile.
        map: its mapping.
        suffix: for the name of the stream, if the topic has several.
        remarks: by key of the mapping, or by "": what a person should know.
        unit: of the values; empty: not written.
        paths: of the fields that it reads.
        elements: length of the array that unnamed joints are the first elements of; 0: unknown.
    """

    meaning: str
    map: dict[str, Any]
    suffix: str = ""
    remarks: dict[str, list[str]] = field(default_factory=dict)
    unit: str = ""
    paths: set[str] = field(default_factory=set)
    elements: int = 0


def guess_meanings(fields: Sequence[ReadField]) -> list[GuessedStream]:
    """Return what the fields of a message type seem to be, the most telling first.

    Args:
        fields: of the type, with values.
    """
    found: list[GuessedStream] = []
    used: set[str] = set()
    for read in (_imus, _poses, _vectors, _joints, _touches):
        left = [f for f in fields if f.path not in used]
        for guess in read(left, fields):
            if not guess.paths & used:
                used |= guess.paths
                found.append(guess)
    if not found:
        found = _numbers(fields)
    order = ["joint_state", "tactile", "pose", "poses", "imu", "wrench", "twist", "numbers"]
    return sorted(found, key=lambda guess: order.index(guess.meaning))


def by_parent(fields: Iterable[ReadField]) -> dict[str, list[ReadField]]:
    """Return fields by the message that has them."""
    found: dict[str, list[ReadField]] = {}
    for one in fields:
        found.setdefault(one.parent, []).append(one)
    return found


def _suffix(parent: str, name: str = "") -> str:
    return "_".join(filter(None, (*parent.replace("[]", "").split("."), name)))


# -- IMU


def _imus(fields: Sequence[ReadField], _: Sequence[ReadField]) -> Iterator[GuessedStream]:
    for parent, members in by_parent(fields).items():
        if parent.count("[]") > 1:
            continue
        elements = _elements_of(members) if parent.endswith("[]") else 1
        if not 0 < elements <= _MOST_ELEMENTS:
            continue
        for stem, parts in _imu_parts(members, elements).items():
            for number in range(elements):
                yield _imu(parent, stem, parts, elements, number)


def _elements_of(members: Sequence[ReadField]) -> int:
    """Return the number of elements of the array that some fields are in; 0: it varies."""
    scalars = [m for m in members if not m.many and not m.sort and m.count and m.fixed]
    vectors = [m.count // max(len(m.axes), 1) for m in members if m.sort and not m.many and m.fixed]
    return scalars[0].count if scalars else vectors[0] if vectors else 0


def _imu_parts(members: Sequence[ReadField], elements: int) -> dict[str, dict[str, ReadField]]:
    """Return gyroscope, acceleration and orientation by the other words of their names."""
    found: dict[str, dict[str, ReadField]] = {}
    for one in members:
        words, width = set(one.words), one.count / elements
        part = ""
        if width == 3 and (
            words & _GYRO or {"angular", "velocity"} <= words or {"ang", "vel"} <= words
        ):
            part = "angular_velocity"
        elif width == 3 and (words & _ACCELERATION and "angular" not in words):
            part = "linear_acceleration"
        elif width == 4 and (one.sort == QUATERNION or words & _TURN) and _is_unit(one, elements):
            part = "orientation"
        if part and not one.whole and (one.sort in ("", VECTOR, QUATERNION)):
            other = _GYRO | _ACCELERATION | _TURN | {"angular", "linear", "velocity", "ang", "vel"}
            stem = "_".join(w for w in one.words if w not in other)
            found.setdefault(stem, {}).setdefault(part, one)
    return {stem: parts for stem, parts in found.items()
            if {"angular_velocity", "linear_acceleration"} <= parts.keys()}  # fmt: skip


def _is_unit(one: ReadField, elements: int = 1) -> bool:
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
    guess = GuessedStream("imu", {}, _suffix(parent, stem) or "imu")
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
    # Only one of several elements claims the fields; the others share them.
    guess.paths = {f"{f.path}#{number}" for f in parts.values()} | (
        {f.path for f in parts.values()} if number == 0 else set()
    )
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


# -- poses, wrenches and twists


def _poses(fields: Sequence[ReadField], every: Sequence[ReadField]) -> Iterator[GuessedStream]:
    groups = by_parent(every)
    for parent, members in by_parent(fields).items():
        arrays = [m for m in members if m.sort == POSE and m.many]
        for one in arrays:
            yield _named_poses(one, groups.get(parent, []))
        if parent.endswith("[]"):
            yield from _poses_of_elements(parent, members, groups.get(parent, []))
            continue
        for one in (m for m in members if m.sort == POSE and not m.many):
            yield GuessedStream(
                "pose", {"pose": one.path}, _suffix(parent, one.name), paths={one.path}
            )
        yield from _pose_of_parts(parent, members)


def _named_poses(one: ReadField, siblings: Sequence[ReadField]) -> GuessedStream:
    """Return the poses of an array, with the names of an array beside it."""
    guess = GuessedStream("poses", {}, _suffix("", one.name), paths={one.path})
    count = one.count // 7
    names = sibling_names(siblings, count)
    if names is not None and one.fixed:
        guess.map["names"] = names.path
    else:
        guess.map |= _numbered_bodies(guess, one)
    guess.map["pose"] = f"{one.path}[]"
    return guess


def _poses_of_elements(
    parent: str, members: Sequence[ReadField], every: Sequence[ReadField]
) -> Iterator[GuessedStream]:
    """Yield the poses of an array of bodies."""
    if parent.count("[]") > 1:
        return
    poses = [m for m in members if m.sort == POSE and not m.many]
    place, turn = _first(members, _PLACE, VECTOR), _first(members, _TURN, QUATERNION)
    names = element_names(every)
    if not poses and (place is None or turn is None or names is None):
        return
    guess = GuessedStream("poses", {}, _suffix(parent))
    if names is None:
        guess.map = {**_numbered_bodies(guess, poses[0]), "pose": poses[0].path}
        guess.paths = {poses[0].path}
    elif poses:
        guess.map = {"each": parent, "name": names.name, "pose": poses[0].name}
        guess.paths = {poses[0].path}
    elif place is not None and turn is not None:
        guess.map = {"each": parent, "name": names.name}
        guess.map |= {"position": place.name, "orientation": turn.name}
        if turn.axes:
            guess.map["order"] = "wxyz" if turn.axes[0] == "w" else "xyzw"
        guess.paths = {place.path, turn.path}
    yield guess


def _numbered_bodies(guess: GuessedStream, one: ReadField) -> dict[str, Any]:
    """Return numbers as names of bodies, if there are always as many."""
    count = one.count // 7
    if not (one.fixed and count):
        return {}
    guess.remarks["map.names"] = ["messages name no bodies: give each its name, in this order"]
    return {"names": [f"body_{n}" for n in range(count)]}


def _first(members: Sequence[ReadField], words: set[str], sort: str) -> ReadField | None:
    width = 4 if sort == QUATERNION else 3
    for one in members:
        fits = one.sort == sort and not one.many
        plain = not one.sort and one.many and one.count == width and not one.whole
        if (fits or plain) and words & set(one.words):
            return one
    return None


def _pose_of_parts(parent: str, members: Sequence[ReadField]) -> Iterator[GuessedStream]:
    """Yield the pose of a message with a position, and perhaps an orientation."""
    place, turn = _first(members, _PLACE, VECTOR), _first(members, _TURN, QUATERNION)
    if place is None or place.count != 3 or {"joint", "motor", "dq"} & set(place.words):
        return
    guess = GuessedStream("pose", {"position": place.path}, _suffix(parent) or "pose")
    guess.paths = {place.path}
    if turn is not None and turn.count == 4 and _is_unit(turn):
        order, why = quaternion_order(turn, turn.values, None)
        guess.map |= {"orientation": turn.path, "order": order}
        guess.remarks["map.order"] = [why]
        guess.paths.add(turn.path)
    elif {"vel", "velocity", "effort", "torque"} & {
        w for m in members for w in m.words
    } and not place.sort:
        guess.remarks[""] = [
            "a position in space; if it is that of three joints, make it as: joint_state"
        ]
    yield guess


def _vectors(fields: Sequence[ReadField], _: Sequence[ReadField]) -> Iterator[GuessedStream]:
    """Yield wrenches and twists."""
    for parent, members in by_parent(fields).items():
        if "[]" in parent:
            continue
        for one in members:
            words = set(one.words)
            ft = {"wrench", "ft"} & words or {"force", "torque"} <= words
            six = not one.sort and one.many and one.count == 6 and ft and not one.whole
            if one.many and not six:
                continue
            if one.sort == WRENCH or six:
                yield GuessedStream(
                    "wrench", {"wrench": one.path}, _suffix(parent, one.name), paths={one.path}
                )
            elif one.sort == TWIST:
                yield GuessedStream(
                    "twist", {"twist": one.path}, _suffix(parent, one.name), paths={one.path}
                )
        for meaning, first, second in (
            ("wrench", "force", "torque"),
            ("twist", "linear", "angular"),
        ):
            pair = [
                _three(members, word, other) for word, other in ((first, second), (second, first))
            ]
            if pair[0] is not None and pair[1] is not None:
                paths = {first: pair[0].path, second: pair[1].path}
                yield GuessedStream(meaning, dict(paths), _suffix(parent) or meaning,
                                    paths=set(paths.values()))  # fmt: skip


def _three(members: Sequence[ReadField], word: str, other: str) -> ReadField | None:
    return next((m for m in members if m.count == 3 and word in m.words and other not in m.words
                 and (m.sort == VECTOR or m.many) and not m.whole), None)  # fmt: skip


# -- joints


def _joints(fields: Sequence[ReadField], every: Sequence[ReadField]) -> Iterator[GuessedStream]:
    groups = read_joints(fields, by_parent(every))
    for group in groups:
        guess = GuessedStream("joint_state", group.map, group.suffix, group.remarks, group.unit)
        guess.paths, guess.elements = group.paths, group.elements
        yield guess


# -- touch


def _touches(fields: Sequence[ReadField], every: Sequence[ReadField]) -> Iterator[GuessedStream]:
    groups = by_parent(every)
    pads: list[ReadField] = []
    for parent, members in by_parent(fields).items():
        for one in members:
            numbers = one.type in PRIMITIVES and one.type != "bool" and not one.sort
            if not (numbers and _is_touch(one) and one.count >= 2):
                continue
            if one.in_array:
                yield _pad_array(one, groups)
            elif one.many:
                pads.append(one)
        yield from _force_arrays(parent, members, groups)
    if pads:
        yield _pads(pads)


def _is_touch(one: ReadField) -> bool:
    return bool(_TOUCH & {*one.words, *name_words(one.parent.rpartition(".")[2])[-1:]}) and not (
        {"temperature", "temp", "lost", "reserve", "status"} & set(one.words)
    )


def _pads(pads: Sequence[ReadField]) -> GuessedStream:
    """Return the pads of a message that has an array for each."""
    guess = GuessedStream("tactile", {}, "touch", unit="raw", paths={p.path for p in pads})
    guess.remarks["unit"] = ["the sensor's own unit; write Pa or N if it is one"]
    fixed = [p for p in pads if p.fixed]
    if len(pads) == 1:
        guess.map = {"normal": pads[0].path, **_shape(pads[0])}
    else:
        names = unique_words([p.path for p in pads])
        guess.map["pads"] = {n: {"normal": p.path, **_shape(p)} for n, p in zip(names, pads)}
    if any(_shape(p) for p in fixed):
        guess.remarks["map"] = ["shapes (rows, columns) are guessed from the number of taxels"]
    return guess


def _shape(pad: ReadField) -> dict[str, Any]:
    found = guessed_shape(pad.count) if pad.fixed else None
    return {"shape": list(found)} if found else {}


def guessed_shape(count: int) -> tuple[int, int] | None:
    """Return rows and columns of a pad, as square as possible; None: it cannot be a rectangle."""
    columns = next((n for n in range(math.isqrt(count), 1, -1) if count % n == 0), 0)
    rows = count // columns if columns else 0
    return (rows, columns) if columns and rows <= 4 * columns else None


def _pad_array(one: ReadField, groups: dict[str, list[ReadField]]) -> GuessedStream:
    """Return the pads of an array of messages, with an array or a number each."""
    parent = one.parent
    guess = GuessedStream("tactile", {}, _suffix(parent), unit="raw", paths={one.path})
    guess.remarks["unit"] = ["the sensor's own unit; write Pa or N if it is one"]
    names = element_names(groups.get(parent, []))
    if names is not None and parent.count("[]") == 1 and one.many:
        guess.map = {"each": parent, "pad": names.name, "normal": one.name}
        return guess
    guess.map["normal"] = one.path
    elements = _elements_of(groups.get(parent, [])) if one.many else 0
    if elements and one.fixed and one.count % elements == 0 and elements < one.count:
        guess.map |= {"rows": elements, "cols": one.count // elements}
        guess.remarks["map"] = [f"a row for each of the {elements} elements of {parent[:-2]}"]
    return guess


def _force_arrays(
    parent: str, members: Sequence[ReadField], groups: dict[str, list[ReadField]]
) -> Iterator[GuessedStream]:
    """Yield arrays of forces in x, y and z, one for each taxel; also those of several sensors."""
    for path, three in _triples(parent, members):
        where = path.rpartition(".")[2].removesuffix("[]")
        if not _TOUCH & set(name_words(where)):
            continue
        outer = path.rpartition(".")[0]
        names = element_names(groups.get(outer, [])) if outer.endswith("[]") else None
        guess = GuessedStream("tactile", {}, _suffix(outer) or "touch", unit="raw", paths=three)
        guess.remarks["unit"] = ["the sensor's own unit; write Pa or N if it is one"]
        inner = path
        if outer.endswith("[]") and outer.count("[]") == 1:
            inner = path.rpartition(".")[2]
            guess.map["each"] = outer
            if names is not None:
                guess.map["pad"] = names.name
        guess.map |= {"normal": f"{inner}.z", "shear": f"{inner}.{{x,y}}"}
        guess.remarks["map"] = ["z is taken for the pressure, x and y for the shear"]
        yield guess


def _triples(parent: str, members: Sequence[ReadField]) -> Iterator[tuple[str, set[str]]]:
    """Yield paths of arrays whose elements have x, y and z, and the paths of the fields."""
    for one in members:
        if one.sort == VECTOR and one.many and one.count:
            yield f"{one.path}[]", {one.path}
    scalars = {
        m.name: m.path for m in members if not m.many and not m.sort and m.type in PRIMITIVES
    }
    if parent.endswith("[]") and {"x", "y", "z"} <= scalars.keys():
        yield parent, {scalars[axis] for axis in "xyz"}


# -- plain numbers


def _numbers(fields: Sequence[ReadField]) -> list[GuessedStream]:
    """Return a stream of plain numbers, if there are only a few."""
    wanted = [f for f in fields if f.count and f.type not in TEXTS and f.fixed and "[]" not in f.parent
              and not _NO_VALUE & set(f.words) and "builtin_interfaces" not in f.type]  # fmt: skip
    if not wanted or sum(f.count for f in wanted) > _MOST_NUMBERS:
        return []
    names = unique_words([f.path for f in wanted])
    paths = {name: f.path for name, f in zip(names, wanted)}
    guess = GuessedStream("numbers", {"values": paths}, paths=set(paths.values()))
    guess.remarks[""] = ["plain numbers, whose unit is unknown: add 'unit' if they have one"]
    return [guess]
