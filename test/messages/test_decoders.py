"""Decoders against rclpy's own serialization, on random messages."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.wire import name, number, stamp

from robot_recorder.messages.cdr import header_stamp_ns
from robot_recorder.messages.decoders import decode_joint_state, decode_tactile
from robot_recorder.messages.kinds import KINDS

serialize = pytest.importorskip("rclpy.serialization").serialize_message

single = st.floats(width=32, allow_nan=False)


def fill_header(message, frame_id: str, at: tuple[int, int]) -> None:
    message.header.frame_id = frame_id
    message.header.stamp.sec, message.header.stamp.nanosec = at


@settings(deadline=None)
@given(name, stamp, st.lists(name, max_size=6, unique=True), st.data())
def test_joint_states_are_decoded(frame_id, at, joints, data) -> None:
    from sensor_msgs.msg import JointState

    fields = {}
    for field in ("position", "velocity", "effort"):
        filled = data.draw(st.booleans())
        fields[field] = (
            data.draw(st.lists(number, min_size=len(joints), max_size=len(joints)))
            if filled
            else []
        )
    message = JointState(name=joints, **fields)
    fill_header(message, frame_id, at)
    raw = bytes(serialize(message))
    decoded = decode_joint_state(raw)
    expected = [
        (f"{field}/{joint} ({unit})", value)
        for field, unit in (("position", "rad"), ("velocity", "rad/s"), ("effort", "N m"))
        for joint, value in zip(joints, fields[field])
    ]
    assert list(zip(decoded.names, decoded.values)) == expected
    assert header_stamp_ns(raw) == at[0] * 10**9 + at[1]


@settings(deadline=None)
@given(name, stamp, st.integers(0, 4), st.integers(0, 4), st.booleans(), st.booleans(), st.data())
def test_tactile_arrays_are_decoded(frame_id, at, rows, cols, shear, named, data) -> None:
    from robot_recorder.msg import TactileArray

    count = rows * cols
    normal = data.draw(st.lists(single, min_size=count, max_size=count))
    sideways = data.draw(st.lists(single, min_size=2 * count, max_size=2 * count)) if shear else []
    message = TactileArray(rows=rows, cols=cols, normal=normal, shear=sideways)
    if named:
        message.rows = message.cols = 0
        message.taxel_names = [f"t{i}" for i in range(count)]
    fill_header(message, frame_id, at)
    decoded = decode_tactile(bytes(serialize(message)))
    assert list(decoded.values) == normal + sideways
    assert len(decoded.names) == len(set(decoded.names)) == len(decoded.values)
    assert all(n.endswith("(Pa)") for n in decoded.names)


@settings(deadline=None)
@given(name, stamp, st.lists(number, min_size=10, max_size=10))
def test_types_of_fixed_size_are_decoded(frame_id, at, v) -> None:
    from geometry_msgs.msg import PoseStamped, TransformStamped, WrenchStamped
    from sensor_msgs.msg import Imu

    wrench, imu, pose, transform = WrenchStamped(), Imu(), PoseStamped(), TransformStamped()
    for vector, values in (
        (wrench.wrench.force, v[:3]), (wrench.wrench.torque, v[3:6]),
        (imu.angular_velocity, v[4:7]), (imu.linear_acceleration, v[7:]),
        (pose.pose.position, v[:3]), (transform.transform.translation, v[:3]),
    ):  # fmt: skip
        vector.x, vector.y, vector.z = values
    for q, values in (
        (imu.orientation, v[:4]), (pose.pose.orientation, v[3:7]),
        (transform.transform.rotation, v[3:7]),
    ):  # fmt: skip
        q.x, q.y, q.z, q.w = values
    imu.orientation_covariance = imu.angular_velocity_covariance = [7.0] * 9
    transform.child_frame_id = frame_id * 2
    for message, expected in ((wrench, v[:6]), (imu, v), (pose, v[:7]), (transform, v[:7])):
        fill_header(message, frame_id, at)
        package = type(message).__module__.split(".")[0]
        kind = KINDS[f"{package}/msg/{type(message).__name__}"]
        assert kind.decode is not None
        decoded = kind.decode(bytes(serialize(message)))
        assert list(decoded.values) == expected
        assert len(decoded.names) == len(expected)
