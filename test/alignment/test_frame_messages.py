"""Frames as messages, against rclpy's own serialization."""

from __future__ import annotations

import array

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.wire import name, number, stamp

from robot_recorder.alignment.frame_messages import (
    FrameScan,
    decode_frame,
    encode_frame,
    encode_frames,
)
from robot_recorder.alignment.frames import (
    Frame,
    FrameColumn,
    Frames,
    FrameSample,
    SampleStatus,
    Window,
)
from robot_recorder.model.errors import DecodeError

serialize = pytest.importorskip("rclpy.serialization").serialize_message
deserialize = pytest.importorskip("rclpy.serialization").deserialize_message


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


@given(
    st.integers(0, 2**32 - 1), st.integers(0, 5), st.integers(0, 8), st.booleans(), st.booleans()
)
@settings(max_examples=200)
def test_many_frames_are_encoded_as_each_by_itself(
    seed: int, streams: int, count: int, some_missing: bool, windows: bool
) -> None:
    rng = np.random.default_rng(seed)
    names = tuple(b"abcdefgh"[: n + 1] + b"\0" for n in rng.integers(0, 8, streams).tolist())
    columns = []
    for _ in names:
        status = rng.integers(0, 4, count) if some_missing else np.full(count, rng.integers(0, 4))
        missing = status == SampleStatus.MISSING
        width = int(rng.integers(0, 5))
        values = rng.choice([0.0, -0.0, np.nan, np.inf, 1e-300, -2.5], (count, 2 * width))[:, ::2]
        splits = np.sort(rng.integers(0, 3, count + 1))
        window = Window(splits, np.arange(3) + 10**9, np.arange(3), np.ones((3, width)))
        columns.append(
            FrameColumn(
                status.astype(np.uint8), np.where(missing, 0, rng.integers(0, 2**60, count)),
                np.where(missing, 0, rng.integers(-(2**40), 2**40, count)), np.arange(count), values,
                window if windows and rng.integers(2) else None,
            )
        )  # fmt: skip
    ticks = rng.integers(0, 2**60, count)
    frames = Frames(rng.integers(0, 2**61, count), ticks, ticks, tuple(columns))
    assert encode_frames(frames, names) == [encode_frame(frame, names) for frame in frames]


def test_a_time_that_fits_no_message_is_not_written_as_another() -> None:
    late = np.array([2**31 * 10**9])
    column = FrameColumn(np.zeros(1, np.uint8), late, late, late, np.zeros((1, 1)))
    for frames in (Frames(late, late, late, ()), Frames(late, late - 1, late, (column,))):
        with pytest.raises(ValueError, match="a time lies outside"):
            encode_frames(frames, (b"a\0",) * len(frames.columns))


def scanned(data: bytes, names: tuple[str, ...]) -> object:
    try:
        return FrameScan(names).read(data)
    except DecodeError:
        return None


def decoded(data: bytes, names: tuple[str, ...]) -> object:
    try:
        frame, found = decode_frame(data)
    except DecodeError:
        return None
    samples = frame.samples
    figures = frame.tick_ns, [s.status for s in samples], [s.skew_ns for s in samples]
    return figures if found == names else None


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(0, 3), st.integers(0, 20))
@settings(max_examples=200)
def test_a_scan_finds_what_decoding_finds_also_in_damaged_messages(
    seed: int, streams: int, rows: int, flips: int
) -> None:
    rng = np.random.default_rng(seed)
    names = tuple("abcdefgh"[: n + 1] for n in range(streams))
    samples = []
    for _ in names:
        count = int(rng.integers(0, rows + 1))
        numbers = np.ones(int(rng.integers(0, 5)))
        skews, window = np.arange(count), np.ones((count, numbers.size))
        status, skew = SampleStatus(int(rng.integers(4))), int(rng.integers(-(10**9), 10**9))
        samples.append(FrameSample(status, 10**18, skew, numbers, skews, window))
    frame = Frame(7, 10**18 + seed, tuple(samples))
    data = bytearray(encode_frame(frame, [n.encode() + b"\0" for n in names]))
    whole = [s.status for s in samples], [s.skew_ns for s in samples]
    assert scanned(bytes(data), names) == (frame.tick_ns, *whole)
    assert scanned(bytes(data), names[1:]) is None, "made of other streams"
    for at in rng.integers(0, len(data), flips).tolist():
        data[at] ^= 1 << int(rng.integers(8))
    damaged = bytes(data[: len(data) - int(rng.integers(0, 3)) * flips])
    assert scanned(damaged, names) == decoded(damaged, names)


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
