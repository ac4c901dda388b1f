"""Where the overlay is: above the robot, according to its description."""

from __future__ import annotations

from dataclasses import dataclass

from robot_recorder.messages.urdf import parse_urdf

FRAME = "base_link"  # usual name of a robot's root frame
_ABOVE_M = 0.25  # above the frame of the highest link
_HEIGHT_M = 1.0  # without a description


@dataclass(frozen=True)
class Placement:
    """The middle of the lowest line is ``z_m`` above the origin of ``frame``."""

    frame: str = FRAME
    z_m: float = _HEIGHT_M


def placement(description: str) -> Placement:
    """Return a place above the highest link with all joints at 0, in the root frame.

    Raises:
        DecodeError: it is not a URDF, or describes no links.
    """
    robot = parse_urdf(description)
    highest = max((float(pose[0, 2, 3]) for pose in robot.link_poses({}).values()), default=0.0)
    return Placement(robot.roots[0], round(highest + _ABOVE_M, 3))
