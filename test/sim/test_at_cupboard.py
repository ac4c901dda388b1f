"""A cupboard is opened by its handle, a cup put away, and the door pushed shut; the physics says how it went."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.attempts import attempt

from robot_recorder.sim import at_cupboard
from robot_recorder.sim.model import build_model
from robot_recorder.sim.robot import Robot
from robot_recorder.sim.scenarios import Scenario
from robot_recorder.sim.tasks import draw


@pytest.fixture(scope="module")
def robot(model_cache: Path) -> Robot:
    return Robot(build_model(model_cache, "smart_home"))


def _planned(**changed: Any) -> Scenario:
    scenario = draw("put_away_cup", 0)
    return dataclasses.replace(scenario, more=dataclasses.replace(scenario.more, **changed))


def test_the_door_follows_the_hand_that_holds_its_handle(robot: Robot) -> None:
    robot.reset(draw("put_away_cup", 0))
    robot.begin()
    door, angles = robot.data.body("cupboard_door"), []
    while robot.phase != "release":
        robot.step()
        if robot.phase != "open":
            continue
        handle = door.xpos + door.xmat.reshape(3, 3) @ at_cupboard._HANDLE_M
        away = robot.data.site("right_grip").xpos - handle
        assert np.linalg.norm(away) < 0.06, "the handle is in the hand"
        angles.append(float(robot.data.joint("cupboard_door").qpos[0]))
    assert angles[0] < 0.1 and angles[-1] > 1.2
    assert min(np.diff(angles)) > -0.01, "it never swings back"


def test_a_door_that_is_hardly_pushed_is_pushed_again(robot: Robot) -> None:
    attempt(robot, _planned(shut_rad=(0.5, 0.0)))
    names = [name for _, name in robot.events]
    assert robot.outcome().success, robot.outcome()
    assert names.count("close") == 2 and "recovery" in names and "shut" in names
    cup, cupboard = robot.data.body("cup"), robot.data.body("cupboard")
    assert np.abs(cup.xpos - cupboard.xpos)[:2].max() < 0.08 and cup.xmat[8] > 0.9
    assert robot.data.joint("cupboard_door").qpos[0] < 0.05


@pytest.mark.parametrize(
    "scenario, causes",
    [
        (_planned(shut_rad=(0.6, 0.5)), ("left_open",)),
        (_planned(miss_m=(-0.075, 0.0)), ("missed_spot",)),
        (dataclasses.replace(_planned(), friction=0.02), ("missed_grasp", "slip", "drop")),
    ],
)
def test_a_cup_that_is_not_put_away_is_no_success(
    robot: Robot, scenario: Scenario, causes: tuple[str, ...]
) -> None:
    attempt(robot, scenario)
    outcome = robot.outcome()
    assert not outcome.success and outcome.cause in causes, outcome


def test_a_handle_that_is_missed_is_tried_again(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y, z = at_cupboard._HANDLE_M
    monkeypatch.setattr(at_cupboard, "_HANDLE_M", (x - 0.035, y, z))
    attempt(robot, draw("put_away_cup", 0))
    outcome, names = robot.outcome(), [name for _, name in robot.events]
    assert outcome.cause == "missed_grasp" and "handle" in outcome.detail, outcome
    assert names.count("open") == 2 and "recovery" in names and "lift" not in names


def test_the_cupboard_and_its_door_are_out_of_sight_in_other_tasks(robot: Robot) -> None:
    robot.reset(draw("set_table", 0))
    for _ in range(100):
        robot.step()
    for name in ("cupboard", "cupboard_door"):
        assert robot.data.body(name).xpos[2] < -1.0
