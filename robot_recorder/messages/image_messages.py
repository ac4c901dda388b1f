"""Read pictures from messages: compressed files or rows of pixels.

Sources: sensor_msgs/msg/CompressedImage and Image; encodings in sensor_msgs/image_encodings.hpp;
planar ones in https://www.kernel.org/doc/html/latest/userspace-api/media/v4l/pixfmt-yuv-planar.html;
depth in REP 118 and in codec.cpp of compressed_depth_image_transport.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from robot_recorder.messages.cdr import CdrReader
from robot_recorder.messages.rvl import decompressed
from robot_recorder.model.errors import DecodeError

RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
_FORMATS = ("jpeg", "jpg", "png", "webp", "tiff", "bmp")
MOST_PIXELS = 64_000_000  # per picture; decoded it takes four times as many bytes
_DEPTH_HEAD = 12  # bytes that the compressedDepth transport puts before its picture
_MM = np.float32(0.001)
# By encoding: numpy type, and values per pixel. Of planar ones: one brightness a pixel.
_ENCODINGS = {
    "mono8": ("u1", 1), "rgb8": ("u1", 3), "bgr8": ("u1", 3), "rgba8": ("u1", 4), "bgra8": ("u1", 4),
    "mono16": ("u2", 1), "rgb16": ("u2", 3), "bgr16": ("u2", 3), "rgba16": ("u2", 4),
    "bgra16": ("u2", 4), "yuv422": ("u1", 2), "uyvy": ("u1", 2), "yuv422_yuy2": ("u1", 2),
    "yuyv": ("u1", 2), "nv12": ("u1", 1), "nv21": ("u1", 1), "nv24": ("u1", 1),
    **{f"bayer_{order}{bits}": (f"u{bits // 8}", 1)
       for order in ("rggb", "bggr", "gbrg", "grbg") for bits in (8, 16)},
}  # fmt: skip
_GENERIC = re.compile(r"(8U|8S|16U|16S|32S|32F|64F)C(\d{0,2})")
_SAMPLINGS: dict[tuple[int, ...], str] = {
    (0x11, 0x11, 0x11): "4:4:4", (0x21, 0x11, 0x11): "4:2:2", (0x22, 0x11, 0x11): "4:2:0",
    (0x12, 0x11, 0x11): "4:4:0",
}  # fmt: skip
_HALF_ROWS = {"nv12": 1, "nv21": 1, "nv24": 4}  # of colour below the brightness, as half a picture


class UnknownEncoding(DecodeError):
    """A picture with an unsupported encoding, or above the maximum size."""


@dataclass(frozen=True)
class Pixels:
    """A picture as pixels.

    Attributes:
        encoding: encoding of the Image message, such as ``rgb8``.
        values: [height, width, channels], in the byte order of this machine. Of planar encodings
            (nv12, nv21, nv24) the rows of colour follow those of brightness.
        height: of the picture, pixels.
    """

    encoding: str
    values: npt.NDArray[Any]
    height: int

    @property
    def width(self) -> int:
        """Return the width of the picture, pixels."""
        return int(self.values.shape[1])

    @property
    def is_planar(self) -> bool:
        """Return whether rows of colour follow those of brightness."""
        return self.encoding in _HALF_ROWS


@dataclass(frozen=True)
class EncodedPicture:
    """The picture in a CompressedImage message.

    Attributes:
        data: a file (JPEG, PNG, ...), or what ``rvl`` says.
        encoding: of the picture that was compressed, such as ``16UC1``; empty: not given.
        rvl: whether ``data`` is a depth picture of the RVL codec, not a file.
        inverse: coefficients a and b of 32-bit depths: a value v stands for the depth a / (v - b),
            m, and 0 for none; None: values are no inverse depths.
    """

    data: bytes
    encoding: str
    rvl: bool = False
    inverse: tuple[float, float] | None = None

    def rvl_values(self) -> npt.NDArray[np.uint16]:
        """Decompress an RVL picture to uint16[height, width].

        Raises:
            DecodeError: it is damaged.
            UnknownEncoding: it is too large.
        """
        if len(self.data) < 8:
            raise DecodeError("the RVL picture is truncated")
        width, height = struct.unpack_from("<II", self.data)
        _check_pixels(width, height)
        return decompressed(self.data[8:], width * height).reshape(height, width)

    def metres(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return depths in m, NaN: unknown.

        Args:
            values: [height, width], as decompressed.
        """
        if self.inverse is None:
            return metres(values)
        a, b = self.inverse
        known = values.astype(np.float32)
        with np.errstate(divide="ignore", invalid="ignore"):
            return metres(np.where(known > 0, np.float32(a) / (known - np.float32(b)), 0))


