"""The end of the assembly line: goods are packed into a carton, and an empty crate goes back on its stack."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import mujoco
import numpy as np

from robot_recorder.sim.both_hands import (
    BothHands,
    Grip,
    Taken,
    TwoPalms,
    set_down_legs,
    take,
    turned,
)
from robot_recorder.sim.ik import NoSolution
from robot_recorder.sim.judge import TABLE_M, UNFINISHED, AttemptResult, Glimpse, Watch
from robot_recorder.sim.model import SIDES
from robot_recorder.sim.scenarios import Scenario
from robot_recorder.sim.script import Leg, Script, sample
from robot_recorder.sim.skills import Person

Pose = tuple[float, float, float, float]

_GOODS_M = (0.050, 0.055)  # width and height
_BELT_X_M, _STOP_M, _ON_BELT_M = 0.402, 0.093, TABLE_M + 0.001
_AT_STOP_M = 0.012  # of goods that wait there
_LOOKS = 25  # how often the operator looks whether they have come
_CARTON_M = (0.285, -0.04)
_CARTON_HALF_M = (0.071, 0.066, 0.08)
_LET_GO_M = 0.088  # of the grip point above the table
_PALM_M = (-0.04, 0.085)  # where the palm shuts the flap: along the hinge, and from it
_SHUT_RAD = math.radians(12)
_FELT_RAD = 0.06  # how much farther a flap is pushed that is stopped
_TIPPED_RAD = math.radians(12)

_CRATE = Grip(0.10, (-0.032, 0.0, 0.06), math.radians(20), 0.17)
_CRATE_M = 0.10  # height
_STACK_RAD, _STACK_RADIUS_M = math.radians(-95), 0.36
_BACK = 0.15  # share of that angle to which the waist turns back, so that no hand is near the stack
_LIFTED_M, _SLIP_M, _HANGS_RAD = 0.08, 0.025, 0.3
_FREE_M = 0.09  # a crate that nobody holds this high above the table is falling
_MISS_M, _MISS_RAD = 0.03, math.radians(10)


# -- goods into a carton


@dataclass(frozen=True)
class Packing:
    """How the operator packs.

    Attributes:
        goods: in the order in which they come.
        misses_m: how far from its place each is let go.
        shut_rad: to which angle the flap is pushed, for each try.
    """

    goods: tuple[str, ...]
    misses_m: tuple[tuple[float, float], ...]
    shut_rad: tuple[float, float]


def draw_goods(seed: int) -> Scenario:
    """Draw attempt number `seed`; the same seed gives the same attempt."""
    rng = np.random.default_rng([102, seed])
    goods = ("goods_1", "goods_2")[: int(rng.integers(1, 3))]
    poses: dict[str, Pose] = {}
    y, z = rng.uniform(0.30, 0.38), _ON_BELT_M + _GOODS_M[1] / 2
    for name in goods:
        poses[name] = _BELT_X_M + rng.uniform(-0.004, 0.004), y, z, rng.uniform(-0.2, 0.2)
        y += rng.uniform(0.12, 0.16)
    x, y = np.array(_CARTON_M) + rng.uniform(-0.008, 0.008, 2)
    poses["carton"] = float(x), float(y), TABLE_M, math.radians(rng.uniform(-4, 4))
    misses_m, shut_rad = rng.normal(0, 0.004, (2, 2)), (0.0, 0.0)
    hands = {
        "friction": rng.uniform(0.6, 0.95),
        "aim_m": 0.004,
        "tempo": rng.uniform(0.95, 1.15),
        "belts": {"conveyor": rng.uniform(0.06, 0.10)},
        "angles": {"carton_flap": math.radians(rng.uniform(96, 112))},
    }
    # Some attempts are hard; the physics decides whether they fail.
    trouble = rng.random()
    if trouble < 0.12:
        hands["friction"] = rng.uniform(0.04, 0.11)
    elif trouble < 0.22:
        hands["aim_m"] = rng.uniform(0.02, 0.035)
    elif trouble < 0.30:
        angle = rng.uniform(0, 2 * math.pi)
        misses_m = misses_m + rng.uniform(0.06, 0.09) * np.array([math.cos(angle), math.sin(angle)])
    elif trouble < 0.42:  # hardly pushed
        shut_rad = rng.uniform(0.5, 1.0), rng.choice([0.0, 0.4])
    more = Packing(
        goods,
        tuple((float(dx), float(dy)) for dx, dy in misses_m),
        (float(shut_rad[0]), float(shut_rad[1])),
    )
    return Scenario("package_goods", seed, poses, more=more, **hands)


def package_goods(person: Person, scenario: Scenario) -> Iterator[Script]:
    """Wait for goods at the end of the conveyor, put each into the carton, and shut its flap."""
    plan = scenario.more
    for number, name in enumerate(plan.goods):
        yield from _await(person, name)
        yield from person.pick("left", name, 0.004)
        if person.holds("left", name):
            along_m = 0.033 * (1 - 2 * number) if len(plan.goods) > 1 else 0.0
            dx, dy = plan.misses_m[number]
            x, y = _in_carton(person, dx, along_m + dy)
            yield from person.put("left", (x, y, TABLE_M + _LET_GO_M))
    yield from _shut(person, plan)
    yield from person.rest()


def _await(person: Person, name: str) -> Iterator[Script]:
    """Hold a hand ready until goods have come."""
    person.reach("reach", "left", (_BELT_X_M, _STOP_M + _GOODS_M[0] / 2, _ON_BELT_M + 0.06))
    yield person.script()
    for _ in range(_LOOKS):
        if person.world.position(name)[1] < _STOP_M + _GOODS_M[0] / 2 + _AT_STOP_M:
            break
        person.wait("wait", 0.3)
        yield person.script()


def _shut(person: Person, plan: Packing) -> Iterator[Script]:
    """Push the flap shut as far as the goods let it, and once more if it stands open."""
    for number, to_rad in enumerate(plan.shut_rad):
        angle, stopped = person.world.angle("carton_flap"), _stopped_rad(person, plan.goods)
        if angle < _SHUT_RAD:
            break
        hinge, turn = person.world.position("carton_flap"), person.world.turn("carton")
        yield from person.push_shut(
            "right", hinge + _PALM_M[0] * turn[:, 0], _PALM_M[1] * turn[:, 1], angle,
            min(angle, max(to_rad, stopped - _FELT_RAD)), phase="recovery" if number else "reach",
        )  # fmt: skip


def _stopped_rad(person: Person, goods: tuple[str, ...]) -> float:
    """Return the angle at which goods that stick out of the carton stop the flap."""
    hinge, turn = person.world.position("carton_flap"), person.world.turn("carton")
    signs = np.array(list(itertools.product((-0.5, 0.5), repeat=3)))
    corners = signs * [_GOODS_M[0], _GOODS_M[0], _GOODS_M[1]]
    found = [0.0]
    for name in goods:
        at = person.world.position(name) + corners @ person.world.turn(name).T
        _, across, up = ((at - hinge) @ turn).T
        inside = (across > 0) & (across < 2 * _CARTON_HALF_M[1])
        found += list(np.arctan2(up[inside], across[inside]))
    return float(max(found))


def _in_carton(person: Person, x_m: float, y_m: float) -> tuple[float, float]:
    """Return a point of the carton's frame in the world."""
    (x, y, _), yaw = person.world.position("carton"), person.world.yaw("carton")
    cos, sin = math.cos(yaw), math.sin(yaw)
    return float(x + cos * x_m - sin * y_m), float(y + sin * x_m + cos * y_m)


