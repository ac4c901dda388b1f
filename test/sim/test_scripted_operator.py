"""Motions are planned in a process of their own exactly as they are in the calling one."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from robot_recorder.sim.model import build_model
from robot_recorder.sim.robot import Robot
from robot_recorder.sim.scripted_operator import OperatorProcess, ScriptedOperator
from robot_recorder.sim.tasks import draw


@pytest.fixture(scope="module")
def aside(model_cache: Path) -> Iterator[OperatorProcess]:
    build_model(model_cache)
    operator = OperatorProcess(model_cache, "workbench")
    yield operator
    operator.close()


def test_both_plan_the_same(model_cache: Path, aside: OperatorProcess) -> None:
    model = build_model(model_cache)
    motions = []
    for operator in (ScriptedOperator(model), aside):
        robot = Robot(model, operator)
        robot.reset(draw("lift_box", 1))
        robot.begin()
        rows = []
        while not robot.done:
            while (
                robot._thinking and not operator.ready()
            ):  # faster than real time, it would hold still for long
                time.sleep(0.001)
            robot.step()
            rows.append(robot.joint_command)
        assert robot.outcome().success
        motions.append(np.array(rows))
    np.testing.assert_array_equal(motions[0], motions[1])


def test_the_robot_holds_still_until_the_next_motion_is_planned(
    model_cache: Path, aside: OperatorProcess
) -> None:
    robot = Robot(build_model(model_cache), aside)
    robot.reset(draw("lift_box", 1))
    robot.begin()
    while not robot._thinking:
        robot.step()
    held, steps = robot.joint_command, 0
    while not robot.done:
        robot.step()
        steps += 1
        if robot._thinking:
            np.testing.assert_array_equal(robot.joint_command, held)
    assert steps >= 60 and robot.outcome().success


def test_a_reset_while_the_operator_thinks_starts_anew(
    model_cache: Path, aside: OperatorProcess
) -> None:
    robot = Robot(build_model(model_cache), aside)
    robot.reset(draw("lift_box", 1))
    first = robot.later_command(0)
    robot.begin()
    while robot.running and not robot._thinking:
        robot.step()
    robot.reset(draw("lift_box", 2))
    robot.reset(draw("lift_box", 1))
    np.testing.assert_array_equal(robot.later_command(0), first)


def test_who_cannot_even_begin_stands_at_ease_and_says_why(model_cache: Path) -> None:
    robot, scenario = Robot(build_model(model_cache)), draw("lift_box", 1)
    far = dataclasses.replace(scenario.more, object_m=(0.75, 0.0))
    robot.reset(dataclasses.replace(scenario, more=far))
    robot.begin()
    while not robot.done:
        robot.step()
    outcome = robot.outcome()
    assert outcome.cause == "unfinished" and "out of reach" in outcome.detail


def test_what_goes_wrong_in_the_process_is_told(model_cache: Path, aside: OperatorProcess) -> None:
    model = build_model(model_cache)
    aside.begin(draw("kit_parts", 0), model.qpos0)
    with pytest.raises(KeyError, match="Invalid name"):
        aside.answer()
    ended = OperatorProcess(model_cache, "workbench")
    ended._process.kill()
    ended._process.join(10)
    with pytest.raises((EOFError, OSError)):
        ended.begin(draw("lift_box", 0), model.qpos0)
        ended.answer()
