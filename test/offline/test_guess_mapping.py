"""Mappings proposed for messages of vendors' types, and of random ones.

Holds also: field_values.py, guess_kinds.py, guess_imu.py, guess_joints.py, guess_names.py, guess_poses.py
Holds also: guess_touch.py, guess_roles.py, guess_data.py, guess_points.py, guessed_stream.py
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.vendor import (
    LOW_COMMAND,
    LOW_STATE,
    VECTORS,
    Make,
    low_command,
    low_state,
    messages_of,
    store_of,
)

from robot_recorder.configuration.profile import parse_profile
from robot_recorder.messages.kinds import stream_decoder
from robot_recorder.messages.stamps import StampReader
from robot_recorder.model.streams import RobotProfile
from robot_recorder.offline.guess import guess_profile
from robot_recorder.offline.guess_mapping import rest_text
from robot_recorder.offline.guess_touch import guessed_shape
from robot_recorder.offline.heard_topic import HeardTopic, summary_of

LINE = "=" * 80


def heard(
    topic: str, type_name: str, definition: str, make: Make, hz: float = 100, seconds: float = 2.0
) -> HeardTopic:
    messages = messages_of(type_name, definition, make, hz, seconds)
    times = [at for at, _ in messages]
    return HeardTopic(
        topic, type_name, definition, [d for _, d in messages], times, times, len(times)
    )


def guessed(*topics: HeardTopic, seconds: float = 2.0) -> tuple[RobotProfile, str]:
    """Return the profile that is guessed, and its text; every stream reads all its messages."""
    text = guess_profile("robot", [summary_of(topic) for topic in topics], seconds).text
    profile = parse_profile(text, "guess")
    by_name = {topic.name: topic for topic in topics}
    for stream in profile.streams:
        topic = by_name[stream.topic]
        decode = stream_decoder(stream, topic.definition)
        assert decode is not None
        for data in topic.messages:
            decode(data)
    return profile, text


def names(profile: RobotProfile, stream: str, topic: HeardTopic) -> tuple[str, ...]:
    """Return the names of a stream's values."""
    config = next(s for s in profile.streams if s.name == stream)
    decode = stream_decoder(config, topic.definition)
    assert decode is not None
    return decode(topic.messages[-1]).names


def test_a_humanoid_with_unnamed_motors_and_a_tick_is_mapped_whole() -> None:
    state = heard("/lowstate", "unitree_hg/msg/LowState", LOW_STATE, low_state, 200)
    command = heard("/lowcmd", "unitree_hg/msg/LowCmd", LOW_COMMAND, low_command)
    profile, text = guessed(state, command)
    streams = {s.name: s for s in profile.streams}
    assert set(streams) == {"lowstate", "lowstate_imu_state", "lowcmd"}
    assert "elements 29:35 of motor_state are always 0 and left out" in text
    assert "stamp: {field: tick, unit: ms, bits: 32}" in text, "although it began at 0 again"
    joints = names(profile, "lowstate", state)
    assert len(joints) == 87 and joints[0] == "position/joint_0 (rad)"
    assert streams["lowcmd"].of == "lowstate" and streams["lowcmd"].role.value == "action"
    commanded = names(profile, "lowcmd", command)
    assert "position/joint_28 (rad)" in commanded, "also joints that were not commanded just then"
    imu = streams["lowstate_imu_state"].mapping
    assert imu is not None and imu.wxyz, "w comes first: with it gravity points down"
    assert "not read: " in text and "crc" in text


def test_motors_that_the_robot_does_not_have_are_left_out_in_the_middle_too() -> None:
    def few(number: int, at: float) -> dict[str, Any]:
        motors = low_state(number, at)["motor_state"]
        return {
            "motor_state": [m if n not in (13, 14, 20, 21) else {} for n, m in enumerate(motors)]
        }

    topic = heard("/lowstate", "unitree_hg/msg/LowState", LOW_STATE, few)
    profile, text = guessed(topic)
    assert "motor_state[0:13, 15:20, 22:29].q" in text
    assert "joint_13," not in text and len(names(profile, "lowstate", topic)) == 75


