"""The care home's room: a glass is handed over, a meal tray is served, and a pill box is opened."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import mujoco
import numpy as np

from robot_recorder.sim.both_hands import BothHands, Grip, TwoPalms, carry_legs
from robot_recorder.sim.judge import (
    TABLE_M,
    UNFINISHED,
    AttemptResult,
    Events,
    Glimpse,
    Watch,
)
from robot_recorder.sim.model import SIDES, bodies_of_hands
from robot_recorder.sim.scenarios import Scenario
from robot_recorder.sim.script import Script, sample
from robot_recorder.sim.skills import WIDE, Bend, Person

GLASS_HALF_M, GLASS_RADIUS_M = 0.06, 0.025
_WATER_M = 0.022  # of the rim above the water
_SPILL_RAD = math.atan2(_WATER_M, GLASS_RADIUS_M)
_UPPER_PART_M = 0.022  # of the grip point above the glass's middle
_EARLY_M = 0.025  # a glass let go higher above the hand than this was dropped into it
# The thumb first, for fingers and thumb that open together push the glass over.
_LET_GO: tuple[Bend, ...] = ((1.2, 0.6, 0.0, -0.6, 0.0), WIDE)
_EDGE_M = 0.045  # a glass set down farther from the middle of the hand tips off it
_PALM_HALF_M = (0.05, 0.055)

_TRAY = Grip(0.152, (0.0, 0.0, 0.06), math.radians(20), 0.09)
_TRAY_RADIUS_M = 0.37  # of trolley and place mat from the waist's axis
_TROLLEY_RAD, _MAT_RAD = math.radians(-85), math.radians(-24)  # left of straight ahead
_MAT_M = (_TRAY_RADIUS_M * math.cos(_MAT_RAD), _TRAY_RADIUS_M * math.sin(_MAT_RAD))
_TRAY_FLOOR_M = 0.012
_CUP_HALF_M, _PLATE_HALF_M = 0.04, 0.008
_SLIP_M, _HELD_UP_S = 0.025, 1.0
_MISS_M, _MISS_RAD = 0.04, math.radians(12)
_TAB_M = 0.103  # of the tab's middle from the hinge
_AJAR_RAD, _PARTLY_RAD, _OPEN_RAD = (math.radians(angle) for angle in (10, 30, 60))
_STAYS_S = 1.0
_TEA_RAD = math.radians(22)  # a cup that leans more spills


@dataclass(frozen=True)
class HandOver:
    """How the operator hands something over.

    Attributes:
        miss_m: how far from the middle of the open hand it sets it down.
        early_m: how high above the open hand it lets go.
    """

    miss_m: tuple[float, float]
    early_m: float


# -- a glass of water


def draw_glass(seed: int) -> Scenario:
    """Draw attempt number `seed`; the same seed gives the same attempt."""
    rng = np.random.default_rng([300, seed])
    x, y = rng.uniform(0.25, 0.33), rng.uniform(-0.05, 0.12)
    poses = {"glass": (x, y, TABLE_M + GLASS_HALF_M, 0.0)}
    friction, aim_m = rng.uniform(0.6, 0.95), 0.004
    miss_m, early_m = rng.normal(0, 0.006, 2), rng.uniform(0.002, 0.006)
    tempo, kg = rng.uniform(0.95, 1.15), rng.uniform(0.16, 0.28)
    # Some attempts are hard; the physics decides whether they fail.
    trouble = rng.random()
    if trouble < 0.10:
        friction = rng.uniform(0.04, 0.12)
    elif trouble < 0.18:
        aim_m = rng.uniform(0.03, 0.045)
    elif trouble < 0.26:
        early_m = rng.uniform(0.04, 0.08)
    elif trouble < 0.34:
        angle = rng.uniform(0, 2 * math.pi)
        miss_m = rng.uniform(0.05, 0.07) * np.array([math.cos(angle), math.sin(angle)])
    more = HandOver((float(miss_m[0]), float(miss_m[1])), float(early_m))
    masses = {"glass": float(kg)}
    return Scenario(
        "hand_over_glass", seed, poses, masses, friction=friction, aim_m=aim_m, tempo=tempo,
        more=more,
    )  # fmt: skip


def hand_over_glass(person: Person, scenario: Scenario) -> Iterator[Script]:
    """Take the glass by its upper part, hold it out, set it into the open hand, and let go."""
    side, plan = "left", scenario.more
    yield from person.pick(side, "glass", _UPPER_PART_M)
    if person.holds(side, "glass"):
        x, y, z = person.world.position("open_hand")
        grip_m = person.world.grip(side) - person.world.position("glass")
        above_m = GLASS_HALF_M + float(grip_m[2]) + plan.early_m
        dx, dy = plan.miss_m
        yield from person.put(side, (x + dx, y + dy, z + above_m), 0.05, bends=_LET_GO, least_s=1.4)
    yield from person.rest()


class GlassJudge:
    """The judge of a glass of water that is handed over; `events` are (time_s, name)."""

    def __init__(self, model: mujoco.MjModel, scenario: Scenario) -> None:
        """Follow the glass."""
        self._watch = Watch(model, ["glass"])
        self.events = self._watch.events
        self._glass = model.body("glass").id
        self._palm_m = model.body("open_hand").pos.copy()
        self._hands = bodies_of_hands(model)
        self._most_rad = self._let_go_m = self._off_m = 0.0
        self._held = self._holding = False

    def update(self, moment: Glimpse) -> None:
        """Look at the world."""
        watch, was = self._watch, self._holding
        watch.update(moment)
        self._most_rad = max(self._most_rad, watch.tilt("glass"))
        self._holding = touched(moment.data, self._glass, self._hands)
        self._held = self._held or (self._holding and watch.raised("glass"))
        if was and not self._holding and self._over_palm(0.03):
            self._off_m = float(np.linalg.norm(watch.at("glass")[:2] - self._palm_m[:2]))
            self._let_go_m = float(watch.at("glass")[2] - GLASS_HALF_M - self._palm_m[2])
            self.events.once(moment.time_s, "let_go")
        if self._most_rad > _SPILL_RAD:
            self.events.once(moment.time_s, "spill")

    def outcome(self) -> AttemptResult:
        """Return the result so far."""
        watch = self._watch
        if not watch.looked():
            return UNFINISHED
        tilt_deg = math.degrees(self._most_rad)
        if self._let_go_m > _EARLY_M and not self._upright():
            detail = f"The glass was let go {100 * self._let_go_m:.0f} cm above the hand."
            return AttemptResult(False, "let_go_early", detail)
        if self._off_m > _EDGE_M and not self._upright():
            detail = f"The glass was set down {100 * self._off_m:.0f} cm off the palm's middle."
            return AttemptResult(False, "missed_spot", detail)
        if watch.fell("glass") and watch.raised("glass"):
            return AttemptResult(False, "drop", "The glass fell to the floor.")
        if self._most_rad > _SPILL_RAD:
            how = "leaned" if watch.raised("glass") else "was knocked over: it leaned"
            detail = f"Water was spilled: the glass {how} {tilt_deg:.0f} degrees."
            return AttemptResult(False, "spilled", detail)
        if not watch.raised("glass"):
            cause = "slip" if self._held else "missed_grasp"
            return AttemptResult(False, cause, "The glass was never lifted.")
        if self._holding:
            return AttemptResult(False, "unfinished", "The glass was not let go.")
        if not self._upright():
            return AttemptResult(False, "slip", "The glass slid out of the hand on its way.")
        detail = f"The glass stands in the hand; it leaned {tilt_deg:.0f} degrees at most."
        return AttemptResult(True, "", detail)

    def _over_palm(self, margin_m: float) -> bool:
        away = np.abs(self._watch.at("glass")[:2] - self._palm_m[:2])
        return bool(np.all(away < np.array(_PALM_HALF_M) + margin_m))

    def _upright(self) -> bool:
        """Return whether the glass stands in the open hand."""
        low_m = float(self._watch.at("glass")[2] - GLASS_HALF_M - self._palm_m[2])
        return self._over_palm(0.0) and abs(low_m) < 0.03 and self._watch.tilt("glass") < 0.2


# -- a tray with a meal


def draw_tray(seed: int) -> Scenario:
    """Draw attempt number `seed`; the same seed gives the same attempt."""
    rng = np.random.default_rng([301, seed])
    tray_m, yaw = (rng.uniform(0.355, 0.38), rng.uniform(-0.03, 0.03)), rng.uniform(-0.12, 0.12)
    friction, depth_m, tempo = (
        rng.uniform(0.5, 0.95),
        rng.uniform(0.036, 0.046),
        rng.uniform(0.95, 1.1),
    )
    aim_m, aim_rad = rng.normal(0, 0.004, 2), rng.normal(0, 0.017)
    place_m = np.clip(rng.normal(0, 0.008, 2), -0.02, 0.02)
    kg = {
        "meal_tray": rng.uniform(0.4, 0.6),
        "plate": rng.uniform(0.2, 0.35),
        "tea_cup": rng.uniform(0.1, 0.25),
    }
    things = {"tea_cup": rng.uniform(-0.03, 0.03, 2), "plate": rng.uniform(-0.02, 0.02, 2)}
    sliding = {"tea_cup": rng.uniform(0.3, 0.6), "plate": rng.uniform(0.3, 0.6)}
    # Some attempts are hard; the physics decides whether they fail.
    trouble = rng.random()
    if trouble < 0.05:
        friction = rng.uniform(0.08, 0.22)
    elif trouble < 0.09:  # heavy, and held too gently
        kg["meal_tray"], depth_m = rng.uniform(1.0, 1.6), rng.uniform(0.022, 0.03)
        friction = rng.uniform(0.35, 0.5)
    elif trouble < 0.13:
        aim_m = np.array([rng.uniform(-0.045, -0.025), rng.uniform(-0.02, 0.02)])
    elif trouble < 0.19:  # set down too near, or too far to the right
        angle = rng.uniform(-0.3, 1.6)
        place_m = -rng.uniform(0.045, 0.065) * np.array([math.cos(angle), math.sin(angle)])
    elif trouble < 0.29:  # hurried, with dishes that slide
        tempo = rng.uniform(1.4, 1.75)
        sliding = dict.fromkeys(sliding, rng.uniform(0.02, 0.08))
    hands = TwoPalms(
        tray_m, yaw, depth_m, (aim_m[0], aim_m[1]), aim_rad, (place_m[0], place_m[1])
    )  # fmt: skip
    poses = {"meal_tray": _at_trolley(hands, 0, 0, TABLE_M)}
    for name, y, height in (("tea_cup", 0.085, _CUP_HALF_M), ("plate", -0.05, _PLATE_HALF_M)):
        dx, dy = things[name]
        poses[name] = _at_trolley(hands, dx, y + dy, TABLE_M + _TRAY_FLOOR_M + height)
    masses = {name: float(mass) for name, mass in kg.items()}
    return Scenario(
        "serve_tray", seed, poses, masses, friction, sliding, tempo=tempo, more=hands
    )  # fmt: skip


def _at_trolley(
    hands: TwoPalms, x_m: float, y_m: float, z_m: float
) -> tuple[float, float, float, float]:
    """Return the pose in the world of a point of the tray."""
    yaw, turn = hands.object_yaw_rad, _TROLLEY_RAD
    x = hands.object_m[0] + math.cos(yaw) * x_m - math.sin(yaw) * y_m
    y = hands.object_m[1] + math.sin(yaw) * x_m + math.cos(yaw) * y_m
    return (
        math.cos(turn) * x - math.sin(turn) * y,
        math.sin(turn) * x + math.cos(turn) * y,
        z_m,
        yaw + turn,
    )


def serve_tray(person: Person, scenario: Scenario) -> Iterator[Script]:
    """Take the tray from the trolley between both palms and set it down on the place mat."""
    planner, waist_rad = BothHands(person.ik, _TRAY), (_TROLLEY_RAD, _MAT_RAD)
    legs = carry_legs(planner, scenario.more, _TRAY_RADIUS_M, TABLE_M, waist_rad, carry_s=2.4)
    yield sample(legs, scenario.tempo)


class TrayJudge:
    """The judge of a meal tray that is served; `events` are (time_s, name)."""

    def __init__(self, model: mujoco.MjModel, scenario: Scenario) -> None:
        """Follow the tray and what stands on it."""
        self._watch = Watch(model, list(scenario.poses))
        self.events = self._watch.events
        self._palms = [model.site(f"{side}_palm").id for side in SIDES]
        self._torso, self._tray = model.body("torso_link").id, model.body("meal_tray").id
        self._held_at_m: np.ndarray | None = None  # in the torso's frame
        self._slid_m = self._up_s = self._before_s = self._tea_rad = 0.0
        self._touched = self._dropped = self._released = False
        self._yaw, self._inside = 0.0, dict.fromkeys(("tea_cup", "plate"), True)

    def update(self, moment: Glimpse) -> None:
        """Look at the world."""
        watch, data = self._watch, moment.data
        watch.update(moment)
        elapsed_s, self._before_s = moment.time_s - self._before_s, moment.time_s
        turn = data.xmat[self._tray].reshape(3, 3)
        self._yaw = math.atan2(turn[1, 0], turn[0, 0])
        self._tea_rad = max(self._tea_rad, watch.tilt("tea_cup"))
        for name in self._inside:
            x, y, z = turn.T @ (watch.at(name) - watch.at("meal_tray"))
            self._inside[name] = bool(abs(x) < 0.11 and abs(y) < 0.14 and 0 < z < 0.08)
        height_m, least_n = watch.at("meal_tray")[2] - TABLE_M, min(moment.grip_n)
        self._released = max(moment.grip_n) == 0.0
        self._touched = self._touched or least_n > 1.0
        if least_n > 0 and height_m > 0.03:
            self._up_s += elapsed_s
            self._follow(moment)
        elif self._released and height_m > 0.03:
            self._dropped = True
            self.events.once(moment.time_s, "drop")
        if self._tea_rad > _TEA_RAD or not all(self._inside.values()):
            self.events.once(moment.time_s, "spill")

    def _follow(self, moment: Glimpse) -> None:
        """Measure how far the tray slides between the palms."""
        data = moment.data
        palms_m = data.site_xpos[self._palms].mean(axis=0)
        at_m = data.xmat[self._torso].reshape(3, 3).T @ (self._watch.at("meal_tray") - palms_m)
        if self._held_at_m is None:
            self._held_at_m = at_m
        self._slid_m = max(self._slid_m, float(np.linalg.norm(at_m - self._held_at_m)))
        if self._slid_m > _SLIP_M:
            self.events.once(moment.time_s, "slip")

    def outcome(self) -> AttemptResult:
        """Return the result so far."""
        watch = self._watch
        if not watch.looked():
            return UNFINISHED
        lost = self._lost()
        if lost is not None:
            return lost
        miss_m = float(np.linalg.norm(watch.at("meal_tray")[:2] - _MAT_M))
        turn_rad = abs(math.remainder(self._yaw - _MAT_RAD, 2 * math.pi))
        off = f"The tray stands {100 * miss_m:.1f} cm and {math.degrees(turn_rad):.0f} degrees off"
        if miss_m > _MISS_M or turn_rad > _MISS_RAD:
            if self._slid_m > 0.04:
                detail = f"{off}; it had slid {100 * self._slid_m:.0f} cm in the palms."
                return AttemptResult(False, "slip", detail)
            return AttemptResult(False, "missed_spot", f"{off} the place mat.")
        if not self._released or abs(watch.at("meal_tray")[2] - TABLE_M) > 0.015:
            return AttemptResult(False, "unfinished", "The tray was not set down and let go.")
        return AttemptResult(True, "", f"{off} the place mat; nothing was spilled.")

    def _lost(self) -> AttemptResult | None:
        """Return the result if the tray was not carried well."""
        watch = self._watch
        if not self._touched and not watch.raised("meal_tray"):
            detail = "Both palms never touched the tray together."
            return AttemptResult(False, "missed_grasp", detail)
        if self._dropped or watch.fell("meal_tray"):
            return AttemptResult(False, "drop", "The tray fell on its way.")
        if self._up_s < _HELD_UP_S:
            detail = f"The tray slid through the palms; it was up for {self._up_s:.1f} s."
            return AttemptResult(False, "slip", detail)
        if self._tea_rad > _TEA_RAD or not all(self._inside.values()):
            out = [name.replace("_", " ") for name, inside in self._inside.items() if not inside]
            said = f"the {' and the '.join(out)} left the tray" if out else (
                f"the tea cup leaned {math.degrees(self._tea_rad):.0f} degrees"
            )  # fmt: skip
            return AttemptResult(False, "spilled", f"Something was spilled: {said}.")
        return None


# -- a pill box


@dataclass(frozen=True)
class Opening:
    """How the operator opens a lid.

    Attributes:
        misses_m: how far the fingertips are from where they shall be, for each try.
        to_rad: how far it turns the lid.
    """

    misses_m: tuple[tuple[float, float, float], ...]
    to_rad: float


def draw_box(seed: int) -> Scenario:
    """Draw attempt number `seed`; the same seed gives the same attempt."""
    rng = np.random.default_rng([302, seed])
    aim_m, to_rad = 0.003, math.radians(rng.uniform(98, 108))
    friction, tempo = rng.uniform(0.4, 0.95), rng.uniform(0.9, 1.2)
    # Some attempts are hard; the physics decides whether they fail.
    trouble = rng.random()
    if trouble < 0.30:
        aim_m = rng.uniform(0.024, 0.038)
    elif trouble < 0.42:
        to_rad = math.radians(rng.uniform(45, 80))
    misses = (rng.normal(0, aim_m, 3), rng.normal(0, 0.7 * aim_m, 3))
    more = Opening(tuple((float(x), float(y), float(z)) for x, y, z in misses), to_rad)
    return Scenario(
        "open_pill_box", seed, {}, friction=friction, aim_m=float(aim_m), tempo=tempo, more=more
    )  # fmt: skip


def open_pill_box(person: Person, scenario: Scenario) -> Iterator[Script]:
    """Lift the lid by its tab with the fingers, turn it over, and try again if it did not move."""
    hinge_m = person.world.position("pill_box_lid")
    for number, miss_m in enumerate(scenario.more.misses_m):
        edge_m = hinge_m - [_TAB_M, 0, 0] + miss_m
        there_m = np.array([hinge_m[0], edge_m[1], edge_m[2]])
        phase = "recovery" if number else "reach"
        yield from person.turn_up("left", edge_m, there_m, scenario.more.to_rad, phase)
        if person.world.angle("pill_box_lid") > _AJAR_RAD:
            break
    yield from person.rest()


class LidJudge:
    """The judge of a lid that is opened; `events` are (time_s, name)."""

    def __init__(self, model: mujoco.MjModel, scenario: Scenario) -> None:
        """Follow the lid."""
        self.events = Events()
        self._lid, self._hands = model.body("pill_box_lid").id, bodies_of_hands(model)
        self._angle = self._most_rad = self._open_s = self._before_s = 0.0
        self._looked = False

    def update(self, moment: Glimpse) -> None:
        """Look at the world."""
        self._looked = True
        elapsed_s, self._before_s = moment.time_s - self._before_s, moment.time_s
        self._angle = float(moment.data.joint("pill_box_lid").qpos[0])
        self._most_rad = max(self._most_rad, self._angle)
        self._open_s = self._open_s + elapsed_s if self._angle > _OPEN_RAD else 0.0
        if touched(moment.data, self._lid, self._hands):
            self.events.once(moment.time_s, "contact")
        if self._open_s:
            self.events.once(moment.time_s, "lid_up")
        if self._most_rad > _AJAR_RAD and self._angle < 0.5 * _AJAR_RAD:
            self.events.once(moment.time_s, "fell_shut")

    def outcome(self) -> AttemptResult:
        """Return the result so far."""
        if not self._looked:
            return UNFINISHED
        most, now = math.degrees(self._most_rad), math.degrees(self._angle)
        if self._open_s > _STAYS_S:
            return AttemptResult(True, "", f"The lid stands open by {now:.0f} degrees.")
        if self._most_rad < _AJAR_RAD:
            return AttemptResult(False, "missed_grasp", "The fingers did not get under the lid.")
        if self._most_rad < _PARTLY_RAD:
            detail = f"The lid slid off the fingers when it was open by {most:.0f} degrees."
            return AttemptResult(False, "slip", detail)
        if now < most - 20:
            detail = f"The lid fell shut after it was open by {most:.0f} degrees."
            return AttemptResult(False, "fell_shut", detail)
        return AttemptResult(False, "unfinished", "The lid was not held open long enough.")


# -- what the judges need


def touched(data: mujoco.MjData, body: int, others: set[int]) -> bool:
    """Return whether a body touches one of some others."""
    bodies = data.model.geom_bodyid[data.contact.geom]  # of each contact's two geometries
    return any((a == body and b in others) or (b == body and a in others) for a, b in bodies)
