"""The care home's bed table: what is in a beaker is poured into a tumbler. Small balls stand for it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import mujoco
import numpy as np

from robot_recorder.sim.at_eldercare import touched
from robot_recorder.sim.at_smart_home import GraspWatch
from robot_recorder.sim.judge import TABLE_M, UNFINISHED, AttemptResult, Events, Glimpse
from robot_recorder.sim.model import bodies_of_hands
from robot_recorder.sim.scenarios import Scenario
from robot_recorder.sim.script import Script
from robot_recorder.sim.skills import Person

BEADS = tuple(f"bead_{number}" for number in range(1, 21))
_SIDE = "right"
_GRIP_M = 0.055  # of the grip point above the table
_MOUTH_M = (0.024, 0.105)  # of the beaker: half its width, and its height
_TUMBLER_M = (0.0425, 0.06)
_BEFORE_M = 0.022  # from the tumbler's middle to the edge over which it is poured
_APART_M, _LAYER_M = 0.0142, 0.0138  # of beads, as they are laid into the beaker
_FLOOR_M = 0.0108  # of the lowest above the table
_MOST_SPILLED, _MOST_LEFT = 2, 2
_TIPPED_RAD = math.radians(30)


@dataclass(frozen=True)
class Pouring:
    """How the operator pours.

    Attributes:
        miss_m: how far from where it should be the beaker's edge is, x and y.
        above_m: how far the edge is above that of the tumbler.
        to_rad: how far it tilts the beaker, for each try.
        seconds: how long it takes to tilt it.
    """

    miss_m: tuple[float, float]
    above_m: float
    to_rad: tuple[float, float]
    seconds: float


def draw(seed: int) -> Scenario:
    """Draw attempt number `seed`; the same seed gives the same attempt."""
    rng = np.random.default_rng([305, seed])
    x, y, yaw = rng.uniform(0.255, 0.28), rng.uniform(-0.13, -0.11), rng.uniform(-0.06, 0.06)
    poses = {
        "beaker": (x, y, TABLE_M, yaw),
        "tumbler": (
            rng.uniform(0.285, 0.31),
            rng.uniform(0.02, 0.045),
            TABLE_M,
            rng.uniform(-0.3, 0.3),
        ),
    }
    cos, sin = math.cos(yaw), math.sin(yaw)
    for number, name in enumerate(BEADS):
        layer, place = divmod(number, 9)
        a, b = _APART_M * (place % 3 - 1), _APART_M * (place // 3 - 1)
        z = TABLE_M + _FLOOR_M + layer * _LAYER_M
        poses[name] = (x + cos * a - sin * b, y + sin * a + cos * b, z, 0.0)
    friction, aim_m, tempo = rng.uniform(0.6, 0.95), 0.004, rng.uniform(0.95, 1.15)
    miss_m, above_m = rng.normal(0, 0.006, 2), rng.uniform(0.02, 0.035)
    to_rad, seconds = np.radians(rng.uniform(108, 116, 2)), rng.uniform(2.0, 2.8)
    masses = {"beaker": float(rng.uniform(0.08, 0.16)), "tumbler": float(rng.uniform(0.2, 0.35))}
    # Some attempts are hard; the physics decides whether they fail.
    trouble = rng.random()
    if trouble < 0.07:
        friction = rng.uniform(0.04, 0.2)
    elif trouble < 0.15:
        aim_m = rng.uniform(0.02, 0.03)
    elif trouble < 0.22:  # beside the tumbler's middle
        angle = rng.uniform(0, 2 * math.pi)
        miss_m = rng.uniform(0.03, 0.05) * np.array([math.cos(angle), math.sin(angle)])
    elif trouble < 0.28:  # in a hurry, and from high above
        seconds, above_m = rng.uniform(0.4, 0.9), rng.uniform(0.05, 0.08)
    elif trouble < 0.36:  # hardly tilted
        to_rad = np.radians(rng.uniform([70, 86], [90, 104]))
    more = Pouring(
        (float(miss_m[0]), float(miss_m[1])), float(above_m),
        (float(to_rad[0]), float(to_rad[1])), float(seconds),
    )  # fmt: skip
    return Scenario(
        "pour_drink", seed, poses, masses, friction, aim_m=float(aim_m), tempo=tempo, more=more
    )  # fmt: skip


def pour_drink(person: Person, scenario: Scenario) -> Iterator[Script]:
    """Take the beaker, pour it into the tumbler, again if much is left, and stand it back."""
    plan, (x, y, *_) = scenario.more, scenario.poses["beaker"]
    yield from person.take_upright(_SIDE, "beaker", _GRIP_M)
    for number, to_rad in enumerate(plan.to_rad):
        if not person.holds(_SIDE, "beaker", _GRIP_M) or (number and _left(person) <= _MOST_LEFT):
            break
        dx, dy = plan.miss_m
        over_m = person.world.position("tumbler") + [
            dx,
            dy - _BEFORE_M,
            _TUMBLER_M[1] + plan.above_m,
        ]
        yield from person.pour(
            _SIDE, "beaker", over_m, _MOUTH_M, to_rad, plan.seconds,
            phase="recovery" if number else "carry",
        )  # fmt: skip
    if person.holds(_SIDE, "beaker", _GRIP_M):
        held_m = person.world.grip(_SIDE) - person.world.position("beaker")
        yield from person.put_upright(_SIDE, (x, y, TABLE_M + float(held_m[2]) + 0.004))
    yield from person.rest()


def _left(person: Person) -> int:
    """Return how many beads are in the beaker."""
    at, turn = person.world.position("beaker"), person.world.turn("beaker")
    return sum(_inside(turn.T @ (person.world.position(bead) - at), *_MOUTH_M) for bead in BEADS)


def _inside(at_m: np.ndarray, half_m: float, height_m: float) -> bool:
    """Return whether a point is in a vessel; it is given in the vessel's frame."""
    x, y, z = at_m
    return bool(abs(x) < half_m and abs(y) < half_m and 0 < z < height_m)