@pytest.mark.parametrize("wxyz", [True, False])
def test_the_order_of_a_quaternion_is_told_by_gravity(wxyz: bool) -> None:
    text = "float32[4] quat\nfloat32[3] gyro\nfloat32[3] acc\n"

    def make(number: int, at: float) -> dict[str, Any]:
        half = math.radians(50)  # tilted about x, so that no number of it is near 1
        turn = [math.cos(half), math.sin(half), 0, 0]
        up = [0, 9.8 * math.sin(2 * half), 9.8 * math.cos(2 * half)]
        return {"quat": turn if wxyz else [*turn[1:], turn[0]], "gyro": [0, 0, 0.1], "acc": up}

    profile, written = guessed(heard("/imu", "acme/msg/Imu", text, make))
    mapping = profile.streams[0].mapping
    assert mapping is not None and mapping.wxyz == wxyz
    assert "gravity points down" in written


def test_numbers_named_x_y_z_are_put_together() -> None:
    text = "".join(f"float32 imu_{what}_{axis}\n" for what in ("acceleration", "angular_velocity")
                   for axis in "xyz")  # fmt: skip
    topic = heard("/base", "acme/msg/Base", text, lambda n, t: {"imu_acceleration_z": 9.8})
    profile, _ = guessed(topic)
    assert names(profile, "base", topic)[5] == "linear_acceleration/z (m/s^2)"
    text = "".join(f"float32 force_{what}{axis}\n" for what in "fm" for axis in "xyz")
    topic = heard("/wrist", "acme/msg/Sixforce", text, lambda n, t: {"force_mz": 0.5})
    profile, _ = guessed(topic)
    assert names(profile, "wrist", topic)[5] == "torque/z (N m)"


def test_joints_that_messages_name_or_number_keep_their_names() -> None:
    text = f"Motor[] status\n{LINE}\nMSG: acme/Motor\nuint16 name\nfloat32 pos\nfloat32 speed\n"
    numbered = heard("/arm/status", "acme/msg/Status", text, lambda n, t: {
        "status": [{"name": 11 + i, "pos": 0.1 * i} for i in range(3)]})  # fmt: skip
    profile, written = guessed(numbered)
    assert names(profile, "arm_status", numbered)[0] == "position/joint_11 (rad)"
    assert "give each number a name" in written
    text = "string[] joint_names\nfloat32[] joint_angles\nfloat32[] torque\n"
    named = heard("/hand", "acme/msg/Hand", text, lambda n, t: {
        "joint_names": ["thumb", "index"], "joint_angles": [-30.0, 40 + math.sin(t)], "torque": [1.0, 1.0]})  # fmt: skip
    profile, written = guessed(named)
    assert names(profile, "hand", named)[0] == "position/thumb (rad)"
    assert "unit: deg" in written and "suspected" in written, "40 is too much for rad"


def test_both_arms_of_one_message_become_streams_with_joints_of_their_own() -> None:
    text = f"Arm left\nArm right\n{LINE}\nMSG: acme/Arm\nfloat64[] q\nfloat64[] v\n"

    def make(number: int, at: float) -> dict[str, Any]:
        return {
            side: {"q": [math.sin(at)] * 7, "v": [math.cos(at)] * 7} for side in ("left", "right")
        }

    state, target = (heard(topic, "acme/msg/Arms", text, make) for topic in ("/state", "/target"))
    profile, _ = guessed(state, target)
    assert {s.name: s.of for s in profile.streams} == {
        "state_left": "", "state_right": "", "target_left": "state_left", "target_right": "state_right",
    }  # fmt: skip
    assert names(profile, "target_right", target)[0] == "position/right_0 (rad)"


def test_pads_of_a_hand_are_found_with_likely_shapes() -> None:
    text = "int16[9] thumb_tip_touch\nint16[112] palm_touch\nint16[6] temperature\n"
    topic = heard("/touch", "acme/msg/HandTouch", text, lambda n, t: {"palm_touch": [n % 9] * 112})
    profile, written = guessed(topic)
    assert len(names(profile, "touch", topic)) == 121
    assert "palm_touch: {normal: palm_touch, shape: [14, 8]}" in written
    assert [guessed_shape(n) for n in (9, 96, 80, 7, 22, 1, 0)] == [
        (3, 3), (12, 8), (10, 8), None, None, None, None,
    ]  # fmt: skip


