"""The assembly line: parts are sorted by colour, and a kit is put together from a rack."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import mujoco
import numpy as np

from robot_recorder.sim.judge import TABLE_M, UNFINISHED, AttemptResult, Glimpse, Watch
from robot_recorder.sim.scenarios import Scenario
from robot_recorder.sim.script import Script
from robot_recorder.sim.skills import Person

_WORST = ("drop", "wrong_bin", "missed_grasp")
_COLOURS = ("red", "yellow", "blue")
_PART_M = 0.06  # height
_BIN_HALF_M = (0.075, 0.085)
_LET_GO_M = 0.10  # of the grip point above the table, over a bin
_APART_M = 0.10  # least distance of two parts: a hand must get between
_KIT = ("bush", "spacer", "spring")
_KIT_M = 0.07  # height of a part
_RACK_X_M, _RACK_Y_M = 0.30, (-0.17, 0.0, 0.17)
_TRAY = (-0.03, -0.36, TABLE_M, 0.0)
_TRAY_HALF_M = (0.14, 0.10)
_IN_TRAY_M = (0.08, 0.0, -0.08)  # along x
_ZONE_M = ((0.26, 0.35), (-0.17, 0.17))


def draw(task: str, seed: int) -> Scenario:
    """Draw attempt number `seed` of a task; the same arguments give the same attempt."""
    return {"sort_materials": _draw_sorting, "kit_parts": _draw_kitting}[task](seed)


def perform(person: Person, scenario: Scenario) -> Iterator[Script]:
    """Do a task."""
    yield from {"sort_materials": _sort, "kit_parts": _kit}[scenario.task](person, scenario)
    yield from person.rest()


def _draw_sorting(seed: int) -> Scenario:
    """Draw an attempt; `Scenario.more` maps each part to the bin that the operator puts it in."""
    rng = np.random.default_rng([100, seed])
    names = [f"{colour}_part_1" for colour in _COLOURS]
    names += [f"{colour}_part_2" for colour in rng.permutation(_COLOURS)[:1]]
    poses = {
        name: (x, y, TABLE_M + _PART_M / 2, float(rng.uniform(-3, 3)))
        for name, (x, y) in zip(names, _scattered(rng, len(names)))
    }
    bins = {name: name.split("_")[0] + "_bin" for name in names}
    friction, aim_m, tempo = rng.uniform(0.6, 0.95), 0.004, rng.uniform(0.95, 1.15)
    # Some attempts are hard; the physics decides whether they fail.
    trouble = rng.random()
    if trouble < 0.04:
        friction = rng.uniform(0.05, 0.14)
    elif trouble < 0.10:
        aim_m = rng.uniform(0.02, 0.035)
    elif trouble < 0.16:
        name = names[int(rng.integers(len(names)))]
        bins[name] = f"{rng.choice([c for c in _COLOURS if c not in name])}_bin"
    hands = {"friction": friction, "aim_m": aim_m, "tempo": tempo}
    return Scenario("sort_materials", seed, poses, more=bins, **hands)


def _scattered(rng: np.random.Generator, count: int) -> list[tuple[float, float]]:
    """Return so many points of the zone of parts that are not too near to one another."""
    (x0, x1), (y0, y1) = _ZONE_M
    while True:
        # One in each part of the width, so that there is room for all.
        width = (y1 - y0) / count
        found = [
            (float(rng.uniform(x0, x1)), float(y0 + width * (n + rng.uniform(0.1, 0.9))))
            for n in range(count)
        ]
        if all(math.dist(a, b) > _APART_M for a, b in pairwise(found)):
            return found


def _sort(person: Person, scenario: Scenario) -> Iterator[Script]:
    """Put one part after the other into its bin, those nearest to the robot first."""
    order = sorted(scenario.poses, key=lambda name: scenario.poses[name][0])
    for name in order:
        at = person.world.position(scenario.more[name])
        side = "left" if person.world.position(name)[1] + 0.4 * at[1] > 0 else "right"
        yield from person.pick(side, name, 0.004)
        if person.holds(side, name):
            yield from person.put(side, (at[0], at[1], TABLE_M + _LET_GO_M))


def _draw_kitting(seed: int) -> Scenario:
    """Draw an attempt; `Scenario.more` are the parts in the order in which they are taken."""
    rng = np.random.default_rng([101, seed])
    racks = {f"rack_bin_{n + 1}": (_RACK_X_M, _RACK_Y_M[n], TABLE_M, 0.0) for n in range(3)}
    poses: dict[str, tuple[float, float, float, float]] = {**racks, "kit_tray": _TRAY}
    order = [str(name) for name in rng.permutation(_KIT)]
    for name, (x, y, z, _) in zip(order, racks.values()):
        x, y = x + float(rng.uniform(-0.01, 0.01)), y + float(rng.uniform(-0.01, 0.01))
        poses[name] = (x, y, z + 0.005 + _KIT_M / 2, float(rng.uniform(-0.3, 0.3)))
    friction, aim_m, tempo = rng.uniform(0.6, 0.95), 0.004, rng.uniform(0.95, 1.15)
    trouble = rng.random()
    if trouble < 0.12:
        friction = rng.uniform(0.05, 0.14)
    elif trouble < 0.28:
        aim_m = rng.uniform(0.02, 0.035)
    hands = {"friction": friction, "aim_m": aim_m, "tempo": tempo}
    return Scenario("kit_parts", seed, poses, more=tuple(order), **hands)


def _kit(person: Person, scenario: Scenario) -> Iterator[Script]:
    """Lay one part from each bin of the rack into the tray, the far end of it first."""
    x, y, z, _ = _TRAY
    for number, name in enumerate(scenario.more):
        yield from person.pick("right", name, 0.004)
        if person.holds("right", name):
            at = (x + _IN_TRAY_M[number], y, z + 0.006 + _KIT_M / 2 + 0.004)
            yield from person.put("right", at)


class PartsJudge:
    """The judge of one attempt; `events` are (time_s, name)."""

    def __init__(self, model: mujoco.MjModel, scenario: Scenario) -> None:
        """Follow the parts."""
        sorting = scenario.task == "sort_materials"
        self._parts = [name for name in scenario.poses if sorting or name in _KIT]
        self._goals = {p: p.split("_")[0] + "_bin" if sorting else "kit_tray" for p in self._parts}
        bins = {f"{colour}_bin": tuple(model.body(f"{colour}_bin").pos[:2]) for colour in _COLOURS}
        self._bins = {name: (*at, *_BIN_HALF_M) for name, at in bins.items()}
        if not sorting:
            self._bins = {"kit_tray": (*_TRAY[:2], *_TRAY_HALF_M)}
        self._watch = Watch(model, self._parts)
        self.events = self._watch.events

    def update(self, moment: Glimpse) -> None:
        """Look at the world."""
        self._watch.update(moment)

    def outcome(self) -> AttemptResult:
        """Return the result so far."""
        if not self._watch.looked():
            return UNFINISHED
        found = [self._of(part) for part in self._parts]
        failures = [result for result in found if result is not None]
        # What is certainly wrong says more than what is not done.
        failures.sort(key=lambda result: _WORST.index(result.cause))
        if failures:
            return failures[0]
        where = "their bins" if len(self._bins) > 1 else "the tray"
        return AttemptResult(True, "", f"All {len(self._parts)} parts are in {where}.")

    def _of(self, part: str) -> AttemptResult | None:
        """Return what is wrong with a part."""
        watch, lies, name = self._watch, self._bin_of(part), _said(part)
        if lies == self._goals[part]:
            return None
        if watch.fell(part):
            return AttemptResult(False, "drop", f"The {name} fell to the floor.")
        if lies is not None:
            return AttemptResult(False, "wrong_bin", f"The {name} is in the {_said(lies)}.")
        if watch.raised(part):
            return AttemptResult(False, "drop", f"The {name} was lost on its way.")
        return AttemptResult(False, "missed_grasp", f"The {name} was never lifted.")

    def _bin_of(self, part: str) -> str | None:
        x, y, z = self._watch.at(part)
        for name, (bx, by, a, b) in self._bins.items():
            if abs(x - bx) < a and abs(y - by) < b and z < TABLE_M + 0.1:
                return name
        return None


def _said(name: str) -> str:
    return name.replace("_1", "").replace("_2", "").replace("_", " ")


judge = PartsJudge
