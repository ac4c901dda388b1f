"""The tasks of the simulated robot: where each is done, how it varies, how it is done and judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import ModuleType

import mujoco

from robot_recorder.sim import at_assembly_line, at_laundry, at_smart_home, at_workbench
from robot_recorder.sim import at_bedside as bedside
from robot_recorder.sim import at_cupboard as cupboard
from robot_recorder.sim import at_eldercare as eldercare
from robot_recorder.sim import at_packing as packing
from robot_recorder.sim import at_pouring as pouring
from robot_recorder.sim.judge import Judge
from robot_recorder.sim.scenarios import Scenario
from robot_recorder.sim.script import Script
from robot_recorder.sim.skills import Person


@dataclass(frozen=True)
class SimulatedTask:
    """A task.

    Attributes:
        place: file of ``config/places``.
        draw: gives the attempt of a seed.
        perform: gives its motions, each after a look at the world.
        judge: gives its judge.
    """

    place: str
    draw: Callable[[int], Scenario]
    perform: Callable[[Person, Scenario], Iterator[Script]]
    judge: Callable[[mujoco.MjModel, Scenario], Judge]


def _alike(place: str, module: ModuleType, *names: str) -> dict[str, SimulatedTask]:
    """Return tasks whose module draws, performs and judges them by the same functions."""
    return {
        name: SimulatedTask(place, partial(module.draw, name), module.perform, module.judge)
        for name in names
    }


TASKS: dict[str, SimulatedTask] = {
    **_alike("workbench", at_workbench, "lift_box", "carry_tray"),
    **_alike("assembly_line", at_assembly_line, "sort_materials", "kit_parts"),
    "package_goods": SimulatedTask(
        "assembly_line", packing.draw_goods, packing.package_goods, packing.PackingJudge
    ),
    "return_box": SimulatedTask(
        "assembly_line", packing.draw_crate, packing.return_box, packing.StackJudge
    ),
    "hand_over_glass": SimulatedTask(
        "eldercare", eldercare.draw_glass, eldercare.hand_over_glass, eldercare.GlassJudge
    ),
    "serve_tray": SimulatedTask(
        "eldercare", eldercare.draw_tray, eldercare.serve_tray, eldercare.TrayJudge
    ),
    "open_pill_box": SimulatedTask(
        "eldercare", eldercare.draw_box, eldercare.open_pill_box, eldercare.LidJudge
    ),
    "bring_walker": SimulatedTask(
        "eldercare", bedside.draw_walker, bedside.bring_walker, bedside.WalkerJudge
    ),
    "pour_drink": SimulatedTask(
        "eldercare", pouring.draw, pouring.pour_drink, pouring.PouringJudge
    ),
    **_alike("smart_home", at_smart_home, "fetch_from_shelf", "set_table", "wipe_table"),
    "put_away_cup": SimulatedTask(
        "smart_home", cupboard.draw, cupboard.put_away_cup, cupboard.CupboardJudge
    ),
    **_alike("laundry", at_laundry, "fold_cloth"),
}


def draw(task: str, seed: int) -> Scenario:
    """Draw attempt number `seed` of a task; the same arguments give the same attempt.

    Raises:
        ValueError: the task does not exist.
    """
    if task not in TASKS:
        raise ValueError(f"unknown task {task!r}: choose one of {', '.join(TASKS)}")
    return TASKS[task].draw(seed)


def tasks_of(place: str) -> tuple[str, ...]:
    """Return the names of the tasks that are done in a place."""
    return tuple(name for name, task in TASKS.items() if task.place == place)
