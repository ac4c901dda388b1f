"""Decoding video: in order, from key frames on."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from support.videos import CODECS, encoded, moving, scene, video

from robot_recorder.messages.video_messages import VIDEO, VideoPacket, video_packet
from robot_recorder.model.errors import DecodeError
from robot_recorder.quality import video_decoder
from robot_recorder.quality.video_decoder import (
    CannotDecode,
    NotYetDecodable,
    VideoDecoder,
    VideoFrame,
)


def packets(count: int, codec: str, gop: int = 10, **options: str) -> list[VideoPacket]:
    return [
        video_packet(VIDEO, video(d, codec)) for d in encoded(moving(count), codec, gop, **options)
    ]


def cut(packet: VideoPacket) -> VideoPacket:
    return VideoPacket(packet.codec, packet.data[: len(packet.data) // 2], packet.is_key)


def error_of(decoder: VideoDecoder, packet: VideoPacket, number: int) -> str:
    with pytest.raises(DecodeError) as caught:
        decoder.decode(packet, number)
    return f"{type(caught.value).__name__}: {caught.value}"


@pytest.mark.parametrize("codec", CODECS)
def test_every_packet_gives_its_picture_at_once(codec: str) -> None:
    decoder = VideoDecoder()
    for number, packet in enumerate(packets(25, codec)):
        ((of, frame),) = decoder.decode(packet, number)
        assert of == number and frame.size == (320, 240)
        apart = np.abs(frame.bgr()[..., ::-1].astype(int) - scene(number))
        assert apart.mean() < 8
        assert np.abs(frame.grey().astype(int) - frame.bgr().mean(axis=2)).mean() < 12
        assert frame.brightness().shape == (240, 320)


@pytest.mark.parametrize("codec", CODECS)
def test_decoding_waits_for_the_first_key_frame(codec: str) -> None:
    decoder, data = VideoDecoder(), packets(25, codec)
    for number in range(4, 10):
        assert error_of(decoder, data[number], number).startswith("NotYetDecodable")
    assert decoder.decode(data[10], 10)[0][0] == 10


@pytest.mark.parametrize("codec", CODECS)
def test_a_damaged_packet_spoils_the_pictures_up_to_the_next_key_frame(codec: str) -> None:
    decoder, data = VideoDecoder(), packets(25, codec)
    data[4] = cut(data[4])
    for number, packet in enumerate(data):
        if 4 <= number < 10:
            assert error_of(decoder, packet, number).startswith("DecodeError"), number
        else:
            assert [of for of, _ in decoder.decode(packet, number)] == [number]


def test_pictures_that_are_sent_out_of_order_keep_their_numbers() -> None:
    data = packets(25, "h264", gop=25, bf="2", tune="", preset="fast")
    decoder = VideoDecoder()
    found: dict[int, VideoFrame] = {}
    for number, packet in enumerate(data):
        found |= dict(decoder.decode(packet, number))
    assert len(found) < 25
    found |= dict(decoder.rest())
    assert sorted(found) == list(range(25)) and decoder.waits
    # Packets are numbered in the order in which they were sent, which is not that of the scene.
    order = sorted(range(25), key=lambda n: int(found[n].bgr()[100, :, 2].argmax()))
    assert order != list(range(25))


def test_black_and_white_are_those_of_the_scene() -> None:
    black, white = np.zeros((240, 320, 3), np.uint8), np.full((240, 320, 3), 255, np.uint8)
    decoder = VideoDecoder()
    for number, data in enumerate(encoded([black, white], "h264")):
        ((_, frame),) = decoder.decode(video_packet(VIDEO, video(data)), number)
        assert np.abs(frame.grey().astype(int) - 255 * number).max() < 3


def test_headers_that_were_sent_once_serve_later_key_frames() -> None:
    data = packets(25, "h264")
    headers = data[0].headers
    assert headers
    later = data[10].data
    bare = video_packet(VIDEO, video(later[later.index(b"\0\0\1\x65") :], "h264"))
    assert bare.is_key and not bare.headers
    with pytest.raises(DecodeError):
        VideoDecoder().decode(bare, 0)
    decoder = VideoDecoder()
    decoder.decode(data[0], 0)
    decoder.restart()
    assert decoder.decode(bare, 10)[0][0] == 10


def test_what_is_missing_is_named_with_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CannotDecode, match="format 'theora' is not supported"):
        VideoDecoder().decode(VideoPacket("theora", b"x", True), 0)
    monkeypatch.setitem(sys.modules, "av", None)
    video_decoder.pyav.cache_clear()
    with pytest.raises(CannotDecode, match="without PyAV: apt install python3-av, or pip install"):
        VideoDecoder().decode(VideoPacket("h264", b"x", True), 0)
    monkeypatch.undo()
    video_decoder.pyav.cache_clear()


def test_the_kinds_of_errors_are_decode_errors() -> None:
    assert issubclass(NotYetDecodable, DecodeError) and issubclass(CannotDecode, DecodeError)
