"""Poses of a person: which streams have them, which bodies are joined, and where they are drawn."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from posixpath import commonprefix
from typing import TYPE_CHECKING

import numpy as np

from robot_recorder.messages.kinds import Sort
from robot_recorder.model.arrays import Floats
from robot_recorder.model.streams import Role
from robot_recorder.model.value_names import split_name

if TYPE_CHECKING:
    from robot_recorder.messages.urdf import RobotModel

ASIDE_M = 0.9  # from the middle of the robot to its right
_SHARED, _SIDE = re.compile(r".*[^a-z0-9]"), re.compile(r"left|right|(^|_)[lr]_")
_AXES = ("x", "y", "z", "w")
_HEAD = re.compile(r"(^|[_/])(head|hmd|headset)(_|$)")
_COMPUTED = re.compile(r"target|goal|command|cmd|desired|reference")
# From top to bottom, in the words of several suits; without underscores, in lower case.
_TRUNK = ("neck", "chest", "torso", "t8", "t12", "spine", "l3", "l5", "abdomen", "waist",
          "pelvis", "hips", "root")  # fmt: skip
_ARM = (("shoulder", "clavicle"), ("upperarm",), ("forearm", "lowerarm", "elbow"),
        ("hand", "wrist"))  # fmt: skip
_LEG = (("thigh", "upperleg"), ("shin", "lowerleg", "knee"), ("foot", "ankle"), ("toe", "toes"))


@dataclass(frozen=True)
class Body:
    """A body among a message's values.

    Attributes:
        name: empty if the message has one pose only.
        position: columns of x, y and z, m.
        orientation: columns of a unit quaternion x, y, z and w; empty: unknown.
    """

    name: str
    position: tuple[int, ...]
    orientation: tuple[int, ...]


def is_operators(sort: Sort, role: Role | None) -> bool:
    """Return whether a stream has poses that an operator's body gives."""
    return role is Role.ACTION and sort is Sort.POSE


def is_head(*names: str) -> bool:
    """Return whether a stream's names say that it is the pose of a person's head."""
    words = [name.lower() for name in names]
    return any(map(_HEAD.search, words)) and not any(map(_COMPUTED.search, words))


def bodies(names: Sequence[str]) -> list[Body]:
    """Return the bodies whose poses are among values with these names, such as ``position/x (m)``."""
    columns: dict[str, dict[tuple[str, str], int]] = {}
    for number, name in enumerate(names):
        field, _, rest = split_name(name)[0].partition("/")
        body, _, axis = rest.rpartition("/")
        columns.setdefault(body, {})[field, axis] = number
    found = []
    for body, of in columns.items():
        place = tuple(of[key] for a in _AXES[:3] if (key := ("position", a)) in of)
        turn = tuple(of[key] for a in _AXES if (key := ("orientation", a)) in of)
        if len(place) == 3:
            found.append(Body(body, place, turn if len(turn) == 4 else ()))
    return found


def bones(names: Iterable[str]) -> list[tuple[int, int]]:
    """Return pairs of indexes of bodies that a line joins, nearer to the pelvis first.

    Args:
        names: of the bodies of a person, in any spelling; unknown ones are not joined.
    """
    there = _plain(names)
    trunk = [there[name] for name in _TRUNK if name in there]
    found = [(lower, upper) for upper, lower in pairwise(trunk)]
    if trunk and "head" in there:
        found.append((trunk[0], there["head"]))
    for side in ("left", "right"):
        arm, leg = (
            [part for words in limb if (part := _limb_part(there, side, words)) is not None]
            for limb in (_ARM, _LEG)
        )
        # Shoulder blades hang on the chest; without them an upper arm is nearest to the neck.
        blade = _limb_part(there, side, _ARM[0]) is not None
        chest = [there[name] for name in _TRUNK[1 if blade else 0 :] if name in there]
        found += [*pairwise([*chest[:1], *arm]), *pairwise([*trunk[-1:], *leg])]
    return found


def arm_links(names: Iterable[str], side: str) -> tuple[int | None, int | None, int | None]:
    """Return the indexes of upper arm, forearm and hand among bodies of a person; None: it has none."""
    there = _plain(names)
    upper, forearm, hand = (_limb_part(there, side, words) for words in _ARM[1:])
    return upper, forearm, hand


def chest_link(names: Iterable[str]) -> int | None:
    """Return the index of the highest body of a person's trunk, the neck apart; None: it has none."""
    there = _plain(names)
    return next((there[name] for name in _TRUNK[1:] if name in there), None)


def _plain(names: Iterable[str]) -> dict[str, int]:
    """Return indexes by names in lower case without signs, and without what all of them begin with."""
    lower = [name.lower() for name in names]
    shared = _SHARED.match(commonprefix(lower)) if len(lower) > 1 else None
    begin = shared.end() if shared and not _SIDE.search(shared[0]) else 0
    return {re.sub(r"[^a-z0-9]", "", name[begin:]): n for n, name in enumerate(lower)}


def _limb_part(there: Mapping[str, int], side: str, words: Sequence[str]) -> int | None:
    spellings = (s for word in words for s in (side + word, side[0] + word, word + side))
    return next((there[name] for name in spellings if name in there), None)


def beside(robot: RobotModel) -> Floats:
    """Return where a person stands who is drawn beside a robot, float64[3], m, in its root frame.

    The floor is as low as the lowest link with all joints at 0.
    """
    poses = robot.link_poses({}).values()
    floor_m = min((float(pose[0, 2, 3]) for pose in poses), default=0.0)
    return np.array([0.0, -ASIDE_M, floor_m])
