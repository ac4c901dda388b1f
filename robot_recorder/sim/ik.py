"""Inverse kinematics of both arms: poses of the hands in, arm joint angles out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import mujoco
import numpy as np

from robot_recorder.sim.clearance import Near, clearance_of
from robot_recorder.sim.model import JOINT_NAMES, SIDES

_ARM = ("shoulder", "elbow", "wrist")
ARM_JOINTS = tuple(
    index
    for side in SIDES
    for index, name in enumerate(JOINT_NAMES)
    if name.startswith(tuple(f"{side}_{part}" for part in _ARM))
)
_JOINTS = np.array(ARM_JOINTS)
_EACH = len(ARM_JOINTS) // len(SIDES)
# Upper arms slightly out and back, elbows bent: solutions are kept near this posture.
NOMINAL_RAD = np.array([0.1, 0.3, 0.0, 0.6, 0.0, 0.0, 0.0, 0.1, -0.3, 0.0, 0.6, 0.0, 0.0, 0.0])
_ROTATION_WEIGHT_M = 0.1  # an error of 1 rad weighs as much as one of this many metres
_POSTURE_WEIGHT_M = 0.004
_ELBOW_WEIGHT = 0.1  # of a metre at the elbow, against one at the hand
_MOST_SWIVEL_RAD = 0.3
_DAMPING_M = 0.003  # of a step of 1 rad
_WIDEST_RAD = 0.35  # step of a joint, so that a solution stays in the branch of its start
_STILL_RAD = 1e-5
MARGIN_M = 0.015  # that arms keep from the body and from each other
_SHY_M = 0.005  # more than it, for the steps between two solutions
_PUSHED_M = MARGIN_M + _SHY_M
_WATCHED_M = 0.04  # what is farther away is not reached in a step
_BOLD = 10  # steps; later ones are halved, so that gaps that open and close in turn settle
_OUT_OF_REACH_M = 0.035


def _own(side: str) -> slice:
    """Return which of the arm joints a side has."""
    first = _EACH * SIDES.index(side)
    return slice(first, first + _EACH)


class NoSolution(ValueError):
    """The hands cannot reach the requested poses, or only through the robot itself."""


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
        elbow: direction from the shoulder in which the elbow should be, as far as the hand allows it;
            None: near to the usual posture.
    """

    position_m: tuple[float, float, float]
    rotation: np.ndarray
    point: str = "palm"
    elbow: tuple[float, float, float] | None = None


