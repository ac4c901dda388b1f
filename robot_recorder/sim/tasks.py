"""The tasks of the simulated robot: where each is done, how it varies, how it is done and judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType

import mujoco

from robot_recorder.sim import (
    at_assembly_line,
    at_eldercare,
    at_laundry,
    at_packing,
    at_smart_home,
    at_workbench,
)
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
    draw: Callable[[str, int], Scenario]
    perform: Callable[[Person, Scenario], Iterator[Script]]
    judge: Callable[[mujoco.MjModel, Scenario], Judge]


def _tasks(place: str, module: ModuleType, *names: str) -> dict[str, SimulatedTask]:
    return {name: SimulatedTask(place, module.draw, module.perform, module.judge) for name in names}


TASKS: dict[str, SimulatedTask] = {
    **_tasks("workbench", at_workbench, "lift_box", "carry_tray"),
    **_tasks("assembly_line", at_assembly_line, "sort_materials", "kit_parts"),
    **_tasks("assembly_line", at_packing, "package_goods", "return_box"),
    **_tasks("eldercare", at_eldercare, "hand_over_glass", "serve_tray", "open_pill_box"),
    **_tasks("smart_home", at_smart_home, "fetch_from_shelf", "set_table", "wipe_table"),
    **_tasks("laundry", at_laundry, "fold_cloth"),
}


def draw(task: str, seed: int) -> Scenario:
    """Draw attempt number `seed` of a task; the same arguments give the same attempt.

    Raises:
        ValueError: the task does not exist.
    """
    if task not in TASKS:
        raise ValueError(f"unknown task {task!r}: choose one of {', '.join(TASKS)}")
    return TASKS[task].draw(task, seed)


def tasks_of(place: str) -> tuple[str, ...]:
    """Return the names of the tasks that are done in a place."""
    return tuple(name for name, task in TASKS.items() if task.place == place)
