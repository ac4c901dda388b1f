"""Pictures of a video by number, whatever the order in which they are asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.pictures import compressed
from support.videos import CODECS, encoded, moving, scene, video

from robot_recorder.content import video_pictures
from robot_recorder.content.video_pictures import Video, VideoPart
from robot_recorder.messages.image_messages import COMPRESSED
from robot_recorder.messages.video_messages import VIDEO, VideoPacket
from robot_recorder.model.errors import DecodeError
from robot_recorder.model.payloads import Messages
from robot_recorder.quality.video_decoder import NotYetDecodable

COUNT = 45
MESSAGES = [video(data) for data in encoded(moving(COUNT), gop=15)]


def parts(messages: list[bytes], *sizes: int) -> list[VideoPart]:
    whole, found, at = Video(VIDEO), [], 0
    for size in sizes:
        found.append(whole.part(Messages(messages[at : at + size])))
        at += size
    return found


def shows(part: VideoPart, number: int, of: int) -> bool:
    """Return whether a picture is that of the scene, by the place of its box."""
    red = part.picture(number).bgr()[90, :, 2].astype(int)
    return bool(abs(int((red > 180).argmax()) - int((scene(of)[90, :, 0] > 215).argmax())) <= 2)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, COUNT - 1), min_size=1, max_size=12), st.integers(1, COUNT - 1))
def test_any_picture_in_any_order(wanted: list[int], border: int) -> None:
    """Also of a part that is older than the last one read."""
    first, second = parts(MESSAGES, border, COUNT - border)
    for number in wanted:
        part, within = (first, number) if number < border else (second, number - border)
        assert shows(part, within, number), number


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec(codec: str) -> None:
    messages = [video(data, codec) for data in encoded(moving(25), codec, gop=10)]
    (part,) = parts(messages, 25)
    assert all(shows(part, number, number) for number in (24, 3, 4, 12))
    assert [n for n in range(25) if part.packet(n).is_key] == [0, 10, 20]


def test_pictures_that_are_sent_out_of_order(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(moving(25), gop=25, bf="2", tune="", preset="fast")
    (part,) = parts([video(d) for d in data], 25)
    found = [part.picture(n).bgr()[90, :, 2] for n in range(25)]
    places = sorted(int((row > 200).argmax()) for row in found)
    assert places == sorted(int((scene(n)[90, :, 0] > 215).argmax()) for n in range(25))


def test_rising_numbers_decode_every_packet_once(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    take = video_pictures._VideoCursor.take

    def noted(cursor: Any, number: int, packet: VideoPacket, wanted: int) -> None:
        taken.append(number)
        take(cursor, number, packet, wanted)

    monkeypatch.setattr(video_pictures._VideoCursor, "take", noted)
    first, second = parts(MESSAGES, 20, 25)
    for number in range(20):
        first.picture(number)
    for number in range(25):
        second.picture(number)
    assert taken == list(range(COUNT))
    taken.clear()
    second.picture(23)
    assert taken == [], "it is still there"
    second.picture(12)
    assert taken == [30, 31, 32], "from the key frame on"
    second.picture(20)
    assert taken[3:] == list(range(33, 41)), "forwards without beginning again"


def test_pictures_before_the_first_key_frame() -> None:
    first, second = parts(MESSAGES[4:], 8, 20)
    for number in range(8):
        with pytest.raises(NotYetDecodable, match="before the first key frame"):
            first.picture(number)
    with pytest.raises(NotYetDecodable):
        second.picture(2)
    assert shows(second, 3, 15)


def test_damage_spoils_the_pictures_up_to_the_next_key_frame() -> None:
    messages = [*MESSAGES]
    messages[20] = video(b"\0\0\1\x41" + b"\xff" * 30)
    messages[36] = messages[36][:10]
    (part,) = parts(messages, COUNT)
    spoiled = []
    for number in range(COUNT):
        try:
            assert shows(part, number, number)
        except DecodeError:
            spoiled.append(number)
    assert spoiled == [*range(20, 30), *range(36, 45)]
    assert shows(part, 19, 19)


def test_key_frames_far_back_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded; reading forwards works all the same."""
    monkeypatch.setattr(video_pictures, "_MOST_KEPT", 3000)
    messages = [video(data) for data in encoded(moving(COUNT), gop=1000)]
    first, second, third = parts(messages, 15, 15, 15)
    whole = Video(VIDEO)
    for start in range(0, COUNT, 15):
        part = whole.part(Messages(messages[start : start + 15]))
        assert shows(part, 7, start + 7) and shows(part, 12, start + 12)
    with pytest.raises(DecodeError, match="too far back"):
        third.picture(2) and second.picture(3)
    assert first.picture(0)


def test_video_in_compressed_images() -> None:
    data = [compressed(d, "h264") for d in encoded(moving(5))]
    assert shows(Video(COMPRESSED).part(Messages(data)), 3, 3)
    assert np.array_equal(scene(3), moving(4)[3])
