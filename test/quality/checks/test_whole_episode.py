"""Checks of whole episodes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.checked import RNG, TIMES, facts, finish

from robot_recorder.configuration.tasks import Task
from robot_recorder.model.check_result import Level
from robot_recorder.model.streams import Role, SourceClockKind, StreamConfig
from robot_recorder.model.thresholds import THRESHOLDS
from robot_recorder.quality.checks.values import Trace
from robot_recorder.quality.checks.whole_episode import (
    IdleHead,
    IdleTail,
    NeverMoved,
    TooLong,
    TooShort,
)

PASS, WARN, FAIL = Level.PASS, Level.WARN, Level.FAIL


def test_checks_of_whole_episodes_find_their_defects() -> None:
    task = Task("lift", "Lift.", least_s=10, most_s=20)
    assert finish(NeverMoved, facts()).level is PASS
    assert finish(IdleHead, facts()).figure == pytest.approx(1, abs=0.2)
    assert finish(IdleTail, facts()).figure == pytest.approx(1, abs=0.2)
    assert finish(TooShort, facts(task=task)).level is WARN
    assert finish(TooShort, facts(task=Task("x", "X.", least_s=17))).level is FAIL
    assert finish(TooShort, facts()).level is PASS
    assert finish(TooLong, facts(task=task)).level is PASS
    assert finish(TooLong, facts(task=Task("x", "X.", most_s=5))).level is WARN
    still = Trace(("j0",))
    still.add(TIMES, RNG.normal(0, 1e-4, (len(TIMES), 1)))
    assert finish(NeverMoved, facts(joints={"joints": still})).level is FAIL
    base = StreamConfig("odometry", "odom", "nav_msgs/msg/Odometry", Role.OBSERVATION)
    driving = replace(
        facts(joints={"joints": still}), streams={**facts().streams, "odometry": base}
    )
    assert not list(NeverMoved("", THRESHOLDS["never_moved"]).finish(driving)), "it may have driven"
    head = StreamConfig("head", "head", "geometry_msgs/msg/PoseStamped", Role.ACTION)
    for clock, count in ((SourceClockKind.ROBOT, 0), (SourceClockKind.DEVICE, 1)):
        worn = replace(driving, streams={**facts().streams, "head": replace(head, clock=clock)})
        found = list(NeverMoved("", THRESHOLDS["never_moved"]).finish(worn))
        assert len(found) == count, "what a person wears drives no base"
