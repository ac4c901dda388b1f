"""The smart home's cupboard: its door is pulled open, a cup is put inside, and the door is pushed shut."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import mujoco
import numpy as np

from robot_recorder.sim.at_smart_home import LET_GO, GraspWatch
from robot_recorder.sim.judge import TABLE_M, UNFINISHED, AttemptResult, Glimpse
from robot_recorder.sim.scenarios import Scenario
from robot_recorder.sim.script import Script
from robot_recorder.sim.skills import Person

_HALF_M = (0.08, 0.10, 0.30)  # of the cupboard along x and y; its height
_FLOOR_M = 0.012  # thickness of its floor and walls
_HANDLE_M = (-0.066, 0.17, 0.0)  # in the door's frame
_PUSHED_M = (-0.015, 0.10, 0.0)  # where bent fingers push the door, in its frame
_SPOT_M = (-0.022, 0.018)  # of the cup in the cupboard
_CUP_M, _GRIP_M = 0.075, 0.042  # height of the cup; of the grip point above its foot
_AHEAD_M, _OUT_M = 0.010, 0.13
_CUP_YAW_RAD = -0.3  # of the fingers that take it, and so of its narrow side
_SHUT_RAD, _AJAR_RAD, _OPEN_RAD = (math.radians(angle) for angle in (3, 8, 26))
_TIPPED_RAD, _MOVED_M = math.radians(30), 0.03


@dataclass(frozen=True)
class PutAway:
    """How the operator puts a cup away.

    Attributes:
        open_rad: how far the door is pulled open.
        miss_m: how far from its spot the cup is put, in the cupboard's frame.
        shut_rad: to which angle the door is pushed, for each try.
    """

    open_rad: float
    miss_m: tuple[float, float]
    shut_rad: tuple[float, float]


def draw(seed: int) -> Scenario:
    """Draw attempt number `seed`; the same seed gives the same attempt."""
    rng = np.random.default_rng([203, seed])
    front_m, bearing = rng.uniform(0.37, 0.39), math.radians(rng.uniform(-8, 0))
    yaw, away_m = bearing + math.radians(rng.uniform(-2, 2)), front_m + _HALF_M[0]
    cupboard = away_m * math.cos(bearing), away_m * math.sin(bearing), TABLE_M + 0.0005, yaw
    ahead, aside = rng.uniform(0.25, 0.28), rng.uniform(0.11, 0.15)
    x = math.cos(yaw) * ahead - math.sin(yaw) * aside
    y = math.sin(yaw) * ahead + math.cos(yaw) * aside
    cup = x, y, TABLE_M + _CUP_M / 2, yaw + _CUP_YAW_RAD + rng.normal(0, 0.06)
    friction, aim_m, tempo = rng.uniform(0.6, 0.95), 0.004, rng.uniform(0.95, 1.15)
    open_rad, miss_m = math.radians(rng.uniform(76, 82)), rng.normal(0, 0.004, 2)
    shut_rad = (0.0, 0.0)
    masses = {"cup": float(rng.uniform(0.15, 0.25)), "cupboard": float(rng.uniform(10, 14))}
    # Some attempts are hard; the physics decides whether they fail.
    trouble = rng.random()
    if trouble < 0.07:
        friction = rng.uniform(0.04, 0.11)
    elif trouble < 0.17:
        aim_m = rng.uniform(0.02, 0.035)
    elif trouble < 0.25:  # put down too near to the door
        miss_m = np.array([-rng.uniform(0.04, 0.07), rng.uniform(-0.02, 0.02)])
    elif trouble < 0.34:  # hardly pushed
        shut_rad = rng.uniform(0.25, 0.6), rng.choice([0.0, 0.3])
    elif trouble < 0.40:  # hardly opened
        open_rad = math.radians(rng.uniform(30, 50))
    more = PutAway(
        open_rad, (float(miss_m[0]), float(miss_m[1])), (float(shut_rad[0]), float(shut_rad[1]))
    )
    return Scenario(
        "put_away_cup", seed, {"cupboard": cupboard, "cup": cup}, masses, friction=friction,
        aim_m=aim_m, tempo=tempo, more=more,
    )  # fmt: skip


def put_away_cup(person: Person, scenario: Scenario) -> Iterator[Script]:
    """Pull the door open by its handle, put the cup into the cupboard, and push the door shut."""
    plan = scenario.more
    yield from person.pull("right", "cupboard_door", _HANDLE_M, plan.open_rad)
    if person.world.angle("cupboard_door") > _OPEN_RAD and _stands(person):
        yield from _put_in(person, plan)
        if _inside(_in_cupboard(person)):
            yield from _shut(person, plan)
    yield from person.rest()


def _stands(person: Person) -> bool:
    """Return whether the cupboard was not pulled over."""
    return person.world.tilt("cupboard") < _TIPPED_RAD


def _in_cupboard(person: Person) -> np.ndarray:
    """Return where the cup is in the cupboard's frame, float64[3], m."""
    away = person.world.position("cup") - person.world.position("cupboard")
    inside: np.ndarray = person.world.turn("cupboard").T @ away
    return inside


