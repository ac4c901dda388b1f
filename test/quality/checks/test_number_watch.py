"""Streams of numbers: their drivers, joints, units and order."""

from __future__ import annotations

import numpy as np
import pytest
from support.bags import joint_state
from support.inspected import PROFILE, Eyes, profile, report
from support.samples import T0
from support.samples import joint_state as named_joints

from robot_recorder.configuration.profile import parse_profile
from robot_recorder.quality.inspector import Inspector

NS = 1_000_000_000


def test_joints_that_appear_later_are_checked_from_then_on() -> None:
    inspector = Inspector(profile(), None, Eyes())
    joints = inspector._profile.streams[0]
    stamps = T0 + np.arange(40, dtype=np.int64) * NS // 100
    empty = joint_state(T0)
    two = [joint_state(int(s), 0.1, 0.2) for s in stamps[:20]]
    three = [joint_state(int(s), 0.1, 0.2, 0.3) for s in stamps[20:]]
    three[10] = joint_state(int(stamps[30]), 0.1, 0.2, float("nan"))
    inspector.add(joints, stamps, stamps, [empty, *two[1:], *three])
    found = report(inspector, 0.4)
    assert not [b for b in found.broken if "joints" in b]
    numbers = next(r for r in found.results if r.check == "not_a_number" and r.stream == "joints")
    assert numbers.figure == 1 and "joint_2" in numbers.sentence


def test_drivers_that_share_a_topic_are_checked_separately() -> None:
    inspector = Inspector(profile(), None, Eyes())
    joints = inspector._profile.streams[0]
    stamps = T0 + np.arange(800, dtype=np.int64) * NS // 200
    messages = []
    for k, stamp in enumerate(stamps.tolist()):
        names = ("a", "b") if k % 2 else ("h",)
        at = 0.4 if k == 401 else np.sin(k / 100)  # one jump of the arm, there and back
        messages.append(named_joints(stamp, names, [float(at)] * len(names)))
    for part in range(0, 800, 90):
        cut = slice(part, part + 90)
        inspector.add(joints, stamps[cut], stamps[cut], messages[cut])
    found = report(inspector, 4.0)
    jumps = [r for r in found.results if r.check == "joint_jump"]
    assert sorted(r.figure for r in jumps) == [0, 2]
    assert all(r.figure == 0 for r in found.results if r.check == "not_a_number")
    moved = next(r for r in found.results if r.check == "never_moved")
    assert moved.figure > 3


@pytest.mark.parametrize("unit", ["", "percent", "deg"])
def test_a_gripper_that_counts_to_a_hundred_is_not_judged_as_an_angle(unit: str) -> None:
    declared = f"joints: {{grip*: {{unit: {unit}}}}}" if unit else ""
    text = PROFILE.format(quality="").replace("rate_hz: 100}", f"rate_hz: 100, {declared}}}", 1)
    inspector = Inspector(parse_profile(text, "test"), None, Eyes())
    joints = inspector._profile.streams[0]
    stamps = T0 + np.arange(600, dtype=np.int64) * NS // 100
    grip = 50 + 50 * np.sin(np.arange(600) / 20)
    messages = [
        named_joints(int(s), ("arm", "gripper"), [float(np.sin(k / 80)), float(grip[k])])
        for k, s in enumerate(stamps)
    ]
    inspector.add(joints, stamps, stamps, messages)
    found = report(inspector, 6.0)
    jump = next(r for r in found.results if r.check == "joint_jump")
    assert jump.figure == 0
    said = [b for b in found.broken if "gripper" in b]
    assert bool(said) == (unit == "")  # degrees are converted, percents have a range


def test_joints_without_names_are_a_warning_with_the_remedy() -> None:
    inspector = Inspector(profile(), None, Eyes())
    joints = inspector._profile.streams[0]
    stamps = T0 + np.arange(100, dtype=np.int64) * NS // 100
    messages = [named_joints(int(s), (), [0.1, k / 100]) for k, s in enumerate(stamps)]
    inspector.add(joints, stamps, stamps, messages)
    assert "fill name[]" in inspector.troubles["joints"]
    found = report(inspector, 1.0)
    names = next(r for r in found.findings if r.check == "joint_names")
    assert names.figure == 100 and "fill name[]" in names.sentence
    assert not [r for r in found.findings if r.check == "undecodable"]


