"""Inverse kinematics of both arms, which keep clear of the body and of each other.

Holds also: clearance.py.
"""

from __future__ import annotations

import math

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hulls import Hulls

from robot_recorder.sim.clearance import clearance_of
from robot_recorder.sim.hand_commands import rotation_of
from robot_recorder.sim.ik import (
    ARM_JOINTS,
    MARGIN_M,
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


@pytest.fixture(scope="module")
def hulls(model: mujoco.MjModel) -> Hulls:
    return Hulls(model)


def numbers(low: float, high: float) -> st.SearchStrategy[tuple[float, float, float]]:
    return st.tuples(*[st.floats(low, high)] * 3)


@pytest.mark.parametrize("point", ["palm", "grip"])
def test_poses_that_an_arm_can_have_are_found_within_its_limits(
    model: mujoco.MjModel, hulls: Hulls, point: str
) -> None:
    random, ik = np.random.default_rng(1), ArmIk(model)
    low, high = model.jnt_range[list(ARM_JOINTS)].T
    for _ in range(50):
        near = NOMINAL_RAD + random.uniform(-0.6, 0.6, 14)
        near = np.clip(near, low + 0.05, high - 0.05)
        if hulls.gap_m(near) < 0.04:
            continue
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


@pytest.mark.parametrize("side", SIDES)
def test_the_elbow_goes_where_it_is_wanted_while_the_hand_stays(
    model: mujoco.MjModel, side: str
) -> None:
    ik, sign = ArmIk(model), 1 if side == "left" else -1
    at, turn = (0.28, sign * 0.22, 1.0), hand_rotation(side, 0.0, 0.3, 0.5)
    data, heights = mujoco.MjData(model), []
    for elbow in ((0.0, sign * 0.3, -1.0), (0.0, sign * 1.0, -0.3)):
        angles, error_m = ik.follow({side: HandTarget(at, turn, elbow=elbow)}, NOMINAL_RAD, 40)
        assert error_m < 0.004
        data.qpos[list(ARM_JOINTS)] = angles
        mujoco.mj_kinematics(model, data)
        heights.append(data.body(f"{side}_elbow_link").xpos[2])
    assert heights[1] > heights[0] + 0.03


# -- arms, body and other arm

# Places in front of the robot, in its torso and behind it, low and high, and turns of any kind.
HAND = st.tuples(
    st.floats(-0.15, 0.45), st.floats(-0.35, 0.35), st.floats(0.70, 1.40), numbers(-1.5, 1.5)
)


def hand_target(hand: tuple[float, float, float, tuple[float, float, float]]) -> HandTarget:
    x, y, z, turn = hand
    return HandTarget((x, y, z), rotation_of(np.array(turn)))


@settings(max_examples=15)
@given(left=HAND, right=HAND)
def test_hands_that_are_followed_anywhere_never_touch_the_robot(
    model: mujoco.MjModel, hulls: Hulls, left, right
) -> None:
    ik, angles = ArmIk(model), NOMINAL_RAD
    targets = {"left": hand_target(left), "right": hand_target(right)}
    for step in range(24):
        angles, _ = ik.follow(targets, angles)
        if step % 8 == 7:
            assert hulls.gap_m(angles) >= MARGIN_M - 1e-6


@settings(max_examples=15)
@given(left=HAND, right=HAND)
def test_a_solution_never_leads_through_the_robot(
    model: mujoco.MjModel, hulls: Hulls, left, right
) -> None:
    ik = ArmIk(model)
    try:
        angles = ik.solve({"left": hand_target(left), "right": hand_target(right)})
    except NoSolution:
        return
    assert hulls.gap_m(angles) >= MARGIN_M - 1e-6


@settings(max_examples=15)
@given(st.lists(st.floats(-0.5, 0.5), min_size=14, max_size=14))
def test_what_covers_the_arms_is_never_farther_than_their_hulls(
    model: mujoco.MjModel, hulls: Hulls, away: list[float]
) -> None:
    angles = NOMINAL_RAD + np.array(away)
    gap_m = hulls.gap_m(angles)
    near = [n for side in SIDES for n in clearance_of(model).near(hulls.data, side, 0.05)]
    assert min([0.05, *(one.gap_m for one in near)]) <= max(gap_m, 0.0) + 1e-6


def test_what_would_touch_is_named(model: mujoco.MjModel) -> None:
    ik = ArmIk(model)
    with pytest.raises(NoSolution, match=r"the left (hand|thumb|wrist|forearm) and the torso"):
        ik.solve({"left": HandTarget((0.02, 0.05, 1.0), hand_rotation("left", 0.0, 0.0))})
    crossed = {
        side: HandTarget((0.33, y, 0.95), hand_rotation(side, 0.0, 0.0))
        for side, y in (("left", -0.03), ("right", 0.03))
    }
    with pytest.raises(NoSolution, match=r"the left \w+ and the right \w+"):
        ik.solve(crossed)


def test_an_arm_gives_way_to_the_body_and_still_reaches(
    model: mujoco.MjModel, hulls: Hulls
) -> None:
    """Palms at a narrow box: the elbows have to go outwards."""
    ik = ArmIk(model)
    turns = {side: hand_rotation(side, 0.0, math.radians(20)) for side in SIDES}
    at = {s: HandTarget((0.33, sign * 0.07, 0.86), turns[s]) for s, sign in zip(SIDES, (1, -1))}
    angles = ik.solve(at)
    assert hulls.gap_m(angles) >= MARGIN_M
    for side in SIDES:
        got = pose_of(model, angles, side, "palm")
        assert math.dist(got.position_m, at[side].position_m) < 0.003


def test_arms_that_begin_too_near_come_no_nearer_and_may_leave(
    model: mujoco.MjModel, hulls: Hulls
) -> None:
    ik, inside = ArmIk(model), NOMINAL_RAD.copy()
    inside[[1, 8]] = -0.1, 0.1  # upper arms pressed to the chest
    before = hulls.gap_m(inside)
    assert before < MARGIN_M
    target = {"left": HandTarget((0.05, 0.0, 1.0), hand_rotation("left", 0.0, 0.0))}
    angles, _ = ik.follow(target, inside)
    assert hulls.gap_m(angles) > before - 0.012  # spheres are more careful than hulls
    target = {
        s: HandTarget((0.3, sign * 0.3, 0.95), hand_rotation(s, 0.0, 0.2))
        for s, sign in zip(SIDES, (1, -1))
    }
    for _ in range(20):
        angles, error_m = ik.follow(target, angles)
    assert error_m < 0.003 and hulls.gap_m(angles) >= MARGIN_M