class PackingJudge:
    """The judge of goods that are packed; `events` are (time_s, name)."""

    def __init__(self, model: mujoco.MjModel, scenario: Scenario) -> None:
        """Follow the goods, the carton and its flap."""
        self._goods = list(scenario.more.goods)
        self._watch = Watch(model, [*self._goods, "carton"])
        self._carton = model.body("carton").id
        self._packed = dict.fromkeys(self._goods, False)
        self._angle = math.inf
        self.events = self._watch.events

    def update(self, moment: Glimpse) -> None:
        """Look at the world."""
        self._watch.update(moment)
        data = moment.data
        turn, at = data.xmat[self._carton].reshape(3, 3), data.xpos[self._carton]
        for name in self._goods:
            x, y, z = turn.T @ (self._watch.at(name) - at)
            a, b, height = _CARTON_HALF_M
            self._packed[name] = bool(abs(x) < a and abs(y) < b and 0 < z < height)
        self._angle = float(data.joint("carton_flap").qpos[0])
        if self._angle < _SHUT_RAD:
            self.events.once(moment.time_s, "shut")

    def outcome(self) -> AttemptResult:
        """Return the result so far."""
        watch = self._watch
        if not watch.looked():
            return UNFINISHED
        if watch.fell("carton") or watch.tilt("carton") > _TIPPED_RAD:
            return AttemptResult(False, "tipped", "The carton was knocked over.")
        for name in self._goods:
            if self._packed[name]:
                continue
            said = name.replace("_", " number ")
            if watch.fell(name):
                return AttemptResult(False, "drop", f"The {said} fell to the floor.")
            if watch.raised(name):
                return AttemptResult(False, "drop", f"The {said} are not in the carton.")
            return AttemptResult(False, "missed_grasp", f"The {said} were never lifted.")
        if self._angle > _SHUT_RAD:
            open_deg = math.degrees(self._angle)
            detail = f"The flap stands open by {open_deg:.0f} degrees."
            return AttemptResult(False, "left_open", detail)
        return AttemptResult(True, "", "The goods are in the carton, and its flap is shut.")


