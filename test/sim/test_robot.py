"""Whole attempts in the physics, with seeds whose outcomes have a margin."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from robot_recorder.sim.robot import Robot
from robot_recorder.sim.scenarios import draw

HOLD = ("hold", "carry")


@pytest.fixture
def robot(model) -> Robot:
    return Robot(model)


def attempt(robot, scenario):
    """Run one attempt; return joint positions per step, and (phase, wrench, tactile) at 50 Hz."""
    robot.reset(scenario)
    joints, samples = [], []
    robot.begin()
    while not robot.done:
        robot.step()
        joints.append(robot.joint_position)
        if len(joints) % 10 == 0:
            samples.append((robot.phase, robot.wrench, robot.tactile))
    for _ in range(100):
        robot.step()
    return np.array(joints), samples


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
