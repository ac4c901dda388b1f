"""Attempts are judged by the physics, whatever the script wanted."""

from __future__ import annotations

import dataclasses

import pytest
from support.attempts import attempt

from robot_recorder.sim.tasks import draw


@pytest.mark.parametrize("task", ["lift_box", "carry_tray"])
def test_an_attempt_with_slippery_palms_fails(robot, task):
    scenario = dataclasses.replace(draw(task, 1), friction=0.06)
    attempt(robot, scenario)
    outcome = robot.outcome()
    assert not outcome.success
    assert outcome.cause in ("slip", "drop", "tipped") and outcome.detail


@pytest.mark.parametrize(
    "task, seed, cause", [("lift_box", 25, "slip"), ("carry_tray", 28, "missed_spot")]
)
def test_attempts_drawn_as_failures_fail(robot, task, seed, cause):
    attempt(robot, draw(task, seed))
    assert (robot.outcome().success, robot.outcome().cause) == (False, cause)


def test_attempts_are_judged_by_physics_not_by_the_script(robot):
    robot.reset(draw("lift_box", 0))
    robot.begin()
    for _ in range(1000):
        robot.step()
    assert robot.running and not robot.outcome().success