class PouringJudge:
    """The judge of one attempt; `events` are (time_s, name)."""

    def __init__(self, model: mujoco.MjModel, scenario: Scenario) -> None:
        """Follow the vessels and the beads."""
        self._watch = GraspWatch(model, ["beaker", "tumbler"])
        self._vessels = {name: model.body(name).id for name in ("beaker", "tumbler")}
        self._beads = [model.body(name).id for name in BEADS]
        self._hands = bodies_of_hands(model)
        self._poured = self._left = self._spilled = 0
        self._held = False
        self.events = Events()

    def update(self, moment: Glimpse) -> None:
        """Look at the world."""
        known = len(self._watch.events)
        self._watch.update(moment)
        for time_s, name in self._watch.events[known:]:
            if not (name == "tipped" and moment.phase == "pour"):  # it shall be tilted
                self.events.once(time_s, name)
        data, at = moment.data, moment.data.xpos[self._beads]
        inside = {}
        for name, (half_m, height_m) in (("beaker", _MOUTH_M), ("tumbler", _TUMBLER_M)):
            body = self._vessels[name]
            away = np.abs((at - data.xpos[body]) @ data.xmat[body].reshape(3, 3))
            inside[name] = (away < [half_m, half_m, height_m]).all(axis=1)
        self._poured, self._left = int(inside["tumbler"].sum()), int(inside["beaker"].sum())
        low = at[:, 2] < TABLE_M + _TUMBLER_M[1]
        self._spilled = int((low & ~inside["tumbler"] & ~inside["beaker"]).sum())
        self._held = touched(data, self._vessels["beaker"], self._hands)
        if self._spilled > _MOST_SPILLED:
            self.events.once(moment.time_s, "spill")

    def outcome(self) -> AttemptResult:
        """Return the result so far."""
        watch = self._watch
        if not watch.looked():
            return UNFINISHED
        said = f"{self._poured} of {len(BEADS)} balls are in the tumbler"
        if watch.fell("beaker") or "beaker" in watch.lost:
            return AttemptResult(False, "drop", f"The beaker fell out of the hand; {said}.")
        if watch.tilt("tumbler") > _TIPPED_RAD or watch.fell("tumbler"):
            return AttemptResult(False, "tipped", "The tumbler was knocked over.")
        if not watch.raised("beaker"):
            if watch.tilt("beaker") > _TIPPED_RAD:
                return AttemptResult(False, "tipped", "The beaker was knocked over.")
            return AttemptResult(False, "missed_grasp", "The beaker was never lifted.")
        if self._spilled > _MOST_SPILLED:
            names = [name for _, name in self.events]  # in the order in which they happened
            slid_first = "slip" in names[: names.index("spill")]
            cause = "slip" if slid_first else "spilled"
            return AttemptResult(False, cause, f"{said}, {self._spilled} were spilled.")
        if self._left > _MOST_LEFT:
            detail = f"{said}, {self._left} are left in the beaker."
            return AttemptResult(False, "left_over", detail)
        if watch.tilt("beaker") > _TIPPED_RAD:
            return AttemptResult(False, "tipped", f"{said}, but the beaker fell over.")
        if self._held:
            return AttemptResult(False, "unfinished", f"{said}, but the beaker was not let go.")
        return AttemptResult(True, "", f"{said}, {self._spilled} were spilled.")
