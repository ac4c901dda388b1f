"""Inverse kinematics of both arms: poses of the hands in, arm joint angles out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import mujoco
import numpy as np

from robot_recorder.sim.model import JOINT_NAMES, SIDES

_ARM = ("shoulder", "elbow", "wrist")
ARM_JOINTS = tuple(
    index
    for side in SIDES
    for index, name in enumerate(JOINT_NAMES)
    if name.startswith(tuple(f"{side}_{part}" for part in _ARM))
)
_EACH = len(ARM_JOINTS) // len(SIDES)
# Upper arms slightly out and back, elbows bent: solutions are kept near this posture.
NOMINAL_RAD = np.array([0.1, 0.3, 0.0, 0.6, 0.0, 0.0, 0.0, 0.1, -0.3, 0.0, 0.6, 0.0, 0.0, 0.0])
_ROTATION_WEIGHT_M = 0.1  # an error of 1 rad weighs as much as one of this many metres
_POSTURE_WEIGHT_M = 0.004
_DAMPING_M = 0.003  # of a step of 1 rad
_WIDEST_RAD = 0.35  # step of a joint, so that a solution stays in the branch of its start
_STILL_RAD = 1e-5
_OUT_OF_REACH_M = 0.035


class NoSolution(ValueError):
    """The hands cannot reach the requested poses."""


def hand_rotation(side: str, yaw_rad: float, pitch_rad: float, roll_rad: float = 0.0) -> np.ndarray:
    """Return the orientation of a wrist frame, float64[3, 3], in the torso's frame.

    The fingers point along x after turning by the yaw about z and then the pitch down; the roll
    turns the palm, which faces the other hand, down (pi / 2: it faces the table).
    """
    cy, sy = math.cos(yaw_rad), math.sin(yaw_rad)
    cp, sp = math.cos(pitch_rad), math.sin(pitch_rad)
    roll_rad = roll_rad if side == "left" else -roll_rad
    cr, sr = math.cos(roll_rad), math.sin(roll_rad)
    ahead = np.array([[cy * cp, -sy, cy * sp], [sy * cp, cy, sy * sp], [-sp, 0.0, cp]])
    return ahead @ np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])


@dataclass(frozen=True)
class HandTarget:
    """Where a point of a hand is to be, and how the hand is turned.

    Attributes:
        position_m: of the point, in the torso's frame at waist zero (= world axes).
        rotation: of the wrist frame, float64[3, 3].
        point: ``palm``, the middle of its touch surface, or ``grip``, between thumb and fingertips.
    """

    position_m: tuple[float, float, float]
    rotation: np.ndarray
    point: str = "palm"


class ArmIk:
    """Damped Gauss-Newton over the seven joints of each arm, within their limits.

    A joint that a step would take over its limit is set to it, and the others are solved again:
    clipping afterwards would end in another branch, with the elbows twisted.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model, self._data = model, mujoco.MjData(model)
        limits = model.jnt_range[np.array(ARM_JOINTS)]
        self._low, self._high = limits[:, 0] + 0.01, limits[:, 1] - 0.01
        self._jacp, self._jacr = np.empty((2, 3, model.nv))

    def solve(
        self, targets: Mapping[str, HandTarget], start_rad: np.ndarray = NOMINAL_RAD
    ) -> np.ndarray:
        """Return arm joint angles, float64[14] in rad, left arm first, searching from a start.

        Args:
            targets: by side; an arm without one stays as it is.
            start_rad: float64[14].

        Raises:
            NoSolution: a target is out of reach.
        """
        angles, error_m = self.follow(targets, start_rad, 80)
        if error_m > _OUT_OF_REACH_M:
            wanted = "; ".join(
                f"{side} hand to {', '.join(f'{x:.2f}' for x in target.position_m)}"
                for side, target in targets.items()
            )
            raise NoSolution(f"{wanted}: {100 * error_m:.1f} cm out of reach")
        return angles

    def follow(
        self, targets: Mapping[str, HandTarget], start_rad: np.ndarray, iterations: int = 4
    ) -> tuple[np.ndarray, float]:
        """Return arm joint angles nearer to the targets, float64[14], and the largest error that is left.

        Args:
            targets: by side; an arm without one stays as it is.
            start_rad: float64[14].
            iterations: most steps of each arm.

        Returns:
            angles: rad.
            error_m: m; 0.1 m is also an error of 1 rad.
        """
        angles, worst_m = np.clip(start_rad, self._low, self._high), 0.0
        for side, target in targets.items():
            worst_m = max(worst_m, self._approach(angles, side, target, iterations))
        return angles, worst_m

    def place(self, side: str, point: str, angles: np.ndarray) -> np.ndarray:
        """Return where a point of a hand is with given arm joint angles, float64[3], m."""
        self._data.qpos[list(ARM_JOINTS)] = angles
        mujoco.mj_kinematics(self._model, self._data)
        return self._data.site(f"{side}_{point}").xpos.copy()

    def _approach(
        self, angles: np.ndarray, side: str, target: HandTarget, iterations: int
    ) -> float:
        first = _EACH * SIDES.index(side)
        own = slice(first, first + _EACH)
        site = self._model.site(f"{side}_{target.point}").id
        for _ in range(iterations):
            error, jacobian = self._error(angles, own, site, target)
            posture = _POSTURE_WEIGHT_M * (NOMINAL_RAD[own] - angles[own])
            step = self._step(angles[own], own, jacobian, error, posture)
            angles[own] += step
            if np.abs(step).max() < _STILL_RAD:
                break
        # Linear algebra differs in the last bits from call to call; the same attempt must not.
        angles[own] = np.round(angles[own], 8)
        error, _ = self._error(angles, own, site, target)
        return float(np.abs(error).max())

    def _error(
        self, angles: np.ndarray, own: slice, site: int, target: HandTarget
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what is missing to a target, float64[6] in m, and its Jacobian, float64[6, 7]."""
        model, data, columns = self._model, self._data, list(ARM_JOINTS[own])
        data.qpos[columns] = angles[own]
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_jacSite(model, data, self._jacp, self._jacr, site)
        turn, quat = np.empty(3), np.empty(4)
        mujoco.mju_mat2Quat(quat, (target.rotation @ data.site_xmat[site].reshape(3, 3).T).ravel())
        mujoco.mju_quat2Vel(turn, quat, 1.0)
        away = np.array(target.position_m) - data.site_xpos[site]
        jacobian = np.vstack([self._jacp[:, columns], _ROTATION_WEIGHT_M * self._jacr[:, columns]])
        return np.concatenate([away, _ROTATION_WEIGHT_M * turn]), jacobian

    def _step(
        self,
        angles: np.ndarray,
        own: slice,
        jacobian: np.ndarray,
        error: np.ndarray,
        posture: np.ndarray,
    ) -> np.ndarray:
        """Return the step of seven joints that lessens the error most within the limits."""
        low = np.maximum(self._low[own] - angles, -_WIDEST_RAD)
        high = np.minimum(self._high[own] - angles, _WIDEST_RAD)
        keep = np.eye(_EACH)
        rows = np.vstack([jacobian, _POSTURE_WEIGHT_M * keep, _DAMPING_M * keep])
        wanted = np.concatenate([error, posture, np.zeros(_EACH)])
        step, free = np.zeros(_EACH), np.ones(_EACH, bool)
        for _ in range(_EACH):
            left = wanted - rows[:, ~free] @ step[~free]
            step[free] = np.linalg.lstsq(rows[:, free], left, rcond=None)[0]
            out = free & ((step < low) | (step > high))
            if not out.any():
                break
            step = np.clip(step, low, high)
            free &= ~out
        return np.clip(step, low, high)