def encoded_picture(message: bytes) -> EncodedPicture:
    """Return the file (JPEG, PNG, ...) in a CompressedImage message.

    Raises:
        DecodeError: the message is truncated.
        UnknownEncoding: its format is not supported.
    """
    reader = CdrReader(message)
    reader.stamp_ns()
    reader.skip_bytes()  # frame_id
    name = reader.text()
    format = name.lower()
    data = bytes(reader.raw())
    encoding, _, how = name.partition(";")
    encoding = encoding.strip() if layout(encoding.strip()) else ""
    if "compresseddepth" not in format.replace("_", ""):
        if format and not any(word in format for word in _FORMATS):
            raise UnknownEncoding(f"pictures of format '{name[:40]}' are not supported")
        return EncodedPicture(data, encoding)
    if how.split()[1:] not in ([], ["png"], ["rvl"]):
        raise UnknownEncoding(f"depth pictures of format '{name[:40]}' are not supported")
    if len(data) < _DEPTH_HEAD:
        raise DecodeError("the depth picture is truncated")
    a, b = struct.unpack_from("<ff", data, 4)
    inverse = (a, b) if encoding == "32FC1" else None
    rvl = how.split()[1:] == ["rvl"]
    return EncodedPicture(data[_DEPTH_HEAD:], "32FC1" if inverse else "16UC1", rvl, inverse)


def jpeg_start(head: bytes, size: int) -> bytes:
    """Return the beginning of the JPEG in a CompressedImage message; empty: it holds something else.

    Args:
        head: the first bytes of the message.
        size: of the whole message.

    Raises:
        DecodeError: the message is truncated.
    """
    reader = CdrReader(head)
    reader.stamp_ns()
    reader.skip_bytes()  # frame_id
    name = reader.text().lower()
    length = reader.u32()
    if reader.at + length > size:
        raise DecodeError(f"message ends at byte {size}, {reader.at + length} are needed")
    data = head[reader.at :]
    return data if data.startswith(b"\xff\xd8") and "compresseddepth" not in name else b""


def layout(encoding: str) -> tuple[np.dtype[Any], int] | None:
    """Return type and number of the values of a pixel; None: the encoding is unknown."""
    if encoding in _ENCODINGS:
        kind, channels = _ENCODINGS[encoding]
        return np.dtype(kind), channels
    generic = _GENERIC.fullmatch(encoding)
    if generic is None or generic[2] == "0":
        return None
    bits, sort = generic[1][:-1], {"U": "u", "S": "i", "F": "f"}[generic[1][-1]]
    return np.dtype(f"{sort}{int(bits) // 8}"), int(generic[2] or 1)


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
    data = np.frombuffer(reader.raw(), np.uint8)
    known = layout(encoding)
    if known is None:
        raise UnknownEncoding(f"pictures of encoding '{encoding[:40]}' are not supported")
    _check_pixels(width, height)
    number, channels = known
    row = width * channels * number.itemsize
    half_rows = _HALF_ROWS.get(encoding, 0)
    if half_rows and (width % 2 or height % 2):
        raise DecodeError(f"{width} x {height} is no size of {encoding}, which is even")
    rows = height + half_rows * height // 2
    if half_rows and step * rows > len(data):
        step = row  # some drivers give the bytes of a pixel with its colour
    if step < row or len(data) < step * rows:
        raise DecodeError(f"{len(data)} bytes are too few for {width} x {height} {encoding}")
    pixels = data[: step * rows].reshape(rows, step)[:, :row]
    if encoding == "nv24" and step > row:  # a row of colour is twice as long, its padding too
        colour = data[step * height : step * rows].reshape(height, 2 * step)[:, : 2 * row]
        pixels = np.concatenate([pixels[:height], colour.reshape(-1, row)])
    values = np.ascontiguousarray(pixels).view(number.newbyteorder(">" if big_endian else "<"))
    values = values.astype(number, copy=False).reshape(rows, width, channels)
    return Pixels(encoding, values, height)


# -- depth


def is_depth(encoding: str, topic: str = "") -> bool:
    """Return whether pictures of an encoding are distances.

    Args:
        encoding: such as ``16UC1``.
        topic: mono16 is infrared light, unless the topic says ``depth``.
    """
    return encoding in ("16UC1", "32FC1", "64FC1") or (encoding == "mono16" and "depth" in topic)


def metres(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return depths in m; NaN where a camera measured nothing: 0, negative, infinite or NaN.

    Args:
        values: whole numbers of mm, or floats of m.
    """
    with np.errstate(over="ignore"):
        found = values.astype(np.float32)
    if values.dtype.kind in "ui":
        found *= _MM
    found[~(np.isfinite(found) & (found > 0))] = np.nan
    return found


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

    Raises:
        DecodeError: the file is not a valid JPEG.
    """
    frame, scan = _jpeg_parts(data)
    height, width = (int.from_bytes(frame[i : i + 2], "big") for i in (5, 7))
    return width, height, scan


def jpeg_sampling(data: bytes) -> str:
    """Return how a JPEG stores its colours: ``4:2:0``, ``grey``, ...; other factors as numbers.

    Raises:
        DecodeError: the file is not a valid JPEG.
    """
    frame, _ = _jpeg_parts(data)
    factors = tuple(frame[11 : 10 + 3 * frame[9] : 3]) if len(frame) > 9 else ()
    if len(factors) == 1:
        return "grey"
    return _SAMPLINGS.get(factors) or " ".join(f"{f:02x}" for f in factors)


def _jpeg_parts(data: bytes) -> tuple[bytes, int]:
    """Return the segment that describes the picture (SOF), and the offset of that of its data (SOS).

    Source of the format: ITU-T T.81, B.1 and B.2.2.

    Raises:
        DecodeError: the file is not a valid JPEG.
    """
    at, frame = 2, b""
    while at + 9 < len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            return frame, at
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            frame = data[at : at + 2 + length]
        at += 2 + length
    raise DecodeError("the JPEG has no picture")