@pytest.mark.parametrize("at_once", [1, 7, 300])
def test_joints_are_checked_in_order_of_stamps_within_disorder_ms(at_once: int) -> None:
    order = np.argsort(np.arange(300) + np.random.default_rng(0).uniform(0, 20, 300))
    jumps = {}
    for disorder_ms in (0, 200):
        text = (
            "robot: r\nstreams:\n  joints: {topic: j, type: sensor_msgs/msg/JointState, "
            f"role: observation, rate_hz: 100, disorder_ms: {disorder_ms}}}"
        )
        inspector = Inspector(parse_profile(text, "p"), None)
        (stream,) = inspector._profile.streams
        stamps = T0 + order.astype(np.int64) * 10_000_000
        receives = T0 + np.arange(300, dtype=np.int64) * 10_000_000
        messages = [joint_state(int(s), float(np.sin(k / 20))) for s, k in zip(stamps, order)]
        for at in range(0, 300, at_once):
            part = slice(at, at + at_once)
            inspector.add(stream, stamps[part], receives[part], messages[part])
        found = inspector.report(T0, T0, T0 + 3 * NS, None)
        (jumps[disorder_ms],) = [r.figure for r in found.results if r.check == "joint_jump"]
    assert jumps[0] > 0 and jumps[200] == 0


HAND = """robot: hand
streams:
  state: {topic: a/joint_states, type: sensor_msgs/msg/JointState, role: observation, rate_hz: 100, unit: percent}
  command: {topic: b/joint_states, type: sensor_msgs/msg/JointState, role: action, rate_hz: 100, unit: percent,
            of: state}
"""


@pytest.mark.parametrize("stuck", [False, True])
def test_joints_in_percent_follow_their_commands_or_are_found_stuck(stuck: bool) -> None:
    inspector = Inspector(parse_profile(HAND, "hand"), None, Eyes())
    state, command = inspector._profile.streams
    stamps = T0 + np.arange(800, dtype=np.int64) * NS // 100
    wanted = 50 + 40 * np.sin(np.arange(800) / 60)
    measured = np.round(50 + 40 * np.sin((np.arange(800) - 6) / 60) - 8)  # whole percents, late
    if stuck:
        measured[200:700] = measured[200]
    for stream, values in ((state, measured), (command, wanted)):
        messages = [named_joints(int(s), ("lever",), [float(v)]) for s, v in zip(stamps, values)]
        inspector.add(stream, stamps, stamps, messages)
    results = {r.check: r for r in report(inspector, 8.0).results if r.stream == "state"}
    assert (results["joint_frozen"].figure > 3) == stuck
    if not stuck:
        assert results["tracking_lag"].figure == pytest.approx(0.06, abs=0.02)
        assert "lever was 8." in results["tracking_error"].sentence
        assert "% off its command" in results["tracking_error"].sentence


@pytest.mark.parametrize(
    ("joint", "held", "found"),
    [("elbow", "dead", True), ("index", "dead", True), ("index", "object", False), ("elbow", "", False)],
)  # fmt: skip
def test_a_held_joint_is_found_although_its_encoder_shows_noise(
    joint: str, held: str, found: bool
) -> None:
    text = HAND.replace(", unit: percent", "")
    inspector = Inspector(parse_profile(text, "hand"), None, Eyes())
    state, command = inspector._profile.streams
    stamps = T0 + np.arange(1000, dtype=np.int64) * NS // 100
    wanted = 0.4 * np.sin(np.arange(1000) / 60)
    measured = 0.4 * np.sin((np.arange(1000) - 5) / 60)
    if held == "dead":
        measured[200:800] = measured[200]
    elif held == "object":  # it closes on something at 0.2 rad and opens again
        measured = np.minimum(measured, 0.2)
    measured = measured + np.random.default_rng(1).normal(0, 5e-5, 1000)
    for stream, values in ((state, measured), (command, wanted)):
        messages = [named_joints(int(s), (joint,), [float(v)]) for s, v in zip(stamps, values)]
        inspector.add(stream, stamps, stamps, messages)
    (result,) = (r for r in report(inspector, 10.0).results if r.check == "joint_frozen")
    assert (result.figure > 3) == found, result.sentence
    assert found or result.figure < 0.3, result.sentence