def test_a_row_of_sensors_is_one_pad_and_named_sensors_are_pads() -> None:
    text = (
        f"Press[9] press_sensor_state\n{LINE}\nMSG: acme/Press\nfloat32[12] pressure\nuint32 lost\n"
    )
    topic = heard("/press", "acme/msg/Hand", text, lambda n, t: {})
    profile, _ = guessed(topic)
    assert names(profile, "press", topic)[-1] == "normal/8,11 (raw)"
    text = (
        f"Sensor[] sensors\n{LINE}\nMSG: acme/Sensor\nfloat64 time\nstring sensor_pos\n"
        f"Forces[] forces\n{LINE}\nMSG: acme/Forces\nfloat32 x\nfloat32 y\nfloat32 z\n"
    )
    topic = heard("/xTactile", "acme/msg/SensStream", text, lambda n, t: {
        "sensors": [{"time": 5 + t, "sensor_pos": p, "forces": [{"z": 1.0}] * 4} for p in "ab"]})  # fmt: skip
    profile, written = guessed(topic)
    assert len(names(profile, "xtactile", topic)) == 24
    assert 'field: "sensors[0].time", unit: s' in written and "pad: sensor_pos" in written


def test_bodies_that_may_be_absent_are_found_by_name() -> None:
    text = f"Body[] rigidbodies\n{LINE}\nMSG: acme/Body\nstring rigid_body_name\ngeometry_msgs/Pose pose\n{VECTORS}"

    def make(number: int, at: float) -> dict[str, Any]:
        every = ["head", "hand"][: 1 + number % 2]
        return {
            "rigidbodies": [
                {"rigid_body_name": n, "pose": {"orientation": {"w": 1.0}}} for n in every
            ]
        }

    topic = heard("/bodies", "acme/msg/Bodies", text, make)
    profile, _ = guessed(topic)
    assert len(names(profile, "bodies", topic)) == 14 and topic.count % 2 == 0


def test_plain_numbers_keep_the_names_of_their_fields() -> None:
    topic = heard("/gripper", "acme/msg/Gripper", "float32 width\nfloat32 grip\nuint32 seq\n",
                  lambda n, t: {"width": 0.05, "seq": n})  # fmt: skip
    profile, written = guessed(topic)
    assert names(profile, "gripper", topic) == ("width (?)", "grip (?)")
    assert "not read: seq" in written


def test_a_plain_array_of_commands_gets_the_names_of_the_joints_it_moves() -> None:
    text = "float64[] data\n"
    command = heard(
        "/arm/command", "acme/msg/Joints", "float32[] joint\n", lambda n, t: {"joint": [t, 1.0]}
    )
    profile, written = guessed(command)
    assert names(profile, "arm_command", command)[1] == "position/joint_1 (rad)"
    assert "is taken for the positions of joints" in written and text


def test_a_type_that_says_nothing_is_read_field_by_field() -> None:
    text = "string text\n"
    topic = heard("/words", "acme/msg/Words", text, lambda n, t: {"text": "hello"})
    written = guess_profile("robot", [summary_of(topic)], 2.0).text
    assert "as:" not in written and parse_profile(written, "guess")
    assert rest_text([f"f{n}" for n in range(9)]).endswith("f5 and 3 more") and not rest_text([])


def test_four_numbers_of_length_1_are_an_orientation_whatever_their_name() -> None:
    text = "uint64 timestamp\nfloat32[4] {}\nfloat32[4] delta_q_reset\nuint8 quat_reset_counter\n"

    def turned(name: str) -> Make:
        return lambda n, t: {name: [math.cos(t / 4), 0, 0, math.sin(t / 4)],
                             "delta_q_reset": [1.0, 0, 0, 0]}  # fmt: skip

    for name in ("q", "att"):
        topic = heard("/attitude", "acme/msg/Attitude", text.format(name), turned(name))
        profile, written = guessed(topic)
        assert len(profile.streams) == 1, written
        assert names(profile, "attitude", topic)[3] == "orientation/w (1)"
    joints = heard("/arm", "acme/msg/Arm", "float32[4] q\n", lambda n, t: {"q": [t, 1, 0.2, 0]})
    profile, _ = guessed(joints)
    assert names(profile, "arm", joints)[3] == "position/joint_3 (rad)"


