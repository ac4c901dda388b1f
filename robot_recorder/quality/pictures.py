"""Measures the size, brightness and sharpness of one picture.

The only part of the quality checks that needs OpenCV.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
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
from robot_recorder.quality.checks.cameras import PictureFigures

_WIDTH = 400  # most pixels of width that are measured: about what policies are trained with
_DARK, _BRIGHT = 24, 250
_FLAT = 0.5  # variance of the Laplacian below which a picture shows nothing


# Errors that decoders raise because of what a driver sent.
_OF_A_PICTURE = (DecodeError, ValueError, LookupError, ArithmeticError, struct.error)


@lru_cache
def _cv2() -> Any:
    import cv2

    cv2.setNumThreads(1)  # leaves the robot's other cores alone
    return cv2


def look_at(type_name: str, time_ns: int, message: bytes) -> PictureFigures | None:
    """Measure one picture.

    Args:
        type_name: sensor_msgs/msg/Image or CompressedImage.
        time_ns: time of the picture, robot clock.
        message: the whole message, CDR.

    Returns:
        Its figures, with size 0 if it cannot be decoded; None: its encoding is unsupported, such as
            video.

    Raises:
        Exception: for causes outside of the picture, such as too little memory.
    """
    undecodable = (*_OF_A_PICTURE, _cv2().error)
    try:
        picture = _raw(message) if type_name == RAW else _compressed(message)
    except UnknownEncoding:
        return None
    except undecodable:
        return PictureFigures(time_ns, 0, 0)
    if picture is None or not picture.grey.size:
        return PictureFigures(time_ns, 0, 0)
    return _figures(time_ns, picture)


@dataclass(frozen=True)
class _GreyPicture:
    """Full width and height of a picture, uint8[h, w] to measure, and whether it is light."""

    width: int
    height: int
    grey: np.ndarray
    light: bool = True


def _compressed(message: bytes) -> _GreyPicture | None:
    cv2 = _cv2()
    encoded = encoded_picture(message)
    check_size(encoded)
    if not encoded.startswith(b"\xff\xd8"):
        picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
        if picture is None:
            return None
        height, width = picture.shape[:2]
        if picture.dtype != np.uint8:
            grey = depth_as_grey(picture[..., 0] if picture.ndim > 2 else picture)
            return _GreyPicture(width, height, grey, False)
        codes = {3: cv2.COLOR_BGR2GRAY, 4: cv2.COLOR_BGRA2GRAY}
        grey = picture if picture.ndim == 2 else cv2.cvtColor(picture, codes[picture.shape[2]])
        return _GreyPicture(width, height, grey)
    width, height, scan = jpeg_head(encoded)
    flags = {1: cv2.IMREAD_GRAYSCALE, 2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
             4: cv2.IMREAD_REDUCED_GRAYSCALE_4, 8: cv2.IMREAD_REDUCED_GRAYSCALE_8}  # fmt: skip
    scale = next((s for s in flags if width / s <= _WIDTH), 8)
    # The decoder silently fills in what a truncated file lacks, so look for the end marker.
    if encoded.rfind(b"\xff\xd9") < scan:
        return None
    grey = cv2.imdecode(np.frombuffer(encoded, np.uint8), flags[scale])
    return None if grey is None else _GreyPicture(width, height, grey)


def _raw(message: bytes) -> _GreyPicture:
    cv2 = _cv2()
    pixels = raw_pixels(message)
    values = pixels.values
    height, width, channels = values.shape
    if values.dtype != np.uint8:
        return _GreyPicture(width, height, depth_as_grey(values[..., 0]), False)
    if channels == 2:  # YUV 4:2:2: brightness alternates with colour
        return _GreyPicture(width, height, values[..., int(pixels.encoding in ("yuv422", "uyvy"))])
    if channels == 1:
        return _GreyPicture(width, height, values[..., 0])
    convert = {3: cv2.COLOR_RGB2GRAY, 4: cv2.COLOR_RGBA2GRAY}[channels]
    return _GreyPicture(width, height, cv2.cvtColor(values, convert))


def _figures(time_ns: int, picture: _GreyPicture) -> PictureFigures:
    cv2 = _cv2()
    grey = picture.grey
    if grey.shape[1] > _WIDTH:
        scale = _WIDTH / grey.shape[1]
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    histogram = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel() / grey.size
    dark, bright = float(histogram[:_DARK].sum()), float(histogram[_BRIGHT:].sum())
    sharpness = _sharpness(grey) if picture.light else float("nan")
    return PictureFigures(time_ns, picture.width, picture.height, dark, bright, sharpness)


def _sharpness(grey: np.ndarray) -> float:
    """Return how sharp a picture is, as defined by ``PictureFigures.sharpness``."""
    cv2 = _cv2()
    # Fine to coarse: with strong blur the finest shows only JPEG blocks, the next shows the blur.
    structure = [_structure(grey)]
    for _ in range(3):
        if min(grey.shape[:2]) >= 16:
            grey = cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            structure.append(_structure(grey))
    shares = [a / b for a, b in pairwise(structure) if b > _FLAT]
    return min(shares, default=float("nan"))


def _structure(grey: np.ndarray) -> float:
    """Return the variance of the Laplacian: the amount of structure at the finest scale."""
    cv2 = _cv2()
    _, deviation = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))
    return float(deviation[0, 0]) ** 2
