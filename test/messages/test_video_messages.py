"""Packets of video in messages, and their key frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.pictures import compressed
from support.videos import CODECS, encoded, message, moving, packet, video

from robot_recorder.messages.cdr import header_frame_id, header_stamp_ns
from robot_recorder.messages.image_messages import COMPRESSED, RAW
from robot_recorder.messages.video_messages import FFMPEG, VIDEO, is_video, video_packet
from robot_recorder.model.errors import DecodeError

OWN = {"h264": "h264", "h265": "hevc", "av1": "av1", "vp9": "vp9"}


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("type_name", [VIDEO, FFMPEG, COMPRESSED])
def test_key_frames_are_those_of_the_encoder(codec: str, type_name: str) -> None:
    data = encoded(moving(25), codec, gop=10)
    found = [video_packet(type_name, message(type_name, part, codec)) for part in data]
    assert [p.data for p in found] == data and {p.codec for p in found} == {OWN[codec]}
    assert [n for n, p in enumerate(found) if p.is_key] == [0, 10, 20]
    has_headers = codec in ("h264", "h265")
    assert all(bool(p.headers) == (p.is_key and has_headers) for p in found)


@pytest.mark.parametrize("type_name", [VIDEO, FFMPEG])
def test_stamp_and_frame_are_where_those_of_a_header_are(type_name: str) -> None:
    data = message(type_name, b"\0\0\1\x65", "h264", 1_700_000_000_123_456_789)
    assert header_stamp_ns(data) == 1_700_000_000_123_456_789
    assert header_frame_id(data) == ""


def test_encoders_are_known_by_their_codec() -> None:
    for name, codec in (("libx264", "h264"), ("hevc_nvenc;yuv420p;bgr8;bgr8", "hevc"),
                        ("h264_vaapi;nv12", "h264"), ("mpeg4", "mpeg4")):  # fmt: skip
        assert video_packet(FFMPEG, packet(b"\0", name)).codec == codec


def test_flags_say_where_codecs_begin_that_are_not_looked_into() -> None:
    assert video_packet(FFMPEG, packet(b"\0", "mpeg4", flags=1)).is_key
    assert not video_packet(FFMPEG, packet(b"\0", "mpeg4")).is_key
    assert not video_packet(FFMPEG, packet(b"", "h264", flags=1)).is_key


def test_video_in_compressed_images_is_told_from_pictures() -> None:
    assert is_video(VIDEO, b"") and is_video(FFMPEG, b"") and not is_video(RAW, b"")
    assert is_video(COMPRESSED, compressed(b"\0\0\0\1", "h264"))
    assert not is_video(COMPRESSED, compressed(b"", "bgr8; jpeg compressed bgr8"))
    assert not is_video(COMPRESSED, b"short")


@given(st.sampled_from([VIDEO, FFMPEG, COMPRESSED]), st.sampled_from([*CODECS, "vp8", "mjpeg"]),
       st.binary(max_size=60), st.integers(0, 200))  # fmt: skip
def test_any_bytes_are_read_or_refused(type_name: str, codec: str, data: bytes, keep: int) -> None:
    for text in (data, message(type_name, data, codec)[:keep]):
        try:
            assert len(video_packet(type_name, text).data) <= max(len(data), len(text))
        except DecodeError:
            pass


def test_an_intra_refresh_begins_at_its_recovery_point() -> None:
    recovery, slice_ = b"\0\0\1\x06\x06\x05\x80", b"\0\0\1\x41\x9a"
    assert video_packet(VIDEO, video(recovery + slice_)).is_key
    assert not video_packet(VIDEO, video(b"\0\0\1\x06\x05\x05\x80" + slice_)).is_key
