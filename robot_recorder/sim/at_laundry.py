"""The smart home's folding table: a soft cloth is folded in half by two corners.

Thumb and index finger of each hand pinch a corner, and friction alone holds it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import mujoco
import numpy as np

from robot_recorder.sim.cloth import POINT_M, cloths_of, point_name
from robot_recorder.sim.ik import hand_rotation
from robot_recorder.sim.judge import (
    FALLEN_M,
    TABLE_M,
    UNFINISHED,
    AttemptResult,
    Events,
    Glimpse,
)
from robot_recorder.sim.model import GRIP_M, SIDES, bodies_of_hands
from robot_recorder.sim.scenarios import Scenario
from robot_recorder.sim.script import Script
from robot_recorder.sim.skills import DOWN, SIGN, Bend, Person

_CLOTH, _LAST_ROW, _LAST_COLUMN = "cloth", 7, 9
_COLUMNS = {"left": _LAST_COLUMN, "right": 0}
# By hand: the corner it takes, and the corner on which it lays that.
_CORNERS = {side: point_name(_CLOTH, 0, column) for side, column in _COLUMNS.items()}
_GOALS = {side: point_name(_CLOTH, _LAST_ROW, column) for side, column in _COLUMNS.items()}

# Where thumb and index fingertip meet: in a wrist frame, whose y points inward.
_PINCH_M = (0.108, 0.077, 0.0285)
_SPREAD: Bend = (1.15, 0.32, -1.0, -0.11, 1.29)
_PINCH: Bend = (1.46, 0.60, -0.64, 0.37, 0.72)
_AJAR: Bend = (1.2, 0.55, -0.85, 0.0, 1.15)
_TIPS_M = TABLE_M + 0.008  # of the fingertips' middle on the table: they press a little
_ABOVE_M, _LIFT_M, _ARC_M, _LAY_M = 0.06, 0.045, 0.04, 0.005
_ASIDE_M = 0.045
_YAWS_RAD = ((0.2, 0.4), (-0.45, 0.1))  # of a hand, by how far ahead it is, m
_TRIES = 3

_RAISED_M, _LOST_S = 0.025, 0.05
_APART_M = 0.035  # farther from its goal a corner is not folded onto it
_FLAT_M = 0.055  # above the table; a fold that nobody creased stands up a little
_COVERS = (0.40, 0.70)  # share of the flat cloth's area
_PIXEL_M = 0.004


@dataclass(frozen=True)
class Fold:
    """How the operator folds: how far from its goal each hand lays its corner, m."""

    miss_m: dict[str, tuple[float, float]]


def draw(task: str, seed: int) -> Scenario:
    """Draw attempt number `seed` of a task; the same arguments give the same attempt."""
    rng = np.random.default_rng([220, seed])
    x, y = rng.uniform(0.276, 0.288), rng.uniform(-0.012, 0.012)
    yaw = math.radians(rng.uniform(-4, 4))
    friction, aim_m, tempo = rng.uniform(0.75, 1.1), 0.002, rng.uniform(0.9, 1.15)
    misses = {side: rng.normal(0, 0.005, 2) for side in SIDES}
    # Some attempts are hard; the physics decides whether they fail.
    trouble = rng.random()
    if trouble < 0.10:
        friction = rng.uniform(0.25, 0.45)
    elif trouble < 0.26:
        aim_m = rng.uniform(0.010, 0.018)
    elif trouble < 0.36:  # one hand lays its corner down too early, or too far inward
        side, angle = SIDES[rng.integers(2)], rng.uniform(-0.5, 0.5)
        misses[side] = -rng.uniform(0.05, 0.075) * np.array([math.cos(angle), math.sin(angle)])
    elif trouble < 0.44:
        tempo = rng.uniform(1.6, 2.0)
    more = Fold({side: (float(dx), float(dy)) for side, (dx, dy) in misses.items()})
    return Scenario(
        task, seed, {}, friction=float(friction), cloths={_CLOTH: (x, y, TABLE_M + POINT_M, yaw)},
        aim_m=float(aim_m), tempo=float(tempo), more=more,
    )  # fmt: skip


def perform(person: Person, scenario: Scenario) -> Iterator[Script]:
    """Pinch two corners, lift them, lay them on the opposite ones, let go, and draw back."""
    tips = _Fingertips(person)
    yield from _take(tips, scenario.aim_m)
    if all(_holds(person, side) for side in SIDES):
        yield from _fold_over(tips, scenario.more)
    yield from _let_go(tips)
    yield from person.rest()


class _Fingertips:
    """Moves the hands by the point at which thumb and index finger pinch.

    Attributes:
        person: whose hands they are.
        at_m: where they are, by side, float64[3].
    """

    def __init__(self, person: Person) -> None:
        self.person = person
        self.at_m: dict[str, np.ndarray] = {}

    def move(
        self,
        phase: str,
        to_m: dict[str, np.ndarray],
        bend: Bend | None = None,
        least_s: float = 0.5,
    ) -> None:
        """Add a motion to points; the other hand stays."""
        self.at_m.update(to_m)
        bends = dict.fromkeys(to_m, bend) if bend else None
        hands = {side: _hand(side, at_m) for side, at_m in to_m.items()}
        self.person.move(phase, hands, bends=bends, least_s=least_s)

    def follow(self, phase: str, way_m: list[dict[str, np.ndarray]], seconds: float) -> None:
        """Add a motion through several points without a stop."""
        self.at_m.update(way_m[-1])
        way = [{side: _hand(side, at_m) for side, at_m in to_m.items()} for to_m in way_m]
        self.person.follow(phase, way, seconds, point="grip")


def _hand(side: str, at_m: np.ndarray) -> np.ndarray:
    """Return the pose of a hand, palm down, whose fingertips pinch at a point, as in `Person.move`."""
    yaw = SIGN[side] * float(np.interp(at_m[0], *_YAWS_RAD))
    forward, inward, up = _PINCH_M
    away = [forward - GRIP_M[0], -SIGN[side] * (inward - GRIP_M[1]), up]
    return np.array([*(at_m - hand_rotation(side, yaw, 0.0, DOWN) @ away), yaw, 0.0, DOWN])


def _raised(at_m: dict[str, np.ndarray], up_m: float) -> dict[str, np.ndarray]:
    return {side: at + [0, 0, up_m] for side, at in at_m.items()}


def _holds(person: Person, side: str) -> bool:
    """Return whether a hand's corner is in the air."""
    return bool(person.world.position(_CORNERS[side])[2] > TABLE_M + POINT_M + _RAISED_M)


