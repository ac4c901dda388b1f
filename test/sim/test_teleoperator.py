"""The operator's hands lead the robot's wrists, and no part of a living body is ever still."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from robot_recorder.sim.human import FOREARM_M, UPPER_ARM_M, body
from robot_recorder.sim.tasks import draw
from robot_recorder.sim.teleoperator import LEAD_STEPS, Teleoperator, Wobble

STEP_S = 0.002


@pytest.mark.parametrize("task", ["lift_box", "carry_tray"])
def test_hands_move_like_the_commanded_wrists_but_earlier_and_further(robot, model, task) -> None:
    operator = Teleoperator(model)
    robot.reset(draw(task, 1))
    robot.begin()
    data, hands, wrists = mujoco.MjData(model), [], []
    for step in range(2000):
        robot.step()
        if step % 10 == 0:
            stance = operator.stance(step * STEP_S, robot.later_command(LEAD_STEPS))
            hands.append([stance.hands[side].place for side in ("left", "right")])
            data.qpos[:43] = robot.joint_command
            mujoco.mj_kinematics(model, data)
            wrists.append(
                [data.body(f"{side}_wrist_yaw_link").xpos.copy() for side in ("left", "right")]
            )
    lead = LEAD_STEPS // 10
    human, commanded = np.array(hands)[:-lead], np.array(wrists)[lead:] * operator.scale
    apart = human - commanded
    assert np.ptp(commanded, axis=0).max() > 0.1
    assert np.abs(apart - apart.mean(axis=0)).max() < 0.008, "besides tremor and drift, m"


def test_the_body_stays_anatomical_through_a_whole_attempt(robot, model) -> None:
    operator = Teleoperator(model)
    robot.reset(draw("carry_tray", 3))
    robot.begin()
    heads, gazes, eyes = [], [], []
    for step in range(3600):
        robot.step()
        if step % 40:
            continue
        stance = operator.stance(step * STEP_S, robot.later_command(LEAD_STEPS))
        links = body(stance)
        for side in ("left", "right"):
            arm = links[f"{side}_hand"].place - links[f"{side}_upper_arm"].place
            assert np.linalg.norm(arm) < 0.99 * (UPPER_ARM_M + FOREARM_M), "nothing is out of reach"
        heads.append(links["head"].place)
        middle = (stance.hands["left"].place + stance.hands["right"].place) / 2
        way = middle - links["head"].place
        gazes.append(links["head"].turn[:, 0] @ way / np.linalg.norm(way))
        eyes.append(links["head"].turn[2, 2])
    assert min(gazes) > np.cos(0.6), "the head turns towards the hands; the eyes do the rest"
    assert min(eyes) > 0.3, "and stays upright"
    heights = np.array(heads)[:, 2]
    assert heights.min() > 1.35 and heights.max() < 1.7


def test_nothing_is_still_while_the_robot_waits(robot, model) -> None:
    operator = Teleoperator(model)
    robot.reset(draw("lift_box", 0))
    command = robot.later_command(LEAD_STEPS)
    assert (command == robot.joint_command).all(), "before the start nothing else is planned"
    for begin_s in (0.0, 20.0, 47.5):
        poses = [operator.stance(begin_s + s, command) for s in np.arange(0, 3, 0.05)]
        for places in (
            [pose.head_pose.place for pose in poses],
            [pose.hands["left"].place for pose in poses],
        ):
            assert 2e-3 < np.ptp(np.array(places), axis=0).max() < 0.05


def test_a_wobble_has_the_size_and_the_speed_that_were_asked_for() -> None:
    wobble = Wobble(3, 2, (8, 12, 0.5))
    values = np.array([wobble(t) for t in np.arange(0, 30, 0.005)])
    assert values.std(axis=0) == pytest.approx(0.5, rel=0.15)
    power = np.abs(np.fft.rfft(values[:, 0])) ** 2
    rates = np.fft.rfftfreq(len(values), 0.005)
    assert power[(rates > 7.5) & (rates < 12.5)].sum() > 0.95 * power.sum()
    assert (wobble(1.0) == Wobble(3, 2, (8, 12, 0.5))(1.0)).all()
