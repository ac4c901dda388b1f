"""The smart home: an item is fetched from a shelf, a table is laid, and a stain is wiped off."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import mujoco
import numpy as np

from robot_recorder.sim.judge import TABLE_M, UNFINISHED, AttemptResult, Glimpse, Watch
from robot_recorder.sim.judge import Judge as AnyJudge
from robot_recorder.sim.model import SIDES
from robot_recorder.sim.scenarios import Scenario
from robot_recorder.sim.script import Script
from robot_recorder.sim.skills import Bend, Person

Pose = tuple[float, float, float, float]

# First no finger presses any more, then all draw back a little: a thing is not pushed over.
_LOOSE: Bend = (1.25, 0.72, 0.0, 0.06, 0.02)
LET_GO = (_LOOSE, (1.15, 0.62, 0.0, -0.7, 0.0))
_AHEAD_M = 0.014

_BOARD_M = 0.90  # height of the shelf's board
_PLACES_M = ((-0.12, 0.355), (-0.02, 0.355), (0.08, 0.355))  # on it
_PULL_M = 0.265  # from the waist's axis, to which an item is drawn before the waist turns
_ITEMS = {"bottle": 0.09, "can": 0.09, "jar": 0.075}  # heights, m
_BASKET_HALF_M = (0.09, 0.10, 0.05)
_BASKET_FLOOR_M = 0.006
_GRIP_M = 0.056  # of the grip point above what an item stands on

_WARES = {"cup": 0.075, "glass": 0.09}  # heights, m
_MARKS_M = {"cup": (0.04, 0.145), "glass": (0.04, -0.145)}  # in the frame of the setting
_MAT_M = 0.003
_LOW_GRIP_M = 0.042  # of the grip point above what the thing stands on
_OFF_M = 0.028
_TURNED_RAD = 0.72  # of the fingers, inwards from where a thing is seen

_SPONGE_HALF_M = (0.024, 0.045, 0.026)
_SPOTS = 48
_RISE_M = 0.0104  # of a spot, out of the table top
_STAIN_M = (0.048, 0.066)  # half axes of the stain
_PASSES_M = (-0.045, -0.015, 0.015, 0.045)  # of the sponge's middle, from that of the stain
_OVER_M = 0.055  # to which side of the stain's middle the sponge goes
_GONE_SHARE = 0.9
_LEAST_N = 1.0  # a sponge that is pressed less hard than its weight and this does not clean

_HELD_M, _SLIP_M, _RAISED_M = 0.08, 0.015, 0.03
_TIPPED_RAD = math.radians(30)


def draw(task: str, seed: int) -> Scenario:
    """Draw attempt number `seed` of a task; the same arguments give the same attempt."""
    number = {"fetch_from_shelf": 200, "set_table": 201, "wipe_table": 202}[task]
    rng = np.random.default_rng([number, seed])
    common = {
        "friction": rng.uniform(0.6, 0.95),
        "aim_m": 0.004,
        "tempo": rng.uniform(0.95, 1.15),
    }
    drawn = {"fetch_from_shelf": _draw_fetch, "set_table": _draw_set, "wipe_table": _draw_wipe}
    return Scenario(task, seed, **{**common, **drawn[task](rng)})


def perform(person: Person, scenario: Scenario) -> Iterator[Script]:
    """Plan an attempt, skill by skill."""
    todo = {"fetch_from_shelf": _fetch, "set_table": _set, "wipe_table": _wipe}
    yield from todo[scenario.task](person, scenario)
    yield from person.rest()


def judge(model: mujoco.MjModel, scenario: Scenario) -> AnyJudge:
    """Return the judge of an attempt."""
    if scenario.task == "wipe_table":
        return WipeJudge(model, scenario)
    return (FetchJudge if scenario.task == "fetch_from_shelf" else SetJudge)(model, scenario)


class GraspWatch(Watch):
    """Also follows what a hand holds: whether it slides in the hand, or out of it.

    Attributes:
        slid: bodies that moved in a hand.
        lost: bodies that left a hand which should have held them.
    """

    def __init__(self, model: mujoco.MjModel, names: list[str]) -> None:
        """Follow some bodies."""
        super().__init__(model, names)
        self.slid: set[str] = set()
        self.lost: set[str] = set()
        self._wrists = {side: model.body(f"{side}_wrist_yaw_link").id for side in SIDES}
        self._grips = {side: model.site(f"{side}_grip").id for side in SIDES}
        self._holding: dict[str, tuple[str, np.ndarray]] = {}  # hand, and where in it

    def update(self, moment: Glimpse) -> None:
        """Look at the world."""
        super().update(moment)
        if moment.phase not in ("lift", "carry", "place", "wipe", "pour"):
            self._holding.clear()
            return
        for name in self._now:
            if name in self._holding:
                self._follow(name, moment)
            elif self.at(name)[2] - self._start[name][2] > _RAISED_M:
                self._hold(name, moment)

    def _hold(self, name: str, moment: Glimpse) -> None:
        for side in SIDES:
            away = self.at(name) - moment.data.site_xpos[self._grips[side]]
            if np.linalg.norm(away) < _HELD_M:
                self._holding[name] = side, self._inside(name, side, moment)

    def _follow(self, name: str, moment: Glimpse) -> None:
        side, before = self._holding[name]
        moved_m = float(np.linalg.norm(self._inside(name, side, moment) - before))
        if moved_m > _SLIP_M:
            self.slid.add(name)
            self.events.once(moment.time_s, "slip")
        if moved_m > _HELD_M:
            self.lost.add(name)
            self.events.once(moment.time_s, "drop")
            del self._holding[name]

    def _inside(self, name: str, side: str, moment: Glimpse) -> np.ndarray:
        turn = moment.data.xmat[self._wrists[side]].reshape(3, 3)
        inside: np.ndarray = turn.T @ (self.at(name) - moment.data.site_xpos[self._grips[side]])
        return inside


# -- fetch_from_shelf


def _draw_fetch(rng: np.random.Generator) -> dict[str, Any]:
    """Draw where the items are; `more` is the item on the card, and the one that is taken."""
    poses: dict[str, Pose] = {}
    names = [str(name) for name in rng.permutation(list(_ITEMS))]
    for name, (x, y) in zip(names, _PLACES_M):
        dx, dy = rng.uniform(-0.012, 0.012, 2)
        poses[name] = x + dx, y + dy, _BOARD_M + _ITEMS[name] / 2, float(rng.uniform(-3, 3))
    x, y, yaw = rng.uniform(0.30, 0.33), rng.uniform(0.02, 0.09), rng.uniform(-0.15, 0.15)
    poses["basket"] = x, y, TABLE_M, yaw
    wanted = str(rng.choice(names))
    x, y, yaw = rng.uniform(0.26, 0.30), rng.uniform(-0.18, -0.14), rng.uniform(-0.3, 0.3)
    poses[f"{wanted}_card"] = x, y, TABLE_M + 0.002, yaw
    found: dict[str, Any] = {"poses": poses, "more": (wanted, wanted)}
    # Some attempts are hard; the physics decides whether they fail.
    trouble = rng.random()
    if trouble < 0.10:
        found["friction"] = rng.uniform(0.05, 0.13)
    elif trouble < 0.22:
        found["aim_m"] = rng.uniform(0.025, 0.04)
    elif trouble < 0.30:
        taken = str(rng.choice([name for name in names if name != wanted]))
        found["more"] = wanted, taken
    return found


def _fetch(person: Person, scenario: Scenario) -> Iterator[Script]:
    _, name = scenario.more
    yield from person.pick("left", name, _GRIP_M - _ITEMS[name] / 2)
    if not person.holds("left", name):
        return
    x, y, z = person.world.grip("left")
    nearer = _PULL_M / math.hypot(x, y)
    person.carry("carry", "left", (x * nearer, y * nearer, z))  # clear of the other items
    yield person.script()
    if not person.holds("left", name):
        return
    x, y, _ = person.world.position("basket")
    z = TABLE_M + _BASKET_FLOOR_M + _GRIP_M + 0.004
    yield from person.put("left", (x, y, z))


class FetchJudge:
    """The judge of one attempt; `events` are (time_s, name)."""

    def __init__(self, model: mujoco.MjModel, scenario: Scenario) -> None:
        """Follow the items."""
        self._wanted, _ = scenario.more
        self._watch = GraspWatch(model, list(_ITEMS))
        self._basket = model.body("basket").id
        self._places: dict[str, tuple[np.ndarray, float]] = {}
        self.events = self._watch.events

    def update(self, moment: Glimpse) -> None:
        """Look at the world."""
        self._watch.update(moment)
        data = moment.data
        turn, at = data.xmat[self._basket].reshape(3, 3), data.xpos[self._basket]
        for name in _ITEMS:
            inside = turn.T @ (self._watch.at(name) - at)
            self._places[name] = np.abs(inside), float(inside[2])

    def outcome(self) -> AttemptResult:
        """Return the result so far."""
        watch, wanted = self._watch, self._wanted
        if not watch.looked():
            return UNFINISHED
        for name in _ITEMS:
            if watch.fell(name):
                return AttemptResult(False, "drop", f"The {name} fell to the floor.")
        for name in _ITEMS:
            if name != wanted and watch.raised(name):
                return AttemptResult(
                    False, "wrong_item", f"The {name} was taken, not the {wanted}."
                )
        for name in _ITEMS:
            if name != wanted and (watch.tilt(name) > _TIPPED_RAD or self._off_shelf(name)):
                return AttemptResult(False, "knocked_over", f"The {name} was knocked over.")
        if self._in_basket(wanted):
            return AttemptResult(True, "", f"The {wanted} is in the basket.")
        if not watch.raised(wanted):
            if watch.tilt(wanted) > _TIPPED_RAD or self._off_shelf(wanted):
                return AttemptResult(False, "knocked_over", f"The {wanted} was knocked over.")
            return AttemptResult(False, "missed_grasp", f"The {wanted} was never lifted.")
        if not self._off_shelf(wanted):
            return AttemptResult(
                False, "slip", f"The {wanted} slid out of the hand over the shelf."
            )
        return AttemptResult(False, "drop", f"The {wanted} was lost on its way to the basket.")

    def _off_shelf(self, name: str) -> bool:
        return bool(self._watch.at(name)[2] < _BOARD_M)

    def _in_basket(self, name: str) -> bool:
        (x, y, _), z = self._places[name]
        a, b, _ = _BASKET_HALF_M
        return bool(x < a and y < b and 0 < z < 0.07)


# -- set_table


def _draw_set(rng: np.random.Generator) -> dict[str, Any]:
    """Draw where the things are; `more` is by how much the operator misplaces each, x and y in m."""
    setting = rng.uniform(0.30, 0.32), rng.uniform(-0.015, 0.015)
    cup = rng.uniform(0.20, 0.25), rng.uniform(0.26, 0.30)
    glass = rng.uniform(0.06, 0.18), rng.uniform(-0.34, -0.29)
    turned = rng.normal(0, 0.06, 2)
    poses: dict[str, Pose] = {
        "setting": (*setting, TABLE_M, math.radians(rng.uniform(-4, 4))),
        "cup": (*cup, TABLE_M + 0.0375, _across(cup) + turned[0]),
        "glass": (*glass, TABLE_M + 0.045, _across(glass) + turned[1]),
    }
    errors = {name: (rng.normal(0, 0.005), rng.normal(0, 0.005)) for name in _WARES}
    found: dict[str, Any] = {"poses": poses, "more": errors}
    # Some attempts are hard; the physics decides whether they fail.
    trouble = rng.random()
    if trouble < 0.07:
        found["friction"] = rng.uniform(0.03, 0.10)
    elif trouble < 0.15:
        found["aim_m"] = rng.uniform(0.025, 0.04)
    elif trouble < 0.22:
        angle, name = rng.uniform(-3, 3), str(rng.choice(list(_WARES)))
        away_m = rng.uniform(0.03, 0.05)
        errors[name] = away_m * math.cos(angle), away_m * math.sin(angle)
    return found


def _across(at_m: tuple[float, float]) -> float:
    """Return the yaw of a thing that offers its narrow side to the hand that will take it."""
    x, y = at_m
    return math.atan2(y, x) - math.copysign(_TURNED_RAD, y)


def _set(person: Person, scenario: Scenario) -> Iterator[Script]:
    for name, height_m in _WARES.items():
        side = person.nearer(name)
        yield from person.pick(side, name, _LOW_GRIP_M - height_m / 2)
        if not person.holds(side, name):
            continue
        x, y = _mark(person.world.position("setting"), person.world.yaw("setting"), name)
        dx, dy = scenario.more[name]
        at = x + dx, y + dy, TABLE_M + _MAT_M + _LOW_GRIP_M + 0.003
        yield from person.put(side, at, bends=LET_GO, ahead_m=_AHEAD_M)


def _mark(setting_m: np.ndarray, yaw: float, name: str) -> tuple[float, float]:
    """Return where a thing belongs."""
    (x, y, _), (a, b) = setting_m, _MARKS_M[name]
    cos, sin = math.cos(yaw), math.sin(yaw)
    return float(x + cos * a - sin * b), float(y + sin * a + cos * b)


class SetJudge:
    """The judge of one attempt; `events` are (time_s, name)."""

    def __init__(self, model: mujoco.MjModel, scenario: Scenario) -> None:
        """Follow the things."""
        self._watch = GraspWatch(model, list(_WARES))
        self._setting = model.body("setting").id
        self._marks: dict[str, tuple[float, float]] = {}
        self.events = self._watch.events

    def update(self, moment: Glimpse) -> None:
        """Look at the world."""
        self._watch.update(moment)
        at, turn = moment.data.xpos[self._setting], moment.data.xmat[self._setting]
        yaw = math.atan2(turn[3], turn[0])
        self._marks = {name: _mark(at, yaw, name) for name in _WARES}

    def outcome(self) -> AttemptResult:
        """Return the result so far."""
        watch = self._watch
        if not watch.looked():
            return UNFINISHED
        for name in _WARES:
            if watch.fell(name) or name in watch.lost:
                return AttemptResult(False, "drop", f"The {name} fell out of the hand.")
            if watch.tilt(name) > _TIPPED_RAD:
                return AttemptResult(False, "tipped", f"The {name} lies on its side.")
        for name in _WARES:
            if not watch.raised(name):
                return AttemptResult(False, "missed_grasp", f"The {name} was never lifted.")
            off_m = math.dist(watch.at(name)[:2], self._marks[name])
            if off_m > _OFF_M:
                cause = "slip" if name in watch.slid else "missed_spot"
                said = f"The {name} stands {100 * off_m:.1f} cm off its mark."
                return AttemptResult(False, cause, said)
        return AttemptResult(True, "", "Cup and glass stand on their marks.")


# -- wipe_table


def _draw_wipe(rng: np.random.Generator) -> dict[str, Any]:
    """Draw stain and sponge.

    `more` is: middle of the stain, how much of the error of the operator about it, and how far
    below the table the sponge's underside is commanded; m.
    """
    stain = np.array([rng.uniform(0.29, 0.315), rng.uniform(-0.02, 0.02)])
    sign = float(rng.choice([-1, 1]))
    sponge = (
        rng.uniform(0.27, 0.31),
        sign * rng.uniform(0.20, 0.24),
        TABLE_M + _SPONGE_HALF_M[2],
        -sign * rng.uniform(0.15, 0.45),
    )
    found: dict[str, Any] = {"poses": {"sponge": sponge}}
    error, press_m = rng.normal(0, 0.005, 2), rng.uniform(0.010, 0.016)
    # Some attempts are hard; the physics decides whether they fail.
    trouble = rng.random()
    if trouble < 0.08:
        found["friction"], found["sliding"] = rng.uniform(0.05, 0.12), {"sponge": 0.05}
    elif trouble < 0.15:
        found["aim_m"] = rng.uniform(0.025, 0.04)
    elif trouble < 0.24:  # wiped beside the stain
        error = rng.uniform(0.04, 0.06) * np.array([rng.choice([-1, 1]), rng.choice([-1, 1])])
    elif trouble < 0.32:  # hardly pressed
        press_m = rng.uniform(-0.006, 0.0)
    found["more"] = (tuple(stain), tuple(stain + error), press_m)
    return found


def _wipe(person: Person, scenario: Scenario) -> Iterator[Script]:
    _, (x, y), press_m = scenario.more
    side, home = person.nearer("sponge"), person.world.position("sponge")
    yield from person.pick(side, "sponge", 0.008)
    if not person.holds(side, "sponge"):
        return
    held_m = person.world.grip(side)[2] - person.world.position("sponge")[2]
    z = TABLE_M + _SPONGE_HALF_M[2] + held_m - press_m
    path = []
    for number, dx in enumerate(_PASSES_M):
        over = (-_OVER_M, _OVER_M) if number % 2 else (_OVER_M, -_OVER_M)
        path += [(x + dx, y + dy, z) for dy in over]
    yield from person.wipe(side, path)
    if person.holds(side, "sponge"):
        at = *home[:2], TABLE_M + _SPONGE_HALF_M[2] + 0.012
        yield from person.put(side, at, bends=LET_GO, ahead_m=_AHEAD_M)


class WipeJudge:
    """The judge of one attempt; `events` are (time_s, name).

    It also carries out what wiping does: a spot is gone, sunk into the table top, once the sponge
    has passed over it with force.
    """

    def __init__(self, model: mujoco.MjModel, scenario: Scenario) -> None:
        """Follow the sponge, and choose the spots of the stain."""
        self._model = model
        self._watch = GraspWatch(model, ["sponge"])
        self._sponge = model.body("sponge").id
        self._table = model.geom("table_top").id
        (x, y), (a, b) = scenario.more[0], _STAIN_M
        self._left: dict[str, tuple[float, float]] = {}
        for number in range(1, _SPOTS + 1):
            sx, sy, _ = model.body(f"spot_{number}").pos
            if ((sx - x) / a) ** 2 + ((sy - y) / b) ** 2 < 1:
                self._left[f"spot_{number}"] = float(sx), float(sy)
        self._all = len(self._left)
        self._spot = {name: int(model.body(name).mocapid[0]) for name in self._left}
        self._shown = False
        self.events = self._watch.events

    def update(self, moment: Glimpse) -> None:
        """Look at the world."""
        data = moment.data
        if not self._shown:
            self._shown = True
            data.mocap_pos[list(self._spot.values()), 2] += _RISE_M
        self._watch.update(moment)
        if self._watch.tilt("sponge") > _TIPPED_RAD or self._force_n(data) < _LEAST_N:
            return
        at, turn = data.xpos[self._sponge], data.xmat[self._sponge].reshape(3, 3)
        for name, (x, y) in list(self._left.items()):
            along, across, _ = np.abs(turn.T @ (np.array([x, y, at[2]]) - at))
            if along < _SPONGE_HALF_M[0] and across < _SPONGE_HALF_M[1]:
                del self._left[name]
                data.mocap_pos[self._spot[name], 2] -= _RISE_M

    def _force_n(self, data: mujoco.MjData) -> float:
        """Return how hard the sponge is pressed on the table."""
        total, force = 0.0, np.zeros(6)
        for number, contact in enumerate(data.contact):
            bodies = self._model.geom_bodyid[contact.geom]
            if self._table in contact.geom and self._sponge in bodies:
                mujoco.mj_contactForce(self._model, data, number, force)
                total += force[0]
        return total

    def outcome(self) -> AttemptResult:
        """Return the result so far."""
        watch = self._watch
        if not watch.looked():
            return UNFINISHED
        gone = self._all - len(self._left)
        if watch.fell("sponge"):
            return AttemptResult(False, "drop", "The sponge fell to the floor.")
        if gone >= _GONE_SHARE * self._all:
            return AttemptResult(True, "", f"{gone} of {self._all} spots are gone.")
        if not watch.raised("sponge"):
            return AttemptResult(False, "missed_grasp", "The sponge was never lifted.")
        said = f"{len(self._left)} of {self._all} spots are left"
        if "sponge" in watch.lost:
            return AttemptResult(False, "slip", f"{said}; the sponge slid out of the hand.")
        return AttemptResult(False, "spot_left", f"{said}.")
