"""Encode pictures one by one: JPEG with loss, depth without."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from robot_recorder.messages.encoded import compressed_depth, compressed_image
from robot_recorder.messages.image_messages import Pixels, is_depth, raw_pixels
from robot_recorder.messages.rvl import compressed
from robot_recorder.model.encode_settings import Codec
from robot_recorder.model.errors import EncodeError
from robot_recorder.quality.raw_pictures import bgr_of, grey_of, opencv

_PNG_LEVEL = 1  # more takes twice the time and saves a twentieth


class JpegEncoder:
    """Encodes colour and grey to JPEG, as compressed_image_transport does."""

    def __init__(self, quality: int) -> None:
        """Create it.

        Args:
            quality: 1 to 100.
        """
        self._cv2 = opencv()
        self._parameters = [int(self._cv2.IMWRITE_JPEG_QUALITY), quality]
        self.name = f"OpenCV {self._cv2.__version__}"

    def encode(self, message: bytes) -> bytes:
        """Return a CompressedImage; see PictureEncoder."""
        pixels = coloured(message, "jpeg")
        grey = is_grey(pixels)
        picture = grey_of(pixels) if grey else bgr_of(pixels)
        data = _file(self._cv2, ".jpg", picture, self._parameters)
        how = "mono8" if grey else "bgr8"
        return compressed_image(message, f"{pixels.encoding}; jpeg compressed {how}", data)


class DepthEncoder:
    """Encodes depths of 16 bits without loss, as compressed_depth_image_transport does."""

    def __init__(self, codec: Codec) -> None:
        """Create it.

        Args:
            codec: PNG16 or RVL.
        """
        self._codec = codec
        self.name = "RVL"
        if codec is Codec.PNG16:
            self._cv2 = cv2 = opencv()
            self.name = f"OpenCV {cv2.__version__}"
            self._parameters = [
                int(cv2.IMWRITE_PNG_COMPRESSION), _PNG_LEVEL,
                int(cv2.IMWRITE_PNG_STRATEGY), int(cv2.IMWRITE_PNG_STRATEGY_RLE),
            ]  # fmt: skip

    def encode(self, message: bytes) -> bytes:
        """Return a CompressedImage of compressedDepth; see PictureEncoder."""
        pixels = raw_pixels(message)
        values = pixels.values
        if values.dtype != np.uint16 or values.shape[2] != 1 or not values.size:
            text = f"{self._codec.value} is for depths of 16 bits, not for {pixels.encoding}"
            if pixels.encoding == "32FC1":
                text += "; let the driver send millimetres (16UC1)"
            raise EncodeError(text)
        picture = values[..., 0]
        if self._codec is Codec.RVL:
            data = struct.pack("<II", pixels.width, pixels.height) + compressed(picture)
            return compressed_depth(message, pixels.encoding, "rvl", data)
        data = _file(self._cv2, ".png", picture, self._parameters)
        return compressed_depth(message, pixels.encoding, "png", data)


def coloured(message: bytes, codec: str) -> Pixels:
    """Return the pixels of a picture of colour or grey.

    Args:
        message: the Image message.
        codec: for the error.

    Raises:
        DecodeError: the message is damaged, or its encoding is unknown.
        EncodeError: its values are no colours of 8 bits: they would lose what they say.
    """
    pixels = raw_pixels(message)
    if pixels.values.dtype != np.uint8 or is_depth(pixels.encoding):
        raise EncodeError(
            f"{codec} is for pictures of 8 bits, not for {pixels.encoding}; of depths use png16 or rvl"
        )
    if not pixels.values.size:
        raise EncodeError("the picture has no pixels")
    return pixels


def is_grey(pixels: Pixels) -> bool:
    """Return whether a picture of 8 bits has no colours."""
    return pixels.encoding in ("mono8", "8UC1")


def _file(cv2: Any, ending: str, picture: np.ndarray, parameters: list[int]) -> bytes:
    try:
        done, data = cv2.imencode(ending, picture, parameters)
    except cv2.error as error:
        raise EncodeError(f"OpenCV cannot encode it: {str(error).strip()}") from error
    if not done:
        raise EncodeError("OpenCV cannot encode it")
    return bytes(data)
