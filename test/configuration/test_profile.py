"""Robot profiles: valid ones, and the errors of invalid ones."""

from __future__ import annotations

import pytest

from robot_recorder.configuration.profile import parse_profile
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.qos import Durability, Qos, Reliability
from robot_recorder.model.streams import FrameClock, Policy, Role, SourceClockKind

GOOD = """
robot: arm
frame_rate_hz: 20
streams:
  joints:
    topic: joint_states
    type: sensor_msgs/msg/JointState
    role: observation
    rate_hz: 100
  command:
    topic: command
    type: sensor_msgs/msg/JointState
    role: action
    rate_hz: 100
  imu:
    topic: imu
    type: sensor_msgs/msg/Imu
    role: observation
    rate_hz: 200
    latency_ms: 1.5
  camera:
    topic: /camera/image
    type: sensor_msgs/msg/Image
    role: observation
    rate_hz: 30
    qos: {reliability: reliable}
  odd:
    topic: odd
    type: my_msgs/msg/Thing
    role: context
"""


def test_defaults_follow_from_type_and_role() -> None:
    profile = parse_profile(GOOD, "arm.yaml")
    by_name = {s.name: s for s in profile.streams}
    assert by_name["joints"].policy is Policy.LINEAR
    assert by_name["command"].policy is Policy.PREVIOUS and by_name["command"].role is Role.ACTION
    assert by_name["imu"].policy is Policy.SLERP and by_name["imu"].latency_ns == 1_500_000
    assert by_name["camera"].policy is Policy.NEAREST
    assert by_name["camera"].tolerance_ns > 1e9 / 30 / 2
    assert by_name["camera"].qos == Qos(Reliability.RELIABLE, Durability.VOLATILE)
    assert by_name["odd"].policy is Policy.NONE and not by_name["odd"].required
    assert [s.name for s in profile.aligned] == ["joints", "command", "imu", "camera"]


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("role: action", "rol: action", 13, ["rol", "role"]),
        ("role: action", "role: acton", 13, ["acton", "did you mean 'action'"]),
        ("rate_hz: 200", "rate_hz: fast", 19, ["rate_hz", "number", "fast"]),
        ("rate_hz: 200", "rate_hz: -3", 19, ["greater than 0"]),
        ("rate_hz: 200", "rate_hz: .nan", 19, ["finite"]),
        ("type: sensor_msgs/msg/Imu", "type: sensor_msgs/Imu", 17, ["sensor_msgs/Imu", "/msg/"]),
        ("topic: command", "topic: joint_states", 11, ["joint_states", "already", "'joints'"]),
        ("topic: command", "topic: no spaces", 11, ["no spaces"]),
        ("topic: command", "topic: synchronizer/frames", 11, ["always recorded"]),
        ("robot: arm", "robot: 7 arms", 2, ["7 arms"]),
        ("robot: arm", "", 2, ["robot", "missing"]),
        ("    role: context", "    role: observation", 28, ["tolerance_ms", "rate_hz"]),
        ("type: my_msgs/msg/Thing\n    role: context",
         "type: my_msgs/msg/Thing\n    role: observation\n    rate_hz: 5\n    policy: linear",
         32, ["cannot be interpolated", "nearest"]),
        ("    latency_ms: 1.5", "    policy: linear", 20, ["slerp"]),
        ("qos: {reliability: reliable}", "qos: {reliability: relaible}", 26, ["did you mean 'reliable'"]),
        ("frame_rate_hz: 20", "frame_rate_hz: 0", 3, ["greater than 0"]),
        ("frame_rate_hz: 20", "frame_clock: cam", 3, ["'cam'", "not an aligned stream", "camera"]),
        ("frame_rate_hz: 20", "frame_clock: odd", 3, ["'odd'", "not an aligned stream"]),
        ("latency_ms: 1.5", "disorder_ms: -1", 20, ["disorder_ms"]),
        ("latency_ms: 1.5", "clock: devise", 20, ["did you mean 'device'"]),
        ("latency_ms: 1.5", "window: maybe", 20, ["window"]),
        ("latency_ms: 1.5", "disorder_ms: 250", 20, ["shorter than deadline_ms", "250"]),
        ("streams:", "stream:", 5, ["'stream'", "did you mean 'streams'"]),
        ("  imu:", "  joints:", 15, ["twice"]),
        ("role: action", "role: action\n    of: jonts", 14, ["'jonts'", "there are joints"]),
        ("role: action", "role: action\n    of: imu", 14, ["'imu'", "of joints", "joints"]),
        ("latency_ms: 1.5", "of: joints", 20, ["is for commands", "observation"]),
    ],
)  # fmt: skip
def test_errors_name_file_line_and_remedy(old: str, new: str, line: int, words: list[str]) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as error:
        parse_profile(GOOD.replace(old, new, 1), "arm.yaml")
    text = str(error.value)
    assert text.startswith(f"arm.yaml:{line}:") or "missing" in text, text
    for word in words:
        assert word in text


def test_frames_can_follow_a_stream_and_streams_can_have_their_own_clocks() -> None:
    text = GOOD.replace("frame_rate_hz: 20", "frame_clock: camera")
    text = text.replace("latency_ms: 1.5", "clock: device\n    disorder_ms: 4\n    window: true")
    profile = parse_profile(text, "arm.yaml")
    assert profile.frame_clock == FrameClock(None, "camera")
    assert profile.frame_clock.text == "to camera"
    imu = next(s for s in profile.streams if s.name == "imu")
    assert (imu.clock, imu.disorder_ns, imu.window) == (SourceClockKind.DEVICE, 4_000_000, True)
    both = parse_profile(text.replace("frame_clock", "frame_rate_hz: 10\nframe_clock"), "arm.yaml")
    assert both.frame_clock == FrameClock(10.0, "camera")
    assert both.frame_clock.text == "to camera, at most 10 Hz"
    assert profile.text == text


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "robot: [", "robot: arm\nstreams: {}\n", "\tx"])
def test_text_that_is_not_a_profile_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"arm\.yaml"):
        parse_profile(text, "arm.yaml")
