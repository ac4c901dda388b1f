"""Samples that cannot be decoded, and joints matched by name."""

from __future__ import annotations

import pytest
from support.aligned import T0, Run, stream

from robot_recorder.alignment.frames import SampleStatus
from robot_recorder.model.streams import Policy

MS = 1_000_000


def test_undecodable_samples_are_left_out_and_counted() -> None:
    run = Run(stream(Policy.NEAREST))
    run.give(0, T0, T0, b"\0\1\0\0rubbish")
    run.push(10, 7)
    run.aligner.advance(T0 + 10**9)
    assert run.sample(0).status is SampleStatus.MISSING  # a sample came, so it was not a pause
    assert run.sample(100).values[0] == 7  # of the next best sample
    assert run.aligner.counts[0].undecodable == 1


def test_a_stream_with_only_undecodable_samples_is_missing() -> None:
    run = Run(stream(Policy.NEAREST), stream(Policy.LINEAR))
    for at in range(0, 400, 20):
        run.give(0, T0 + at * MS, T0 + at * MS, b"\0\1\0\0rubbish")
        run.push(at, lane=1)
    assert all(f.samples[0].status is SampleStatus.MISSING for f in run.frames)
    assert len(run.frames) > 2


def test_joints_are_matched_by_name() -> None:
    rclpy = pytest.importorskip("rclpy.serialization")
    from sensor_msgs.msg import JointState

    config = stream(Policy.LINEAR, type_name="sensor_msgs/msg/JointState")
    run = Run(config)
    for at, names, position in ((0, "ab", (0, 0)), (90, "ab", (10, 100)), (110, "ba", (200, 20))):
        stamp = T0 + at * MS
        message = JointState(name=list(names), position=[float(p) for p in position])
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
        run.give(0, stamp, stamp, bytes(rclpy.serialize_message(message)))
    assert list(run.sample(100).values) == pytest.approx([15, 150])
