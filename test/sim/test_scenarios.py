"""Scenarios are drawn from seeds."""

from __future__ import annotations

import dataclasses

import pytest

from robot_recorder.sim.scenarios import TASKS, draw


@pytest.mark.parametrize("task", TASKS)
def test_the_same_seed_gives_the_same_scenario(task):
    assert draw(task, 7) == draw(task, 7)
    assert draw(task, 7) != draw(task, 8)


def test_an_unknown_task_is_named():
    with pytest.raises(ValueError, match="juggle"):
        draw("juggle", 0)


def test_a_scenario_can_be_varied():
    assert dataclasses.replace(draw("lift_box", 0), friction=0.1).friction == 0.1