def _take(tips: _Fingertips, aim_m: float) -> Iterator[Script]:
    """Pinch and lift the corners; a hand that missed its corner tries again, with a better aim."""
    world, random = tips.person.world, tips.person.random
    for number in range(_TRIES):
        missed = [side for side in SIDES if number == 0 or not _holds(tips.person, side)]
        if not missed:
            return
        seen = {}
        for side in missed:
            level = world.position(_CORNERS[side])[:2] + random.normal(0, aim_m / (1 + number), 2)
            seen[side] = np.array([*level, _TIPS_M])
        tips.move("recovery" if number else "reach", _raised(seen, _ABOVE_M), _SPREAD, 0.9)
        tips.move("grasp", seen)
        tips.move("grasp", seen, _PINCH, 0.6)
        tips.move("lift", _raised(seen, _LIFT_M))
        yield tips.person.script()


def _fold_over(tips: _Fingertips, fold: Fold) -> Iterator[Script]:
    """Carry both corners over to the opposite ones and lay them down."""
    begin, goal = dict(tips.at_m), {}
    for side in SIDES:
        level = tips.person.world.position(_GOALS[side])[:2] + fold.miss_m[side]
        goal[side] = np.array([*level, _TIPS_M + _LIFT_M])
    way = []
    for share in (0.25, 0.5, 0.75, 1.0):
        between = {side: begin[side] + share * (goal[side] - begin[side]) for side in SIDES}
        way.append(_raised(between, _ARC_M * math.sin(math.pi * share)))
    tips.follow("carry", way, 2.0)
    tips.move("place", _raised(goal, _LAY_M - _LIFT_M))
    yield tips.person.script()


def _let_go(tips: _Fingertips) -> Iterator[Script]:
    """Lay down what is held, open the fingers, and leave sideways, so that nothing is dragged along."""
    low = {side: np.array([*at[:2], _TIPS_M + _LAY_M]) for side, at in tips.at_m.items()}
    aside = {side: at + [0, SIGN[side] * _ASIDE_M, _LAY_M] for side, at in low.items()}
    tips.move("release", low, _AJAR)
    tips.move("release", aside)
    tips.move("retreat", _raised(aside, _ABOVE_M))
    yield tips.person.script()


