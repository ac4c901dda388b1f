"""Joints and sensors that stand still while the robot moves."""

from __future__ import annotations

import numpy as np
from support.checked import SECONDS, TAXELS, TIMES, check, facts, finish, pressures, swing

from robot_recorder.model.check_result import Level
from robot_recorder.model.thresholds import THRESHOLDS
from robot_recorder.quality.checks.frozen_values import JointFrozen
from robot_recorder.quality.checks.tactile import TactileFrozen
from robot_recorder.quality.checks.values import Trace, Values

PASS, WARN, FAIL = Level.PASS, Level.WARN, Level.FAIL


def test_a_pad_without_noise_may_rest() -> None:
    for baseline in (0.0, 12.0):
        assert check(TactileFrozen, TAXELS, pressures(0) + baseline).level is PASS
        one = TactileFrozen("s", THRESHOLDS["frozen"])
        one.add(Values(TIMES, TIMES, 0 * pressures(0) + baseline, TAXELS))
        assert not list(one.finish(facts())), "NeverTouched reports that it was never touched"


def test_a_joint_that_does_not_follow_is_named() -> None:
    stuck = swing()
    stuck[500:1000, 1] = stuck[500, 1]
    observed = Trace(("j0", "j1", "j2"))
    observed.add(TIMES, stuck)
    episode = facts()
    episode = facts(joints={**episode.joints, "joints": observed})
    result = finish(JointFrozen, episode, "joints")
    assert result.level is FAIL and "j1" in result.sentence
    assert 0.8 < result.figure < 2.05, "from the time it was commanded elsewhere"
    assert finish(JointFrozen, facts(), "joints").level is PASS


def test_a_gripper_may_stand_still_until_it_is_commanded() -> None:
    close = np.stack([np.where(SECONDS > 5.06, 0.8, 0.0)] * 3, axis=1)
    told = np.stack([np.where(SECONDS > 5.0, 0.8, 0.0)] * 3, axis=1)
    observed, command = Trace(("j0", "j1", "j2")), Trace(("j0", "j1", "j2"))
    observed.add(TIMES, close)
    command.add(TIMES, told)
    episode = facts(joints={"joints": observed, "commands": command})
    assert finish(JointFrozen, episode, "joints").figure < 0.15