# -- an empty crate back on its stack


def draw_crate(seed: int) -> Scenario:
    """Draw attempt number `seed`; the same seed gives the same attempt."""
    rng = np.random.default_rng([103, seed])
    at_m, yaw = (rng.uniform(0.28, 0.29), rng.uniform(-0.02, 0.02)), rng.uniform(-0.08, 0.08)
    friction, depth_m, tempo = (
        rng.uniform(0.5, 0.95),
        rng.uniform(0.036, 0.046),
        rng.uniform(0.95, 1.1),
    )
    aim_m, aim_rad = rng.normal(0, 0.004, 2), rng.normal(0, 0.017)
    place_m = np.clip(rng.normal(0, 0.006, 2), -0.015, 0.015)
    kg = rng.uniform(0.4, 0.7)
    # Some attempts are hard; the physics decides whether they fail.
    trouble = rng.random()
    if trouble < 0.09:
        friction = rng.uniform(0.06, 0.2)
    elif trouble < 0.15:  # heavy, and held too gently
        kg, depth_m, friction = rng.uniform(0.8, 1.2), rng.uniform(0.026, 0.034), 0.5
    elif trouble < 0.24:
        aim_m = np.array([rng.uniform(-0.055, -0.03), rng.uniform(-0.02, 0.02)])
    elif trouble < 0.31:  # set down beside the stack's middle
        angle = rng.uniform(0, 2 * math.pi)
        place_m = rng.uniform(0.03, 0.06) * np.array([math.cos(angle), math.sin(angle)])
    hands = TwoPalms(
        at_m, yaw, depth_m, (aim_m[0], aim_m[1]), aim_rad, (place_m[0], place_m[1])
    )  # fmt: skip
    stack_m = _STACK_RADIUS_M * np.array([math.cos(_STACK_RAD), math.sin(_STACK_RAD)])
    poses = {
        "crate": (*at_m, TABLE_M, yaw),
        "crate_below": (float(stack_m[0]), float(stack_m[1]), TABLE_M, _STACK_RAD),
    }
    return Scenario(
        "return_box", seed, poses, {"crate": float(kg)}, friction, tempo=tempo, more=hands
    )  # fmt: skip