@pytest.mark.parametrize("fields", ["geometry_msgs/Quaternion quaternion\n",
                                    "".join(f"float64 {axis}\n" for axis in "wxyz")])  # fmt: skip
def test_a_quaternion_beside_flags_is_an_orientation(fields: str) -> None:
    text = f"{fields}bool valid\nbool gps_used\n{VECTORS}"
    topic = heard("/ekf", "acme/msg/Ekf", text, lambda n, t: (
        {"quaternion": {"w": 1.0}} if "/" in fields else {"w": 1.0}))  # fmt: skip
    profile, written = guessed(topic)
    assert names(profile, "ekf", topic) == tuple(f"orientation/{axis} (1)" for axis in "xyzw")
    assert "not read: valid, gps_used" in written


def test_named_channels_of_numbers_are_pads_if_names_around_them_say_touch() -> None:
    channels = f"{LINE}\nMSG: acme/Channel\nstring name\nfloat32[] values\n"
    text = f"Channel[] sensors\n{channels}"

    def make(number: int, at: float) -> dict[str, Any]:
        return {"sensors": [{"name": f, "values": [0.1, 0.2, at]} for f in ("thumb", "palm")]}

    topic = heard("/tactile_states", "acme/msg/State", text, make)
    profile, written = guessed(topic)
    assert names(profile, "tactile_states", topic)[3] == "normal/palm/0 (raw)", written
    elsewhere = heard("/channels", "acme/msg/State", text, make)
    assert "tactile" not in guess_profile("robot", [summary_of(elsewhere)], 2.0).text


@pytest.mark.parametrize(("most", "unit"), [(1.5, ""), (80.0, "unit: deg")])
def test_elements_of_a_text_and_one_number_are_named_joints(most: float, unit: str) -> None:
    text = f"Angle[] ergonomics\nint32 count\n{LINE}\nMSG: acme/Angle\nstring type\nfloat32 value\n"
    fingers = ("ThumbSpread", "IndexStretch", "PinkyStretch")
    topic = heard("/glove", "acme/msg/Glove", text, lambda n, t: {
        "ergonomics": [{"type": f, "value": -most * math.sin(t)} for f in fingers]})  # fmt: skip
    profile, written = guessed(topic)
    assert names(profile, "glove", topic)[1] == "position/IndexStretch (rad)"
    assert unit in written and ("unit:" in written) == bool(unit)


def test_a_proposal_that_reads_nothing_is_named_with_its_fields() -> None:
    text = f"float32[3] q\ngeometry_msgs/Pose[] raw_sensor\n{VECTORS}"
    topic = heard("/glove", "acme/msg/Glove", text, lambda n, t: {"q": [t, 0, 0]})
    _, written = guessed(topic)
    assert "not read raw_sensor as poses: it has no values" in written


def test_commands_of_another_number_of_unnamed_joints_share_no_name_with_the_state() -> None:
    state = heard("/arm/state", "acme/msg/State", "float64[7] q\nfloat64[7] dq\n",
                  lambda n, t: {"q": [math.sin(t)] * 7, "dq": [1.0] * 7})  # fmt: skip
    command = heard("/arm/cmd", "acme/msg/Cmd", "float64[4] q\nfloat64[4] dq\n",
                    lambda n, t: {"q": [math.sin(t) / 3] * 4, "dq": [1.0] * 4})  # fmt: skip
    profile, written = guessed(state, command)
    (followed,) = (s.of for s in profile.streams if s.role.value == "action")
    assert not followed and names(profile, "arm_cmd", command)[0] == "position/cmd_0 (rad)"
    said = " ".join(written.replace("#", "").split())
    assert "4 joints, arm_state has 7" in said and "add of: arm_state" in said


GROUPS = f"{LINE}\nMSG: acme/Group\nstring group_name\nfloat64[] position\nfloat64[] velocity\n"


