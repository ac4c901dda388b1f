from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from robot_recorder.sim.ik import ArmIk, NoSolution, PalmTarget
from robot_recorder.sim.scenarios import TASKS, draw
from robot_recorder.sim.script import plan


@pytest.mark.parametrize("task", TASKS)
def test_the_same_seed_gives_the_same_scenario(task):
    assert draw(task, 7) == draw(task, 7)
    assert draw(task, 7) != draw(task, 8)


def test_an_unknown_task_is_named():
    with pytest.raises(ValueError, match="juggle"):
        draw("juggle", 0)


@pytest.mark.parametrize("task", TASKS)
def test_motion_is_smooth_within_limits_and_takes_6_to_9_seconds(model, task):
    ik = ArmIk(model)
    for seed in range(5):
        script = plan(ik, draw(task, seed))
        path = script.command_rad
        assert 6.0 <= len(path) * 0.002 <= 9.2
        low, high = model.jnt_range[:43].T
        assert (path >= low).all() and (path <= high).all()
        speed = np.diff(path, axis=0) / 0.002
        assert np.abs(speed).max() < 6.0  # rad/s
        assert np.abs(np.diff(speed, axis=0)).max() / 0.002 < 80.0  # rad/s^2, no steps


def test_an_object_out_of_reach_is_an_error(model):
    far = PalmTarget((1.5, 0.0, 1.0), 0.0, 0.0)
    with pytest.raises(NoSolution):
        ArmIk(model).solve(far, far)


def test_a_scenario_can_be_varied():
    assert dataclasses.replace(draw("lift_box", 0), friction=0.1).friction == 0.1
