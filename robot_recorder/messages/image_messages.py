"""Read pictures from messages: compressed files or rows of pixels.

Sources: sensor_msgs/msg/CompressedImage and Image; encodings in sensor_msgs/image_encodings.hpp.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from robot_recorder.messages.cdr import CdrReader
from robot_recorder.model.errors import DecodeError

RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
IMAGE_TYPES = (RAW, COMPRESSED)
_FORMATS = ("jpeg", "jpg", "png", "webp", "tiff", "bmp")
MOST_PIXELS = 64_000_000  # per picture; decoded it takes four times as many bytes
_DEPTH_HEAD = 12  # bytes that the compressedDepth transport puts before its PNG
# By encoding: numpy type, and values per pixel.
_ENCODINGS = {
    "mono8": ("u1", 1), "8UC1": ("u1", 1), "rgb8": ("u1", 3), "bgr8": ("u1", 3), "8UC3": ("u1", 3),
    "rgba8": ("u1", 4), "bgra8": ("u1", 4), "8UC4": ("u1", 4), "yuv422": ("u1", 2), "uyvy": ("u1", 2),
    "yuv422_yuy2": ("u1", 2), "yuyv": ("u1", 2),
    "mono16": ("<u2", 1), "16UC1": ("<u2", 1), "32FC1": ("<f4", 1),
}  # fmt: skip


class UnknownEncoding(DecodeError):
    """A picture with an unsupported encoding, such as video, or above the maximum size."""


@dataclass(frozen=True)
class Pixels:
    """A picture as pixels.

    Attributes:
        encoding: encoding of the Image message, such as ``rgb8``.
        values: [height, width, channels], uint8, uint16 or float32.
    """

    encoding: str
    values: npt.NDArray[Any]


def encoded_picture(message: bytes) -> bytes:
    """Return the file (JPEG, PNG, ...) in a CompressedImage message.

    Raises:
        DecodeError: the message is truncated.
        UnknownEncoding: its format is not supported, such as video.
    """
    reader = CdrReader(message)
    reader.stamp_ns()
    reader.skip_bytes()  # frame_id
    name = reader.text()
    format = name.lower()
    data = bytes(reader.raw())
    if "compresseddepth" in format.replace("_", ""):
        return data[_DEPTH_HEAD:]
    if format and not any(word in format for word in _FORMATS):
        raise UnknownEncoding(f"pictures of format '{name[:40]}' are not supported")
    return data


def inverse_depth(message: bytes) -> tuple[float, float] | None:
    """Return the coefficients of 32-bit depths of the compressedDepth transport.

    Source: compressed_depth_image_transport/src/codec.cpp in image_transport_plugins.

    Returns:
        a and b: a value v stands for the depth a / (v - b), m. None: values are depths.
    """
    reader = CdrReader(message)
    reader.stamp_ns()
    reader.skip_bytes()  # frame_id
    format = reader.text().replace("_", "").lower()
    data = bytes(reader.raw()[:_DEPTH_HEAD])
    if "compresseddepth" not in format or not format.startswith("32fc1") or len(data) < _DEPTH_HEAD:
        return None
    a, b = struct.unpack_from("<ff", data, 4)
    return float(a), float(b)


def raw_pixels(message: bytes) -> Pixels:
    """Return the pixels of an Image message.

    Raises:
        DecodeError: the message is truncated, or has fewer pixels than its size says.
        UnknownEncoding: its encoding is not supported.
    """
    reader = CdrReader(message)
    reader.stamp_ns()
    reader.skip_bytes()  # frame_id
    height, width = reader.u32(), reader.u32()
    encoding = reader.text()
    big_endian = reader.u8()
    step = reader.u32()
    pixels = np.frombuffer(reader.raw(), np.uint8)
    bayer = encoding.startswith("bayer_") and encoding.endswith("8")
    kind = ("u1", 1) if bayer else _ENCODINGS.get(encoding)
    if kind is None:
        raise UnknownEncoding(f"pictures of encoding '{encoding[:40]}' are not supported")
    number, channels = np.dtype(kind[0]), kind[1]
    _check_pixels(width, height)
    row = width * channels * number.itemsize
    if step < row or len(pixels) < step * height:
        raise DecodeError(f"{len(pixels)} bytes are too few for {width} x {height} {encoding}")
    rows = np.ascontiguousarray(pixels[: step * height].reshape(height, step)[:, :row])
    values = rows.view(number.newbyteorder(">") if big_endian else number)
    return Pixels(encoding, values.reshape(height, width, channels))


def depth_as_grey(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Convert pictures of more than 8 bits (depth, infrared) to uint8: far is light, 0 unknown."""
    known = np.nan_to_num(values.astype(np.float32), posinf=0.0, neginf=0.0)
    most = float(np.percentile(known, 99.5)) if known.size else 0.0
    seen = 64 + np.clip(known / (most or 1.0) * 150, 0, 150)
    return np.asarray(np.where(known > 0, seen, 0), dtype=np.uint8)


