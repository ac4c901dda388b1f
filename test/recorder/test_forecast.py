"""What an episode is sure to be rejected for is known before it starts, by the checks themselves."""

from __future__ import annotations

import math
import time

import pytest
from support.bags import joint_state
from support.samples import T0, wrench

from robot_recorder.configuration.profile import parse_profile
from robot_recorder.model.topics import BagTopic, Channel, Sample
from robot_recorder.recorder.forecast import foresee

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
    channels = {Channel(BagTopic(f"/{s.topic}", s.type), stamped=True): s for s in profile.streams}
    given = dict(zip(channels, (joints, forces or [])))
    samples = [
        Sample(channel, data, T0 + i * STEP + 1000, 0)
        for channel, messages in given.items()
        for i, data in enumerate(messages)
    ]
    samples.sort(key=lambda s: s.receive_ns)
    return [f"{r.check} {r.stream}" for r in foresee(profile, None, channels, samples)]


def joints(count: int = 50) -> list[bytes]:
    return [joint_state(T0 + i * STEP, i / 100, 0.2) for i in range(count)]


def forces(force: float, count: int = 50) -> list[bytes]:
    return [wrench(T0 + i * STEP, (1, 2, force if i % 2 else 3, i, 0, 0)) for i in range(count)]


def test_nothing_is_foreseen_of_what_is_fine_or_not_there() -> None:
    assert foreseen(joints(), forces(4)) == [] and foreseen([]) == []
    never = [wrench(T0 + i * STEP, (1, 2, math.nan, i, 0, 0)) for i in range(50)]
    assert foreseen(joints(), never) == [], "what never is a number is not there"


@pytest.mark.parametrize(
    ("messages", "others", "said"),
    [
        ([m[:40] for m in joints()], forces(4), ["undecodable joints"]),
        (joints(), forces(math.nan), ["not_a_number wrench"]),
        (joints(1) * 50, forces(4), ["repeated_stamps joints"]),
        ([b""] * 50, forces(math.inf), ["not_a_number wrench", "undecodable joints"]),
    ],
)
def test_what_every_message_is_wrong_with(
    messages: list[bytes], others: list[bytes], said: list[str]
) -> None:
    assert sorted(foreseen(messages, others)) == said


def test_what_the_profile_lets_pass_is_not_held_against_it() -> None:
    assert foreseen(joints(), forces(math.nan), "quality: {not_a_number: warn}") == []
    assert foreseen(joints(), forces(math.nan), "quality: {budget: {fail: 1}}") == []


def test_it_takes_no_time_worth_speaking_of() -> None:
    many = joints(2000), forces(4, 2000)
    began = time.perf_counter()
    foreseen(*many)
    assert time.perf_counter() - began < 0.5
