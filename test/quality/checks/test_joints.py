"""Joints and the limits of the robot's description."""

from __future__ import annotations

import numpy as np
import pytest
from support.checked import JOINTS, TIMES, check, facts, swing

from robot_recorder.messages.urdf import joint_limits
from robot_recorder.model.check_result import Level
from robot_recorder.model.thresholds import THRESHOLDS
from robot_recorder.quality.checks.joints import JointJump, JointLimits
from robot_recorder.quality.checks.values import Values

PASS, WARN, FAIL = Level.PASS, Level.WARN, Level.FAIL


def test_limits_come_from_the_description() -> None:
    urdf = """<?xml version="1.0"?><robot name="r">
      <joint name="j0" type="revolute"><limit lower="-0.4" upper="0.6"/></joint>
      <joint name="j1" type="continuous"/>
      <joint name="j2" type="prismatic"><limit lower="0" upper="3"/></joint></robot>"""
    limits = joint_limits(urdf)
    assert limits == {"j0": (-0.4, 0.6), "j2": (0.0, 3.0)}
    assert joint_limits("not xml") == {} and joint_limits("<robot><joint/></robot>") == {}
    result = check(JointLimits, JOINTS, swing(), joint_limits={"s": limits})
    assert result.level is WARN and "j0 was 0.10 rad beyond" in result.sentence
    one = JointLimits("s", THRESHOLDS["joint_limits"])
    one.add(Values(TIMES, TIMES, swing(), JOINTS))
    assert not list(one.finish(facts())), "without a description there is nothing to judge"


@pytest.mark.parametrize(
    ("unit", "range", "scale", "judged"),
    [("rad", None, 1.0, True), ("%", None, 30.0, True), ("raw", 1000.0, 300.0, True),
     ("raw", None, 300.0, False)],
)  # fmt: skip
def test_jumps_are_judged_in_the_unit_of_the_stream(
    unit: str, range: float | None, scale: float, judged: bool
) -> None:
    names = (f"position/a ({unit})", f"position/b ({unit})")
    rows = np.stack([np.sin(np.arange(len(TIMES)) / 200)] * 2, axis=1) * scale
    rows[100, 1] += 0.9 * scale
    one = JointJump("s", THRESHOLDS["joint_jump"], range)
    one.add(Values(TIMES, TIMES, rows, names))
    (result,) = one.finish(facts())
    assert (result.figure == 2) == judged and (f"{unit} at b" in result.sentence) == judged