class ArmIk:
    """Damped Gauss-Newton over the seven joints of each arm, within their limits.

    A joint that a step would take over its limit is set to it, and the others are solved again:
    clipping afterwards would end in another branch, with the elbows twisted. What comes near to the
    body or to the other arm is pushed off by further rows.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model, self._data = model, mujoco.MjData(model)
        limits = model.jnt_range[_JOINTS]
        self._low, self._high = limits[:, 0] + 0.01, limits[:, 1] - 0.01
        self._jacp, self._jacr = np.empty((2, 3, model.nv))
        self._clearance = clearance_of(model)
        self._columns = {side: list(ARM_JOINTS[_own(side)]) for side in SIDES}
        keep = np.eye(_EACH)
        self._regular = np.vstack([_POSTURE_WEIGHT_M * keep, _DAMPING_M * keep])

    def solve(
        self, targets: Mapping[str, HandTarget], start_rad: np.ndarray = NOMINAL_RAD
    ) -> np.ndarray:
        """Return arm joint angles, float64[14] in rad, left arm first, searching from a start.

        Args:
            targets: by side; an arm without one stays as it is.
            start_rad: float64[14].

        Raises:
            NoSolution: a target is out of reach, or an arm would be too near to the body or the other.
        """
        angles = np.clip(start_rad, self._low, self._high)
        error_m = self._approach(angles, targets, 80)
        hits = [f"{what} would be {100 * gap:.1f} cm apart" for what, gap in self.hits(angles)]
        if error_m > _OUT_OF_REACH_M or hits:
            wanted = "; ".join(
                f"{side} hand to {', '.join(f'{x:.2f}' for x in target.position_m)}"
                for side, target in targets.items()
            )
            far = [f"{100 * error_m:.1f} cm out of reach"] if error_m > _OUT_OF_REACH_M else []
            near = [
                f"with the margin kept between {one.what}"
                for one in self._near(angles, _PUSHED_M + 0.001)[:1]
            ]
            why = [*far, *(hits or near)]
            raise NoSolution(f"{wanted}: {', '.join(why)}")
        return angles

    def follow(
        self, targets: Mapping[str, HandTarget], start_rad: np.ndarray, iterations: int = 4
    ) -> tuple[np.ndarray, float]:
        """Return arm joint angles nearer to the targets, float64[14], and the largest error that is left.

        Args:
            targets: by side; an arm without one stays as it is.
            start_rad: float64[14]. Arms that keep the margin there keep it; others come no nearer.
            iterations: most steps of each arm.

        Returns:
            angles: rad.
            error_m: m; 0.1 m is also an error of 1 rad.
        """
        start = np.clip(start_rad, self._low, self._high)
        angles = start.copy()
        error_m = self._approach(angles, targets, iterations)
        kept = self.kept(start, angles)
        if kept is not angles:
            error_m = max(self._left(kept, side, target) for side, target in targets.items())
        return kept, error_m

    def kept(self, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Return the end of a small step if it keeps the margin, else angles on the way to it that do.

        Args:
            start, end: angles of the arms, float64[14], rad. What is nearer at the start comes no nearer.
        """
        return end if self._gap(end) >= MARGIN_M else self._back(start, end)

    def hits(self, angles: np.ndarray) -> list[tuple[str, float]]:
        """Return what is nearer to each other than the margin, to be read by a person, and the gap, m.

        Args:
            angles: of the arms, float64[14], rad.
        """
        found: dict[str, float] = {}
        for near in self._near(angles, MARGIN_M):
            gap_m = self._clearance.exact_m(self._model, self._data, near)
            if gap_m < MARGIN_M:
                found.setdefault(near.what, gap_m)
        return list(found.items())

    def place(self, side: str, point: str, angles: np.ndarray) -> np.ndarray:
        """Return where a point of a hand is with given arm joint angles, float64[3], m."""
        self._pose(angles)
        return self._data.site(f"{side}_{point}").xpos.copy()

    def _pose(self, angles: np.ndarray) -> None:
        self._data.qpos[_JOINTS] = angles
        mujoco.mj_kinematics(self._model, self._data)

    def _near(self, angles: np.ndarray, within_m: float) -> list[Near]:
        """Return what of both arms is near, the nearest first."""
        self._pose(angles)
        found = [n for side in SIDES for n in self._clearance.near(self._data, side, within_m)]
        return sorted(found, key=lambda near: near.gap_m)

    def _gap(self, angles: np.ndarray) -> float:
        return min((near.gap_m for near in self._near(angles, MARGIN_M)), default=MARGIN_M)

    def _back(self, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Return angles on the way from a start, as far on as nothing comes nearer than it may."""
        least_m = min(MARGIN_M, self._gap(start))
        good, bad = 0.0, 1.0
        for _ in range(5):
            share = (good + bad) / 2
            clear = self._gap(start + share * (end - start)) >= least_m
            good, bad = (share, bad) if clear else (good, share)
        return np.asarray(start + good * (end - start))

    def _approach(
        self, angles: np.ndarray, targets: Mapping[str, HandTarget], iterations: int
    ) -> float:
        """Move angles towards the targets, both arms in turn; return the largest error that is left."""
        going = dict(targets)
        for number in range(iterations):
            for side, target in list(going.items()):
                own = _own(side)
                error, jacobian = self._error(angles, side, target)
                posture = _POSTURE_WEIGHT_M * (NOMINAL_RAD[own] - angles[own])
                if target.elbow is not None:
                    way, row = self._swivel(side, np.array(target.elbow))
                    error, jacobian = np.append(error, way), np.vstack([jacobian, row])
                wanted = np.concatenate([error, posture])
                step = self._clear_step(angles, side, jacobian, wanted, number < _BOLD)
                angles[own] += step
                if np.abs(step).max() < _STILL_RAD:
                    del going[side]
            if not going:
                break
        for side in targets:
            # Linear algebra differs in the last bits from call to call; the same attempt must not.
            angles[_own(side)] = np.round(angles[_own(side)], 8)
        left_m = [self._left(angles, side, target) for side, target in targets.items()]
        return max(left_m, default=0.0)

    def _left(self, angles: np.ndarray, side: str, target: HandTarget) -> float:
        error, _ = self._error(angles, side, target)
        return float(np.abs(error).max())

    def _swivel(self, side: str, elbow: np.ndarray) -> tuple[float, np.ndarray]:
        """Return how far the elbow is from a direction about the line from shoulder to wrist, m, and the row."""
        shoulder, middle, wrist = (
            self._data.xpos[self._model.body(f"{side}_{link}_link").id]
            for link in ("shoulder_roll", "elbow", "wrist_yaw")
        )
        axis = (wrist - shoulder) / np.linalg.norm(wrist - shoulder)
        arm = middle - shoulder
        is_at, wanted = arm - axis * (axis @ arm), elbow - axis * (axis @ elbow)
        radius_m, length = float(np.linalg.norm(is_at)), float(np.linalg.norm(wanted))
        aside = np.cross(axis, is_at) / max(radius_m, 1e-6)
        angle = math.atan2(float(aside @ wanted) * radius_m, float(is_at @ wanted))
        # A stretched arm has no elbow that could point anywhere.
        weight = _ELBOW_WEIGHT * min(1.0, length / (0.2 * max(float(np.linalg.norm(elbow)), 1e-9)))
        body = self._model.body(f"{side}_elbow_link").id
        mujoco.mj_jac(self._model, self._data, self._jacp, None, middle, body)
        turn = min(max(angle, -_MOST_SWIVEL_RAD), _MOST_SWIVEL_RAD)
        return weight * radius_m * turn, weight * (aside @ self._jacp[:, self._columns[side]])

    def _clear_step(
        self,
        angles: np.ndarray,
        side: str,
        jacobian: np.ndarray,
        wanted: np.ndarray,
        bold: bool,
    ) -> np.ndarray:
        """Return the step of an arm; what it would bring too near to something pushes it off.

        Args:
            angles: of both arms, float64[14], whose kinematics are computed.
            side: of the arm.
            jacobian: of what is wanted of the hand, float64[n, 7].
            wanted: errors of the hand and of the posture, float64[n + 7].
            bold: whether a step that is pushed is taken as a whole.
        """
        own = _own(side)
        near = self._clearance.near(self._data, side, _WATCHED_M)
        if not near:
            return self._step(angles[own], own, jacobian, wanted)
        rows, gaps_m = np.empty((len(near), _EACH)), np.array([one.gap_m for one in near])
        for row, one in zip(rows, near):
            mujoco.mj_jac(self._model, self._data, self._jacp, None, one.point_m, one.body)
            row[:] = one.away @ self._jacp[:, self._columns[side]]
        missing_m = _PUSHED_M - gaps_m
        pushes = missing_m > 0
        for _ in range(3):
            step = self._step(
                angles[own], own,
                np.concatenate([rows[pushes], jacobian]),
                np.concatenate([missing_m[pushes], wanted]),
            )  # fmt: skip
            more = ~pushes & (rows @ step < missing_m)
            if not more.any():
                break
            pushes |= more
        return step if bold or not pushes.any() else step / 2

    def _error(
        self, angles: np.ndarray, side: str, target: HandTarget
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what is missing to a target, float64[6] in m, and its Jacobian, float64[6, 7]."""
        model, data, columns = self._model, self._data, self._columns[side]
        self._pose(angles)
        mujoco.mj_comPos(model, data)
        site = model.site(f"{side}_{target.point}").id
        mujoco.mj_jacSite(model, data, self._jacp, self._jacr, site)
        turn, quat = np.empty(3), np.empty(4)
        mujoco.mju_mat2Quat(quat, (target.rotation @ data.site_xmat[site].reshape(3, 3).T).ravel())
        mujoco.mju_quat2Vel(turn, quat, 1.0)
        away = np.array(target.position_m) - data.site_xpos[site]
        jacobian = np.vstack([self._jacp[:, columns], _ROTATION_WEIGHT_M * self._jacr[:, columns]])
        return np.concatenate([away, _ROTATION_WEIGHT_M * turn]), jacobian

    def _step(
        self, angles: np.ndarray, own: slice, jacobian: np.ndarray, wanted: np.ndarray
    ) -> np.ndarray:
        """Return the step of seven joints that lessens the error most within the limits."""
        low = np.maximum(self._low[own] - angles, -_WIDEST_RAD)
        high = np.minimum(self._high[own] - angles, _WIDEST_RAD)
        rows = np.concatenate([jacobian, self._regular])
        wanted = np.concatenate([wanted, np.zeros(_EACH)])
        step, free = np.zeros(_EACH), np.ones(_EACH, bool)
        for _ in range(_EACH):
            left = wanted - rows[:, ~free] @ step[~free]
            some = rows[:, free]
            step[free] = np.linalg.solve(some.T @ some, some.T @ left)
            out = free & ((step < low) | (step > high))
            if not out.any():
                break
            step = np.clip(step, low, high)
            free &= ~out
        return np.clip(step, low, high)
