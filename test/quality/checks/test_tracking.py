"""Lag and error of joints behind their commands.

Holds also: following_error.py.
"""

from __future__ import annotations

import numpy as np
import pytest
from support.checked import SECONDS, TIMES, facts, finish, swing

from robot_recorder.model.check_result import Level
from robot_recorder.quality.checks.tracking import TrackingError, TrackingLag
from robot_recorder.quality.checks.values import Trace

PASS, WARN, FAIL = Level.PASS, Level.WARN, Level.FAIL


@pytest.mark.parametrize("lag_s", [-0.06, 0.0, 0.05, 0.25, 0.5])
def test_the_tracking_lag_is_measured(lag_s: float) -> None:
    command = Trace(("j0", "j1", "j2"))
    command.add(TIMES, swing(SECONDS + lag_s))
    episode = facts(joints={**facts().joints, "commands": command})
    result = finish(TrackingLag, episode, "joints")
    assert result.figure == pytest.approx(abs(lag_s), abs=0.004)


def test_the_tracking_error_of_a_gripper_is_ignored() -> None:
    names = ("j0", "left_gripper_joint", "j2")
    observed, command = Trace(names), Trace(names)
    observed.add(TIMES, swing() + np.array([0.0, 0.8, 0.0]))
    command.add(TIMES, swing())
    episode = facts(joints={"joints": observed, "commands": command})
    assert finish(TrackingError, episode, "joints").level is PASS


def test_the_tracking_error_is_what_remains_after_the_lag() -> None:
    observed = Trace(("j0", "j1", "j2"))
    observed.add(TIMES, swing() + np.array([0.0, 0.3, 0.0]))
    episode = facts(joints={**facts().joints, "joints": observed})
    result = finish(TrackingError, episode, "joints")
    assert result.figure == pytest.approx(0.3, abs=0.02) and "j1" in result.sentence
    assert finish(TrackingError, facts(), "joints").figure < 0.02
