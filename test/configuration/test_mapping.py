"""The keys ``as``, ``map`` and ``stamp`` of a profile: errors name line, key and remedy."""

from __future__ import annotations

import pytest

from robot_recorder.configuration.profile import parse_profile
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.mapping import Meaning, StampSource
from robot_recorder.model.streams import Policy, RobotProfile, SourceClockKind

G1 = """robot: g1
streams:
  body:
    topic: lowstate
    type: unitree_hg/msg/LowState
    role: observation
    rate_hz: 500
    as: joint_state
    map: {names: [a, b], position: "motor_state[0:2].q"}
    stamp: {field: tick, unit: ms, bits: 32}
  pelvis_imu:
    topic: lowstate
    role: observation
    rate_hz: 500
    as: imu
    map: {orientation: imu_state.quaternion, order: wxyz}
  command:
    topic: lowcmd
    type: unitree_hg/msg/LowCmd
    role: action
    rate_hz: 250
    as: joint_state
    of: body
    map: {names: same_as body, position: "motor_cmd[0:2].q"}
"""


def profile(old: str = "", new: str = "") -> RobotProfile:
    assert old in G1
    return parse_profile(G1.replace(old, new, 1) if old else G1, "g1.yaml")


def test_one_topic_may_be_several_streams_with_one_stamp() -> None:
    body, imu, command = profile().streams
    assert body.type == imu.type == "unitree_hg/msg/LowState"
    assert body.policy is Policy.LINEAR and imu.policy is Policy.SLERP
    assert imu.stamp == body.stamp and imu.stamp.source is StampSource.FIELD
    assert imu.clock is body.clock is SourceClockKind.DEVICE
    assert command.mapping is not None and command.mapping.names == ("a", "b")
    assert command.policy is Policy.PREVIOUS and command.clock is SourceClockKind.ROBOT
    assert imu.mapping is not None and imu.mapping.meaning is Meaning.IMU and imu.mapping.wxyz


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("as: joint_state", "as: joints", 8, "did you mean 'joint_state'"),
        ("    as: joint_state\n", "", 8, "needs 'as', one of joint_state"),
        ("position:", "postion:", 9, "unknown key 'postion'; did you mean 'position'"),
        ("motor_state[0:2].q", "motor_state[0:2.q", 9, "is not a path"),
        ("field: tick", "feild: tick", 10, "did you mean 'field'"),
        ("unit: ms", "unit: h", 10, "'h' is not a known value"),
        ("{field: tick, unit: ms, bits: 32}", "heder", 10, "did you mean 'header'"),
        ("same_as body", "same_as bdy", 24, "no stream 'bdy'; did you mean 'body'"),
        ("names: [a, b]", "names: [a, a]", 9, "must name every value once"),
        ("    as: imu\n    map: {orientation: imu_state.quaternion, order: wxyz}\n",
         "    as: joint_state\n    map: {names: [a, b], position: 'motor_state[0:2].q'}\n", 12,
         "already stream 'body'; several streams of a topic need 'as' and 'map'"),
        ("order: wxyz", "order: wzyx", 16, "known: wxyz, xyzw"),
        ("as: joint_state\n    of: body", "as: numbers\n    of: body", 24, "unknown key 'position'"),
    ],
)  # fmt: skip
def test_errors_name_file_line_and_remedy(old: str, new: str, line: int, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        profile(old, new)
    assert str(error.value).startswith(f"g1.yaml:{line}: "), error.value
    assert words in str(error.value)


def test_names_listed_at_a_stream_are_those_of_others_too() -> None:
    numbers = "type: std_msgs/msg/Float32MultiArray, role: observation, rate_hz: 9, as: joint_state"
    text = (
        f"robot: r\nstreams:\n  a: {{topic: a, {numbers}, names: [x, y]}}\n"
        f"  b: {{topic: b, {numbers}, map: {{velocity: data, names: same_as a}}}}\n"
        f"  c: {{topic: c, {numbers}, names: same_as b}}\n"
    )
    a, b, c = parse_profile(text, "p").streams
    assert b.mapping is not None and c.mapping is not None
    assert a.joint_names == b.mapping.names == c.mapping.names == ("x", "y")


def test_plain_numbers_can_be_commands_of_joints() -> None:
    text = G1[: G1.index("  command:")] + (
        "  command: {topic: cmd, type: std_msgs/msg/Float64MultiArray, role: action, rate_hz: 50, "
        "as: joint_state, of: body, names: [a, b]}\n"
    )
    command = parse_profile(text, "p").streams[-1]
    assert command.joint_names == ("a", "b") and command.of == "body"
