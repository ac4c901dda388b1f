"""Encoded pictures keep stamp and frame of the raw ones, and are read by our own readers."""

from __future__ import annotations

import json
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.messages.cdr import header_frame_id, header_stamp_ns
from robot_recorder.messages.definition import parse_definition
from robot_recorder.messages.encoded import (
    VIDEO_DEFINITION,
    compressed_depth,
    compressed_image,
    compressed_video,
    encoding_note,
    recorded_profile,
    recorded_stream,
)
from robot_recorder.messages.image_messages import COMPRESSED, RAW, encoded_picture
from robot_recorder.messages.kinds import KINDS
from robot_recorder.messages.video_messages import VIDEO, video_packet
from robot_recorder.model.encode_settings import Codec, EncodeSettings
from robot_recorder.model.errors import DecodeError
from robot_recorder.model.streams import FrameClock, RobotProfile, Role, StreamConfig

STREAM = StreamConfig("head", "head/image", RAW, Role.OBSERVATION, 30.0)


def raw_head(sec: int, nanosec: int, frame: bytes, order: str) -> bytes:
    """Return the beginning of an Image message, up to its frame_id."""
    head = b"\0" + bytes([order == "<"]) + b"\0\0"
    return head + struct.pack(f"{order}iII", sec, nanosec, len(frame) + 1) + frame + b"\0"


@given(
    st.integers(-(2**31), 2**31 - 1),
    st.integers(0, 2**32 - 1),
    st.text(max_size=30).filter(lambda text: "\0" not in text),
    st.sampled_from("<>"),
    st.binary(max_size=50),
)
def test_stamp_and_frame_are_kept(
    sec: int, nanosec: int, frame: str, order: str, data: bytes
) -> None:
    raw = raw_head(sec, nanosec, frame.encode(), order)
    image = compressed_image(raw, "rgb8; jpeg compressed bgr8", data)
    depth = compressed_depth(raw, "16UC1", "rvl", data)
    video = compressed_video(raw, "h264", data)
    for message in (image, depth, video):
        assert header_stamp_ns(message) == header_stamp_ns(raw) == sec * 10**9 + nanosec
        assert header_frame_id(message) == frame
    assert encoded_picture(image).data == data and encoded_picture(image).encoding == "rgb8"
    found = encoded_picture(depth)
    assert (found.data, found.encoding, found.rvl, found.inverse) == (data, "16UC1", True, None)
    packet = video_packet(VIDEO, video)
    assert (packet.codec, packet.data) == ("h264", data)


def test_a_truncated_message_is_refused() -> None:
    whole = raw_head(1, 2, b"camera", "<")
    for end in range(len(whole)):
        with pytest.raises(DecodeError):
            compressed_image(whole[:end], "jpeg", b"")


def test_topics_are_those_of_image_transport() -> None:
    found = {}
    for codec in Codec:
        stream = recorded_stream(replace(STREAM, encode=EncodeSettings(codec)))
        found[codec.value] = stream.topic, stream.type
        assert stream.encode is None and stream.type in KINDS
    depth = ("head/image/compressedDepth", COMPRESSED)
    assert found == {
        "jpeg": ("head/image/compressed", COMPRESSED), "png16": depth, "rvl": depth,
        "h264": ("head/image/foxglove", VIDEO),
    }  # fmt: skip


def test_a_profile_is_as_its_bags_are() -> None:
    encoded = replace(STREAM, encode=EncodeSettings(Codec.JPEG))
    profile = RobotProfile("arm", FrameClock(30.0), 10**8, (encoded,), text="its text")
    recorded = recorded_profile(profile)
    assert recorded.streams == (recorded_stream(encoded),) and recorded.text == "its text"
    assert recorded_profile(recorded) == recorded
    assert recorded_profile(profile, raw=["head"]).streams == (STREAM,), "a bag of somebody else"


def test_the_note_names_what_the_pictures_were() -> None:
    stream = replace(STREAM, encode=EncodeSettings(Codec.H264, crf=20))
    topics = ("/a/head/image", "/a/head/image/foxglove")
    note = json.loads(encoding_note([(stream, *topics)], {"head": ["libx264"]})["encoded"])
    assert note == {
        "/a/head/image/foxglove": {
            "stream": "head", "topic": "/a/head/image", "type": RAW, "codec": "h264",
            "parameters": {"crf": 20, "keyframe_s": 0.5, "encoder": "auto"}, "encoders": ["libx264"],
        }
    }  # fmt: skip
    assert encoding_note([], {}) == {}


def test_the_shipped_definition_has_the_fields_that_are_written() -> None:
    shipped = parse_definition(VIDEO, VIDEO_DEFINITION)
    fields = [(f.name, f.type) for f in shipped.types["foxglove_msgs/CompressedVideo"]]
    assert fields == [
        ("timestamp", "builtin_interfaces/Time"), ("frame_id", "string"), ("data", "uint8"),
        ("format", "string"),
    ]  # fmt: skip
