"""The care home's room: a resident's walker is brought to its mark beside the armchair."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import mujoco
import numpy as np

from robot_recorder.sim.at_eldercare import touched
from robot_recorder.sim.judge import UNFINISHED, AttemptResult, Events, Glimpse
from robot_recorder.sim.model import SIDES, bodies_of_hands
from robot_recorder.sim.scenarios import Scenario
from robot_recorder.sim.script import Script
from robot_recorder.sim.skills import BELOW_M, FIST, SIGN, Bend, Person

_HANDLE_M = (-0.21, 0.875)  # of its bar, behind the walker's middle and above the floor
_APART_M = 0.12  # of each hand from the bar's middle
_NEAR_M = 0.31  # of the bar from the waist's axis, to which it is drawn before the waist turns
_REACH_M = (0.27, 0.43)
_AROUND_M = 0.03  # a hand farther from where it holds the bar does not hold it
_SLID_M = 0.05  # along the bar
_TIPPED_RAD = math.radians(15)
_OFF_M, _OFF_RAD = 0.07, math.radians(15)
_TROLLEY, _ARMCHAIR = (-0.75, 0.45, 0.0, 0.0), (-1.10, -0.88, 0.0, 0.5)
_LOOSE: Bend = (0.95, 0.55, 0.0, 0.0, 0.1)


@dataclass(frozen=True)
class Bringing:
    """How the operator brings a walker.

    Attributes:
        bend: of the fingers that hold it, at first.
        misses_m: how far from its handle the hands come down, ahead and to the left, for each try.
        miss_m: how much too near to the robot it is drawn.
        miss_rad: how much too far it is turned.
    """

    bend: Bend
    misses_m: tuple[tuple[float, float], ...]
    miss_m: float
    miss_rad: float


def draw_walker(seed: int) -> Scenario:
    """Draw attempt number `seed`; the same seed gives the same attempt."""
    rng = np.random.default_rng([304, seed])
    away_m, turn = rng.uniform(0.385, 0.41), math.radians(rng.uniform(-100, -94))
    yaw = turn + math.radians(rng.uniform(-4, 4))
    x, y = away_m * math.cos(turn), away_m * math.sin(turn)
    goal = math.radians(rng.uniform(-138, -129))
    far_m = _NEAR_M - _HANDLE_M[0]
    poses = {
        "walker": (x - _HANDLE_M[0] * math.cos(yaw), y - _HANDLE_M[0] * math.sin(yaw), 0.0, yaw),
        "walker_mark": (far_m * math.cos(goal), far_m * math.sin(goal), 0.0, goal),
        "trolley": _TROLLEY,
        "armchair": _ARMCHAIR,
    }
    friction, rolling = rng.uniform(0.5, 0.95), rng.uniform(0.02, 0.05)
    misses_m = rng.normal(0, [0.004, 0.01], (2, 2))
    tempo, kg, bend = rng.uniform(0.9, 1.15), rng.uniform(6, 9), FIST
    miss_m, miss_rad = rng.normal(0, 0.006), rng.normal(0, 0.02)
    # Some attempts are hard; the physics decides whether they fail.
    trouble = rng.random()
    if trouble < 0.12:  # held loosely by smooth fingers
        friction, bend = rng.uniform(0.05, 0.15), _LOOSE
    elif trouble < 0.28:  # the hands come down short of the handle
        misses_m[:, 0] = -rng.uniform([0.03, 0.01], [0.06, 0.05])
    elif trouble < 0.36:  # a brake drags
        rolling = rng.uniform(0.2, 0.6)
    elif trouble < 0.44:  # let go too early, or too late
        miss_rad = rng.choice([-1, 1]) * rng.uniform(0.16, 0.3)
    misses = tuple((float(ahead), float(left)) for ahead, left in misses_m)
    more = Bringing(bend, misses, float(miss_m), float(miss_rad))
    return Scenario(
        "bring_walker", seed, poses, {"walker": float(kg)}, friction, {"walker": float(rolling)},
        tempo=tempo, more=more,
    )  # fmt: skip


def bring_walker(person: Person, scenario: Scenario) -> Iterator[Script]:
    """Take the walker's handle with both hands and pull it to its mark; again if it slips away."""
    for number, miss_m in enumerate(scenario.more.misses_m):
        if not _within_reach(person):
            break
        missed_m = person.world.turn("walker") @ [*miss_m, 0]
        bars_m = {side: at + missed_m for side, at in _grips(person).items()}
        phase, bend = ("recovery", FIST) if number else ("reach", scenario.more.bend)
        yield from person.take_bar(bars_m, person.world.yaw("walker"), phase, bend)
        if _holds(person):
            yield from _pull(person, scenario)
        held = _holds(person)
        yield from person.leave_bar(SIDES, "release" if held else "recovery")
        if held:
            break
    yield from person.rest()


def _pull(person: Person, scenario: Scenario) -> Iterator[Script]:
    """Draw the walker nearer, straight ahead of the robot, and turn with it to its mark."""
    plan, (*_, goal) = scenario.more, scenario.poses["walker_mark"]
    x, y, _ = np.mean(list(_grips(person).values()), axis=0)
    turn, near_m = math.atan2(y, x), _NEAR_M - plan.miss_m
    yield from person.pull_bar(_bar(near_m, turn), turn, turn, least_s=1.0)
    if _holds(person):
        turn = goal + plan.miss_rad
        yield from person.pull_bar(_bar(near_m, turn), turn, turn, least_s=1.8)


