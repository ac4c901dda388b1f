"""Judges an attempt by the physics alone, independent of the script's intentions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import mujoco
import numpy as np

from robot_recorder.sim.model import SIDES
from robot_recorder.sim.scene import DESK_TOP_M, SPOT_ANGLE_RAD, SPOT_M

_LIFT_M = {"lift_box": 0.10, "carry_tray": 0.04}
_LIFT_S = 0.8
_CONTACT_N = 1.0
_SLIP_M, _DROP_M = 0.015, 0.06
_MISS_M = {"lift_box": 0.06, "carry_tray": 0.04}
_MISS_RAD = math.radians(12)


@dataclass(frozen=True)
class AttemptResult:
    """Result of an attempt: `cause` is one word, empty on success; `detail` is a sentence."""

    success: bool
    cause: str
    detail: str


class Judge:
    """The judge of one attempt. Call `update` at 100 Hz; `events` are (time_s, name)."""

    def __init__(self, model: mujoco.MjModel, task: str) -> None:
        self._task = task
        self._object = model.body("box" if task == "lift_box" else "tray").id
        self._cup = model.body("cup").id
        self._palms = [model.site(f"{side}_palm").id for side in SIDES]
        self._torso = model.body("torso_link").id
        self.events: list[tuple[float, str]] = []
        self._seen: set[str] = set()
        self._start_m: np.ndarray | None = None
        self._held_at_m: np.ndarray | None = None
        self._before_s = 0.0
        self._lifted_s = self._best_lift_s = self._top_m = self._slid_m = 0.0
        self._released = True
        self._final: tuple[np.ndarray, np.ndarray, float, float] | None = None

    def update(
        self, data: mujoco.MjData, time_s: float, grip_n: tuple[float, float], carried: bool
    ) -> None:
        """Look at the world.

        Args:
            data: state of the physics.
            time_s: since the reset.
            grip_n: normal force on each palm.
            carried: whether the script is holding the object.
        """
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
            self._happened(time_s, "contact")
        if carried:
            palms = data.site_xpos[self._palms]
            held_at = data.xmat[self._torso].reshape(3, 3).T @ (at - palms.mean(axis=0))
            if self._held_at_m is None:
                self._held_at_m = held_at
            moved_m = float(np.linalg.norm(held_at - self._held_at_m))
            self._slid_m = max(self._slid_m, moved_m)
            if moved_m > _SLIP_M and max(grip_n) > 0:
                self._happened(time_s, "slip")
            if self._top_m > 0.03 and (moved_m > _DROP_M or max(grip_n) == 0.0):
                self._happened(time_s, "drop")
        tilt = _tilt_rad(data, self._object)
        cup_tilt = _tilt_rad(data, self._cup) if self._task == "carry_tray" else 0.0
        if tilt > math.radians(35) or cup_tilt > math.radians(45):
            self._happened(time_s, "tipped")
        matrix = data.xmat[self._object]
        yaw = math.atan2(matrix[3], matrix[0])
        cup = matrix.reshape(3, 3).T @ (data.xpos[self._cup] - at)
        self._final = at, cup, yaw, max(tilt, cup_tilt)
        self._released = max(grip_n) == 0.0

    def _happened(self, time_s: float, name: str) -> None:
        if name not in self._seen:
            self._seen.add(name)
            self.events.append((time_s, name))

    def outcome(self) -> AttemptResult:
        """Return the result so far; final once the script is done."""
        if self._final is None or self._start_m is None:
            return AttemptResult(False, "unfinished", "Nothing has happened yet.")
        at, cup, yaw, tilt = self._final
        name = "box" if self._task == "lift_box" else "tray"
        top_cm = 100 * self._top_m
        goal = self._start_m[:2] if name == "box" else np.array(SPOT_M)
        miss_m = float(np.linalg.norm(at[:2] - goal))
        turn_rad = 0.0 if name == "box" else abs(math.remainder(yaw - SPOT_ANGLE_RAD, 2 * math.pi))
        if "contact" not in self._seen and self._top_m < 0.02:
            return AttemptResult(
                False, "missed_grasp", f"Both palms never touched the {name} together."
            )
        if "drop" in self._seen or at[2] < DESK_TOP_M - 0.05:
            return AttemptResult(
                False, "drop", f"The {name} fell after it was raised {top_cm:.0f} cm."
            )
        if "tipped" in self._seen or tilt > math.radians(10):
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
