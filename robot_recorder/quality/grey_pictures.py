"""Pictures of any camera in grey, for measuring: decoded within bounds, at a part of their size."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from robot_recorder.messages.image_messages import (
    RAW,
    UnknownEncoding,
    check_size,
    encoded_picture,
    is_depth,
    jpeg_head,
    metres,
    raw_pixels,
)
from robot_recorder.model.errors import DecodeError
from robot_recorder.quality.raw_pictures import grey_of, opencv, spread

MOST_WIDTH = 400  # most pixels of width that are measured: about what policies are trained with
_NEAREST_GREY = 64  # of a depth; 0: it is unknown

# Errors that decoders raise because of what a driver sent.
_OF_A_PICTURE = (DecodeError, ValueError, LookupError, ArithmeticError, struct.error)


@dataclass(frozen=True)
class GreyPicture:
    """A picture in grey, small enough to be measured.

    Attributes:
        width, height: of the whole picture, pixels.
        grey: uint8[h, w], reduced where the file format makes that cheap.
        light: False: it shows depth or infrared light by values of unknown range.
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
        UnknownEncoding: its encoding is unsupported, or it is too large.
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
    picture = encoded_picture(message)
    encoded = picture.data
    if picture.rvl:
        return _unlit(picture.rvl_values())
    check_size(encoded)
    if not encoded.startswith(b"\xff\xd8"):
        values = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
        if values is None:
            return None
        height, width = values.shape[:2]
        if values.dtype != np.uint8:
            if values.ndim == 2:
                return _unlit(values)
            values = (values >> 8).astype(np.uint8)
        codes = {3: cv2.COLOR_BGR2GRAY, 4: cv2.COLOR_BGRA2GRAY}
        grey = values if values.ndim == 2 else cv2.cvtColor(values, codes[values.shape[2]])
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
    pixels = raw_pixels(message)
    values = pixels.values
    if not values.size:
        raise DecodeError("the picture has no pixels")
    if is_depth(pixels.encoding) or pixels.encoding == "mono16":
        return _unlit(values[..., 0])
    # Numbers of no known range are no light: neither their mean nor their sharpness says anything.
    light = values.dtype == np.uint8 or pixels.encoding[0] in "rb"
    return GreyPicture(pixels.width, pixels.height, grey_of(pixels), light)


def _unlit(values: np.ndarray) -> GreyPicture:
    """Return depths or infrared light: from dark to light, 0 where nothing was measured."""
    known = metres(values)
    height, width = known.shape
    grey = _NEAREST_GREY + spread(known) // 2
    return GreyPicture(width, height, np.where(np.isnan(known), 0, grey).astype(np.uint8), False)