def check_size(data: bytes) -> None:
    """Check the size in a picture's header before decoding, as a few bytes can unpack to gigabytes.

    Raises:
        DecodeError: the picture is too large, or its format is unknown.
    """
    try:
        if data.startswith(b"\xff\xd8"):
            width, height, _ = jpeg_head(data)
        elif data.startswith(b"\x89PNG\r\n\x1a\n"):
            width, height = struct.unpack_from(">II", data, 16)
        elif data.startswith(b"BM"):
            width, height = _bmp_size(data)
        elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            width, height = _webp_size(data)
        elif data[:4] in (b"II*\0", b"MM\0*"):
            width, height = _tiff_size(data)
        else:
            raise DecodeError("the picture is in no supported format (JPEG, PNG, BMP, WebP, TIFF)")
    except (struct.error, IndexError) as error:
        raise DecodeError("the picture's header is truncated") from error
    _check_pixels(width, height)


def _check_pixels(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise UnknownEncoding(
            f"a picture of {width} x {height} pixels: more than {MOST_PIXELS // 10**6} million are not "
            "decoded"
        )


def _bmp_size(data: bytes) -> tuple[int, int]:
    (head,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if head == 12 else "<ii", data, 18)
    return abs(width), abs(height)


def _webp_size(data: bytes) -> tuple[int, int]:
    """Return width and height of a WebP file.

    Source of the format: https://developers.google.com/speed/webp/docs/riff_container
    """
    kind = data[12:16]
    if kind == b"VP8X":
        return (
            1 + int.from_bytes(data[24:27], "little"),
            1 + int.from_bytes(data[27:30], "little"),
        )
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _tiff_size(data: bytes) -> tuple[int, int]:
    """Return width and height of the first picture of a TIFF file.

    Source of the format: TIFF revision 6.0, section 2.
    """
    order = "<" if data.startswith(b"II") else ">"
    (at,) = struct.unpack_from(order + "I", data, 4)
    (entries,) = struct.unpack_from(order + "H", data, at)
    found = {256: 0, 257: 0}  # ImageWidth, ImageLength
    for number in range(entries):
        tag, kind = struct.unpack_from(order + "HH", data, at + 2 + 12 * number)
        if tag in found:
            place = at + 2 + 12 * number + 8
            (found[tag],) = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, place)
    return found[256], found[257]


def jpeg_head(data: bytes) -> tuple[int, int, int]:
    """Return width and height of a JPEG file, and the offset of its compressed data.

    Source of the format: ITU-T T.81, B.1 and B.2.2.

    Raises:
        DecodeError: the file is not a valid JPEG.
    """
    at, width, height = 2, 0, 0
    while at + 9 < len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            return width, height, at
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = (int.from_bytes(data[at + i : at + i + 2], "big") for i in (5, 7))
        at += 2 + length
    raise DecodeError("the JPEG has no picture")
