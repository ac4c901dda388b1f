"""Encoded pictures are read back by our own readers: close, or the same to the last bit.

Holds also: still_encoders.py, video_encoder.py.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from support.pictures import raw

from robot_recorder.content.image_files import picture_of
from robot_recorder.encoding import video_encoder
from robot_recorder.encoding.picture_encoder import lacking, new_encoder
from robot_recorder.messages.cdr import header_stamp_ns
from robot_recorder.messages.image_messages import COMPRESSED, encoded_picture
from robot_recorder.messages.video_messages import VIDEO, video_packet
from robot_recorder.model.encode_settings import Codec, EncodeSettings
from robot_recorder.model.errors import DecodeError, EncodeError
from robot_recorder.quality.video_decoder import VideoDecoder

DEPTHS = arrays(np.uint16, array_shapes(min_dims=2, max_dims=2, max_side=20))
JPEG = new_encoder(EncodeSettings(Codec.JPEG), 30.0)


def depth_of(message: bytes) -> np.ndarray:
    """Return the depths in a CompressedImage, uint16[height, width]."""
    found = encoded_picture(message)
    if found.rvl:
        return found.rvl_values()
    return decoded(found.data)


def decoded(file: bytes) -> np.ndarray:
    picture = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    return np.asarray(picture)


@pytest.mark.parametrize("codec", [Codec.PNG16, Codec.RVL])
@pytest.mark.parametrize("encoding", ["16UC1", "mono16"])
@given(depths=DEPTHS, big=st.booleans(), padding=st.integers(0, 3))
@settings(max_examples=30, deadline=None)
def test_depths_come_back_to_the_last_bit(
    codec: Codec, encoding: str, depths: np.ndarray, big: bool, padding: int
) -> None:
    sent = depths.astype(">u2" if big else "<u2")[..., None]
    encoder = new_encoder(EncodeSettings(codec), 30.0)
    message = encoder.encode(raw(sent, encoding, padding, big))
    assert (depth_of(message) == depths).all()
    how = "png" if codec is Codec.PNG16 else "rvl"
    assert f"{encoding}; compressedDepth {how}".encode() in message


def scene(channels: int) -> np.ndarray:
    """Return a smooth picture, uint8[48, 64, channels]."""
    y, x = np.mgrid[0:48, 0:64]
    planes = [100 + 80 * np.sin(x / 9 + n) * np.cos(y / 11) for n in range(channels)]
    return np.stack(planes, axis=2).astype(np.uint8)


@pytest.mark.parametrize(
    ("encoding", "channels", "order"),
    [("rgb8", 3, [2, 1, 0]), ("bgr8", 3, [0, 1, 2]), ("rgba8", 4, [2, 1, 0]), ("mono8", 1, [0])],
)
def test_a_jpeg_is_close_to_what_was_sent(encoding: str, channels: int, order: list[int]) -> None:
    sent = scene(channels)
    message = JPEG.encode(raw(sent, encoding))
    found = encoded_picture(message)
    seen = decoded(found.data)
    seen = seen if seen.ndim == 3 else seen[..., None]
    assert seen.shape == (48, 64, len(order)), "grey stays grey"
    assert np.abs(seen.astype(int) - sent[..., order]).mean() < 3
    assert picture_of(COMPRESSED, message, "/head/compressed") is not None
    how = "mono8" if channels == 1 else "bgr8"
    assert f"{encoding}; jpeg compressed {how}".encode() in message


def test_less_quality_is_smaller() -> None:
    sent = raw(scene(3), "rgb8")
    sizes = [
        len(new_encoder(EncodeSettings(Codec.JPEG, quality), 30.0).encode(sent))
        for quality in (95, 50, 10)
    ]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > 1.5 * sizes[2]


@pytest.mark.parametrize(
    ("codec", "message", "words"),
    [
        (Codec.JPEG, raw(np.zeros((4, 4, 1), "u2"), "16UC1"), "of depths use png16 or rvl"),
        (Codec.JPEG, raw(np.zeros((4, 4, 1), "f4"), "32FC1"), "not for 32FC1"),
        (Codec.H264, raw(np.zeros((4, 4, 1), "u2"), "mono16"), "not for mono16"),
        (Codec.H264, raw(np.zeros((5, 4, 3), "u1"), "rgb8"), "an even width and height, not 4 x 5"),
        (Codec.RVL, raw(np.zeros((4, 4, 3), "u1"), "rgb8"), "rvl is for depths of 16 bits"),
        (Codec.PNG16, raw(np.zeros((4, 4, 1), "f4"), "32FC1"), "send millimetres"),
        (Codec.JPEG, raw(np.zeros((4, 4, 3), "u1"), "odd8"), "'odd8' are not supported"),
        (Codec.JPEG, raw(np.zeros((4, 4, 3), "u1"), "rgb8")[:-9], "message ends at"),
        (Codec.JPEG, b"", "0 bytes are too few"),
        (Codec.RVL, b"\0\1\0\0" + b"\xff" * 40, "message ends at"),
    ],
)  # fmt: skip
def test_what_cannot_be_encoded_is_refused(codec: Codec, message: bytes, words: str) -> None:
    if codec is Codec.H264:
        pytest.importorskip("av")
    with pytest.raises((DecodeError, EncodeError), match=words):
        new_encoder(EncodeSettings(codec), 30.0).encode(message)


@given(st.binary(max_size=120))
@settings(max_examples=100, deadline=None)
def test_rubbish_is_refused(message: bytes) -> None:
    for codec in (Codec.JPEG, Codec.RVL, Codec.PNG16):
        try:
            new_encoder(EncodeSettings(codec), 30.0).encode(message)
        except (DecodeError, EncodeError):
            pass


# -- video


def videos() -> Any:
    pytest.importorskip("av")
    import support.videos

    return support.videos


def test_a_video_is_close_to_what_was_sent_and_has_key_frames() -> None:
    film = videos()
    encoder = new_encoder(EncodeSettings(Codec.H264, keyframe_s=0.5), 20.0)
    decoder, keys = VideoDecoder(), []
    for number in range(25):
        sent = film.scene(number)
        message = encoder.encode(raw(sent, "rgb8", stamp_ns=number))
        packet = video_packet(VIDEO, message)
        assert header_stamp_ns(message) == number and packet.codec == "h264"
        ((at, frame),) = decoder.decode(packet, number)
        assert at == number, "no picture is held back"
        assert np.abs(frame.bgr()[..., ::-1].astype(int) - sent).mean() < 6
        if packet.is_key:
            assert packet.headers, "Foxglove wants the parameter sets with every key frame"
            keys.append(number)
    assert keys == [0, 10, 20]


def test_a_picture_of_another_size_or_a_refused_one_does_not_end_a_video() -> None:
    film = videos()
    encoder, decoder = new_encoder(EncodeSettings(Codec.H264), 30.0), VideoDecoder()
    sizes = []
    for number, (width, height) in enumerate([(320, 240), (64, 47), (320, 240), (64, 48)]):
        picture = raw(film.scene(number, 320, 240)[:height, :width], "bgr8")
        try:
            packet = video_packet(VIDEO, encoder.encode(picture))
        except EncodeError:
            continue
        sizes += [frame.size for _, frame in decoder.decode(packet, number)]
    assert sizes == [(320, 240), (320, 240), (64, 48)]
    grey = video_packet(VIDEO, encoder.encode(raw(scene(1), "mono8")))
    ((_, frame),) = decoder.decode(grey, 9)
    assert np.abs(frame.grey().astype(int) - scene(1)[..., 0]).mean() < 4


def test_without_a_working_encoder_the_reason_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    videos()
    unknown = EncodeSettings(Codec.H264, encoder="h264_odd")
    with pytest.raises(EncodeError, match=r"h264_odd: unknown; there are h264_nvenc.*libx264"):
        new_encoder(unknown, 30.0)
    # One that looks ahead holds pictures back, so it is passed over.
    late = {"libx264": ("yuv420p", {"preset": "veryfast"})}
    monkeypatch.setattr(video_encoder, "_ENCODERS", late)
    with pytest.raises(EncodeError, match="0 packets instead of one"):
        new_encoder(EncodeSettings(Codec.H264), 30.0)


def test_a_missing_library_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not lacking(EncodeSettings(Codec.RVL))
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in ("av", "cv2") else there(name)
    )
    assert not lacking(EncodeSettings(Codec.RVL)), "it needs numpy alone"
    for codec, remedy in ((Codec.JPEG, "apt install python3-opencv"), (Codec.PNG16, "OpenCV")):
        assert remedy in lacking(EncodeSettings(codec))
    with pytest.raises(EncodeError, match="jpeg needs OpenCV, which is not installed"):
        new_encoder(EncodeSettings(Codec.JPEG), 30.0)
