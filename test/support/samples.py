"""Messages as bytes, and bags made of them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from robot_recorder.alignment.frame_messages import encode_frame
from robot_recorder.alignment.frames import NO_FLOATS, NO_INTS, Frame, FrameSample, SampleStatus
from robot_recorder.bags.writer import BagWriter
from robot_recorder.model.qos import OfferedQos
from robot_recorder.model.topics import BagTopic, Channel, Sample

WRENCH = "geometry_msgs/msg/WrenchStamped"
T0 = 1_700_000_000_000_000_000


def wrench(
    stamp_ns: int, values: tuple[float, ...] = (1, 2, 3, 4, 5, 6), frame_id: str = ""
) -> bytes:
    """Return a WrenchStamped as little-endian CDR."""
    text = frame_id.encode() + b"\0"
    head = struct.pack("<iII", stamp_ns // 10**9, stamp_ns % 10**9, len(text)) + text
    head += b"\0" * (-len(head) % 8)
    return b"\0\1\0\0" + head + np.array(values, "<f8").tobytes()


def frame(
    tick_ns: int, name: bytes = b"wrench\0", status: SampleStatus = SampleStatus.FRESH
) -> bytes:
    """Return an AlignedFrame of one stream without values, at 10 Hz."""
    sample = FrameSample(status, tick_ns, 0, NO_FLOATS, NO_INTS, NO_FLOATS)
    return encode_frame(Frame(tick_ns // 100_000_000, tick_ns, (sample,)), [name])


def joint_state(
    stamp_ns: int,
    names: Sequence[str],
    position: Sequence[float],
    velocity: Sequence[float] = (),
    effort: Sequence[float] = (),
) -> bytes:
    """Return a JointState as little-endian CDR."""
    data = struct.pack("<iII", stamp_ns // 10**9, stamp_ns % 10**9, 1) + b"\0"

    def grow(size: int, more: bytes) -> bytes:
        return data + b"\0" * (-len(data) % size) + more

    data = grow(4, struct.pack("<I", len(names)))
    for name in names:
        text = name.encode() + b"\0"
        data = grow(4, struct.pack("<I", len(text)) + text)
    for numbers in (position, velocity, effort):
        data = grow(4, struct.pack("<I", len(numbers)))
        if len(numbers):
            data = grow(8, np.array(numbers, "<f8").tobytes())
    return b"\0\1\0\0" + data


def wrench_topic(name: str = "/wrist/wrench") -> BagTopic:
    """Return a topic as the ingest describes it."""
    definition = "std_msgs/Header header\ngeometry_msgs/Wrench wrench\n"
    return BagTopic(name, WRENCH, (OfferedQos(),), "RIHS01_" + "0" * 64, definition)


def write_bag(writer: BagWriter, path: Path, messages: list[tuple[str, bytes, int]]) -> None:
    """Write a closed bag with these (topic, data, receive_ns)."""
    writer.open(path, {"who": "test"})
    write_messages(writer, messages)
    writer.close()


def write_messages(writer: BagWriter, messages: list[tuple[str, bytes, int]]) -> None:
    """Write these (topic, data, receive_ns), stamped a microsecond before their receipt."""
    channels = {topic: Channel(wrench_topic(topic)) for topic in sorted({m[0] for m in messages})}
    for channel in channels.values():
        writer.add_topic(channel)
    writer.write([Sample(channels[t], data, at, at - 1000) for t, data, at in messages])
