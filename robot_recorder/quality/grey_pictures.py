"""Pictures of any camera in grey, for measuring: decoded within bounds, at a part of their size."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from robot_recorder.messages.image_messages import (
    RAW,
    UnknownEncoding,
    check_size,
    depth_as_grey,
    encoded_picture,
    jpeg_head,
    raw_pixels,
)
from robot_recorder.model.errors import DecodeError

MOST_WIDTH = 400  # most pixels of width that are measured: about what policies are trained with

# Errors that decoders raise because of what a driver sent.
_OF_A_PICTURE = (DecodeError, ValueError, LookupError, ArithmeticError, struct.error)


@lru_cache
def opencv() -> Any:
    """Return OpenCV, imported when it is needed and limited to one thread."""
    import cv2

    cv2.setNumThreads(1)  # leaves the robot's other cores alone
    return cv2


@dataclass(frozen=True)
class GreyPicture:
    """A picture in grey, small enough to be measured.

    Attributes:
        width, height: of the whole picture, pixels.
        grey: uint8[h, w], reduced where the file format makes that cheap.
        light: False: it shows depth, not light.
    """

    width: int
    height: int
    grey: np.ndarray
    light: bool = True


def grey_picture(type_name: str, message: bytes) -> GreyPicture:
    """Decode one picture.

    Args:
        type_name: sensor_msgs/msg/Image or CompressedImage.
        message: the whole message, CDR.

    Raises:
        UnknownEncoding: its encoding is unsupported, such as video, or it is too large.
        DecodeError: it cannot be decoded.
        Exception: for causes outside of the picture, such as too little memory.
    """
    try:
        picture = _raw(message) if type_name == RAW else _compressed(message)
    except UnknownEncoding:
        raise
    except (*_OF_A_PICTURE, opencv().error) as error:
        raise DecodeError(f"not a picture that can be decoded: {error}") from error
    if picture is None or not picture.grey.size:
        raise DecodeError("not a picture that can be decoded")
    return picture


def _compressed(message: bytes) -> GreyPicture | None:
    cv2 = opencv()
    encoded = encoded_picture(message)
    check_size(encoded)
    if not encoded.startswith(b"\xff\xd8"):
        picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
        if picture is None:
            return None
        height, width = picture.shape[:2]
        if picture.dtype != np.uint8:
            grey = depth_as_grey(picture[..., 0] if picture.ndim > 2 else picture)
            return GreyPicture(width, height, grey, False)
        codes = {3: cv2.COLOR_BGR2GRAY, 4: cv2.COLOR_BGRA2GRAY}
        grey = picture if picture.ndim == 2 else cv2.cvtColor(picture, codes[picture.shape[2]])
        return GreyPicture(width, height, grey)
    width, height, scan = jpeg_head(encoded)
    flags = {1: cv2.IMREAD_GRAYSCALE, 2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
             4: cv2.IMREAD_REDUCED_GRAYSCALE_4, 8: cv2.IMREAD_REDUCED_GRAYSCALE_8}  # fmt: skip
    scale = next((s for s in flags if width / s <= MOST_WIDTH), 8)
    # The decoder silently fills in what a truncated file lacks, so look for the end marker.
    if encoded.rfind(b"\xff\xd9") < scan:
        return None
    grey = cv2.imdecode(np.frombuffer(encoded, np.uint8), flags[scale])
    return None if grey is None else GreyPicture(width, height, grey)


def _raw(message: bytes) -> GreyPicture:
    cv2 = opencv()
    pixels = raw_pixels(message)
    values = pixels.values
    height, width, channels = values.shape
    if values.dtype != np.uint8:
        return GreyPicture(width, height, depth_as_grey(values[..., 0]), False)
    if channels == 2:  # YUV 4:2:2: brightness alternates with colour
        return GreyPicture(width, height, values[..., int(pixels.encoding in ("yuv422", "uyvy"))])
    if channels == 1:
        return GreyPicture(width, height, values[..., 0])
    convert = {3: cv2.COLOR_RGB2GRAY, 4: cv2.COLOR_RGBA2GRAY}[channels]
    return GreyPicture(width, height, cv2.cvtColor(values, convert))
