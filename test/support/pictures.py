"""Camera messages as bytes."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np

from support.bags import _padded, _text, header
from support.samples import T0


def pixels(path: Path) -> np.ndarray:
    """Read a picture file as uint8[height, width, 3] in the order blue, green, red."""
    image = cv2.imread(str(path))
    assert image is not None, f"{path} is not a picture"
    return image


def raw(
    pixels: np.ndarray,
    encoding: str,
    padding: int = 0,
    big_endian: bool = False,
    stamp_ns: int = T0,
) -> bytes:
    """Return an Image message.

    Args:
        pixels: [height, width, channels].
        encoding: such as rgb8.
        padding: bytes at the end of every row.
        big_endian: order of bytes in a pixel.
        stamp_ns: header stamp.
    """
    height, width = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(height, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)))
    body = _padded(header(stamp_ns), 4) + struct.pack("<II", height, width) + _text(encoding)
    body = _padded(body + bytes([big_endian]), 4) + struct.pack("<I", rows.shape[1])
    return b"\0\1\0\0" + body + struct.pack("<I", rows.size) + rows.tobytes()


def compressed(data: bytes, format: str, stamp_ns: int = T0) -> bytes:
    """Return a CompressedImage message."""
    body = _padded(_padded(header(stamp_ns), 4) + _text(format), 4)
    return b"\0\1\0\0" + body + struct.pack("<I", len(data)) + data
