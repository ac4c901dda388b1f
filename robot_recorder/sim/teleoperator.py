"""The person who drives the simulated robot: hands ahead of its wrists, eyes on the hands."""

from __future__ import annotations

import math

import mujoco
import numpy as np

from robot_recorder.sim.human import (
    FOREARM_M,
    SHOULDER_M,
    STANDING_M,
    UPPER_ARM_M,
    WAIST_M,
    Pose,
    Stance,
    turned,
)
from robot_recorder.sim.model import SIDES, TIMESTEP_S

LEAD_S = 0.08  # the robot's commands follow the hands by this: tracking, network, retargeting
LEAD_STEPS = round(LEAD_S / TIMESTEP_S)
_SHOULDERS = np.array([0.0, 0.0, STANDING_M]) + WAIST_M + SHOULDER_M * (1, 0, 1)  # middle of them
_LEAN_FROM_M, _LEAN_RAD_PER_M, _MOST_LEAN_RAD = 0.28, 0.9, 0.35
_COMFORT = 0.92  # share of a person's reach that is used for all of the robot's
_EYES_M = np.array([0.09, 0.0, 0.56])  # in the chest's frame, about
_YAW_SHARE = 0.6  # of the direction of the hands; the arms do the rest
_GAZE_SHARE = 0.75  # of the direction to the hands; the eyes do the rest


class Wobble:
    """Small motions that a living body cannot suppress, as functions of time.

    Each axis is a sum of sines with fixed random phases, so the same time gives the same motion.
    """

    def __init__(self, seed: int, axes: int, *bands: tuple[float, float, float]) -> None:
        """Choose frequencies and phases.

        Args:
            seed: of the phases.
            axes: number of values.
            bands: lowest and highest frequency, Hz, and standard deviation.
        """
        random, each = np.random.default_rng(seed), 4
        shape = (axes, each)
        rates = [random.uniform(low, high, shape) for low, high, _ in bands]
        sizes = [np.full(shape, size * math.sqrt(2 / each)) for _, _, size in bands]
        self._rates = 2 * math.pi * np.concatenate(rates, axis=1)
        self._sizes = np.concatenate(sizes, axis=1)
        self._phases = random.uniform(0, 2 * math.pi, self._rates.shape)

    def __call__(self, time_s: float) -> np.ndarray:
        """Return the deviations at a time, float64[axes]."""
        return np.asarray((self._sizes * np.sin(self._rates * time_s + self._phases)).sum(axis=1))


class Teleoperator:
    """Turns the robot's servo targets into the person's motion that commands them."""

    def __init__(self, model: mujoco.MjModel) -> None:
        """Measure the robot, so that its reach can be scaled to a person's.

        Args:
            model: of the robot; used for kinematics only.
        """
        self._model, self._data = model, mujoco.MjData(model)
        mujoco.mj_kinematics(model, self._data)
        wrists, elbows, shoulders = (
            [self._data.body(f"{side}_{link}_link") for side in SIDES]
            for link in ("wrist_yaw", "elbow", "shoulder_roll")
        )
        self._wrists = [wrist.id for wrist in wrists]
        self._origin = np.mean([shoulder.xpos for shoulder in shoulders], axis=0)
        bones = ((shoulders[0], elbows[0]), (elbows[0], wrists[0]))
        reach_m = sum(float(np.linalg.norm(a.xpos - b.xpos)) for a, b in bones)
        self.scale = _COMFORT * (UPPER_ARM_M + FOREARM_M) / reach_m
        # Physiological tremor is at 8 to 12 Hz; postures drift below 1 Hz.
        self._hands = [Wobble(n, 3, (0.2, 0.9, 1.5e-3), (8, 12, 1.5e-4)) for n in (1, 2)]
        self._wrist_turns = [Wobble(n, 3, (0.2, 0.9, 0.012), (8, 12, 1.5e-3)) for n in (3, 4)]
        self._sway = Wobble(5, 3, (0.15, 0.5, 3e-3))
        self._torso_turn = Wobble(6, 3, (0.1, 0.4, 0.008))
        self._head_turn = Wobble(7, 3, (0.2, 0.8, 0.02), (5, 9, 5e-4))

    def stance(self, time_s: float, target_rad: np.ndarray) -> Stance:
        """Return how the person stands.

        Args:
            time_s: any continuous time; it moves what is never still.
            target_rad: servo targets ``LEAD_S`` later, float64[43], rad, as in `JOINT_NAMES`.
        """
        hands = self._hand_poses(time_s, target_rad)
        middle = (hands["left"].place + hands["right"].place) / 2 - _SHOULDERS
        yaw = _YAW_SHARE * math.atan2(middle[1], max(middle[0], 0.1))
        ahead_m = math.hypot(middle[0], middle[1])
        lean = min(max((ahead_m - _LEAN_FROM_M) * _LEAN_RAD_PER_M, 0.0), _MOST_LEAN_RAD)
        sway, (spin, nod, tilt) = self._sway(time_s), self._torso_turn(time_s)
        sway[2] = -0.25 * abs(sway[2]) - 0.05 * lean  # knees only bend
        pelvis = Pose(np.array([0.0, 0.0, STANDING_M]) + sway, turned(0.4 * yaw))
        chest = turned(yaw + spin, lean + nod, tilt)
        eyes = Pose(pelvis.point(WAIST_M), chest).point(_EYES_M)
        head = self._gaze(time_s, yaw, middle + _SHOULDERS - eyes)
        return Stance(pelvis, chest, head, hands)

    def _hand_poses(self, time_s: float, target_rad: np.ndarray) -> dict[str, Pose]:
        """Return the poses that command the wrists: scaled about the shoulders, never quite still."""
        data = self._data
        data.qpos[: len(target_rad)] = target_rad
        mujoco.mj_kinematics(self._model, data)
        hands = {}
        for number, (side, wrist) in enumerate(zip(SIDES, self._wrists)):
            place = _SHOULDERS + self.scale * (data.xpos[wrist] - self._origin)
            turn = data.xmat[wrist].reshape(3, 3) @ turned(*self._wrist_turns[number](time_s))
            hands[side] = Pose(place + self._hands[number](time_s), turn)
        return hands

    def _gaze(self, time_s: float, yaw: float, way: np.ndarray) -> np.ndarray:
        """Return axes of a head, float64[3, 3], that looks along a way; eyes and neck share the turn."""
        x, y, z = way
        spin, nod, tilt = self._head_turn(time_s)
        pan = yaw + _GAZE_SHARE * (math.atan2(y, max(x, 0.1)) - yaw)
        return turned(pan + spin, _GAZE_SHARE * math.atan2(-z, math.hypot(x, y)) + nod, tilt)