def test_joints_of_named_groups_are_named_after_them() -> None:
    def groups(*sizes: tuple[str, int]) -> Make:
        return lambda n, t: {"groups": [
            {"group_name": g, "position": [t] * size, "velocity": [1.0] * size}
            for g, size in sizes]}  # fmt: skip

    state = heard("/state", "acme/msg/State", f"Group[] groups\n{GROUPS}",
                  groups(("leg", 3), ("waist", 1), ("arm", 2)))  # fmt: skip
    command = heard("/cmd", "acme/msg/Cmd", f"Group[] groups\n{GROUPS}",
                    groups(("waist", 1), ("arm", 2)))  # fmt: skip
    profile, written = guessed(state, command)
    assert names(profile, "state", state)[2:5] == (
        "position/leg_2 (rad)", "position/waist (rad)", "position/arm_0 (rad)")  # fmt: skip
    assert names(profile, "cmd", command)[:2] == ("position/waist (rad)", "position/arm_0 (rad)")
    assert "of: state" in written and "same_as" not in written


def test_a_list_of_ids_beside_positions_numbers_the_joints() -> None:
    text = "uint16[] id_list\nfloat64[] position_deg\nfloat64[] current_ma\n"
    topic = heard("/servos", "acme/msg/Servos", text, lambda n, t: {
        "id_list": [11, 12, 21], "position_deg": [t, 1, 2]})  # fmt: skip
    profile, written = guessed(topic)
    assert names(profile, "servos", topic)[2] == "position/joint_21 (rad)"
    assert "give each number a name" in written


def test_values_that_mean_do_not_control_are_no_joints() -> None:
    def commanded(number: int, at: float) -> dict[str, Any]:
        stop = {"q": 2146000000.0, "dq": 16000.0}
        motors = [{"q": math.sin(at), "tau": 0.1} if n < 29 else stop for n in range(35)]
        return {"motor_cmd": motors}

    state = heard("/lowstate", "unitree_hg/msg/LowState", LOW_STATE, low_state, 200)
    command = heard("/lowcmd", "unitree_hg/msg/LowCmd", LOW_COMMAND, commanded)
    profile, written = guessed(state, command)
    assert "motor_cmd[0:29].q" in written and "unit:" not in written.replace("unit: ms", "")
    assert "of: lowstate" in written and "same_as lowstate" in written
    assert len(profile.streams) == 3


SERVOS = (
    f"Servos present\nServos goal\n{LINE}\nMSG: acme/Servos\n"
    "uint16[] id_list\nfloat64[] position_deg\nfloat64[] pos_trajectory_deg\n"
)


def test_a_group_called_goal_is_the_command_of_the_group_called_present() -> None:
    def make(number: int, at: float) -> dict[str, Any]:
        values = {"position_deg": [30 * math.sin(at), 1.0], "pos_trajectory_deg": [at, 1.0]}
        return {"present": {"id_list": [11, 12], **values},
                "goal": {"id_list": [11, 12], "position_deg": [1.0, 30.0]}}  # fmt: skip

    topic = heard("/servos", "acme/msg/State", SERVOS, make)
    profile, written = guessed(topic)
    streams = {s.name: s for s in profile.streams}
    assert streams["servos_goal_deg"].of == "servos_present_deg", written
    assert [s.name for s in profile.streams if s.role.value == "action"] == ["servos_goal_deg"]
    assert names(profile, "servos_goal_deg", topic)[0] == "position/joint_11 (rad)"


WANTED_POSE = (
    f"Pose goal\nPose present\n{LINE}\nMSG: acme/Pose\nPoint position\nQuaternion orientation\n"
    f"{LINE}\nMSG: acme/Point\nfloat64 x\nfloat64 y\nfloat64 z\n"
    f"{LINE}\nMSG: acme/Quaternion\nfloat64 x\nfloat64 y\nfloat64 z\nfloat64 w\n"
)


