"""Encode and decode the synchronizer's messages without ROS."""

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
_LAST_STATUS = max(SampleStatus)


def encode_frame(frame: Frame, names: Sequence[bytes]) -> bytes:
    """Encode an AlignedFrame as little-endian CDR.

    It takes a tenth of the time of filling and serialising the generated message.

    Args:
        frame: the frame.
        names: of the streams, as UTF-8 with a terminating zero.
    """
    sec, nanosec = divmod(frame.tick_ns, NS_PER_S)
    # Alignment counts from behind the four bytes of encapsulation.
    parts = [b"\0\1\0\0", _HEAD.pack(sec, nanosec, 1, frame.index, frame.complete, len(names))]
    at = _HEAD.size
    for name, sample in zip(names, frame.samples, strict=True):
        sec, nanosec = divmod(sample.stamp_ns, NS_PER_S)
        head = _U32.pack(len(name)) + name + _U8.pack(sample.status)
        head += bytes(-(at + len(head)) % 4) + _STAMP.pack(sec, nanosec)
        head += bytes(-(at + len(head)) % 8) + _SKEW.pack(sample.skew_ns)
        parts.append(head)
        at += len(head)
        # Three sequences, each with its length; the arrays of a MISSING sample are empty.
        for numbers in (sample.values, sample.window_skew_ns, sample.window_values):
            data = _U32.pack(numbers.size)
            at += len(data)
            if numbers.size:
                data += bytes(-at % 8) + numbers.tobytes()
                at += len(data) - _U32.size
            parts.append(data)
    return b"".join(parts)


def decode_frame(data: bytes) -> tuple[Frame, tuple[str, ...]]:
    """Decode an AlignedFrame to the frame and its stream names.

    Raises:
        DecodeError: the bytes end early, a status is invalid, or a window does not fit its values.
    """
    try:
        return _decode_frame(CdrReader(data))
    except ValueError as error:
        raise DecodeError(f"not an AlignedFrame: {error}") from error


class FrameScan:
    """Reads tick, statuses and skews of AlignedFrames of known streams, a tenth of ``decode_frame``'s work.

    What does not look like the messages of ``encode_frame`` is left to ``decode_frame``.
    """

    def __init__(self, names: Sequence[str]) -> None:
        """Expect frames of these streams, in this order."""
        self._names = tuple(names)
        encoded = [name.encode() + b"\0" for name in names]
        self._streams = [(_U32.pack(len(name)) + name, 4 + len(name)) for name in encoded]

    def read(self, data: bytes) -> tuple[int, list[int], list[int]]:
        """Return a frame's tick, ns, and by stream the status and the skew, ns.

        Raises:
            DecodeError: as ``decode_frame``, or the frame is made of other streams.
        """
        try:
            found = self._scan(data)
        except (struct.error, IndexError):  # the message ends
            found = None
        if found is not None:
            return found
        frame, names = decode_frame(data)
        if names != self._names:
            raise DecodeError(f"made of {', '.join(names) or 'no streams'}")
        samples = frame.samples
        return frame.tick_ns, [int(s.status) for s in samples], [s.skew_ns for s in samples]

    def _scan(self, data: bytes) -> tuple[int, list[int], list[int]] | None:
        """Return what ``read`` does; None: it is not as expected. Sizes are as in ``encode_frame``."""
        sec, nanosec, id_size, _, _, count = _HEAD.unpack_from(data, 4)
        if data[:4] != b"\0\1\0\0" or id_size != 1 or count != len(self._streams):
            return None
        at, statuses, skews = 4 + _HEAD.size, [], []
        for name, size in self._streams:
            if not data.startswith(name, at):
                return None
            statuses.append(data[at + size])
            at += size + 1
            at += -at % 4 + _STAMP.size
            at += (4 - at) % 8
            skews.append(_SKEW.unpack_from(data, at)[0])
            at += _SKEW.size
            sizes = []
            for _ in range(3):
                (numbers,) = _U32.unpack_from(data, at)
                at += _U32.size
                if numbers:
                    at += (4 - at) % 8 + 8 * numbers
                sizes.append(numbers)
            if sizes[1] and sizes[2] % sizes[1]:
                return None
        if at > len(data) or max(statuses, default=0) > _LAST_STATUS:
            return None
        return sec * NS_PER_S + nanosec, statuses, skews


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
            width = len(window_values) // len(window_skew)  # 0 for a stream without values
            window_values = window_values.reshape(len(window_skew), width)
        samples.append(FrameSample(status, stamp_ns, skew_ns, values, window_skew, window_values))
    return Frame(index, tick_ns, tuple(samples)), tuple(names)


def decode_value_names(data: bytes) -> dict[str, tuple[str, ...]]:
    """Decode the value names by stream from a FrameLayout.

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
    """Decode the applied clock corrections, with their streams, from ClockModels.

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
    """Return a function that reads a message field by field, to check that it is valid.

    Args:
        fields: one letter per field: ``h`` header, ``s`` string, ``b`` byte, ``q`` 64 bits, ``t``
            time or duration.
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


# Types that the recorder itself writes into bags, with functions that read or check a message.
OWN_READERS: dict[str, Callable[[bytes], object]] = {
    "robot_recorder/msg/AlignedFrame": decode_frame,
    "robot_recorder/msg/FrameLayout": decode_value_names,
    "robot_recorder/msg/ClockModels": decode_clock_settings,
    "robot_recorder/msg/Label": _walker("hsbssssssbsstt"),
    "robot_recorder/msg/Task": _walker("hsss"),
    "robot_recorder/msg/Dropout": _walker("hsbqtt"),
}
