"""Encode one raw picture after another: message in, message out."""

from __future__ import annotations

import importlib.util
from typing import Protocol

from robot_recorder.encoding.still_encoders import DepthEncoder, JpegEncoder
from robot_recorder.encoding.video_encoder import VideoEncoder
from robot_recorder.model.encode_settings import Codec, EncodeSettings
from robot_recorder.model.errors import EncodeError

# What a codec needs, and how to install it.
_OPENCV = ("cv2", "OpenCV", "apt install python3-opencv, or pip install opencv-python-headless")
_PYAV = ("av", "PyAV", "apt install python3-av, or pip install 'robot_recorder[video]'")
_NEEDS = {
    Codec.JPEG: [_OPENCV],
    Codec.PNG16: [_OPENCV],
    Codec.RVL: [],
    Codec.H264: [_OPENCV, _PYAV],
}


class PictureEncoder(Protocol):
    """Encodes the pictures of one stream in order.

    Attributes:
        name: of the encoder, for people.
    """

    name: str

    def encode(self, message: bytes) -> bytes:
        """Return an Image message as the message to be recorded.

        Raises:
            DecodeError: the message is damaged, or its encoding is unknown.
            EncodeError: this picture cannot be encoded.
        """


def lacking(settings: EncodeSettings) -> str:
    """Return which library a codec needs and how to install it; empty: all is there."""
    for module, name, fix in _NEEDS[settings.codec]:
        if importlib.util.find_spec(module) is None:
            return f"{settings.codec.value} needs {name}, which is not installed: {fix}"
    return ""


def new_encoder(settings: EncodeSettings, rate_hz: float) -> PictureEncoder:
    """Return the encoder of a stream.

    Args:
        settings: of the stream.
        rate_hz: its expected rate, Hz.

    Raises:
        EncodeError: it cannot work here; the message says what is missing.
    """
    if problem := lacking(settings):
        raise EncodeError(problem)
    if settings.codec is Codec.H264:
        return VideoEncoder(settings, rate_hz)
    if settings.codec is Codec.JPEG:
        return JpegEncoder(settings.quality)
    return DepthEncoder(settings.codec)
