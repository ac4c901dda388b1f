"""A human skeleton whose torso and limbs follow the head and the hands, as a motion-capture suit does.

Coordinates: m, x ahead, y to the left, z up, origin on the floor under the pelvis. A limb's frame
lies in its upper joint with x along the bone; those of pelvis, chest, neck and head have x ahead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from robot_recorder.sim.model import SIDES

_ARM, _LEG = ("upper_arm", "forearm", "hand"), ("thigh", "shin", "foot")
LINKS = (
    "pelvis", "chest", "neck", "head",
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
_ELBOW = np.array([-0.3, 0.6, -1.0])  # direction to which the left one points, in the chest's frame
_LENGTHS_M = np.array([(UPPER_ARM_M, FOREARM_M)] * 2 + [(THIGH_M, SHIN_M)] * 2)


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
    mirrors = np.array([(1.0, 1.0, 1.0), (1.0, -1.0, 1.0)])
    hands = [stance.hands[side] for side in SIDES]
    feet = [Pose(place, np.eye(3)) for place in _ANKLE_M * mirrors]
    # Elbows hang, and point away from the body; knees point ahead.
    bends = np.concatenate((mirrors * _ELBOW @ chest.turn.T, (ahead, ahead)))
    roots = np.concatenate((
        chest.place + (SHOULDER_M * mirrors) @ chest.turn.T,
        stance.pelvis.place + (_HIP_M * mirrors) @ stance.pelvis.turn.T,
    ))  # fmt: skip
    ends = np.array([end.place for end in (*hands, *feet)])
    roots = within_reach(roots, ends, _LENGTHS_M.sum(axis=1))
    middles = elbow(roots, ends, _LENGTHS_M[:, 0], _LENGTHS_M[:, 1], bends)
    first, second = along(middles - roots, bends), along(ends - middles, bends)
    found = [stance.pelvis, chest, Pose(chest.point(_NECK_M), chest.turn), stance.head_pose]
    for limb, end in enumerate((*hands, *feet)):
        found += [Pose(roots[limb], first[limb]), Pose(middles[limb], second[limb]), end]
    return dict(zip(LINKS, found))


def within_reach(roots: np.ndarray, ends: np.ndarray, lengths_m: np.ndarray) -> np.ndarray:
    """Return roots of limbs, float64[n, 3], m, moved towards ends that are too far away.

    Shoulders give way like this; bones do not become longer.

    Args:
        roots, ends: float64[n, 3], m.
        lengths_m: of the limbs, float64[n].
    """
    ways = ends - roots
    distances = np.sqrt((ways * ways).sum(axis=1))
    excess = np.maximum(distances - _STRAIGHT * lengths_m, 0.0)
    return np.asarray(roots + ways * (excess / np.maximum(distances, 1e-6))[:, None])


def elbow(
    roots: np.ndarray,
    ends: np.ndarray,
    first_m: np.ndarray,
    second_m: np.ndarray,
    bends: np.ndarray,
) -> np.ndarray:
    """Return the middle joints of limbs of two bones, float64[n, 3], m, by the law of cosines.

    Args:
        roots, ends: float64[n, 3], m, within reach.
        first_m, second_m: lengths of the bones, float64[n].
        bends: directions to which the joints point, float64[n, 3]; not along the limbs.
    """
    ways = ends - roots
    distances = np.maximum(np.sqrt((ways * ways).sum(axis=1)), abs(first_m - second_m) + 1e-6)
    ahead = ways / distances[:, None]
    along_m = (distances**2 + first_m**2 - second_m**2) / (2 * distances)
    aside = bends - ahead * (bends * ahead).sum(axis=1)[:, None]
    aside /= np.sqrt((aside * aside).sum(axis=1))[:, None]
    aside_m = np.sqrt(np.maximum(first_m**2 - along_m**2, 0.0))
    return np.asarray(roots + ahead * along_m[:, None] + aside * aside_m[:, None])


def along(directions: np.ndarray, towards: np.ndarray) -> np.ndarray:
    """Return axes, float64[n, 3, 3], with x along directions and z on the side of others.

    Args:
        directions, towards: float64[n, 3], not parallel.
    """
    x = directions / np.sqrt((directions * directions).sum(axis=1))[:, None]
    y = _cross(towards, x)
    y /= np.sqrt((y * y).sum(axis=1))[:, None]
    return np.stack((x, y, _cross(x, y)), axis=2)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return cross products, float64[n, 3]; ``np.cross`` takes five times as long."""
    return np.asarray(a[:, (1, 2, 0)] * b[:, (2, 0, 1)] - a[:, (2, 0, 1)] * b[:, (1, 2, 0)])


def turned(yaw_rad: float = 0.0, pitch_rad: float = 0.0, roll_rad: float = 0.0) -> np.ndarray:
    """Return axes, float64[3, 3], turned by yaw about z, then pitch (down), then roll."""
    cy, sy = math.cos(yaw_rad), math.sin(yaw_rad)
    cp, sp = math.cos(pitch_rad), math.sin(pitch_rad)
    cr, sr = math.cos(roll_rad), math.sin(roll_rad)
    return np.array([
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ])  # fmt: skip
