"""Inverse kinematics of both arms."""

from __future__ import annotations

import math

import mujoco
import numpy as np
import pytest

from robot_recorder.sim.ik import (
    ARM_JOINTS,
    NOMINAL_RAD,
    ArmIk,
    HandTarget,
    NoSolution,
    hand_rotation,
)
from robot_recorder.sim.model import SIDES

DOWN = math.pi / 2


def pose_of(model: mujoco.MjModel, angles: np.ndarray, side: str, point: str) -> HandTarget:
    """Return where a point of a hand is, by the forward kinematics."""
    data = mujoco.MjData(model)
    data.qpos[list(ARM_JOINTS)] = angles
    mujoco.mj_kinematics(model, data)
    site = data.site(f"{side}_{point}")
    return HandTarget(tuple(site.xpos), site.xmat.reshape(3, 3).copy(), point)


@pytest.mark.parametrize("point", ["palm", "grip"])
def test_poses_that_an_arm_can_have_are_found_within_its_limits(
    model: mujoco.MjModel, point: str
) -> None:
    random, ik = np.random.default_rng(1), ArmIk(model)
    low, high = model.jnt_range[list(ARM_JOINTS)].T
    for _ in range(50):
        near = NOMINAL_RAD + random.uniform(-0.6, 0.6, 14)
        near = np.clip(near, low + 0.05, high - 0.05)
        found = ik.solve({side: pose_of(model, near, side, point) for side in SIDES})
        assert np.all((found > low) & (found < high))
        for side in SIDES:
            got, wanted = pose_of(model, found, side, point), pose_of(model, near, side, point)
            assert np.linalg.norm(np.subtract(got.position_m, wanted.position_m)) < 0.003
            assert np.trace(got.rotation.T @ wanted.rotation) > 1 + 2 * math.cos(0.03)


def test_palms_face_the_table_over_the_whole_desk(model: mujoco.MjModel) -> None:
    ik = ArmIk(model)
    for x in (0.26, 0.31, 0.36):
        for y in (0.02, 0.12, 0.22):
            for side, sign in (("left", 1), ("right", -1)):
                turn = hand_rotation(side, -sign * 0.3, 0.0, DOWN)
                inward = turn @ np.array([0, -sign, 0])
                assert inward[2] < -0.95, "the palm looks down"
                target = HandTarget((x, sign * y, 0.80), turn, "grip")
                ik.solve({side: target})


def test_an_arm_without_a_target_stays_as_it_is(model: mujoco.MjModel) -> None:
    target = HandTarget((0.3, 0.2, 0.95), hand_rotation("left", 0.0, 0.3))
    found = ArmIk(model).solve({"left": target})
    assert np.array_equal(found[7:], NOMINAL_RAD[7:]) and not np.allclose(
        found[:7], NOMINAL_RAD[:7]
    )


def test_an_object_out_of_reach_is_an_error(model: mujoco.MjModel) -> None:
    far = {side: HandTarget((1.5, 0.0, 1.0), hand_rotation(side, 0.0, 0.0)) for side in SIDES}
    with pytest.raises(NoSolution, match="out of reach"):
        ArmIk(model).solve(far)


def test_following_takes_small_steps_and_says_what_is_left(model: mujoco.MjModel) -> None:
    ik, angles = ArmIk(model), NOMINAL_RAD
    target = {"right": HandTarget((0.4, -0.2, 0.9), hand_rotation("right", 0.1, 0.2))}
    errors = []
    for _ in range(20):
        before = angles
        angles, error_m = ik.follow(target, angles, iterations=1)
        assert np.abs(angles - before).max() < 0.36
        errors.append(error_m)
    assert errors[0] > 0.01 and errors[-1] < 0.003
