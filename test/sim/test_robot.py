"""Whole attempts in the physics, with seeds whose outcomes have a margin."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from support.attempts import attempt

from robot_recorder.sim.tasks import draw

HOLD = ("hold", "carry")


@pytest.mark.parametrize("task, seed", [("lift_box", 0), ("carry_tray", 1)])
def test_a_good_attempt_succeeds_and_is_measured_by_the_sensors(robot, task, seed):
    _, samples = attempt(robot, draw(task, seed))
    outcome = robot.outcome()
    assert outcome.success and outcome.cause == "", outcome
    assert not robot.running and robot.phase == "idle"
    names = [name for _, name in robot.events]
    middle = "hold" if task == "lift_box" else "carry"
    phases = ["idle", "reach", "grasp", "lift", middle, "place", "release", "retreat", "idle"]
    assert [name for name in names if name in phases] == phases
    assert names.index("grasp") < names.index("contact") < names.index(middle)
    assert "drop" not in names and "tipped" not in names
    for side in ("left", "right"):
        held = [(wrench[side], pad[side]) for phase, wrench, pad in samples if phase in HOLD]
        free = [(wrench[side], pad[side]) for phase, wrench, pad in samples if phase == "reach"]
        assert np.mean([np.linalg.norm(w[:3]) for w, _ in held]) > 10.0  # N
        assert np.mean([np.linalg.norm(w[:3]) for w, _ in free]) < 2.0  # tared
        assert np.mean([(pad > 500).sum() for _, pad in held]) >= 3  # taxels over 500 Pa
        assert max(pad.max() for _, pad in free) == 0.0
        # The world pushes the left hand left (+y of its wrist) and the right hand right.
        assert np.mean([w[1] for w, _ in held]) * (1 if side == "left" else -1) > 10.0


def test_the_same_seed_gives_identical_trajectories(robot):
    first, _ = attempt(robot, draw("lift_box", 4))
    attempt(robot, dataclasses.replace(draw("carry_tray", 0), tempo=3.0))  # must leave no trace
    again, _ = attempt(robot, draw("lift_box", 4))
    np.testing.assert_array_equal(first, again)


def test_sensors_at_rest_read_idle_values(robot):
    robot.reset(draw("lift_box", 0))
    for _ in range(200):
        robot.step()
    assert robot.time_s == pytest.approx(0.398)
    quaternion, gyro, accel = robot.imu
    assert np.linalg.norm(quaternion) == pytest.approx(1.0) and quaternion[3] > 0.99
    assert np.abs(gyro).max() < 0.01
    assert accel[2] == pytest.approx(9.81, abs=0.1)
    for values in (
        robot.joint_position,
        robot.joint_velocity,
        robot.joint_effort,
        robot.joint_command,
    ):
        assert values.shape == (43,) and values.dtype == np.float64
    assert np.abs(robot.joint_position - robot.joint_command).max() < 0.05
    for side in ("left", "right"):
        assert np.linalg.norm(robot.wrench[side][:3]) < 0.5
        assert np.abs(robot.wrench[side][3:]).max() < 0.1
        assert robot.tactile[side].shape == (4, 4) and not robot.tactile[side].any()
