"""The scripted operator: plans a table of servo targets with named phases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from robot_recorder.sim.ik import ARM_JOINTS, NOMINAL_RAD, ArmIk, PalmTarget
from robot_recorder.sim.model import JOINT_NAMES, TIMESTEP_S
from robot_recorder.sim.scenarios import Scenario
from robot_recorder.sim.scene import (
    BOX_HALF_M,
    DESK_TOP_M,
    SPOT_ANGLE_RAD,
    SPOT_RADIUS_M,
    TRAY_GRIP_M,
    TRAY_HALF_WIDTH_M,
)

_WAIST = JOINT_NAMES.index("waist_yaw_joint")
_ARMS = np.array(ARM_JOINTS)
_APART_M = 0.05  # between palm and object before the grasp and after the release
_RELAXED, _OPEN, _CLOSED = 0.35, 0.05, 0.10  # bend of the fingers, rad


@dataclass(frozen=True)
class Script:
    """Servo targets `command_rad`, float64[steps, 43], and the first step of each phase."""

    command_rad: np.ndarray
    phases: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class _Grip:
    """How an object is held: half width, grip point in its frame, pitch of the hands, lift."""

    half_width_m: float
    point_m: tuple[float, float, float]
    pitch_rad: float
    lift_m: float


_GRIPS = {
    # Thumbs behind the box, palms on the rear half of its sides: wrists pitch down no further.
    "lift_box": _Grip(BOX_HALF_M[1], (-0.022, 0.0, 0.095), math.radians(20), 0.16),
    "carry_tray": _Grip(TRAY_HALF_WIDTH_M, TRAY_GRIP_M, math.radians(20), 0.09),
}


class _Planner:
    """A planner from object poses (x, y, z, yaw in the torso's frame) to joints, float64[43]."""

    def __init__(self, ik: ArmIk, grip: _Grip) -> None:
        self._ik, self._grip = ik, grip
        self._last = NOMINAL_RAD

    def home(self) -> np.ndarray:
        palms = (PalmTarget((0.24, sign * 0.23, 0.95), 0.0, math.radians(20)) for sign in (1, -1))
        return self._joints(*palms, fingers=_RELAXED)

    def around(
        self, pose: Sequence[float], apart_m: float, above_m: float = 0.0, fingers: float = _OPEN
    ) -> np.ndarray:
        """Return a pose with the palms beside the object, `apart_m` off (negative: pressed in)."""
        x, y, z, yaw = pose
        gx, gy, gz = self._grip.point_m
        cos, sin = math.cos(yaw), math.sin(yaw)
        palms = []
        for sign in (1, -1):
            py = gy + sign * (self._grip.half_width_m + apart_m)
            at = (x + cos * gx - sin * py, y + sin * gx + cos * py, z + gz + above_m)
            palms.append(PalmTarget(at, yaw, self._grip.pitch_rad))
        return self._joints(*palms, fingers=fingers)

    def _joints(self, left: PalmTarget, right: PalmTarget, fingers: float) -> np.ndarray:
        self._last = self._ik.solve(
            left, right, self._last
        )  # start at the last pose, to stay in its branch
        joints = np.zeros(len(JOINT_NAMES))
        joints[_ARMS] = self._last
        for side, sign in (("left", -1), ("right", 1)):
            joints[JOINT_NAMES.index(f"{side}_hand_thumb_1_joint")] = sign * 0.70  # out of the way
            for finger in ("middle_0", "middle_1", "index_0", "index_1"):
                joints[JOINT_NAMES.index(f"{side}_hand_{finger}_joint")] = sign * fingers
        return joints


def _blend(start: Sequence[float], end: Sequence[float], knots: int) -> list[tuple[float, ...]]:
    return [tuple(row) for row in np.linspace(start, end, knots)]


def _turned(joints: np.ndarray, waist_rad: float) -> np.ndarray:
    turned = joints.copy()
    turned[_WAIST] = waist_rad
    return turned


def plan(ik: ArmIk, scenario: Scenario) -> Script:
    """Plan a whole attempt in joint space, with inverse kinematics at a few knots per phase."""
    grip = _GRIPS[scenario.task]
    planner = _Planner(ik, grip)
    depth = -scenario.grip_depth_m
    seen = np.array(
        [
            scenario.object_m[0] + scenario.aim_error_m[0],
            scenario.object_m[1] + scenario.aim_error_m[1],
            DESK_TOP_M,
            scenario.object_yaw_rad + scenario.aim_yaw_error_rad,
        ]
    )
    lifted = seen + [0, 0, grip.lift_m, 0]
    home = planner.home()
    via = planner.around(seen, _APART_M + 0.03, above_m=0.07)
    approach = [planner.around(seen, a[0], fingers=_OPEN) for a in _blend([_APART_M], [depth], 4)]
    grasp = approach[:-1] + [planner.around(seen, depth, fingers=_CLOSED)]
    lift = [planner.around(p, depth, fingers=_CLOSED) for p in _blend(seen, lifted, 4)]
    segments = [
        ("reach", 1.6, [home, via, approach[0]]),
        ("grasp", 0.8, grasp),
        ("lift", 1.1, lift),
    ]
    if scenario.task == "lift_box":
        segments += [
            ("hold", 1.2, [lift[-1], lift[-1]]),
            ("place", 1.2, lift[::-1]),
            ("release", 0.6, grasp[::-1]),
            ("retreat", 1.2, [approach[0], via, home]),
        ]
    else:
        dx, dy = scenario.place_error_m
        spot = np.array([SPOT_RADIUS_M + dx, dy, DESK_TOP_M, 0.0])
        above = spot + [0, 0, grip.lift_m, 0]
        carry = [planner.around(p, depth, fingers=_CLOSED) for p in _blend(lifted, above, 4)]
        carry = [_turned(q, w) for q, w in zip(carry, np.linspace(0, SPOT_ANGLE_RAD, 4))]
        place = [planner.around(p, depth, fingers=_CLOSED) for p in _blend(above, spot, 4)]
        leave = [planner.around(spot, a[0]) for a in _blend([depth], [_APART_M], 4)]
        away = _turned(planner.around(spot, _APART_M + 0.03, above_m=0.11), SPOT_ANGLE_RAD)
        place, leave = ([_turned(q, SPOT_ANGLE_RAD) for q in path] for path in (place, leave))
        segments += [
            ("carry", 1.8, carry),
            ("place", 1.0, place),
            ("release", 0.5, [place[-1], *leave[1:]]),
            ("retreat", 0.7, [leave[-1], away]),  # clear of the tray before turning back
            # Do not turn back all the way, so that the head camera keeps the tray in view.
            ("retreat", 1.1, [away, _turned(home, 0.4 * SPOT_ANGLE_RAD)]),
        ]
    return _sample(segments, scenario.tempo)


def _sample(segments: list[tuple[str, float, list[np.ndarray]]], tempo: float) -> Script:
    """Interpolate each segment's knots with a minimum-jerk time law, one row per physics step."""
    rows, phases, first = [], [], 0
    for name, duration_s, knots in segments:
        steps = max(2, round(duration_s / tempo / TIMESTEP_S))
        u = np.arange(1, steps + 1) / steps
        s = u**3 * (10 - 15 * u + 6 * u**2)
        rows.append(CubicSpline(np.linspace(0, 1, len(knots)), np.array(knots))(s))
        phases.append((first, name))
        first += steps
    return Script(np.concatenate(rows), tuple(phases))
