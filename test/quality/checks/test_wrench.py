"""Bias of force and torque sensors."""

from __future__ import annotations

from support.checked import TIMES, WRENCH, add, changed, check, forces, pressures

from robot_recorder.model.check_result import Level
from robot_recorder.quality.checks.values import Trace
from robot_recorder.quality.checks.wrench import WrenchBias

PASS, WARN, FAIL = Level.PASS, Level.WARN, Level.FAIL


def test_a_bias_fails_only_when_pads_show_that_nothing_is_held() -> None:
    touch = Trace(("normal (Pa)",))
    touch.add(TIMES, pressures().sum(axis=1, keepdims=True))
    rows = changed(forces(), add((slice(None), 1), -12))
    assert check(WrenchBias, WRENCH, rows, touches={"pad": touch}).level is FAIL