def test_a_wanted_pose_is_an_action_but_is_not_paired_as_joints_are() -> None:
    def make(number: int, at: float) -> dict[str, Any]:
        turn = {"x": 0.0, "y": 0.0, "z": math.sin(at / 2), "w": math.cos(at / 2)}
        pose = {"position": {"x": at, "y": 0.0, "z": 1.0}, "orientation": turn}
        return {"goal": pose, "present": pose}

    profile, written = guessed(heard("/tool", "acme/msg/Tool", WANTED_POSE, make))
    found = {s.name: (s.role.value, s.of) for s in profile.streams}
    assert sorted(found.values()) == [("action", ""), ("observation", "")], written


def test_a_topic_that_says_control_commands_the_device_that_has_a_state() -> None:
    text = "float32[] {}s\nfloat32[] actuator_currents\n"
    state = heard("/right/actuator_states", "acme/msg/A", text.format("actuation"),
                  lambda n, t: {"actuations": [t, 1, 2]})  # fmt: skip
    control = heard("/right/actuator_control", "acme/msg/B", text.format("actuation_position"),
                    lambda n, t: {"actuation_positions": [t, 1, 2]})  # fmt: skip
    profile, written = guessed(state, control)
    streams = {s.name: s for s in profile.streams}
    assert streams["right_actuator_control"].role.value == "action"
    assert streams["right_actuator_control"].of == "right_actuator_states", written
    alone, _ = guessed(control)
    assert alone.streams[0].role.value == "observation"


ARRAY = f"MultiArrayLayout layout\nfloat32[] data\n{LINE}\nMSG: std_msgs/MultiArrayLayout\n" + (
    "MultiArrayDimension[] dim\nuint32 data_offset\n"
    f"{LINE}\nMSG: std_msgs/MultiArrayDimension\nstring label\nuint32 size\nuint32 stride\n"
)


def plain(topic: str, *, count: int = 6, most: float = 1.0) -> HeardTopic:
    return heard(topic, "std_msgs/msg/Float32MultiArray", ARRAY,
                 lambda n, t: {"data": [most * math.sin(t)] * count})  # fmt: skip


@pytest.mark.parametrize(
    ("topic", "first"),
    [
        ("/hand/feedback/position", "position/joint_0 (rad)"),
        ("/hand/feedback/velocity", "velocity/joint_0 (rad/s)"),
        ("/hand/feedback/current", "effort/joint_0 (N m)"),
        ("/hand/feedback/touch", "normal/0,0 (raw)"),
        ("/hand/current_position", "position/joint_0 (rad)"),
        ("/foot_position", "data/0 (?)"),
        ("/hand/feedback/other", "data/0 (?)"),
    ],
)
def test_a_plain_array_is_what_its_topic_says(topic: str, first: str) -> None:
    array = plain(topic)
    profile, written = guessed(array)
    assert names(profile, profile.streams[0].name, array)[0] == first, written
    assert ("add names:" in written) == ("?" in first)


def test_a_command_of_numbers_follows_the_plain_array_of_positions() -> None:
    text = "uint8 reply_mode\nfloat32[] data\n"
    target = heard("/hand/target/position", "acme/msg/Digits", text,
                   lambda n, t: {"data": [80 * math.sin(t)] * 6})  # fmt: skip
    profile, written = guessed(
        plain("/hand/feedback/position", most=80), plain("/hand/feedback/velocity"), target
    )
    (followed,) = (s.of for s in profile.streams if s.role.value == "action")
    assert followed == "hand_feedback_position", written
    assert written.count("unit: deg") == 2


def scalars(*names: str) -> str:
    return "".join(f"float64 {name}\n" for name in names)