def _inside(at_m: np.ndarray) -> bool:
    """Return whether a point of the cupboard's frame is in it."""
    x, y, z = at_m
    return bool(abs(x) < _HALF_M[0] and abs(y) < _HALF_M[1] and 0 < z < _HALF_M[2])


def _put_in(person: Person, plan: PutAway) -> Iterator[Script]:
    yield from person.pick("left", "cup", _GRIP_M - _CUP_M / 2)
    if not person.holds("left", "cup"):
        return
    turn, (dx, dy) = person.world.turn("cupboard"), plan.miss_m
    spot = [_SPOT_M[0] + dx, _SPOT_M[1] + dy, _FLOOR_M + _GRIP_M + 0.003]
    at = person.world.position("cupboard") + turn @ spot
    yaw = person.world.yaw("cupboard")
    yield from person.put_in("left", at, yaw, _OUT_M, bends=LET_GO, ahead_m=_AHEAD_M)


def _shut(person: Person, plan: PutAway) -> Iterator[Script]:
    """Push the door shut, and once more if it stands open."""
    for number, to_rad in enumerate(plan.shut_rad):
        if person.world.angle("cupboard_door") < _SHUT_RAD:
            break
        phase = "recovery" if number else "reach"
        yield from person.swing_shut("right", "cupboard_door", _PUSHED_M, to_rad, phase=phase)


class CupboardJudge:
    """The judge of a cup that is put away; `events` are (time_s, name)."""

    def __init__(self, model: mujoco.MjModel, scenario: Scenario) -> None:
        """Follow the cup, the cupboard and its door."""
        self._watch = GraspWatch(model, ["cup", "cupboard"])
        self.events = self._watch.events
        self._cupboard = model.body("cupboard").id
        self._stood_m = np.array(scenario.poses["cupboard"][:2])
        self._inside_m = np.zeros(3)
        self._angle = self._most_rad = 0.0

    def update(self, moment: Glimpse) -> None:
        """Look at the world."""
        self._watch.update(moment)
        data = moment.data
        turn, at = data.xmat[self._cupboard].reshape(3, 3), data.xpos[self._cupboard]
        self._inside_m = turn.T @ (self._watch.at("cup") - at)
        self._angle = float(data.joint("cupboard_door").qpos[0])
        self._most_rad = max(self._most_rad, self._angle)
        if self._most_rad > _OPEN_RAD:
            self.events.once(moment.time_s, "opened")
            if self._angle < _SHUT_RAD:
                self.events.once(moment.time_s, "shut")

    def outcome(self) -> AttemptResult:
        """Return the result so far."""
        watch, now_deg = self._watch, math.degrees(self._angle)
        if not watch.looked():
            return UNFINISHED
        moved_m = math.dist(watch.at("cupboard")[:2], self._stood_m)
        if watch.fell("cupboard") or watch.tilt("cupboard") > _TIPPED_RAD:
            return AttemptResult(False, "collision", "The cupboard was knocked over.")
        if moved_m > _MOVED_M:
            said = f"The cupboard was pushed aside by {100 * moved_m:.0f} cm."
            return AttemptResult(False, "collision", said)
        if watch.fell("cup"):
            return AttemptResult(False, "drop", "The cup fell to the floor.")
        if self._most_rad < _OPEN_RAD:
            return self._not_open()
        if not watch.raised("cup"):
            if watch.tilt("cup") > _TIPPED_RAD:
                return AttemptResult(False, "tipped", "The cup was knocked over on the table.")
            return AttemptResult(False, "missed_grasp", "The cup was never lifted.")
        if not _inside(self._inside_m):
            return self._outside()
        if watch.tilt("cup") > _TIPPED_RAD:
            return AttemptResult(False, "tipped", "The cup lies on its side in the cupboard.")
        if self._angle > _SHUT_RAD:
            return AttemptResult(
                False, "left_open", f"The door stands open by {now_deg:.0f} degrees."
            )
        return AttemptResult(True, "", "The cup stands in the cupboard, and the door is shut.")

    def _not_open(self) -> AttemptResult:
        """Return the result of a door that was never open."""
        if self._most_rad < _AJAR_RAD:
            detail = "The fingers did not get behind the handle."
            return AttemptResult(False, "missed_grasp", detail)
        most_deg = math.degrees(self._most_rad)
        detail = (
            f"The handle slid out of the fingers when the door was open by {most_deg:.0f} degrees."
        )
        return AttemptResult(False, "slip", detail)

    def _outside(self) -> AttemptResult:
        """Return the result of a cup that was lifted, and is not in the cupboard."""
        watch = self._watch
        if "cup" in watch.lost:
            return AttemptResult(False, "drop", "The cup fell out of the hand.")
        if "cup" in watch.slid:
            return AttemptResult(
                False, "slip", "The cup slid in the hand, and is not in the cupboard."
            )
        return AttemptResult(False, "missed_spot", "The cup was put down outside the cupboard.")
