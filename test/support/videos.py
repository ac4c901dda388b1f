"""Real video: a moving scene, compressed with PyAV, as messages."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import cv2
import numpy as np
import pytest

av = pytest.importorskip("av")

from robot_recorder.messages.video_messages import FFMPEG, VIDEO
from support.bags import _padded, _text, header
from support.pictures import compressed
from support.samples import T0

WIDTH, HEIGHT, RATE = 320, 240, 30
_ENCODERS = {
    "h264": ("libx264", {"preset": "ultrafast", "tune": "zerolatency"}),
    "h265": ("libx265", {"preset": "ultrafast", "tune": "zerolatency", "x265-params": "log-level=none"}),
    "av1": ("libsvtav1", {"preset": "11", "svtav1-params": "lookahead=0:pred-struct=1:keyint={gop}"}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
}  # fmt: skip
CODECS = tuple(_ENCODERS)


@lru_cache
def _background(width: int, height: int) -> np.ndarray:
    rng = np.random.default_rng(7)
    noise = rng.integers(60, 200, (height, width, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 1.5)


def scene(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Return uint8[height, width, 3], RGB: a red box that moves four pixels a picture."""
    picture = _background(width, height).copy()
    left = 10 + 4 * number % (width - 80)
    picture[height // 3 : height // 2, left : left + 60] = (230, 40, 30)
    return picture


def moving(count: int, width: int = WIDTH, height: int = HEIGHT) -> list[np.ndarray]:
    return [scene(number, width, height) for number in range(count)]


def encoded(
    pictures: Sequence[np.ndarray], codec: str = "h264", gop: int = 10, **options: str
) -> list[bytes]:
    """Return the packets of a video, one for each picture.

    Args:
        pictures: uint8[height, width, 3], RGB.
        codec: one of CODECS.
        gop: pictures from key frame to key frame.
        options: of the encoder; ``bf`` is the number of pictures that are sent out of order.
    """
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        return _packets(pictures, codec, gop, options)
    finally:
        # SVT-AV1 makes the whole process of root real-time, and all that it starts from then on.
        os.sched_setscheduler(0, policy, priority)


def _packets(
    pictures: Sequence[np.ndarray], codec: str, gop: int, options: dict[str, str]
) -> list[bytes]:
    name, own = _ENCODERS[codec]
    av.logging.set_level(av.logging.PANIC)
    encoder = av.CodecContext.create(name, "w")
    encoder.height, encoder.width = pictures[0].shape[:2]
    encoder.pix_fmt = "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, RATE), Fraction(RATE, 1)
    encoder.gop_size, encoder.max_b_frames = gop, int(options.pop("bf", "0"))
    encoder.options = {k: v.format(gop=gop) for k, v in {**own, **options}.items() if v}
    packets = []
    for number, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
        frame.pts = number
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    packets += [bytes(packet) for packet in encoder.encode(None)]
    assert len(packets) == len(pictures)
    return packets


def video(data: bytes, format: str = "h264", stamp_ns: int = T0) -> bytes:
    """Return a foxglove_msgs/msg/CompressedVideo."""
    body = _padded(header(stamp_ns), 4) + struct.pack("<I", len(data)) + data
    return b"\0\1\0\0" + _padded(body, 4) + _text(format)


def packet(data: bytes, encoding: str = "h264", stamp_ns: int = T0, flags: int = 0) -> bytes:
    """Return an ffmpeg_image_transport_msgs/msg/FFMPEGPacket."""
    body = _padded(header(stamp_ns), 4) + struct.pack("<ii", WIDTH, HEIGHT) + _text(encoding)
    body = _padded(body, 8) + struct.pack("<QBB", 5, flags, 0)
    return b"\0\1\0\0" + _padded(body, 4) + struct.pack("<I", len(data)) + data


def message(type_name: str, data: bytes, codec: str, stamp_ns: int = T0) -> bytes:
    """Return a packet of video as a message of a type."""
    if type_name == VIDEO:
        return video(data, codec, stamp_ns)
    if type_name == FFMPEG:
        encoding = f"{ {'h265': 'hevc'}.get(codec, codec) };yuv420p;bgr24;bgr8"
        return packet(data, encoding, stamp_ns)
    return compressed(data, codec, stamp_ns)
