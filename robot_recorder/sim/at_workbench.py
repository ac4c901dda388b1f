"""The workbench: a box is lifted, and a tray with a cup is carried to a marked spot, with both hands."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import mujoco
import numpy as np

from robot_recorder.sim.both_hands import BothHands, Grip, TwoPalms, carry_legs, lift_legs
from robot_recorder.sim.judge import TABLE_M, UNFINISHED, AttemptResult, Events, Glimpse
from robot_recorder.sim.model import SIDES
from robot_recorder.sim.scenarios import Scenario
from robot_recorder.sim.script import Script, sample
from robot_recorder.sim.skills import Person

BOX_HALF_M = (0.05, 0.11, 0.08)
TRAY_HALF_WIDTH_M = 0.152  # to the outer face of a handle
TRAY_GRIP_M = (0.0, 0.0, 0.06)  # midpoint of the two handles in the tray's frame
CUP_HALF_HEIGHT_M = 0.045
CUP_ON_TRAY_M = 0.012  # height of the tray's floor above its underside
SPOT_RADIUS_M = 0.37  # from the waist's axis
SPOT_ANGLE_RAD = math.radians(52.0)  # turned left from straight ahead
SPOT_M = (SPOT_RADIUS_M * math.cos(SPOT_ANGLE_RAD), SPOT_RADIUS_M * math.sin(SPOT_ANGLE_RAD))

_TASKS = ("lift_box", "carry_tray")
_CARRIED = ("lift", "hold", "carry")
_LIFT_M = {"lift_box": 0.10, "carry_tray": 0.04}
_LIFT_S = 0.8
_CONTACT_N = 1.0
_SLIP_M, _DROP_M = 0.015, 0.06
_MISS_M = {"lift_box": 0.06, "carry_tray": 0.04}
_MISS_RAD = math.radians(12)

_GRIPS = {
    # Thumbs behind the box, palms on the rear half of its sides: wrists pitch down no further.
    "lift_box": Grip(BOX_HALF_M[1], (-0.022, 0.0, 0.095), math.radians(20), 0.16),
    "carry_tray": Grip(TRAY_HALF_WIDTH_M, TRAY_GRIP_M, math.radians(20), 0.09),
}


def draw(task: str, seed: int) -> Scenario:
    """Draw attempt number `seed` of a task; the same arguments give the same attempt."""
    rng = np.random.default_rng([_TASKS.index(task), seed])
    box = task == "lift_box"
    values: dict[str, Any] = {
        "object_m": (rng.uniform(0.335, 0.365), rng.uniform(-0.03, 0.03)),
        "object_yaw_rad": math.radians(rng.uniform(-7, 7)),
        "mass_kg": rng.uniform(0.5, 1.1) if box else rng.uniform(0.4, 0.8),
        "friction": rng.uniform(0.5, 0.95),
        "grip_depth_m": rng.uniform(0.034, 0.046),
        "aim_error_m": (rng.normal(0.0, 0.004), rng.normal(0.0, 0.004)),
        "aim_yaw_error_rad": math.radians(rng.normal(0.0, 1.0)),
        "place_error_m": (rng.normal(0.0, 0.008), rng.normal(0.0, 0.008)),
        "tempo": rng.uniform(0.98, 1.12),
        "cup_offset_m": (rng.uniform(-0.04, 0.04), rng.uniform(-0.04, 0.04)),
        "cup_mass_kg": rng.uniform(0.1, 0.3),
        "cup_friction": rng.uniform(0.3, 0.6),
    }
    # Some attempts are hard; the physics decides whether they fail.
    slippery, heavy, careless, hurried = (
        (0.15, 0.29, 0.40, 0.48) if box else (0.07, 0.14, 0.26, 0.34)
    )
    trouble = rng.random()
    if trouble < slippery:
        values["friction"] = rng.uniform(0.08, 0.26)
    elif trouble < heavy:  # and held too gently
        values["mass_kg"] = rng.uniform(1.2, 2.0) if box else rng.uniform(0.9, 1.5)
        values["grip_depth_m"] = rng.uniform(0.022, 0.03)
        values["friction"] = rng.uniform(0.35, 0.6)
    elif trouble < careless:
        values["aim_error_m"] = (rng.uniform(-0.05, -0.03), rng.uniform(-0.02, 0.02))
        values["aim_yaw_error_rad"] = math.radians(rng.uniform(-12, 12))
        values["place_error_m"] = (rng.uniform(-0.06, 0.06), rng.uniform(-0.06, 0.06))
    elif trouble < hurried:
        values["tempo"] = rng.uniform(1.2, 1.3)
    return _scenario(task, seed, values)


def _scenario(task: str, seed: int, values: dict[str, Any]) -> Scenario:
    (x, y), yaw = values["object_m"], values["object_yaw_rad"]
    hands = TwoPalms(**{key: values[key] for key in TwoPalms.__dataclass_fields__})
    common = {"friction": values["friction"], "tempo": values["tempo"], "more": hands}
    if task == "lift_box":
        poses = {"box": (x, y, TABLE_M + BOX_HALF_M[2], yaw)}
        return Scenario(task, seed, poses, {"box": values["mass_kg"]}, **common)
    (dx, dy), cos, sin = values["cup_offset_m"], math.cos(yaw), math.sin(yaw)
    cup_z = TABLE_M + CUP_ON_TRAY_M + CUP_HALF_HEIGHT_M
    poses = {
        "tray": (x, y, TABLE_M, yaw),
        "cup": (x + cos * dx - sin * dy, y + sin * dx + cos * dy, cup_z, yaw),
    }
    masses = {"tray": values["mass_kg"], "cup": values["cup_mass_kg"]}
    return Scenario(task, seed, poses, masses, sliding={"cup": values["cup_friction"]}, **common)


def perform(person: Person, scenario: Scenario) -> Iterator[Script]:
    """Plan a whole attempt in joint space, with inverse kinematics at a few knots per phase."""
    hands, planner = scenario.more, BothHands(person.ik, _GRIPS[scenario.task])
    if scenario.task == "lift_box":
        yield sample(lift_legs(planner, hands, TABLE_M), scenario.tempo)
    else:
        waist_rad = (0.0, SPOT_ANGLE_RAD)
        yield sample(carry_legs(planner, hands, SPOT_RADIUS_M, TABLE_M, waist_rad), scenario.tempo)


class PalmsJudge:
    """The judge of one attempt; `events` are (time_s, name)."""

    def __init__(self, model: mujoco.MjModel, scenario: Scenario) -> None:
        self._task = task = scenario.task
        self._object = model.body("box" if task == "lift_box" else "tray").id
        self._cup = model.body("cup").id
        self._palms = [model.site(f"{side}_palm").id for side in SIDES]
        self._torso = model.body("torso_link").id
        self.events = Events()
        self._start_m: np.ndarray | None = None
        self._held_at_m: np.ndarray | None = None
        self._before_s = 0.0
        self._lifted_s = self._best_lift_s = self._top_m = self._slid_m = 0.0
        self._released = True
        self._final: tuple[np.ndarray, np.ndarray, float, float] | None = None

    def update(self, moment: Glimpse) -> None:
        """Look at the world."""
        data, time_s, grip_n = moment.data, moment.time_s, moment.grip_n
        carried = moment.phase in _CARRIED
        at = data.xpos[self._object].copy()
        if self._start_m is None:
            self._start_m = at
        height = at[2] - self._start_m[2]
        elapsed_s, self._before_s = time_s - self._before_s, time_s
        touching = min(grip_n) > _CONTACT_N
        self._top_m = max(self._top_m, height)
        self._lifted_s = self._lifted_s + elapsed_s if height > _LIFT_M[self._task] else 0.0
        self._best_lift_s = max(self._best_lift_s, self._lifted_s)
        if touching:
            self.events.once(time_s, "contact")
        if carried:
            palms = data.site_xpos[self._palms]
            held_at = data.xmat[self._torso].reshape(3, 3).T @ (at - palms.mean(axis=0))
            if self._held_at_m is None:
                self._held_at_m = held_at
            moved_m = float(np.linalg.norm(held_at - self._held_at_m))
            self._slid_m = max(self._slid_m, moved_m)
            if moved_m > _SLIP_M and max(grip_n) > 0:
                self.events.once(time_s, "slip")
            if self._top_m > 0.03 and (moved_m > _DROP_M or max(grip_n) == 0.0):
                self.events.once(time_s, "drop")
        tilt = _tilt_rad(data, self._object)
        cup_tilt = _tilt_rad(data, self._cup) if self._task == "carry_tray" else 0.0
        if tilt > math.radians(35) or cup_tilt > math.radians(45):
            self.events.once(time_s, "tipped")
        matrix = data.xmat[self._object]
        yaw = math.atan2(matrix[3], matrix[0])
        cup = matrix.reshape(3, 3).T @ (data.xpos[self._cup] - at)
        self._final = at, cup, yaw, max(tilt, cup_tilt)
        self._released = max(grip_n) == 0.0

    def outcome(self) -> AttemptResult:
        """Return the result so far; final once the script is done."""
        if self._final is None or self._start_m is None:
            return UNFINISHED
        at, cup, yaw, tilt = self._final
        name = "box" if self._task == "lift_box" else "tray"
        top_cm = 100 * self._top_m
        goal = self._start_m[:2] if name == "box" else np.array(SPOT_M)
        miss_m = float(np.linalg.norm(at[:2] - goal))
        turn_rad = 0.0 if name == "box" else abs(math.remainder(yaw - SPOT_ANGLE_RAD, 2 * math.pi))
        if not self.events.had("contact") and self._top_m < 0.02:
            return AttemptResult(
                False, "missed_grasp", f"Both palms never touched the {name} together."
            )
        if self.events.had("drop") or at[2] < TABLE_M - 0.05:
            return AttemptResult(
                False, "drop", f"The {name} fell after it was raised {top_cm:.0f} cm."
            )
        if self.events.had("tipped") or tilt > math.radians(10):
            what = "cup" if name == "tray" else "box"
            return AttemptResult(False, "tipped", f"The {what} did not stay upright.")
        if self._best_lift_s < _LIFT_S:
            return AttemptResult(
                False,
                "slip",
                f"The {name} slid through the palms: raised {top_cm:.0f} cm, "
                f"held up {self._best_lift_s:.1f} s.",
            )
        if name == "tray" and (abs(cup[0]) > 0.11 or abs(cup[1]) > 0.14 or cup[2] < 0.03):
            return AttemptResult(False, "tipped", "The cup left the tray.")
        if miss_m > _MISS_M[self._task] or turn_rad > _MISS_RAD:
            turned = f" and {math.degrees(turn_rad):.0f} degrees" if name == "tray" else ""
            detail = f"The {name} ended {100 * miss_m:.1f} cm{turned} off its spot"
            if self._slid_m > 0.04:
                return AttemptResult(
                    False,
                    "slip",
                    f"{detail}; it had slid {100 * self._slid_m:.0f} cm in the palms.",
                )
            return AttemptResult(False, "missed_spot", f"{detail}.")
        if not self._released or abs(at[2] - self._start_m[2]) > 0.015:
            return AttemptResult(False, "unfinished", f"The {name} was not set down and let go.")
        return AttemptResult(
            True,
            "",
            f"The {name} was raised {top_cm:.0f} cm for {self._best_lift_s:.1f} s "
            f"and set down {100 * miss_m:.1f} cm off its spot.",
        )


def _tilt_rad(data: mujoco.MjData, body: int) -> float:
    return math.acos(max(-1.0, min(1.0, float(data.xmat[body][8]))))


judge = PalmsJudge
