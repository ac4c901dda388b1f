"""Find poses, wrenches and twists in the fields of a message type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np

from robot_recorder.offline.field_values import (
    POSE,
    QUATERNION,
    TWIST,
    VECTOR,
    WRENCH,
    ReadField,
    name_words,
)
from robot_recorder.offline.guess_imu import (
    DOUBTS,
    TURN_WORDS,
    is_unit,
    quaternion_order,
    roll_pitch_yaw,
)
from robot_recorder.offline.guess_names import element_names, sibling_names
from robot_recorder.offline.guessed_stream import GuessedStream, by_parent, suffix_of

_PLACE = {"position", "pos", "translation", "xyz", "p"}
_NO_PLACE = {"joint", "motor", "dq", "deg", "degrees", "rad", "radians"}
_NO_VECTOR = {"accel", "acc", "acceleration", "collision", "contact", "is"}  # of forces, of motion
_YAW = {"yawspeed", "yawrate", "yawvelocity", "yawvel"}
_FORCE, _TORQUE = {"force", "f"}, {"torque", "moment", "m", "t", "tau"}


def read_poses(fields: Sequence[ReadField], every: Sequence[ReadField]) -> Iterator[GuessedStream]:
    """Yield the poses of a message type, alone or of named bodies.

    Args:
        fields: that are not read otherwise.
        every: all fields.
    """
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
                "pose", {"pose": one.path}, suffix_of(parent, one.name), paths=one.claims
            )
        yield from _pose_of_parts(parent, members)


def _named_poses(one: ReadField, siblings: Sequence[ReadField]) -> GuessedStream:
    """Return the poses of an array, with the names of an array beside it."""
    guess = GuessedStream("poses", {}, suffix_of("", one.name), paths=one.claims)
    count = one.count // 7
    names = sibling_names(siblings, count)
    if names is not None and one.fixed:
        guess.map["names"] = guess.named = names.path
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
    poses = [m for m in members if (m.sort == POSE and not m.many) or _is_pose_array(m)]
    place, turn = _first(members, _PLACE, VECTOR), _first(members, TURN_WORDS, QUATERNION)
    names = element_names(every)
    if not poses and (place is None or turn is None or names is None):
        return
    guess = GuessedStream("poses", {}, suffix_of(parent))
    guess.named = names.path if names is not None else ""
    if names is None:
        guess.map = {**_numbered_bodies(guess, poses[0]), "pose": poses[0].path}
        guess.paths = poses[0].claims
    elif poses:
        guess.map = {"each": parent, "name": names.name, "pose": poses[0].name}
        guess.paths = poses[0].claims
        if not poses[0].sort:
            guess.map["order"], why = quaternion_order(poses[0], poses[0].values[:, 3:7], None)
            guess.remarks["map.order"] = [why]
    elif place is not None and turn is not None:
        guess.map = {"each": parent, "name": names.name}
        guess.map |= {"position": place.name, "orientation": turn.name}
        if turn.axes:
            guess.map["order"] = "wxyz" if turn.axes[0] == "w" else "xyzw"
        guess.paths = place.claims | turn.claims
    yield guess


def _is_pose_array(one: ReadField) -> bool:
    """Return whether every element has seven numbers that are called pose: a quaternion last."""
    seven = "pose" in one.words and {*one.parts} == {7} and one.fixed and not one.whole
    if one.sort or not seven or one.count != sum(one.parts):
        return False
    with np.errstate(all="ignore"):
        turns = one.values.reshape(-1, 7)[:, 3:]
        return bool((np.abs(np.linalg.norm(turns, axis=1) - 1) < 0.02).mean() > 0.9)


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
        if (fits or plain) and words & set(one.words) and not DOUBTS & set(one.words):
            return one
    return None


def _pose_of_parts(parent: str, members: Sequence[ReadField]) -> Iterator[GuessedStream]:
    """Yield the pose of a message with a position, and perhaps an orientation."""
    place, turn = _first(members, _PLACE, VECTOR), _first(members, TURN_WORDS, QUATERNION)
    if place is None or place.count != 3 or _NO_PLACE & set(place.words):
        return
    guess = GuessedStream("pose", {"position": place.path}, suffix_of(parent) or "pose")
    guess.paths = place.claims
    if turn is not None and turn.count == 4 and is_unit(turn):
        order, why = quaternion_order(turn, turn.values, None)
        guess.map |= {"orientation": turn.path, "order": order}
        guess.remarks["map.order"] = [why]
        guess.paths |= turn.claims
    elif angles := roll_pitch_yaw(members):
        guess.map["rpy"] = [one.path for one in angles]
        guess.paths |= {one.path for one in angles}
    elif {"vel", "velocity", "effort", "torque"} & {
        w for m in members for w in m.words
    } and not place.sort:
        guess.remarks[""] = [
            "a position in space; if it is that of three joints, make it as: joint_state"
        ]
    yield guess


def read_vectors(
    fields: Sequence[ReadField], every: Sequence[ReadField]
) -> Iterator[GuessedStream]:
    """Yield the wrenches and twists of a message type.

    Args:
        fields: that are not read otherwise.
        every: all fields.
    """
    for parent, members in by_parent(fields).items():
        if "[]" in parent:
            continue
        yield from _whole_vectors(parent, members)
        yield from _wrenches(parent, members)
        yield from _twists(parent, members)


def _wrenches(parent: str, members: Sequence[ReadField]) -> Iterator[GuessedStream]:
    """Yield the wrench of two vectors of a message, or of numbers such as gfx and gtx."""
    force, torque = _three(members, _FORCE), _three(members, _TORQUE)
    if force is None or torque is None or force is torque:
        together = {m.name: m for m in members if m.covers and m.sort == VECTOR}
        force = next((together[n] for n in together if _torque_of(n, together)), None)
        torque = _torque_of(force.name, together) if force is not None else None
    if force is not None and torque is not None:
        guess = GuessedStream("wrench", {"force": force.path, "torque": torque.path})
        guess.suffix, guess.paths = suffix_of(parent) or "wrench", force.claims | torque.claims
        yield guess


def _torque_of(name: str, together: Mapping[str, ReadField]) -> ReadField | None:
    """Return the torque that belongs to a force such as gf or f."""
    names = [f"{name[:-1]}{end}" for end in "tm"] if name.lower().endswith("f") else []
    return next((together[n] for n in names if n in together), None)


def _twists(parent: str, members: Sequence[ReadField]) -> Iterator[GuessedStream]:
    """Yield the twist of two vectors, or the velocity of a body of which only the yaw is known."""
    linear = _three(members, {"linear", "v"}, {"acceleration"})
    linear = linear or _three(members, {"velocity", "vel"}, {"angular", *DOUBTS})
    angular = _three(members, {"angular", "w", "omega"}, DOUBTS)
    turns = [m for m in members if not m.many and "".join(m.words) in _YAW]
    if linear is None or linear is angular or not (angular or turns):
        return
    guess = GuessedStream("twist", {"linear": linear.path}, suffix_of(parent) or "twist")
    guess.paths = set(linear.claims)
    if angular is not None:
        guess.map["angular"] = angular.path
        guess.paths |= angular.claims
    else:
        guess.remarks["map"] = [f"without a turn: of that there is only {turns[0].name}"]
    yield guess


def _whole_vectors(parent: str, members: Sequence[ReadField]) -> Iterator[GuessedStream]:
    """Yield fields that are a wrench or a twist each."""
    for one in members:
        words = set(one.words)
        about_force = {"wrench", "ft"} & words or {"force", "torque"} <= words
        six = not one.sort and one.many and one.count == 6 and about_force and not one.whole
        sort = WRENCH if six else one.sort
        about = {*one.words, *name_words(one.type.rpartition("/")[2])}
        if sort in (WRENCH, TWIST) and (six or not one.many) and not about & _NO_VECTOR:
            name = suffix_of(parent, one.name)
            yield GuessedStream(sort, {sort: one.path}, name, paths=one.claims)


def _three(
    members: Sequence[ReadField], words: set[str], without: Set[str] = frozenset()
) -> ReadField | None:
    """Return three numbers by the words of their name; single letters count if put together."""
    for one in members:
        mine = {w for w in one.words if len(w) > 1 or one.covers}
        vector = one.sort == VECTOR or (one.many and not one.sort and not one.whole)
        if one.count == 3 and vector and mine & words and not mine & (without | _NO_VECTOR):
            return one
    return None