def _bar(away_m: float, turn: float) -> dict[str, np.ndarray]:
    """Return where hands hold a handle that is square to the robot, world, m."""
    ahead, aside = (math.cos(turn), math.sin(turn)), (-math.sin(turn), math.cos(turn))
    return {
        side: np.array([
            away_m * ahead[0] + SIGN[side] * _APART_M * aside[0],
            away_m * ahead[1] + SIGN[side] * _APART_M * aside[1],
            _HANDLE_M[1],
        ])
        for side in SIDES
    }  # fmt: skip


def _grips(person: Person) -> dict[str, np.ndarray]:
    """Return the points of the walker's handle that the hands take, world, m."""
    at, turn = person.world.position("walker"), person.world.turn("walker")
    x, z = _HANDLE_M
    return {side: at + turn @ [x, SIGN[side] * _APART_M, z] for side in SIDES}


def _within_reach(person: Person) -> bool:
    """Return whether the walker stands upright where both hands can take its handle."""
    x, y, _ = np.mean(list(_grips(person).values()), axis=0)
    askew = abs(math.remainder(person.world.yaw("walker") - math.atan2(y, x), 2 * math.pi))
    near = _REACH_M[0] < math.hypot(x, y) < _REACH_M[1]
    return bool(near and askew < 0.3 and person.world.tilt("walker") < 0.1)


def _holds(person: Person) -> bool:
    """Return whether both hands are around the handle."""
    at, turn = person.world.position("walker"), person.world.turn("walker")
    return all(_around(turn.T @ (person.world.grip(side) - at)) for side in SIDES)


def _around(grip_m: np.ndarray) -> bool:
    """Return whether a hand is around the handle; its grip point in the walker's frame, m."""
    x, z = _HANDLE_M
    return math.hypot(grip_m[0] - x, grip_m[2] - (z - BELOW_M)) < _AROUND_M


class WalkerJudge:
    """The judge of a walker that is brought; `events` are (time_s, name)."""

    def __init__(self, model: mujoco.MjModel, scenario: Scenario) -> None:
        """Follow the walker."""
        self.events = Events()
        self._walker, self._hands = model.body("walker").id, bodies_of_hands(model)
        self._grips = [model.site(f"{side}_grip").id for side in SIDES]
        self._mark = scenario.poses["walker_mark"]
        self._at, self._yaw, self._tilt = np.zeros(3), 0.0, 0.0
        self._most_rad, self._touched, self._looked = 0.0, False, False
        self._along_m: list[float] | None = None  # of each hand on the handle as it was taken
        self._lost = False

    def update(self, moment: Glimpse) -> None:
        """Look at the world."""
        data = moment.data
        self._looked = True
        self._at, turn = data.xpos[self._walker].copy(), data.xmat[self._walker].reshape(3, 3)
        self._yaw = math.atan2(turn[1, 0], turn[0, 0])
        self._tilt = math.acos(max(-1.0, min(1.0, float(turn[2, 2]))))
        self._most_rad = max(self._most_rad, self._tilt)
        self._touched = touched(data, self._walker, self._hands)
        if self._touched:
            self.events.once(moment.time_s, "contact")
        if self._tilt > _TIPPED_RAD:
            self.events.once(moment.time_s, "tipped")
        grips = [turn.T @ (data.site_xpos[grip] - self._at) for grip in self._grips]
        if moment.phase == "pull":
            self._follow(moment, grips)
        if moment.phase == "retreat" and not self._touched and self._along_m is not None:
            self.events.once(moment.time_s, "let_go")

    def _follow(self, moment: Glimpse, grips: list[np.ndarray]) -> None:
        """Measure whether the hands stay where they hold the handle."""
        along = [float(grip[1]) for grip in grips]
        self._along_m = self._along_m or along
        slid_m = max(abs(now - then) for now, then in zip(along, self._along_m))
        if slid_m > _SLID_M or not all(_around(grip) for grip in grips):
            self._lost = True
            self.events.once(moment.time_s, "slip")

    def outcome(self) -> AttemptResult:
        """Return the result so far."""
        if not self._looked:
            return UNFINISHED
        if self._most_rad > _TIPPED_RAD:
            detail = f"The walker was tipped by {math.degrees(self._most_rad):.0f} degrees."
            return AttemptResult(False, "tipped", detail)
        off_m = math.dist(self._at[:2], self._mark[:2])
        off_rad = abs(math.remainder(self._yaw - self._mark[3], 2 * math.pi))
        off = f"The walker stands {100 * off_m:.0f} cm and {math.degrees(off_rad):.0f} degrees off"
        if off_m < _OFF_M and off_rad < _OFF_RAD:
            if self._touched:
                return AttemptResult(False, "unfinished", "The walker was not let go.")
            return AttemptResult(True, "", f"{off} its mark.")
        if self._lost:
            detail = f"The handle slid out of the hands. {off} its mark."
            return AttemptResult(False, "slip", detail)
        if self._along_m is None:
            return AttemptResult(False, "missed_grasp", "The hands did not get around the handle.")
        return AttemptResult(False, "missed_spot", f"{off} its mark.")