@pytest.mark.parametrize(
    ("fields", "stream", "first"),
    [
        (scalars("gfx", "gfy", "gfz", "gtx", "gty", "gtz", "friction"), "a", "force/x (N)"),
        (scalars("fx", "fy", "fz", "tx", "ty", "tz"), "a", "force/x (N)"),
        (scalars("vx", "vy", "vz", "wx", "wy", "wz"), "a", "linear/x (m/s)"),
        ("float32[3] velocity\nfloat32 yaw_speed\n", "a", "linear/x (m/s)"),
        ("float32[3] velocity\nfloat32[3] angular_velocity\n", "a", "linear/x (m/s)"),
        (scalars("x", "y", "z", "roll", "pitch", "yaw", "gripper"), "a", "position/x (m)"),
        (scalars("roll", "pitch", "yaw", "load"), "a", "rpy/roll (rad)"),
        (scalars("x", "y", "z", "roll", "pitch", "yaw", "gripper"), "a_gripper", "gripper (?)"),
        (scalars("x", "y", "z", "qx", "qy", "qz", "qw"), "a", "position/x (m)"),
        ("float32[12] foot_position_body\n", "a", "foot_position_body/0 (?)"),
        ("float64[12] contact_force\n", "a", "force/x (N)"),
        ("float64[12] contact_force\n", "a_contact_force_1", "force/x (N)"),
    ],
)
def test_numbers_of_space_are_told_by_their_names(fields: str, stream: str, first: str) -> None:
    topic = heard("/a", "acme/msg/A", fields, lambda n, t: {"qw": 1.0} if "qw" in fields else {})
    profile, written = guessed(topic)
    assert names(profile, stream, topic)[0] == first, written
    assert ("rpy: [roll, pitch, yaw]" in written) == ("roll" in fields)
    assert "joint_state" not in written.replace("make it as: joint_state", "")
    assert "tactile" not in written


def test_one_quaternion_serves_a_pose_and_an_imu() -> None:
    text = "".join(f"float64[{n}] {name}\n" for name, n in (
        ("quat_xyzw", 4), ("quat_wxyz", 4), ("omega_b", 3), ("acc_b", 3), ("pos_w", 3)))  # fmt: skip
    topic = heard("/base", "acme/msg/Base", text, lambda n, t: {
        "quat_xyzw": [0.0, 0, 0, 1], "quat_wxyz": [1.0, 0, 0, 0], "acc_b": [0, 0, 9.8]})  # fmt: skip
    profile, written = guessed(topic)
    assert written.count("orientation: quat_xyzw") == 2 and "order: wxyz" not in written
    assert len(names(profile, "base_b", topic)) == 10


def test_what_never_changes_is_said_and_not_required() -> None:
    text = "uint8 mode\nbool moving\nbool fault\n"
    _, written = guessed(heard("/status", "acme/msg/S", text, lambda n, t: {"mode": 3}))
    assert "required: false" in written and "never changed" in written
    _, written = guessed(heard("/status", "acme/msg/S", text, lambda n, t: {"mode": n % 2}))
    assert "required" not in written
    text = "int16[4] foot_force\nint16[4] foot_force_est\n"
    _, written = guessed(
        heard("/feet", "acme/msg/F", text, lambda n, t: {"foot_force": [n, 1, 1, 1]})
    )
    assert "always 0 so far: foot_force_est;" in written


def test_named_groups_with_seven_numbers_called_pose_are_bodies() -> None:
    text = (
        f"Group[] groups\nuint8 level\n{LINE}\nMSG: acme/Group\nstring group_name\nfloat64[] pose\n"
    )
    topic = heard("/cartesian", "acme/msg/C", text, lambda n, t: {
        "groups": [{"group_name": g, "pose": [t, 0, 0, 0, 0, 0, 1.0]} for g in "ab"]})  # fmt: skip
    profile, written = guessed(topic)
    assert names(profile, "cartesian", topic)[7] == "position/b/x (m)", written
    assert "order: xyzw" in written


def test_values_beside_texts_that_say_position_are_those_of_the_joints() -> None:
    text = (f"string[] joint_names\nValue[] interface_values\n{LINE}\nMSG: acme/Value\n"
            "string[] interface_names\nfloat64[] values\n")  # fmt: skip
    orders = (["effort", "position"], ["position", "effort"], ["force.x", "force.y", "force.z"])
    topic = heard("/dynamic", "acme/msg/D", text, lambda n, t: {
        "joint_names": ["a", "b", "wrist_sensor"], "interface_values": [
            {"interface_names": order, "values": [float(len(w)) for w in order]}
            for order in orders]})  # fmt: skip
    profile, written = guessed(topic)
    assert set(names(profile, "dynamic", topic)) == {
        f"{what}/{joint} ({unit})" for what, unit in (("position", "rad"), ("effort", "N m"))
        for joint in "ab"}, written  # fmt: skip
    decode = stream_decoder(profile.streams[0], text)
    assert decode is not None and sorted(decode(topic.messages[0]).values) == [6, 6, 8, 8]
    assert list(decode(topic.messages[0]).values[:2]) in ([8, 8], [6, 6]), "each order its own"


