"""Where overlay and operator are: above and beside the robot, according to its description."""

from __future__ import annotations

from dataclasses import dataclass

from robot_recorder.messages.skeleton import ASIDE_M, beside
from robot_recorder.messages.urdf import parse_urdf
from robot_recorder.rviz.shapes import Point

FRAME = "base_link"  # usual name of a robot's root frame
_ABOVE_M = 0.25  # above the frame of the highest link
_HEIGHT_M = 1.0  # without a description


@dataclass(frozen=True)
class Placement:
    """Where things are drawn that have no place on the robot.

    Attributes:
        frame: root of the robot.
        z_m: height of the lowest line of text above the origin of ``frame``, m.
        beside: where an operator stands, m, in ``frame``.
        links: frames of the robot; poses in other ones are drawn beside it.
    """

    frame: str = FRAME
    z_m: float = _HEIGHT_M
    beside: Point = (0.0, -ASIDE_M, 0.0)
    links: frozenset[str] = frozenset()


def placement(description: str) -> Placement:
    """Return a place above the highest link with all joints at 0, in the root frame.

    Raises:
        DecodeError: it is not a URDF, or describes no links.
    """
    robot = parse_urdf(description)
    highest = max((float(pose[0, 2, 3]) for pose in robot.link_poses({}).values()), default=0.0)
    x, y, z = (round(value, 3) for value in beside(robot).tolist())
    height_m = round(highest + _ABOVE_M, 3)
    return Placement(robot.roots[0], height_m, (x, y, z), frozenset(robot.links))
