"""What the synchronizer publishes, as bytes, without ROS: frames in both directions, the rest read back."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from robot_recorder.alignment.frames import Frame, FrameSample, SampleStatus
from robot_recorder.clocks.clock_model import ClockEstimate
from robot_recorder.clocks.source_clock import ClockSetting
from robot_recorder.messages.cdr import CdrReader
from robot_recorder.model.errors import DecodeError
from robot_recorder.model.streams import NS_PER_S

# header: stamp, empty frame_id; then index, complete, number of samples
_HEAD = struct.Struct("<iII4xQB3xI")
_STAMP = struct.Struct("<iI")
_SKEW = struct.Struct("<q")
_U32 = struct.Struct("<I")
_U8 = struct.Struct("<B")


def encode_frame(frame: Frame, names: Sequence[bytes]) -> bytes:
    """An AlignedFrame as little-endian CDR.

    Filling the generated message and serialising it takes ten times as long.

    Args:
        names: of the streams, as UTF-8 with a zero at the end.
    """
    sec, nanosec = divmod(frame.tick_ns, NS_PER_S)
    # Behind four bytes of encapsulation everything is aligned to its own size.
    parts = [b"\0\1\0\0", _HEAD.pack(sec, nanosec, 1, frame.index, frame.complete, len(names))]
    at = _HEAD.size
    for name, sample in zip(names, frame.samples, strict=True):
        sec, nanosec = divmod(sample.stamp_ns, NS_PER_S)
        head = _U32.pack(len(name)) + name + _U8.pack(sample.status)
        head += bytes(-(at + len(head)) % 4) + _STAMP.pack(sec, nanosec)
        head += bytes(-(at + len(head)) % 8) + _SKEW.pack(sample.skew_ns)
        parts.append(head)
        at += len(head)
        # Behind one another, each with its length: MISSING has one and the same empty array for two of them.
        for numbers in (sample.values, sample.window_skew_ns, sample.window_values):
            data = _U32.pack(numbers.size)
            at += len(data)
            if numbers.size:
                data += bytes(-at % 8) + numbers.tobytes()
                at += len(data) - _U32.size
            parts.append(data)
    return b"".join(parts)


def decode_frame(data: bytes) -> tuple[Frame, tuple[str, ...]]:
    """Read an AlignedFrame; returns the frame and its stream names.

    Raises:
        DecodeError: the bytes end early, a status does not exist, or a window does not fit its values.
    """
    try:
        return _decode_frame(CdrReader(data))
    except ValueError as error:
        raise DecodeError(f"not an AlignedFrame: {error}") from error


def _decode_frame(reader: CdrReader) -> tuple[Frame, tuple[str, ...]]:
    tick_ns = reader.stamp_ns()
    reader.skip_bytes()
    index = reader.i64()
    reader.u8()
    names, samples = [], []
    for _ in range(reader.u32()):
        names.append(reader.text())
        status = SampleStatus(reader.u8())
        stamp_ns = reader.stamp_ns()
        skew_ns = reader.i64()
        values = reader.double_sequence()
        window_skew = reader.long_sequence()
        window_values = reader.double_sequence()
        if len(window_skew):
            width = len(window_values) // len(window_skew)  # 0: a stream without values
            window_values = window_values.reshape(len(window_skew), width)
        samples.append(FrameSample(status, stamp_ns, skew_ns, values, window_skew, window_values))
    return Frame(index, tick_ns, tuple(samples)), tuple(names)


def decode_value_names(data: bytes) -> dict[str, tuple[str, ...]]:
    """Read a FrameLayout; returns of each stream the names of its values.

    Raises:
        DecodeError: the bytes end early.
    """
    reader = CdrReader(data)
    reader.stamp_ns()
    reader.skip_bytes()
    reader.f64()
    reader.skip_bytes()
    names = {}
    for _ in range(reader.u32()):
        stream = reader.text()
        for _ in range(4):  # topic, type, role, policy
            reader.skip_bytes()
        names[stream] = reader.texts()
    return names


def decode_clock_settings(data: bytes) -> list[tuple[str, ClockSetting]]:
    """Read ClockModels; returns the corrections that were applied, with their streams.

    Raises:
        DecodeError: the bytes end early.
    """
    reader = CdrReader(data)
    reader.stamp_ns()
    reader.skip_bytes()
    settings = []
    for _ in range(reader.u32()):
        stream, corrected, since_ns = reader.text(), reader.u8(), reader.stamp_ns()
        at_ns, offset_ns = reader.i64(), reader.i64()
        slope, offset_pm, drift_pm = reader.f64(), reader.f64(), reader.f64()
        seconds = reader.u32()
        reader.texts()
        if corrected and seconds:
            estimate = ClockEstimate(at_ns, offset_ns, slope, offset_pm, drift_pm, seconds)
            settings.append((stream, ClockSetting(since_ns, estimate)))
    return settings


def _walker(fields: str) -> Callable[[bytes], None]:
    """Reads a message field by field, to see whether it can be read.

    Args:
        fields: a letter each: ``h`` header, ``s`` string, ``b`` byte, ``q`` 64 bits, ``t`` time or duration.
    """

    def walk(data: bytes) -> None:
        reader = CdrReader(data)
        for field in fields:
            if field in "ht":
                reader.stamp_ns()
            if field in "hs":
                reader.skip_bytes()
            elif field == "b":
                reader.u8()
            elif field == "q":
                reader.i64()

    return walk


# What the recorder writes into bags beside the robot's streams, and how each message is read.
OWN_READERS: dict[str, Callable[[bytes], object]] = {
    "robot_recorder/msg/AlignedFrame": decode_frame,
    "robot_recorder/msg/FrameLayout": decode_value_names,
    "robot_recorder/msg/ClockModels": decode_clock_settings,
    "robot_recorder/msg/Label": _walker("hsbssssssbsstt"),
    "robot_recorder/msg/Task": _walker("hsss"),
    "robot_recorder/msg/Dropout": _walker("hsbqtt"),
}
