"""Where the overlay stands: above the robot, by its description."""

from __future__ import annotations

from dataclasses import dataclass

from robot_recorder.messages.urdf import parse_urdf

FRAME = "base_link"  # what robots call their root where nothing says
_ABOVE_M = 0.25  # the highest link's frame
_HEIGHT_M = 1.0  # where there is no description


@dataclass(frozen=True)
class Placement:
    """The lowest line's middle is at ``z_m`` above the origin of ``frame``."""

    frame: str = FRAME
    z_m: float = _HEIGHT_M


def placement(description: str) -> Placement:
    """Above the highest link, with all joints at 0, in the root's frame.

    Raises:
        DecodeError: it is no URDF, or describes no links.
    """
    robot = parse_urdf(description)
    highest = max((float(pose[0, 2, 3]) for pose in robot.link_poses({}).values()), default=0.0)
    return Placement(robot.roots[0], round(highest + _ABOVE_M, 3))
