"""Names of values, such as ``position/left_elbow_joint (rad)``: a path, and a unit in brackets."""

from __future__ import annotations

import re

_NAME = re.compile(r"^(?P<path>.*?)(?: \((?P<unit>[^()]*)\))?$", re.DOTALL)
_UNKNOWN = "?"


def split_name(name: str) -> tuple[str, str]:
    """Path and unit of a value; the unit is empty where nobody knows it.

    The path's first part is the field; a joint's name behind it may have slashes, too.
    """
    found = _NAME.match(name)
    assert found is not None  # it matches everything
    unit = found["unit"] or ""
    return found["path"], "" if unit == _UNKNOWN else unit


def joint_of(name: str) -> str:
    """The joint that a value of a joint state is about."""
    return split_name(name)[0].partition("/")[2]


def joint_label(joint: str) -> str:
    """What to call a joint where there is little room: ``left_elbow_joint`` is one anyway."""
    return joint.removesuffix("_joint") or joint
