"""The recorder's own messages (frames, labels, ...) are read and counted; defects are reported."""

from __future__ import annotations

import struct

import pytest
from support.samples import T0, WRENCH, frame, wrench
from support.streams import live

from robot_recorder.alignment.certificate import Certificate
from robot_recorder.alignment.frames import SampleStatus
from robot_recorder.model.streams import FrameClock, Policy, RobotProfile, Role, StreamConfig
from robot_recorder.model.topics import BagTopic, Channel, Sample
from robot_recorder.quality.inspector import Inspector
from robot_recorder.quality.verdict import Verdict
from robot_recorder.recorder.live_audit import LiveAudit

MS, S = 1_000_000, 1_000_000_000
STREAM = StreamConfig(
    "wrench", "wrench", WRENCH, Role.OBSERVATION, 100, policy=Policy.LINEAR, tolerance_ns=50 * MS
)
PROFILE = RobotProfile("arm", FrameClock(10.0), 100 * MS, (STREAM,))
CHANNEL = Channel(BagTopic("/wrench", WRENCH))
FRAMES = Channel(BagTopic("/synchronizer/frames", "robot_recorder/msg/AlignedFrame"))
STOP = T0 + 5 * S


def own(topic: str, kind: str) -> Channel:
    return Channel(BagTopic(topic, f"robot_recorder/msg/{kind}"))


def good_frames() -> list[tuple[Channel, bytes]]:
    return [(FRAMES, frame(T0 + n * 100 * MS)) for n in range(50)]


def recorded(messages: list[tuple[Channel, bytes]]) -> tuple[Certificate, LiveAudit]:
    inspector = Inspector(PROFILE, None)
    found = LiveAudit([live(CHANNEL, STREAM)], PROFILE, FRAMES, T0, T0, lambda: None, inspector)
    moving = [wrench(T0 + n * 10 * MS, (n % 7, n % 5, n % 3, 0, 0, 0)) for n in range(500)]
    at = [T0 + n * 10 * MS for n in range(len(moving))]
    found.add([Sample(CHANNEL, data, ns, ns) for ns, data in zip(at, moving)])
    found.add([Sample(channel, data, STOP, STOP) for channel, data in messages])
    return found.certificate(STOP, lambda topic: (0, "")), found


def test_good_frames_cause_no_findings() -> None:
    certificate, audit = recorded(good_frames())
    assert (certificate.unreadable, certificate.absent) == (0, 0)
    report = audit.report(STOP, certificate, ("", False))
    assert not {r.check for r in report.findings} & {"unreadable", "too_few_frames"}


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ((FRAMES, frame(T0 + 9 * S)[:-3]), "message ends at byte"),
        ((FRAMES, b""), "too few"),
        ((FRAMES, frame(T0 + 9 * S, b"other\0")), "made of other"),
        ((FRAMES, frame(T0 + 100 * MS)), "second frame of the same tick"),
        ((own("/synchronizer/layout", "FrameLayout"), b"\0\1\0\0\1"), "message ends"),
        ((own("/synchronizer/clocks", "ClockModels"), struct.pack("<IiIII", 256, 1, 1, 1, 9)), "ends"),
        ((own("/labeller/labels", "Label"), b"\0\1\0\0" + bytes(30)), "message ends"),
        ((own("/labeller/task", "Task"), b"\0\1\0\0" + bytes(9)), "message ends"),
        ((own("/recorder/dropouts", "Dropout"), b"\0\1\0\0" + bytes(20)), "message ends"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_an_unreadable_message_of_the_recorder_is_counted_and_rejects_the_episode(
    message: tuple[Channel, bytes], why: str
) -> None:
    certificate, audit = recorded([*good_frames(), message])
    assert certificate.unreadable == 1
    assert message[0].topic in certificate.unreadable_why and why in certificate.unreadable_why
    assert certificate.unreadable_why in certificate.summary
    report = audit.report(STOP, certificate, ("", False))
    assert report.verdict is Verdict.REJECT
    assert "unreadable" in report.reasons and message[0].topic in str(report.findings)


@pytest.mark.parametrize("kept", [0, 25, 45])
def test_missing_frames_fail(kept: int) -> None:
    certificate, audit = recorded(good_frames()[:kept])
    assert certificate.expected == 46 and certificate.absent == 46 - kept
    report = audit.report(STOP, certificate, ("", False))
    found = [r for r in report.findings if r.check == "too_few_frames"]
    assert len(found) == (kept < 44)
    assert (report.verdict is Verdict.REJECT) == (kept < 44)


def test_frames_after_the_stop_or_before_the_pre_roll_do_not_count() -> None:
    missing = [
        (FRAMES, frame(t, status=SampleStatus.MISSING)) for t in (T0 - S, STOP, STOP + 9 * S)
    ]
    certificate, _ = recorded([missing[0], *good_frames(), *missing[1:]])
    assert certificate.unreadable == 0 and certificate.frames == certificate.complete


def test_a_stream_with_the_type_of_a_recorder_message_is_an_ordinary_stream() -> None:
    """For example, one robot records the frames of another."""
    stream = StreamConfig("frames", "other/frames", FRAMES.bag_topic.type, Role.CONTEXT)
    channel = own("/other/frames", "AlignedFrame")
    found = LiveAudit([live(channel, stream)], PROFILE, FRAMES, T0, T0, lambda: None)
    found.add([Sample(channel, b"\0\1\0\0", T0, T0)])
    assert found.certificate(STOP, lambda topic: (0, "")).unreadable == 0
