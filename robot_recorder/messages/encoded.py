"""Encoded pictures as messages: their topics and types, and the bytes of each message.

Topics are named as image_transport and its plugins name them, so that its subscribers, rviz and
Foxglove find them. Sources: compressed_image_transport, codec.cpp of compressed_depth_image_transport,
foxglove_compressed_video_transport, foxglove_msgs/msg/CompressedVideo.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from robot_recorder.messages.cdr import CdrReader
from robot_recorder.messages.image_messages import COMPRESSED, RAW
from robot_recorder.messages.video_messages import VIDEO
from robot_recorder.model.encode_settings import Codec
from robot_recorder.model.streams import RobotProfile, StreamConfig

# By codec: what is added to the topic, and the type of the messages.
_RECORDED = {
    Codec.JPEG: ("/compressed", COMPRESSED),
    Codec.PNG16: ("/compressedDepth", COMPRESSED),
    Codec.RVL: ("/compressedDepth", COMPRESSED),
    Codec.H264: ("/foxglove", VIDEO),
}

# Written into bags where foxglove_msgs is not installed, without the comments of the original.
VIDEO_DEFINITION = """\
builtin_interfaces/Time timestamp
string frame_id
uint8[] data
string format

================================================================================
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec
"""


def recorded_topic(topic: str, codec: Codec) -> str:
    """Return the topic that encoded pictures of a topic are recorded on."""
    return topic + _RECORDED[codec][0]


def recorded_stream(stream: StreamConfig) -> StreamConfig:
    """Return a stream as it is in bags: with the topic and the type of its encoded pictures."""
    if stream.encode is None:
        return stream
    codec = stream.encode.codec
    topic = recorded_topic(stream.topic, codec)
    return replace(stream, topic=topic, type=_RECORDED[codec][1], encode=None)


def recorded_profile(profile: RobotProfile, raw: Collection[str] = ()) -> RobotProfile:
    """Return a profile whose streams are as they are in bags; it keeps its text.

    Args:
        profile: as it was read.
        raw: names of streams whose pictures a bag has as they were sent.
    """
    streams = (
        replace(s, encode=None) if s.name in raw else recorded_stream(s) for s in profile.streams
    )
    return replace(profile, streams=tuple(streams))


def encoding_note(
    streams: Iterable[tuple[StreamConfig, str, str]], encoders: Mapping[str, list[str]]
) -> dict[str, str]:
    """Return the custom_data entry that says what the encoded topics of a bag were encoded from.

    Args:
        streams: the encoded streams, as received, with their topics, fully qualified: as received,
            and as recorded.
        encoders: names of the encoders that were used, by stream name; empty: none has begun yet.
    """
    note = {
        recorded: {
            "stream": stream.name, "topic": topic, "type": RAW, "codec": stream.encode.codec.value,
            "parameters": stream.encode.parameters, "encoders": encoders.get(stream.name, []),
        }
        for stream, topic, recorded in streams if stream.encode is not None
    }  # fmt: skip
    return {"encoded": json.dumps(note)} if note else {}


def compressed_image(raw: bytes, format: str, data: bytes) -> bytes:
    """Return a CompressedImage with the header of a raw Image.

    Args:
        raw: the Image message, CDR.
        format: of the data, as image_transport writes it.
        data: the picture.

    Raises:
        DecodeError: the raw message is truncated.
    """
    body = _padded(_padded(_head(raw)) + _text(format))
    return b"".join((b"\0\1\0\0", body, struct.pack("<I", len(data)), data))


def compressed_depth(raw: bytes, encoding: str, how: str, data: bytes) -> bytes:
    """Return a CompressedImage of depths, as the compressedDepth transport sends them.

    Args:
        raw: the Image message, CDR.
        encoding: its encoding, of 16 bits.
        how: ``png`` or ``rvl``.
        data: the picture.

    Raises:
        DecodeError: the raw message is truncated.
    """
    config = struct.pack("<iff", 0, 0.0, 0.0)  # pixels of 16 bits are stored as they are
    return compressed_image(raw, f"{encoding}; compressedDepth {how}", config + data)


def compressed_video(raw: bytes, format: str, data: bytes) -> bytes:
    """Return a CompressedVideo with stamp and frame of a raw Image.

    Args:
        raw: the Image message, CDR.
        format: such as ``h264``.
        data: all packets of the picture.

    Raises:
        DecodeError: the raw message is truncated.
    """
    head = _padded(_head(raw)) + struct.pack("<I", len(data))
    body = head + data
    return b"".join((b"\0\1\0\0", _padded(body), _text(format)))


def _head(raw: bytes) -> bytes:
    """Return stamp and frame_id of a message, little endian, bytes unchanged."""
    reader = CdrReader(raw)
    reader.stamp_ns()
    frame = bytes(reader.raw())
    sec, nanosec = struct.unpack_from("<iI" if raw[1] & 1 else ">iI", raw, 4)
    return struct.pack("<iII", sec, nanosec, len(frame)) + frame


def _text(value: str) -> bytes:
    data = value.encode() + b"\0"
    return struct.pack("<I", len(data)) + data


def _padded(body: bytes) -> bytes:
    """Return a body that ends where a number of four bytes may begin."""
    return body + bytes(-len(body) % 4)
