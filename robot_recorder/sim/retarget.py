"""From the links of a motion-capture suit to poses of the robot's hands, without ROS.

A person's arm is laid onto the robot's: shoulder on shoulder, scaled by the length of the arm, and turned to where
the person faces. So the person may walk about, turn and bow. How the links of a suit are turned is learned from a
pose that everybody can stand in: arms hanging, palms to the thighs (N), or stretched out sideways, palms down (T).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from robot_recorder.messages.skeleton import arm_links, chest_link
from robot_recorder.sim.hand_commands import HandPose, rotation_vector
from robot_recorder.sim.model import PALM_CENTRE_M, SIDES

STILL_FRAMES = 30  # in which nothing moves until a pose counts
_STILL_M = 0.02
_ARM_M = (0.35, 0.85)  # of a person, from the shoulder to the wrist
_POSE_COS = 0.9  # of the angle between an arm and where it should point
_FIST_RAD = 1.4  # by which the first link of a finger turns from a flat hand to a fist
_FINGER = re.compile(r"(index|middle|finger2|finger3)_?(proximal|1)$")
_STAND = "stand with arms hanging or stretched out sideways"
_SIGNS = {"left": 1.0, "right": -1.0}  # of y


@dataclass(frozen=True)
class ArmOfRobot:
    """An arm of the robot: its shoulder, float64[3] in m in the torso's frame, and its length."""

    shoulder_m: np.ndarray
    reach_m: float


@dataclass(frozen=True)
class Retargeted:
    """Where a person's links want a hand of the robot.

    Attributes:
        palm: its pose in the torso's frame.
        elbow: direction from the shoulder to the elbow, float64[3].
        bend: of the fingers, 0 (flat) to 1 (fist); None: the suit has no gloves.
    """

    palm: HandPose
    elbow: np.ndarray
    bend: float | None


def arms_of(model: mujoco.MjModel) -> dict[str, ArmOfRobot]:
    """Measure the robot's arms, by side."""
    data, found = mujoco.MjData(model), {}
    mujoco.mj_kinematics(model, data)
    for side in SIDES:
        shoulder, elbow, wrist = (
            data.body(f"{side}_{link}_link").xpos
            for link in ("shoulder_roll", "elbow", "wrist_yaw")
        )
        found[side] = ArmOfRobot(
            shoulder.copy(), math.dist(shoulder, elbow) + math.dist(elbow, wrist)
        )
    return found


@dataclass(frozen=True)
class _Arm:
    """What was learned of a person's arm: of the links' own frames, and the scale to the robot's."""

    shoulder_m: np.ndarray  # in the frame of the person's chest
    hand: np.ndarray  # axes of the robot's wrist in those of the hand's link, float64[3, 3]
    scale: float
    finger: np.ndarray | None  # how the first finger is turned in the hand's frame when it is flat


