"""A walker is pulled to its mark; the physics says how it went."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
from support.attempts import attempt

from robot_recorder.sim.model import build_model
from robot_recorder.sim.robot import Robot
from robot_recorder.sim.tasks import draw

_SHORT = ((-0.05, 0.0), (0.0, 0.0))  # the hands come down short of the handle, then on it


@pytest.fixture(scope="module")
def robot(model_cache: Path) -> Robot:
    return Robot(build_model(model_cache, "eldercare"))


def names(robot: Robot) -> list[str]:
    return [name for _, name in robot.events]


@pytest.fixture(scope="module")
def good() -> Any:
    """Return an attempt in which nothing is hard."""
    scenario = draw("bring_walker", 0)
    more = dataclasses.replace(scenario.more, misses_m=((0.0, 0.0),) * 2, miss_m=0.0, miss_rad=0.0)
    return dataclasses.replace(scenario, friction=0.8, sliding={"walker": 0.03}, more=more)


def test_a_walker_rolls_to_its_mark_and_is_let_go(robot: Robot, good: Any) -> None:
    attempt(robot, good)
    outcome = robot.outcome()
    assert outcome.success, outcome
    assert {"contact", "pull", "release", "let_go"} <= set(names(robot))
    assert not {"slip", "tipped", "recovery"} & set(names(robot))


def test_a_handle_that_was_missed_is_taken_again(robot: Robot, good: Any) -> None:
    more = dataclasses.replace(good.more, misses_m=_SHORT)
    attempt(robot, dataclasses.replace(good, more=more))
    assert "recovery" in names(robot)
    assert robot.outcome().success or robot.outcome().cause == "missed_grasp", robot.outcome()


@pytest.mark.parametrize(
    "changed, causes",
    [
        ({"miss_rad": math.radians(-16)}, ("missed_spot",)),
        ({"misses_m": ((-0.06, 0.0),) * 2}, ("missed_grasp",)),
    ],
)
def test_a_walker_that_is_not_on_its_mark_is_no_success(
    robot: Robot, good: Any, changed: dict[str, Any], causes: tuple[str, ...]
) -> None:
    more = dataclasses.replace(good.more, **changed)
    attempt(robot, dataclasses.replace(good, more=more))
    assert not robot.outcome().success and robot.outcome().cause in causes, robot.outcome()


def test_a_walker_whose_brake_drags_does_not_come_along(robot: Robot, good: Any) -> None:
    attempt(robot, dataclasses.replace(good, sliding={"walker": 0.8}))
    outcome = robot.outcome()
    assert not outcome.success and outcome.cause in ("tipped", "missed_spot", "slip"), outcome


def test_trolley_mark_and_armchair_stand_where_the_task_puts_them(robot: Robot, good: Any) -> None:
    for name, scenario in (("bring_walker", good), ("serve_tray", draw("serve_tray", 0))):
        robot.reset(scenario)
        moved = robot.data.body("trolley").xpos[1] > 0.1
        assert moved == (name == "bring_walker")
        assert (robot.data.body("armchair").xpos[2] >= 0) == (name == "bring_walker")