class FoldJudge:
    """The judge of a cloth that is folded in half; `events` are (time_s, name)."""

    def __init__(self, model: mujoco.MjModel, _: Scenario) -> None:
        """Follow the cloth."""
        self.events = Events()
        self._model, self._points = model, cloths_of(model)[_CLOTH]
        self._hands = np.zeros(model.nbody, bool)
        self._hands[list(bodies_of_hands(model))] = True
        self._corners = {side: model.body(name).id for side, name in _CORNERS.items()}
        self._before_s = 0.0
        self._pinched = dict.fromkeys(SIDES, False)  # ever, by two fingers
        self._raised = dict.fromkeys(SIDES, False)  # ever, between fingers
        self._free_s = dict.fromkeys(SIDES, 0.0)  # since no finger touched it on its way
        self._lost = dict.fromkeys(SIDES, False)
        self._touched = False
        self._at: np.ndarray | None = None  # float64[rows, columns, 3]
        self._flat_m2 = 0.0

    def update(self, moment: Glimpse) -> None:
        """Look at the world."""
        data = moment.data
        elapsed_s, self._before_s = moment.time_s - self._before_s, moment.time_s
        self._at = data.xpos[self._points]
        self._flat_m2 = self._flat_m2 or _covered_m2(self._at)
        bodies = self._model.geom_bodyid[data.contact.geom].reshape(-1, 2)
        by_hand = bodies[self._hands[bodies].any(axis=1)]
        self._touched = bool(np.isin(by_hand, self._points).any())
        for side, corner in self._corners.items():
            fingers = len(np.unique(by_hand[(by_hand == corner).any(axis=1)])) - 1
            held = fingers > 0
            self._pinched[side] = self._pinched[side] or fingers > 1
            if held and data.xpos[corner][2] > TABLE_M + POINT_M + _RAISED_M:
                self._raised[side], self._lost[side] = True, False
                self.events.once(moment.time_s, "contact")
            on_its_way = self._raised[side] and moment.phase in ("lift", "carry")
            self._free_s[side] = self._free_s[side] + elapsed_s if on_its_way and not held else 0.0
            if self._free_s[side] > _LOST_S:
                self._lost[side] = True
                self.events.once(moment.time_s, "slip")
        if self._at[..., 2].min() < TABLE_M - FALLEN_M:
            self.events.once(moment.time_s, "drop")

    def outcome(self) -> AttemptResult:
        """Return the result so far."""
        if self._at is None:
            return UNFINISHED
        missed = [side for side in SIDES if not self._raised[side]]
        lost = [side for side in SIDES if self._lost[side]]
        gaps_m = {side: _gap_m(self._at, side) for side in SIDES}
        off = " and ".join(f"{100 * gap:.1f}" for gap in gaps_m.values())
        if self._at[..., 2].min() < TABLE_M - FALLEN_M:
            return AttemptResult(False, "drop", "The cloth hangs or fell off the table.")
        if missed:
            said = f"The {' and the '.join(missed)} corner never left the table"
            if all(self._pinched[side] for side in missed):
                return AttemptResult(False, "slip", f"{said}: it slid out of the fingers.")
            return AttemptResult(False, "missed_grasp", f"{said}.")
        if self._touched:
            return AttemptResult(False, "unfinished", "The cloth was not let go.")
        if max(gaps_m.values()) > _APART_M:
            if lost:
                said = f"The {' and the '.join(lost)} corner slid out of the fingers on its way."
                return AttemptResult(False, "slip", said)
            said = f"The corners lie {off} cm off the opposite ones."
            return AttemptResult(False, "crooked", said)
        covers, up_m = _covered_m2(self._at) / self._flat_m2, self._at[..., 2].max() - TABLE_M
        said = f"it covers {100 * covers:.0f} % of its area and is {100 * up_m:.1f} cm high"
        if up_m > _FLAT_M or not _COVERS[0] < covers < _COVERS[1]:
            return AttemptResult(False, "crumpled", f"The cloth is crumpled: {said}.")
        return AttemptResult(True, "", f"The corners lie {off} cm off the opposite ones; {said}.")


def _gap_m(at: np.ndarray, side: str) -> float:
    """Return the level distance of a side's near corner from the far one, by the points of a cloth."""
    column = _COLUMNS[side]
    return float(np.linalg.norm(at[0, column, :2] - at[_LAST_ROW, column, :2]))


def _covered_m2(at: np.ndarray) -> float:
    """Return the area of the table under a cloth, from its points, float64[rows, columns, 3]."""
    level = np.round((at[..., :2] - at[..., :2].min(axis=(0, 1))) / _PIXEL_M).astype(np.int32)
    picture = np.zeros(level.max(axis=(0, 1))[::-1] + 1, np.uint8)
    corners = level[:-1, :-1], level[1:, :-1], level[1:, 1:], level[:-1, 1:]
    for cell in np.stack(corners, axis=2).reshape(-1, 4, 2):
        cv2.fillConvexPoly(picture, cell, 1)
    return float(picture.sum()) * _PIXEL_M**2


judge = FoldJudge
