"""A human skeleton whose torso and limbs follow the head and the hands, as a motion-capture suit does.

Coordinates: m, x ahead, y to the left, z up, origin on the floor under the pelvis. A limb's frame
lies in its upper joint with x along the bone; those of pelvis, chest and head have x ahead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from robot_recorder.sim.model import SIDES

_ARM, _LEG = ("upper_arm", "forearm", "hand"), ("thigh", "shin", "foot")
LINKS = (
    "pelvis", "chest", "head",
    *(f"{side}_{part}" for limb in (_ARM, _LEG) for side in SIDES for part in limb),
)  # fmt: skip
UPPER_ARM_M, FOREARM_M = 0.29, 0.26
THIGH_M, SHIN_M = 0.44, 0.44
STANDING_M = 0.96  # height of the pelvis
WAIST_M = np.array([0.0, 0.0, 0.12])  # of the chest's frame in that of the pelvis
SHOULDER_M = np.array([0.0, 0.18, 0.34])  # of the left one in the chest's frame
_NECK_M = np.array([0.0, 0.0, 0.40])  # in the chest's frame
_EYES_M = np.array([0.09, 0.0, 0.16])  # the head's frame, between the eyes, from the neck
_HIP_M = np.array([0.0, 0.09, -0.05])  # of the left one in the frame of the pelvis
_ANKLE_M = np.array([-0.02, 0.11, 0.08])  # of the left one, on the floor
_STRAIGHT = 0.995  # share of a limb's length at which it counts as stretched
_MIRROR = np.array([1.0, -1.0, 1.0])


class Pose(NamedTuple):
    """Where something is: ``place`` float64[3], m, and ``turn`` float64[3, 3], its axes as columns."""

    place: np.ndarray
    turn: np.ndarray

    def point(self, offset: np.ndarray) -> np.ndarray:
        """Return a point of its frame, float64[3], m, in the outer frame."""
        return np.asarray(self.place + self.turn @ offset)


@dataclass(frozen=True)
class Stance:
    """What determines the body.

    Attributes:
        pelvis: its pose.
        chest: axes of the chest, float64[3, 3].
        head: axes of the head, float64[3, 3].
        hands: pose of each wrist by side, x to the fingertips, z to the thumb's side.
    """

    pelvis: Pose
    chest: np.ndarray
    head: np.ndarray
    hands: dict[str, Pose]

    @property
    def chest_pose(self) -> Pose:
        """Return the pose of the chest, whose frame lies in the waist."""
        return Pose(self.pelvis.point(WAIST_M), self.chest)

    @property
    def head_pose(self) -> Pose:
        """Return the pose of the head, between the eyes."""
        return Pose(self.chest_pose.point(_NECK_M) + self.head @ _EYES_M, self.head)


def body(stance: Stance) -> dict[str, Pose]:
    """Return the pose of every link, in the order of ``LINKS``."""
    chest, ahead = stance.chest_pose, stance.pelvis.turn[:, 0]
    links = {"pelvis": stance.pelvis, "chest": chest, "head": stance.head_pose}
    for side, mirror in zip(SIDES, (1.0, _MIRROR)):
        # Elbows hang, and point away from the body.
        out = chest.turn @ (np.array([-0.3, 0.6, -1.0]) * mirror)
        shoulder, hand = chest.point(SHOULDER_M * mirror), stance.hands[side]
        links |= _limb(side, _ARM, shoulder, hand, (UPPER_ARM_M, FOREARM_M), out)
    for side, mirror in zip(SIDES, (1.0, _MIRROR)):
        foot = Pose(_ANKLE_M * mirror, np.eye(3))
        hip = stance.pelvis.point(_HIP_M * mirror)
        links |= _limb(side, _LEG, hip, foot, (THIGH_M, SHIN_M), ahead)
    return {name: links[name] for name in LINKS}


def _limb(
    side: str,
    parts: tuple[str, str, str],
    root: np.ndarray,
    end: Pose,
    lengths_m: tuple[float, float],
    bend: np.ndarray,
) -> dict[str, Pose]:
    """Return both bones of a limb and its end, which has exactly the given pose."""
    root = within_reach(root, end.place, sum(lengths_m))
    middle = elbow(root, end.place, *lengths_m, bend)
    first, second = middle - root, end.place - middle
    poses = Pose(root, along(first, bend)), Pose(middle, along(second, bend)), end
    return {f"{side}_{part}": pose for part, pose in zip(parts, poses)}


def within_reach(root: np.ndarray, end: np.ndarray, length_m: float) -> np.ndarray:
    """Return a limb's root, float64[3], m, moved towards an end that is too far away.

    A shoulder gives way like this; bones do not become longer.
    """
    way = end - root
    distance = float(np.linalg.norm(way))
    excess = distance - _STRAIGHT * length_m
    return root + way * (excess / distance) if excess > 0 else root


def elbow(
    root: np.ndarray, end: np.ndarray, first_m: float, second_m: float, bend: np.ndarray
) -> np.ndarray:
    """Return the middle joint of two bones, float64[3], m, by the law of cosines.

    Args:
        root, end: float64[3], m, not further apart than both bones are long.
        first_m, second_m: lengths of the bones.
        bend: direction to which the joint points, float64[3]; not along the limb.
    """
    way = end - root
    distance = min(max(float(np.linalg.norm(way)), 1e-6), first_m + second_m)
    ahead = way / max(float(np.linalg.norm(way)), 1e-6)
    along_m = (distance**2 + first_m**2 - second_m**2) / (2 * distance)
    aside = bend - ahead * (bend @ ahead)
    aside_m = math.sqrt(max(first_m**2 - along_m**2, 0.0))
    return np.asarray(root + ahead * along_m + aside * (aside_m / float(np.linalg.norm(aside))))


def along(direction: np.ndarray, towards: np.ndarray) -> np.ndarray:
    """Return axes, float64[3, 3], with x along a direction, and z on the side of another."""
    x = direction / np.linalg.norm(direction)
    y = np.cross(towards, x)
    y /= np.linalg.norm(y)
    return np.column_stack((x, y, np.cross(x, y)))


def turned(yaw_rad: float = 0.0, pitch_rad: float = 0.0, roll_rad: float = 0.0) -> np.ndarray:
    """Return axes, float64[3, 3], turned by yaw about z, then pitch (down), then roll."""
    cy, sy = math.cos(yaw_rad), math.sin(yaw_rad)
    cp, sp = math.cos(pitch_rad), math.sin(pitch_rad)
    cr, sr = math.cos(roll_rad), math.sin(roll_rad)
    yaw = np.array([[cy, -sy, 0.0], [sy, cy, 0.0], [0.0, 0.0, 1.0]])
    pitch = np.array([[cp, 0.0, sp], [0.0, 1.0, 0.0], [-sp, 0.0, cp]])
    roll = np.array([[1.0, 0.0, 0.0], [0.0, cr, -sr], [0.0, sr, cr]])
    return np.asarray(yaw @ pitch @ roll)
