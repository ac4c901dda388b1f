"""Our reading of CDR against rclpy's own serialization, on random messages."""

from __future__ import annotations

import array

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_recorder.alignment.frame_messages import decode_frame, encode_frame
from robot_recorder.alignment.frames import (
    Frame,
    FrameColumn,
    Frames,
    FrameSample,
    SampleStatus,
    Window,
)
from robot_recorder.messages.cdr import CdrReader, header_stamp_ns
from robot_recorder.messages.decoders import decode_joint_state, decode_tactile
from robot_recorder.messages.kinds import KINDS
from robot_recorder.model.errors import DecodeError

serialize = pytest.importorskip("rclpy.serialization").serialize_message
deserialize = pytest.importorskip("rclpy.serialization").deserialize_message

number = st.floats(width=64, allow_nan=False)
single = st.floats(width=32, allow_nan=False)
name = st.text(st.characters(min_codepoint=32, max_codepoint=0x24F), max_size=12)
stamp = st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 999_999_999))


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


def test_the_table_is_right_about_which_types_have_a_header() -> None:
    from robot_recorder.messages.installed_types import message_class

    for type_name, kind in KINDS.items():
        fields = message_class(type_name).get_fields_and_field_types()
        assert kind.has_header == (next(iter(fields.values())) == "std_msgs/Header"), type_name


@settings(deadline=None)
@given(
    stamp,
    st.integers(0, 2**62),
    st.lists(
        st.tuples(name, st.lists(number, max_size=4), st.lists(st.integers(-9, 0), max_size=3)),
        max_size=4,
    ),
)
def test_frames_are_encoded_and_decoded_as_by_rclpy(at, index, streams) -> None:
    from robot_recorder.msg import AlignedFrame, StreamSample

    message = AlignedFrame(index=index, complete=True)
    message.header.stamp.sec, message.header.stamp.nanosec = at
    samples = []
    for stream, values, skews in streams:
        window = np.array([values] * len(skews), dtype=np.float64).reshape(len(skews), len(values))
        message.samples.append(
            StreamSample(
                stream=stream, status=1, skew_ns=-5, values=array.array("d", values),
                window_skew_ns=array.array("q", skews), window_values=array.array("d", window.ravel()),
            )
        )  # fmt: skip
        message.samples[-1].stamp.sec = 7
        samples.append(
            FrameSample(
                SampleStatus.INTERPOLATED, 7 * 10**9, -5, np.array(values, dtype=np.float64),
                np.array(skews, dtype=np.int64), window,
            )
        )  # fmt: skip
    theirs = bytes(serialize(message))
    frame = Frame(index, at[0] * 10**9 + at[1], tuple(samples))
    ours = encode_frame(frame, [s.encode() + b"\0" for s, *_ in streams])
    assert deserialize(ours, AlignedFrame) == message
    read, names = decode_frame(theirs)
    assert (read.index, read.tick_ns) == (index, frame.tick_ns)
    assert list(names) == [s for s, *_ in streams]
    for sample, (_, values, skews) in zip(read.samples, streams):
        assert (sample.status, sample.skew_ns) == (SampleStatus.INTERPOLATED, -5)
        assert (list(sample.values), list(sample.window_skew_ns)) == (values, skews)
        assert sample.window_values.tolist() == [values] * len(skews) if skews else True


@pytest.mark.parametrize("rows", [0, 1, 3])
@pytest.mark.parametrize("width", [0, 1, 4])
@pytest.mark.parametrize("window", [False, True])
def test_rclpy_reads_frames_of_every_status(rows: int, width: int, window: bool) -> None:
    """As made by the aligner, which uses one empty array in several places."""
    from robot_recorder.msg import AlignedFrame

    count = len(SampleStatus)
    names = [f"stream_{n}" for n in range(count + 1)]
    splits = np.arange(0, rows * count + 1, rows) if rows else np.zeros(count + 1, dtype=np.int64)
    total = rows * count
    part = Window(
        splits, np.arange(total) + 10**9, np.arange(total), np.ones((total, width)) * 0.5
    )  # fmt: skip
    values = np.arange(count * width, dtype=np.float64).reshape(count, width)
    rolled = [np.roll(np.arange(count, dtype=np.uint8), n) for n in range(count + 1)]
    columns = tuple(
        FrameColumn(
            status, np.where(status == SampleStatus.MISSING, 0, 10**9), np.full(count, -7),
            np.arange(count), values, part if window else None,
        )
        for status in rolled
    )  # fmt: skip
    ticks = np.arange(count) + 10**9
    for frame in Frames(np.arange(count), ticks, ticks, columns):
        data = encode_frame(frame, [n.encode() + b"\0" for n in names])
        read = deserialize(data, AlignedFrame)
        assert [s.stream for s in read.samples] == names
        again, _ = decode_frame(data)
        for sample, theirs, ours in zip(frame.samples, read.samples, again.samples, strict=True):
            assert theirs.status == ours.status == sample.status
            assert list(theirs.values) == ours.values.tolist() == sample.values.tolist()
            assert list(theirs.window_skew_ns) == sample.window_skew_ns.tolist()
            assert list(theirs.window_values) == sample.window_values.ravel().tolist()
            assert ours.window_values.ravel().tolist() == sample.window_values.ravel().tolist()


def test_an_invalid_frame_is_rejected() -> None:
    from robot_recorder.msg import AlignedFrame, StreamSample

    odd = array.array("d", [1.0, 2.0, 3.0])
    for sample in (
        StreamSample(status=9),
        StreamSample(window_skew_ns=array.array("q", [1, 2]), window_values=odd),
    ):
        data = bytes(serialize(AlignedFrame(samples=[sample])))
        with pytest.raises(DecodeError):
            decode_frame(data)
        with pytest.raises(DecodeError):
            decode_frame(data[:-1])


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200), st.booleans())
def test_random_bytes_are_rejected_without_a_crash(data: bytes, with_header: bool) -> None:
    data = b"\0\1\0\0" + data if with_header else data
    for kind in KINDS.values():
        if kind.decode is not None:
            try:
                decoded = kind.decode(data)
            except DecodeError:
                continue
            assert len(decoded.names) == len(decoded.values)


def test_big_endian_messages_are_decoded() -> None:
    reader = CdrReader(
        b"\0\0\0\0" + np.array([1, 2], ">u4").tobytes() + np.array([2.5], ">f8").tobytes()
    )
    assert (reader.u32(), reader.u32(), reader.doubles(1)[0]) == (1, 2, 2.5)
