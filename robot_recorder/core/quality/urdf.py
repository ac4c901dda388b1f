"""Joint limits out of a robot description.

Source of the format: http://wiki.ros.org/urdf/XML/joint.
"""

from __future__ import annotations

from xml.etree import ElementTree

_LIMITED = ("revolute", "prismatic")  # continuous joints have no limits


def joint_limits(description: str) -> dict[str, tuple[float, float]]:
    """Lowest and highest position by joint, rad or m; empty where there is no URDF to be read."""
    try:
        robot = ElementTree.fromstring(description.strip())
    except ElementTree.ParseError:
        return {}
    found = {}
    for joint in robot.iter("joint"):
        limit = joint.find("limit")
        if limit is None or joint.get("type") not in _LIMITED:
            continue
        try:
            low, high = float(limit.get("lower", 0)), float(limit.get("upper", 0))
        except ValueError:
            continue
        if high > low:
            found[joint.get("name", "")] = (low, high)
    return found