def return_box(person: Person, scenario: Scenario) -> Iterator[Script]:
    """Take the crate between both palms, again if it is held badly, and set it on the stack."""
    hands, planner, tempo = scenario.more, BothHands(person.ik, _CRATE), scenario.tempo
    taken = take(planner, hands, TABLE_M, 0.0)
    yield sample(taken.legs(1.6), tempo)
    if not _held_well(person):
        down = [("recovery", 1.2, taken.lift[::-1]), ("recovery", 0.6, taken.grasp[::-1])]
        down += [("recovery", 0.5, [taken.approach[0]] * 2)]  # until it stands
        yield sample(down, tempo)
        again = _seen_again(person, hands)
        second = _taken(planner, again) if _stands_near(person) else None
        if second is None:
            yield sample([("retreat", 1.2, [taken.approach[0], taken.via, taken.home])], tempo)
            return
        over = [taken.approach[0], taken.via, second.via, second.approach[0]]
        yield sample([("recovery", 1.2, over), *second.legs(0.0)[1:]], tempo)
        hands, taken = again, second
    if not _up(person):
        yield sample([("retreat", 1.2, [taken.lift[-1], taken.via, taken.home])], tempo)
        return
    waist_rad = (0.0, _STACK_RAD)
    z_m = TABLE_M + _CRATE_M + 0.002
    carry, *rest = set_down_legs(planner, hands, taken, _STACK_RADIUS_M, z_m, waist_rad, 2.6)
    yield sample([carry], tempo)
    if _up(person):
        yield sample([*rest, *_back(rest[-1][2][-1], taken.home)], tempo)
    else:
        yield sample(_back(carry[2][-1], taken.home), tempo)


def _taken(planner: BothHands, hands: TwoPalms) -> Taken | None:
    """Return how a crate is taken from the table; None: the hands cannot get there."""
    try:
        return take(planner, hands, TABLE_M, 0.0)
    except NoSolution:
        return None


def _up(person: Person) -> bool:
    """Return whether the crate is held up."""
    return bool(person.world.position("crate")[2] > TABLE_M + _LIFTED_M)


def _held_well(person: Person) -> bool:
    """Return whether the crate hangs level between the palms."""
    return _up(person) and person.world.tilt("crate") < _HANGS_RAD


def _stands_near(person: Person) -> bool:
    """Return whether the crate stands where both hands can take it."""
    (x, y, z), yaw = person.world.position("crate"), person.world.yaw("crate")
    stands = z < TABLE_M + 0.01 and person.world.tilt("crate") < 0.1
    return bool(stands and abs(x - 0.28) < 0.06 and abs(y) < 0.05 and abs(yaw) < 0.35)


def _seen_again(person: Person, hands: TwoPalms) -> TwoPalms:
    """Return how a crate is taken again, with a better aim."""
    (x, y, _), (dx, dy) = person.world.position("crate"), hands.aim_error_m
    return dataclasses.replace(
        hands,
        object_m=(float(x), float(y)),
        object_yaw_rad=person.world.yaw("crate"),
        aim_error_m=(0.3 * dx, 0.3 * dy),
    )


def _back(last: np.ndarray, home: np.ndarray) -> list[Leg]:
    """Return the motion that turns back, at first with hands above the stack."""
    turns = [turned(last, share * _STACK_RAD) for share in (1.0, 0.6, _BACK)]
    home = turned(home, _BACK * _STACK_RAD)
    return [("retreat", 1.3, turns), ("retreat", 0.8, [turns[-1], home])]


