"""Names of values, such as ``position/left_elbow_joint (rad)``: a path and a unit in brackets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

_NAME = re.compile(r"^(?P<path>.*?)(?: \((?P<unit>[^()]*)\))?$", re.DOTALL)
_UNKNOWN = "?"


@lru_cache(maxsize=4096)  # every episode asks for the same names again, many times
def split_name(name: str) -> tuple[str, str]:
    """Return path and unit of a value; empty unit: unknown.

    The first part of the path is the field; the joint's name behind it may contain slashes.
    """
    found = _NAME.match(name)
    assert found is not None  # it matches everything
    unit = found["unit"] or ""
    return found["path"], "" if unit == _UNKNOWN else unit


def joint_of(name: str) -> str:
    """Return the joint that a value of a joint state belongs to."""
    return split_name(name)[0].partition("/")[2]


@lru_cache(maxsize=256)
def quaternion_starts(names: tuple[str, ...]) -> tuple[int, ...]:
    """Return the places where unit quaternions begin: ``orientation/.../x (1)``, y, z and w."""
    found = []
    for at, name in enumerate(names):
        path = name.removesuffix("x (1)")
        whole = tuple(f"{path}{axis} (1)" for axis in "xyzw")
        if name.startswith("orientation/") and names[at : at + 4] == whole:
            found.append(at)
    return tuple(found)


def joint_label(joint: str) -> str:
    """Return a short label of a joint, without the ending ``_joint``."""
    return joint.removesuffix("_joint") or joint


class ValueGroup(NamedTuple):
    """Values that differ only in a part of their names, such as x, y and z of a force.

    Attributes:
        path: the common part.
        unit: empty: unknown.
        items: the part that differs, one for each value.
        columns: indices of the values.
    """

    path: str
    unit: str
    items: tuple[str, ...]
    columns: tuple[int, ...]


def group_values(names: Sequence[str], by_field: bool) -> list[ValueGroup]:
    """Group values by name and unit, in the order of the first of each group.

    Args:
        names: names of the values.
        by_field: whether the common part is only the field, the first part; otherwise it is
            everything but the last part. A name with a single part has the empty path.
    """
    found: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for column, name in enumerate(names):
        whole, unit = split_name(name)
        if by_field:
            path, _, item = whole.partition("/") if "/" in whole else ("", "", whole)
        else:
            path, _, item = whole.rpartition("/")
        found.setdefault((path, unit), []).append((item, column))
    return [
        ValueGroup(path, unit, tuple(i for i, _ in members), tuple(c for _, c in members))
        for (path, unit), members in found.items()
    ]
