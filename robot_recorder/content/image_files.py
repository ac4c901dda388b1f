"""Convert pictures of any camera to JPEG or PNG for viewers."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from robot_recorder.content.depth_pictures import DepthPicture, DepthScale, depth_of
from robot_recorder.messages.image_messages import (
    RAW,
    Pixels,
    check_size,
    encoded_picture,
    jpeg_head,
    raw_pixels,
)
from robot_recorder.model.errors import DecodeError
from robot_recorder.quality.raw_pictures import bgr_of, spread

_JPEG, _PNG = "image/jpeg", "image/png"
_QUALITY = 90


@dataclass(frozen=True)
class ImageFile:
    """A picture as a file.

    Attributes:
        data: content of the file.
        media_type: image/jpeg or image/png.
    """

    data: bytes
    media_type: str = _JPEG

    def pixels(self) -> np.ndarray:
        """Decode it to uint8[height, width, 3], red, green, blue.

        Raises:
            DecodeError: the file is damaged.
        """
        return cv2.cvtColor(_decoded(self.data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def picture_of(type_name: str, message: bytes, topic: str = "") -> ImageFile:
    """Return the picture of an Image or CompressedImage message; JPEG and 8-bit PNG unchanged.

    Depth is drawn in colours of a scale of its own.

    Args:
        type_name: type of the message.
        message: the whole message as CDR.
        topic: its topic, which tells mono16 of depth from that of infrared light.

    Raises:
        DecodeError: it cannot be decoded, or its format is not supported.
    """
    try:
        depth = depth_of(type_name, message, topic)
        if depth is not None:
            return coloured(depth, DepthScale.of([depth]))
        if type_name == RAW:
            return _raw(raw_pixels(message))
        return _file(encoded_picture(message).data)
    except cv2.error as error:
        raise DecodeError(f"the picture cannot be decoded: {error}") from error


def coloured(depth: DepthPicture, scale: DepthScale) -> ImageFile:
    """Draw depth in the colours of a scale."""
    return jpeg_of(depth.colours(scale))


def width_of(picture: ImageFile) -> int:
    """Return the width of a picture in pixels, without decoding it.

    Raises:
        DecodeError: the file is damaged.
    """
    if picture.media_type == _JPEG:
        return jpeg_head(picture.data)[0]
    return int.from_bytes(picture.data[16:20], "big")


def shrunk(picture: ImageFile, width: int) -> ImageFile:
    """Scale a picture down to a maximum width in pixels.

    Raises:
        DecodeError: the file is damaged.
    """
    own = width_of(picture)
    if own <= width:
        return picture
    # Decoding a JPEG at reduced size is much faster, without loss of quality.
    flags = {4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2, 1: cv2.IMREAD_COLOR}
    pixels = _decoded(picture.data, next(f for s, f in flags.items() if own // s >= width))
    size = (width, max(1, round(pixels.shape[0] * width / pixels.shape[1])))
    return jpeg_of(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def _file(data: bytes) -> ImageFile:
    check_size(data)
    if data.startswith(b"\xff\xd8"):
        return ImageFile(data)
    if data.startswith(b"\x89PNG"):
        if len(data) > 24 and data[24] == 8:  # bits per channel
            return ImageFile(data, _PNG)
    pixels = _decoded(data, cv2.IMREAD_UNCHANGED)
    if pixels.dtype != np.uint8:
        pixels = spread(pixels) if pixels.ndim == 2 else (pixels >> 8).astype(np.uint8)
    return jpeg_of(pixels[..., :3] if pixels.ndim > 2 else pixels)


def _raw(pixels: Pixels) -> ImageFile:
    if not pixels.values.size:
        raise DecodeError("the picture has no pixels")
    return jpeg_of(bgr_of(pixels))


def jpeg_of(pixels: np.ndarray) -> ImageFile:
    """Encode uint8[height, width, 3], blue, green, red, or uint8[height, width].

    Raises:
        DecodeError: it is no picture.
    """
    done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise DecodeError(f"a picture of shape {pixels.shape} cannot be encoded as JPEG")
    return ImageFile(data.tobytes())


def _decoded(data: bytes, flags: int) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    if pixels is None:
        raise DecodeError("the picture cannot be decoded: its file is damaged")
    return pixels
