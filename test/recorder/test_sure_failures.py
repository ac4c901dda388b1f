"""Certain rejections are predicted before an episode starts, by the checks themselves."""

from __future__ import annotations

import math
import time

import pytest
from support.bags import joint_state
from support.samples import T0, wrench
from support.streams import live

from robot_recorder.configuration.profile import parse_profile
from robot_recorder.model.topics import BagTopic, Channel, Sample
from robot_recorder.recorder.sure_failures import foresee

PROFILE = """
robot: arm
{quality}
streams:
  joints: {{topic: joint_states, type: sensor_msgs/msg/JointState, role: observation, rate_hz: 100}}
  wrench: {{topic: wrench, type: geometry_msgs/msg/WrenchStamped, role: observation, rate_hz: 100}}
"""
STEP = 10_000_000


def foreseen(
    joints: list[bytes], forces: list[bytes] | None = None, quality: str = ""
) -> list[str]:
    profile = parse_profile(PROFILE.format(quality=quality), "p")
    channels = {Channel(BagTopic(f"/{s.topic}", s.type)): s for s in profile.streams}
    streams = [live(channel, stream) for channel, stream in channels.items()]
    given = dict(zip(channels, (joints, forces or [])))
    samples = [
        Sample(channel, data, T0 + i * STEP + 1000, 0)
        for channel, messages in given.items()
        for i, data in enumerate(messages)
    ]
    samples.sort(key=lambda s: s.receive_ns)
    return [f"{r.check} {r.stream}" for r in foresee(profile, None, streams, samples)]


def joints(count: int = 50) -> list[bytes]:
    return [joint_state(T0 + i * STEP, i / 100, 0.2) for i in range(count)]


def forces(force: float, count: int = 50) -> list[bytes]:
    return [wrench(T0 + i * STEP, (1, 2, force if i % 2 else 3, i, 0, 0)) for i in range(count)]


def test_good_or_absent_messages_predict_nothing() -> None:
    assert foreseen(joints(), forces(4)) == [] and foreseen([]) == []
    never = [wrench(T0 + i * STEP, (1, 2, math.nan, i, 0, 0)) for i in range(50)]
    assert foreseen(joints(), never) == [], "a value that is never a number counts as absent"


@pytest.mark.parametrize(
    ("messages", "others", "expected"),
    [
        ([m[:40] for m in joints()], forces(4), ["undecodable joints"]),
        (joints(), forces(math.nan), ["not_a_number wrench"]),
        (joints(1) * 50, forces(4), ["repeated_stamps joints"]),
        ([b""] * 50, forces(math.inf), ["not_a_number wrench", "undecodable joints"]),
    ],
)
def test_defects_of_every_message_are_predicted(
    messages: list[bytes], others: list[bytes], expected: list[str]
) -> None:
    assert sorted(foreseen(messages, others)) == expected


def test_checks_that_the_profile_relaxes_predict_nothing() -> None:
    assert foreseen(joints(), forces(math.nan), "quality: {not_a_number: warn}") == []
    assert foreseen(joints(), forces(math.nan), "quality: {budget: {fail: 1}}") == []


def test_a_forecast_takes_less_than_half_a_second() -> None:
    many = joints(2000), forces(4, 2000)
    began = time.perf_counter()
    foreseen(*many)
    assert time.perf_counter() - began < 0.5