_KINDS = ["float32", "float64", "uint8", "int16", "uint32", "int64", "bool", "string"]
_NAMES = ["q", "position", "dq", "tau", "quaternion", "gyroscope", "accelerometer", "pressure", "touch",
          "forces", "name", "id", "tick", "stamp", "pose", "wrench", "linear", "angular", "torque", "force",
          "velocity", "data", "joint_pos", "x", "y", "z", "w", "gyro_x", "gyro_y", "gyro_z", "qw", "qx",
          "qy", "qz", "roll", "pitch", "yaw", "fx", "fy", "fz", "tx", "ty", "tz", "contact_force", "gripper",
          "goal", "present", "value", "foot_pos"]  # fmt: skip


@st.composite
def definitions(draw: st.DrawFn) -> str:
    """Definitions with the names that mean something, of any type and nested."""
    array = st.sampled_from(["", "[]", "[3]", "[4]", "[6]", "[2]", "[12]"])

    def fields(more: list[str], most: int) -> str:
        chosen = draw(st.lists(st.sampled_from(_NAMES), unique=True, min_size=1, max_size=most))
        kinds = st.sampled_from([*_KINDS, *more])
        return "".join(f"{draw(kinds)}{draw(array)} {name}\n" for name in chosen)

    inner = fields([], 6)
    middle = fields(["Inner", "geometry_msgs/Pose"], 5)
    top = fields(["Inner", "Middle", "geometry_msgs/Wrench", "builtin_interfaces/Time"], 8)
    return (
        f"{top}{LINE}\nMSG: own_msgs/Middle\n{middle}{LINE}\nMSG: own_msgs/Inner\n{inner}"
        f"{LINE}\nMSG: geometry_msgs/Wrench\nVector3 force\nVector3 torque\n{VECTORS}"
    )


def random_message(store: Any, name: str, rng: np.random.Generator) -> Any:
    """Return a message with any content, such as drivers send that have read nothing yet."""
    from rosbags.interfaces import Nodetype

    def value(node: Any) -> Any:
        kind, content = node
        if kind is Nodetype.BASE:
            base = content[0]
            if base == "string":
                return str(rng.choice(["", "a", "left", "ä"]))
            if base == "bool":
                return bool(rng.integers(2))
            if base.startswith("float"):
                return float(rng.choice([0.0, 1.0, -0.5, 9.8, 400.0, np.nan, np.inf, 1e30]))
            return int(rng.integers(0, 100))
        if kind is Nodetype.NAME:
            return random_message(store, content, rng)
        inner, size = content
        count = size if kind is Nodetype.ARRAY else int(rng.integers(0, 4))
        many = [value(inner) for _ in range(count)]
        if inner[0] is Nodetype.BASE and inner[1][0] != "string":
            return np.array(many, dtype=inner[1][0])
        return many

    return store.types[name](**{f: value(node) for f, node in store.fielddefs[name][1]})


@settings(deadline=None, max_examples=120)
@given(definitions(), st.integers(0, 2**32 - 1), st.integers(0, 12))
def test_any_definition_and_any_messages_give_a_profile_that_reads_them(
    text: str, seed: int, count: int
) -> None:
    name = "own_msgs/msg/Top"
    store, rng = store_of(name, text), np.random.default_rng(seed)
    data = [
        bytes(store.serialize_cdr(random_message(store, name, rng), name)) for _ in range(count)
    ]
    times = [10**18 + n * 10**8 for n in range(count)]
    topic = HeardTopic("/any", name, text, data, times, times, count)
    summary = replace(summary_of(topic), count=12, times=None)
    written = guess_profile("robot", [summary], 1.2).text
    for stream in parse_profile(written, "guess").streams:
        assert StampReader(stream, False, text).text
        if stream.mapping is not None:
            decode = stream_decoder(stream, text)
            assert decode is not None
            for message in data:
                decode(message)