class StackJudge:
    """The judge of a crate that is stacked; `events` are (time_s, name)."""

    def __init__(self, model: mujoco.MjModel, scenario: Scenario) -> None:
        """Follow the crate and the one below."""
        self._watch = Watch(model, ["crate", "crate_below"])
        self.events = self._watch.events
        self._palms = [model.site(f"{side}_palm").id for side in SIDES]
        self._torso = model.body("torso_link").id
        self._crate, self._below = model.body("crate").id, model.body("crate_below").id
        self._held_at_m: np.ndarray | None = None  # in the torso's frame
        self._slid_m, self._touched, self._released, self._dropped = 0.0, False, True, False
        self._off_m, self._turned_rad, self._pushed_m = np.zeros(3), 0.0, 0.0
        self._stack_m = np.array(scenario.poses["crate_below"][:2])

    def update(self, moment: Glimpse) -> None:
        """Look at the world."""
        watch, data = self._watch, moment.data
        watch.update(moment)
        turn, below = (data.xmat[n].reshape(3, 3) for n in (self._crate, self._below))
        self._off_m = below.T @ (watch.at("crate") - watch.at("crate_below"))
        relative = below.T @ turn
        self._turned_rad = abs(math.remainder(math.atan2(relative[1, 0], relative[0, 0]), math.pi))
        self._pushed_m = float(np.linalg.norm(watch.at("crate_below")[:2] - self._stack_m))
        self._released = max(moment.grip_n) == 0.0
        high_m = watch.at("crate")[2] - TABLE_M
        if self._released and high_m > _FREE_M and not self._over_stack():
            self._dropped = True
            self.events.once(moment.time_s, "drop")
        self._touched = self._touched or min(moment.grip_n) > 1.0
        if moment.phase == "carry":
            self._follow(moment)

    def _over_stack(self) -> bool:
        return bool(np.linalg.norm(self._off_m[:2]) < 0.5 * _CRATE_M + _MISS_M)

    def _follow(self, moment: Glimpse) -> None:
        """Measure how far the crate slides between the palms while they hold it."""
        data = moment.data
        palms_m = data.site_xpos[self._palms].mean(axis=0)
        turn = data.xmat[self._torso].reshape(3, 3)
        at_m = turn.T @ (self._watch.at("crate") - palms_m)
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
        if watch.fell("crate_below") or watch.tilt("crate_below") > _TIPPED_RAD:
            return AttemptResult(False, "stack_fell", "The stack was knocked over.")
        if self._pushed_m > _MISS_M:
            detail = f"The stack was pushed aside by {100 * self._pushed_m:.0f} cm."
            return AttemptResult(False, "collision", detail)
        if not watch.raised("crate") and watch.tilt("crate") > _TIPPED_RAD:
            return AttemptResult(False, "tipped", "The crate was knocked over.")
        if not watch.raised("crate"):
            if not self._touched:
                detail = "Both palms never touched the crate together."
                return AttemptResult(False, "missed_grasp", detail)
            return AttemptResult(False, "slip", "The crate slid out of the palms, not lifted.")
        on_stack = abs(self._off_m[2] - _CRATE_M) < 0.012 and watch.tilt("crate") < _TIPPED_RAD
        off_m = float(np.linalg.norm(self._off_m[:2]))
        if not on_stack:
            return self._lost()
        off = f"{100 * off_m:.1f} cm and {math.degrees(self._turned_rad):.0f} degrees off"
        if off_m > _MISS_M or self._turned_rad > _MISS_RAD:
            cause = "slip" if self._slid_m > _SLIP_M else "missed_spot"
            return AttemptResult(False, cause, f"The crate stands {off} the stack's middle.")
        if not self._released:
            return AttemptResult(False, "unfinished", "The crate was not let go.")
        return AttemptResult(True, "", f"The crate stands on the stack, {off} its middle.")

    def _lost(self) -> AttemptResult:
        """Return the result of a crate that was lifted, and does not stand on the stack."""
        if self._watch.fell("crate"):
            return AttemptResult(False, "drop", "The crate fell to the floor.")
        if self._over_stack():
            return AttemptResult(False, "missed_spot", "The crate leans on the stack.")
        if self._dropped:
            return AttemptResult(False, "drop", "The crate fell out of the palms on its way.")
        if self._watch.tilt("crate") > _TIPPED_RAD:
            return AttemptResult(False, "tipped", "The crate turned over in the palms.")
        if self._slid_m > _SLIP_M:
            return AttemptResult(False, "slip", "The crate slid out of the palms on its way.")
        detail = "The crate was held badly, and stands on the table."
        return AttemptResult(False, "missed_grasp", detail)
