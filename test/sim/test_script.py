"""The scripted operator moves as a person would."""

from __future__ import annotations

import numpy as np
import pytest

from robot_recorder.sim.ik import ArmIk
from robot_recorder.sim.scenarios import TASKS, draw
from robot_recorder.sim.script import plan


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