class Retargeting:
    """Maps a person's links to the robot, once it has seen the person stand in N or T.

    Attributes:
        why: what is missing, to be read by a person; empty: calibrated.
    """

    def __init__(self, robot: Mapping[str, ArmOfRobot], scale: float = 1.0) -> None:
        """Create it for a person it knows nothing of.

        Args:
            robot: its arms by side.
            scale: further factor of the way from the shoulder to the hand.
        """
        self._robot, self._scale = robot, scale
        self._names: tuple[str, ...] = ()
        self._rows: dict[str, int] = {}
        self._chest = np.eye(3)  # axes of the person in those of the chest's link
        self._arms: dict[str, _Arm] = {}
        self._still: list[np.ndarray] = []
        self.why = _STAND

    def forget(self) -> None:
        """Calibrate anew, when the person stands in N or T the next time."""
        self._arms, self._still = {}, []
        self.why = _STAND

    def wishes(
        self, names: Sequence[str], links: Sequence[HandPose | None]
    ) -> dict[str, Retargeted]:
        """Return what the hands of a person want, by side; a hand whose links are unknown is missing.

        Args:
            names: of the links, in any suit's spelling.
            links: their poses, z up; None: unknown.
        """
        if tuple(names) != self._names:
            self._names, self._rows = tuple(names), _rows(names)
        there = {part: pose for part, row in self._rows.items() if (pose := links[row]) is not None}
        if not self._arms:
            self._learn(there)
        if not self._arms or "chest" not in there:
            return {}
        chest = there["chest"]
        ahead = (chest.rotation @ self._chest)[:, 0]
        facing = _facing(ahead)
        origin = chest.rotation @ self._chest
        found = {}
        for side, arm in self._arms.items():
            if {f"{side}_upper_arm", f"{side}_forearm", f"{side}_hand"} <= there.keys():
                shoulder_m = chest.position_m + origin @ arm.shoulder_m
                found[side] = self._wish(side, arm, there, facing, shoulder_m)
        return found

    def _wish(
        self,
        side: str,
        arm: _Arm,
        there: Mapping[str, HandPose],
        facing: np.ndarray,
        shoulder_m: np.ndarray,
    ) -> Retargeted:
        hand, robot = there[f"{side}_hand"], self._robot[side]
        wrist_m = robot.shoulder_m + arm.scale * (facing.T @ (hand.position_m - shoulder_m))
        rotation = facing.T @ hand.rotation @ arm.hand
        x, y, z = PALM_CENTRE_M
        palm_m = wrist_m + rotation @ np.array([x, -_SIGNS[side] * y, z])
        upper = there[f"{side}_forearm"].position_m - there[f"{side}_upper_arm"].position_m
        finger, bend = there.get(f"{side}_finger"), None
        if finger is not None and arm.finger is not None:
            turned = hand.rotation.T @ finger.rotation @ arm.finger.T
            bend = min(float(np.linalg.norm(rotation_vector(turned))) / _FIST_RAD, 1.0)
        return Retargeted(HandPose(palm_m, rotation), facing.T @ upper, bend)

    # -- calibration

    def _learn(self, there: Mapping[str, HandPose]) -> None:
        needed = [
            "chest",
            *(f"{s}_{part}" for s in SIDES for part in ("upper_arm", "forearm", "hand")),
        ]
        if missing := [part for part in needed if part not in there]:
            lacks = [part for part in missing if part not in self._rows]
            unseen = f"the suit does not see {', '.join(missing)}"
            self.why = f"the suit has no {', '.join(lacks)}" if lacks else unseen
            return
        places = np.array([there[part].position_m for part in needed])
        self._still = [*self._still[1 - STILL_FRAMES :], places]
        moved = np.abs(np.array(self._still) - places).max()
        pose, facing = _pose(there)
        if not pose:
            self.why = _STAND
        elif moved > _STILL_M:
            self.why, self._still = "stand still", [places]
        elif len(self._still) == STILL_FRAMES:
            self._take(there, pose, facing)

    def _take(self, there: Mapping[str, HandPose], pose: str, facing: np.ndarray) -> None:
        chest = there["chest"]
        for side in SIDES:
            length_m = arm_length_m(there, side)
            if not _ARM_M[0] < length_m < _ARM_M[1]:
                self.why, self._arms = f"the {side} arm would be {length_m:.2f} m long", {}
                return
            hand, finger = there[f"{side}_hand"], there.get(f"{side}_finger")
            self._arms[side] = _Arm(
                facing.T @ (there[f"{side}_upper_arm"].position_m - chest.position_m),
                hand.rotation.T @ facing @ wrist_in(pose, side),
                self._scale * self._robot[side].reach_m / length_m,
                None if finger is None else hand.rotation.T @ finger.rotation,
            )
        self._chest, self.why = chest.rotation.T @ facing, ""


def arm_length_m(there: Mapping[str, HandPose], side: str) -> float:
    """Return how far it is from shoulder to wrist along the arm, m."""
    shoulder, elbow, wrist = (
        there[f"{side}_{part}"].position_m for part in ("upper_arm", "forearm", "hand")
    )
    return math.dist(shoulder, elbow) + math.dist(elbow, wrist)


def wrist_in(pose: str, side: str) -> np.ndarray:
    """Return the axes that the robot's wrist would have in a pose, ``N`` or ``T``, float64[3, 3].

    x to the fingertips, z to the thumb, which points ahead in both.
    """
    fingers = np.array([0.0, 0.0, -1.0]) if pose == "N" else np.array([0.0, _SIGNS[side], 0.0])
    thumb = np.array([1.0, 0.0, 0.0])
    return np.stack([fingers, np.cross(thumb, fingers), thumb], axis=1)


def _pose(there: Mapping[str, HandPose]) -> tuple[str, np.ndarray]:
    """Return in which pose a person stands, empty: in none, and the axes of where it faces."""
    left, right = (there[f"{side}_upper_arm"].position_m for side in SIDES)
    across = left - right
    facing = _facing(np.array([across[1], -across[0], 0.0]))
    ways = {}
    for side in SIDES:
        way = there[f"{side}_hand"].position_m - there[f"{side}_upper_arm"].position_m
        ways[side] = facing.T @ way / arm_length_m(there, side)
    if all(way[2] < -_POSE_COS for way in ways.values()):
        return "N", facing
    if all(_SIGNS[side] * way[1] > _POSE_COS for side, way in ways.items()):
        return "T", facing
    return "", facing


def _facing(ahead: np.ndarray) -> np.ndarray:
    """Return axes with z up and x as far ahead as a direction is, float64[3, 3]."""
    yaw = math.atan2(ahead[1], ahead[0])
    cos, sin = math.cos(yaw), math.sin(yaw)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])


def _rows(names: Sequence[str]) -> dict[str, int]:
    """Return which link is which part."""
    chest, rows = chest_link(names), {}
    if chest is not None:
        rows["chest"] = chest
    for side in SIDES:
        for part, row in zip(("upper_arm", "forearm", "hand"), arm_links(names, side)):
            if row is not None:
                rows[f"{side}_{part}"] = row
        for row, name in enumerate(names):
            plain = re.sub(r"[^a-z0-9_]", "", re.sub(r"[ /-]", "_", name.lower()))
            if side in plain and _FINGER.search(plain):
                rows.setdefault(f"{side}_finger", row)
    return rows
