"""Inverse kinematics of both arms: palm poses in, arm joint angles out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import mujoco
import numpy as np
from scipy.optimize import least_squares

from robot_recorder.sim.model import JOINT_NAMES, SIDES

ARM_JOINTS = tuple(
    index
    for side in SIDES
    for index, name in enumerate(JOINT_NAMES)
    if name.startswith((f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist"))
)
# Upper arms slightly out and back, elbows bent: solutions are kept near this posture.
NOMINAL_RAD = np.array([0.1, 0.3, 0.0, 0.6, 0.0, 0.0, 0.0, 0.1, -0.3, 0.0, 0.6, 0.0, 0.0, 0.0])
_ROTATION_WEIGHT_M = 0.1  # an error of 1 rad weighs as much as one of this many metres
_POSTURE_WEIGHT_M = 0.004


class NoSolution(ValueError):
    """The palms cannot reach the requested poses."""


@dataclass(frozen=True)
class PalmTarget:
    """Target of a palm's touch surface, in the torso's frame at waist zero (= world axes).

    The fingers point along x after turning by `yaw_rad` about z and then `pitch_rad` down.
    """

    position_m: tuple[float, float, float]
    yaw_rad: float
    pitch_rad: float

    def rotation(self) -> np.ndarray:
        """Return the wanted orientation of the wrist frame, float64[3, 3]."""
        cy, sy = math.cos(self.yaw_rad), math.sin(self.yaw_rad)
        cp, sp = math.cos(self.pitch_rad), math.sin(self.pitch_rad)
        return np.array([[cy * cp, -sy, cy * sp], [sy * cp, cy, sy * sp], [-sp, 0.0, cp]])


class ArmIk:
    """Bounded least squares over the 14 arm joints.

    Joint limits are part of the problem: damped least squares with clipping would end in another
    branch, with the elbows twisted.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model, self._data = model, mujoco.MjData(model)
        self._sites = [model.site(f"{side}_palm").id for side in SIDES]
        self._columns = np.array(ARM_JOINTS)
        limits = model.jnt_range[self._columns]
        self._bounds = limits[:, 0] + 0.01, limits[:, 1] - 0.01

    def solve(
        self, left: PalmTarget, right: PalmTarget, start: np.ndarray = NOMINAL_RAD
    ) -> np.ndarray:
        """Return arm joint angles, float64[14] in rad, left arm first, searching from `start`."""
        targets = [(np.array(t.position_m), t.rotation()) for t in (left, right)]
        result = least_squares(
            self._residual,
            np.clip(start, *self._bounds),
            self._jacobian,
            self._bounds,
            xtol=1e-5,
            ftol=1e-6,
            gtol=1e-7,
            max_nfev=60,
            args=(targets,),
        )
        worst_m = float(np.abs(result.fun[:12]).max())
        if worst_m > 0.03:
            raise NoSolution(
                f"palms {left.position_m} and {right.position_m} are {worst_m:.3f} m out of reach"
            )
        return result.x

    def _residual(self, angles: np.ndarray, targets: list) -> np.ndarray:
        data = self._data
        data.qpos[self._columns] = angles
        mujoco.mj_kinematics(self._model, data)
        parts = []
        turn = np.empty(3)
        quat = np.empty(4)
        for site, (position, rotation) in zip(self._sites, targets):
            mujoco.mju_mat2Quat(quat, (rotation @ data.site_xmat[site].reshape(3, 3).T).ravel())
            mujoco.mju_quat2Vel(turn, quat, 1.0)
            parts += [position - data.site_xpos[site], _ROTATION_WEIGHT_M * turn]
        return np.concatenate([*parts, _POSTURE_WEIGHT_M * (NOMINAL_RAD - angles)])

    def _jacobian(self, angles: np.ndarray, targets: list) -> np.ndarray:
        # SciPy usually asks for the Jacobian where it last evaluated the residual, but does not
        # guarantee it, so set the pose again.
        data = self._data
        data.qpos[self._columns] = angles
        mujoco.mj_kinematics(self._model, data)
        mujoco.mj_comPos(self._model, data)
        jacobian = np.zeros((26, 14))
        jacp, jacr = np.empty((3, self._model.nv)), np.empty((3, self._model.nv))
        for row, site in zip((0, 6), self._sites):
            mujoco.mj_jacSite(self._model, data, jacp, jacr, site)
            jacobian[row : row + 3] = -jacp[:, self._columns]
            jacobian[row + 3 : row + 6] = -_ROTATION_WEIGHT_M * jacr[:, self._columns]
        jacobian[12:] = -_POSTURE_WEIGHT_M * np.eye(14)
        return jacobian
