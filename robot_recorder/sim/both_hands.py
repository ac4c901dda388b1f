"""Holding things between two palms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_recorder.sim.ik import ARM_JOINTS, NOMINAL_RAD, ArmIk, HandTarget, hand_rotation
from robot_recorder.sim.model import JOINT_NAMES
from robot_recorder.sim.script import Leg

Pose = Sequence[float] | np.ndarray  # x, y, z, yaw
_WAIST = JOINT_NAMES.index("waist_yaw_joint")
_ARMS = np.array(ARM_JOINTS)
_SIGNS = {"left": 1, "right": -1}  # of y
APART_M = 0.05  # between palm and object before the grasp and after the release
_RELAXED, _OPEN, CLOSED = 0.35, 0.05, 0.10  # bend of the fingers, rad


@dataclass(frozen=True)
class Grip:
    """How an object is held: half width, grip point in its frame, pitch of the hands, lift."""

    half_width_m: float
    point_m: tuple[float, float, float]
    pitch_rad: float
    lift_m: float


@dataclass(frozen=True)
class TwoPalms:
    """How the operator takes an object between the palms.

    It aims at the object's pose plus `aim_error_m`. `grip_depth_m` is how far each palm is
    commanded into the object; the arms' compliance turns a millimetre of it into about 0.7 N of
    squeeze. Lengths are in the frame of the torso as it is turned at that moment.
    """

    object_m: tuple[float, float]
    object_yaw_rad: float
    grip_depth_m: float
    aim_error_m: tuple[float, float]
    aim_yaw_error_rad: float
    place_error_m: tuple[float, float]

    def seen(self, z_m: float) -> np.ndarray:
        """Return where the operator believes the object to be: x, y, z, yaw."""
        (x, y), (dx, dy) = self.object_m, self.aim_error_m
        return np.array([x + dx, y + dy, z_m, self.object_yaw_rad + self.aim_yaw_error_rad])


class BothHands:
    """A planner from object poses (x, y, z, yaw in the torso's frame) to joints, float64[43]."""

    def __init__(self, ik: ArmIk, grip: Grip) -> None:
        self._ik, self.grip = ik, grip
        self._last = NOMINAL_RAD

    def home(self) -> np.ndarray:
        pitch = math.radians(20)
        palms = {
            side: HandTarget((0.24, sign * 0.23, 0.95), hand_rotation(side, 0.0, pitch))
            for side, sign in _SIGNS.items()
        }
        return self._joints(palms, fingers=_RELAXED)

    def around(
        self, pose: Pose, apart_m: float, above_m: float = 0.0, fingers: float = _OPEN
    ) -> np.ndarray:
        """Return a pose with the palms beside the object, `apart_m` off (negative: pressed in)."""
        x, y, z, yaw = pose
        gx, gy, gz = self.grip.point_m
        cos, sin = math.cos(yaw), math.sin(yaw)
        palms = {}
        for side, sign in _SIGNS.items():
            py = gy + sign * (self.grip.half_width_m + apart_m)
            at = (x + cos * gx - sin * py, y + sin * gx + cos * py, z + gz + above_m)
            palms[side] = HandTarget(at, hand_rotation(side, yaw, self.grip.pitch_rad))
        return self._joints(palms, fingers=fingers)

    def _joints(self, palms: dict[str, HandTarget], fingers: float) -> np.ndarray:
        # Start at the last pose, to stay in its branch.
        self._last = self._ik.solve(palms, self._last)
        joints = np.zeros(len(JOINT_NAMES))
        joints[_ARMS] = self._last
        for side, sign in (("left", -1), ("right", 1)):
            joints[JOINT_NAMES.index(f"{side}_hand_thumb_1_joint")] = sign * 0.70  # out of the way
            for finger in ("middle_0", "middle_1", "index_0", "index_1"):
                joints[JOINT_NAMES.index(f"{side}_hand_{finger}_joint")] = sign * fingers
        return joints


def blend(start: Pose, end: Pose, knots: int) -> list[tuple[float, ...]]:
    """Return so many rows from a start to an end, both included."""
    return [tuple(row) for row in np.linspace(start, end, knots)]


def turned(joints: np.ndarray, waist_rad: float) -> np.ndarray:
    """Return joints, float64[43], with another angle of the waist."""
    changed = joints.copy()
    changed[_WAIST] = waist_rad
    return changed


@dataclass(frozen=True)
class Taken:
    """The knots with which an object is taken and lifted."""

    home: np.ndarray
    via: np.ndarray
    approach: list[np.ndarray]
    grasp: list[np.ndarray]
    lift: list[np.ndarray]
    lifted: np.ndarray  # pose of the object

    def legs(self, reach_s: float) -> list[Leg]:
        """Return the motion from home."""
        return [
            ("reach", reach_s, [self.home, self.via, self.approach[0]]),
            ("grasp", 0.8, self.grasp),
            ("lift", 1.1, self.lift),
        ]


def take(planner: BothHands, hands: TwoPalms, z_m: float, waist_rad: float) -> Taken:
    """Plan how an object is taken between the palms; the arguments are those of `carry_legs`."""
    depth, seen = -hands.grip_depth_m, hands.seen(z_m)
    lifted = seen + [0, 0, planner.grip.lift_m, 0]
    home = planner.home()
    via = turned(planner.around(seen, APART_M + 0.03, above_m=0.07), waist_rad)
    approach = [planner.around(seen, a[0]) for a in blend([APART_M], [depth], 4)]
    grasp = approach[:-1] + [planner.around(seen, depth, fingers=CLOSED)]
    lift = [planner.around(p, depth, fingers=CLOSED) for p in blend(seen, lifted, 4)]
    approach, grasp, lift = (
        [turned(q, waist_rad) for q in path] for path in (approach, grasp, lift)
    )
    return Taken(home, via, approach, grasp, lift, lifted)


def lift_legs(planner: BothHands, hands: TwoPalms, z_m: float) -> list[Leg]:
    """Return the motion that takes an object between the palms, holds it up, and puts it back.

    Args:
        planner: of this object.
        hands: how it is taken.
        z_m: height of what it stands on.
    """
    taken = take(planner, hands, z_m, 0.0)
    return [
        *taken.legs(1.6),
        ("hold", 1.2, [taken.lift[-1]] * 2),
        ("place", 1.2, taken.lift[::-1]),
        ("release", 0.6, taken.grasp[::-1]),
        ("retreat", 1.2, [taken.approach[0], taken.via, taken.home]),
    ]


def carry_legs(
    planner: BothHands,
    hands: TwoPalms,
    radius_m: float,
    z_m: float,
    waist_rad: tuple[float, float],
    carry_s: float = 1.8,
) -> list[Leg]:
    """Return the motion that takes an object between the palms, turns, and sets it down.

    Args:
        planner: of this object.
        hands: how it is taken.
        radius_m: distance of the goal from the waist's axis.
        z_m: height of what it stands on, before and after.
        waist_rad: angles of the waist at which it is taken and set down.
        carry_s: how long it turns.
    """
    taken = take(planner, hands, z_m, waist_rad[0])
    legs = set_down_legs(planner, hands, taken, radius_m, z_m, waist_rad, carry_s)
    # Do not turn back all the way, so that the head camera keeps the object in view.
    back = [legs[-1][2][-1], turned(taken.home, 0.4 * waist_rad[1])]
    return [*taken.legs(1.6 + 0.6 * abs(waist_rad[0])), *legs, ("retreat", 1.1, back)]


def set_down_legs(
    planner: BothHands,
    hands: TwoPalms,
    taken: Taken,
    radius_m: float,
    z_m: float,
    waist_rad: tuple[float, float],
    carry_s: float,
) -> list[Leg]:
    """Return the motion that turns with an object that was lifted, sets it down, and draws back.

    Args:
        planner: of this object.
        hands: how it is held.
        taken: how it was taken.
        radius_m: distance of the goal from the waist's axis.
        z_m: height of what it is set down on.
        waist_rad: angles of the waist at which it was taken and is set down.
        carry_s: how long it turns.
    """
    depth, (first, last) = -hands.grip_depth_m, waist_rad
    dx, dy = hands.place_error_m
    spot = np.array([radius_m + dx, dy, z_m, 0.0])
    above = np.array([*spot[:2], taken.lifted[2], 0.0])
    carry = [planner.around(p, depth, fingers=CLOSED) for p in blend(taken.lifted, above, 4)]
    place = [planner.around(p, depth, fingers=CLOSED) for p in blend(above, spot, 4)]
    leave = [planner.around(spot, a[0]) for a in blend([depth], [APART_M], 4)]
    away = turned(planner.around(spot, APART_M + 0.03, above_m=0.11), last)
    place, leave = ([turned(q, last) for q in path] for path in (place, leave))
    carry = [turned(q, w) for q, w in zip(carry, np.linspace(first, last, 4))]
    return [
        ("carry", carry_s, carry),
        ("place", 1.0, place),
        ("release", 0.5, [place[-1], *leave[1:]]),
        ("retreat", 0.7, [leave[-1], away]),  # clear of the object before turning back
    ]
