"""Convert pictures of any camera to JPEG or PNG for viewers."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from robot_recorder.messages.image_messages import (
    RAW,
    Pixels,
    check_size,
    depth_as_grey,
    encoded_picture,
    inverse_depth,
    jpeg_head,
    raw_pixels,
)
from robot_recorder.model.errors import DecodeError

_JPEG, _PNG = "image/jpeg", "image/png"
_QUALITY = 90
# Conversions to BGR; OpenCV names Bayer patterns from the second row and column on.
_TO_BGR = {
    "mono8": cv2.COLOR_GRAY2BGR, "8UC1": cv2.COLOR_GRAY2BGR, "rgb8": cv2.COLOR_RGB2BGR,
    "rgba8": cv2.COLOR_RGBA2BGR, "bgra8": cv2.COLOR_BGRA2BGR, "8UC4": cv2.COLOR_BGRA2BGR,
    "yuv422": cv2.COLOR_YUV2BGR_UYVY, "uyvy": cv2.COLOR_YUV2BGR_UYVY,
    "yuv422_yuy2": cv2.COLOR_YUV2BGR_YUY2, "yuyv": cv2.COLOR_YUV2BGR_YUY2,
    "bayer_rggb8": cv2.COLOR_BayerBG2BGR, "bayer_bggr8": cv2.COLOR_BayerRG2BGR,
    "bayer_gbrg8": cv2.COLOR_BayerGR2BGR, "bayer_grbg8": cv2.COLOR_BayerGB2BGR,
}  # fmt: skip


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


def picture_of(type_name: str, message: bytes) -> ImageFile:
    """Return the picture of an Image or CompressedImage message; JPEG and 8-bit PNG unchanged.

    Args:
        type_name: type of the message.
        message: the whole message as CDR.

    Raises:
        DecodeError: it cannot be decoded, or its format is not supported, such as video.
    """
    try:
        if type_name == RAW:
            return _raw(raw_pixels(message))
        return _file(encoded_picture(message), inverse_depth(message))
    except cv2.error as error:
        raise DecodeError(f"the picture cannot be decoded: {error}") from error


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
    return _jpeg(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def _file(data: bytes, inverse: tuple[float, float] | None) -> ImageFile:
    check_size(data)
    if data.startswith(b"\xff\xd8"):
        return ImageFile(data)
    if data.startswith(b"\x89PNG"):
        if len(data) > 24 and data[24] == 8:  # bits per channel
            return ImageFile(data, _PNG)
    pixels = _decoded(data, cv2.IMREAD_UNCHANGED)
    if pixels.dtype == np.uint8:
        return _jpeg(pixels[..., :3] if pixels.ndim > 2 else pixels)
    values = pixels[..., 0] if pixels.ndim > 2 else pixels
    if inverse is not None:
        a, b = inverse
        with np.errstate(divide="ignore"):
            values = np.where(values > 0, a / (values - b), 0)
    return _depth(values)


def _raw(pixels: Pixels) -> ImageFile:
    if not pixels.values.size:
        raise DecodeError("the picture has no pixels")
    if pixels.values.dtype != np.uint8:
        return _depth(pixels.values[..., 0])
    conversion = _TO_BGR.get(pixels.encoding)
    return _jpeg(
        cv2.cvtColor(pixels.values, conversion) if conversion is not None else pixels.values
    )


def _depth(values: np.ndarray) -> ImageFile:
    """Colour depths from blue (near) to red (far); black: no value."""
    grey = depth_as_grey(values)
    spread = np.clip((grey.astype(np.float32) - 64) * 1.7, 0, 255).astype(np.uint8)
    colours = cv2.applyColorMap(spread, cv2.COLORMAP_TURBO)
    colours[grey == 0] = 0
    return _jpeg(colours)


def _jpeg(pixels: np.ndarray) -> ImageFile:
    done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise DecodeError(f"a picture of shape {pixels.shape} cannot be encoded as JPEG")
    return ImageFile(data.tobytes())


def _decoded(data: bytes, flags: int) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    if pixels is None:
        raise DecodeError("the picture cannot be decoded: its file is damaged")
    return pixels
