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
    height: int = 0,
    width: int = 0,
) -> bytes:
    """Return an Image message.

    Args:
        pixels: [rows, width, channels].
        encoding: such as rgb8.
        padding: bytes at the end of every row.
        big_endian: order of bytes in a pixel.
        stamp_ns: header stamp.
        height, width: of the picture, pixels; 0: those of ``pixels``.
    """
    height, width = height or pixels.shape[0], width or pixels.shape[1]
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(pixels.shape[0], -1)
    rows = np.pad(rows, ((0, 0), (0, padding)))
    body = _padded(header(stamp_ns), 4) + struct.pack("<II", height, width) + _text(encoding)
    body = _padded(body + bytes([big_endian]), 4) + struct.pack("<I", rows.shape[1])
    return b"\0\1\0\0" + body + struct.pack("<I", rows.size) + rows.tobytes()


def compressed(data: bytes, format: str, stamp_ns: int = T0) -> bytes:
    """Return a CompressedImage message."""
    body = _padded(_padded(header(stamp_ns), 4) + _text(format), 4)
    return b"\0\1\0\0" + body + struct.pack("<I", len(data)) + data


def rvl(pixels: np.ndarray) -> bytes:
    """Return uint16 pixels in the RVL codec, number by number as its authors wrote it."""
    nibbles: list[int] = []

    def put(value: int) -> None:
        while True:
            more = value >> 3
            nibbles.append(value & 7 | (8 if more else 0))
            value = more
            if not value:
                return

    values, at, last = pixels.ravel().tolist(), 0, 0
    while at < len(values):
        start = at
        while at < len(values) and not values[at]:
            at += 1
        put(at - start)
        start = at
        while at < len(values) and values[at]:
            at += 1
        put(at - start)
        for value in values[start:at]:
            step = value - last
            put(step << 1 if step >= 0 else (-step << 1) - 1)
            last = value
    nibbles += [0] * (-len(nibbles) % 8)
    words = [
        int("".join(f"{n:x}" for n in nibbles[i : i + 8]), 16) for i in range(0, len(nibbles), 8)
    ]
    return np.array(words, dtype="<u4").tobytes()


def compressed_depth(depth: np.ndarray, how: str = "png", stamp_ns: int = T0) -> bytes:
    """Return a CompressedImage of compressedDepth.

    Args:
        depth: uint16[height, width], mm, or float32[height, width], m, at most 10 m.
        how: ``png`` or ``rvl``.
        stamp_ns: header stamp.
    """
    a = b = 0.0
    values, encoding = depth, "16UC1"
    if depth.dtype == np.float32:
        quantum, most = 100.0, 10.0
        a = quantum * (quantum + 1)
        b = 1 - a / most
        known = np.isfinite(depth) & (depth > 0) & (depth < most)
        values = np.where(known, a / np.where(known, depth, 1) + b, 0).astype(np.uint16)
        encoding = "32FC1"
    head = struct.pack("<iff", 1, a, b)
    height, width = depth.shape
    data = struct.pack("<II", width, height) + rvl(values)
    if how == "png":
        data = cv2.imencode(".png", values)[1].tobytes()
    return compressed(head + data, f"{encoding}; compressedDepth {how}", stamp_ns)
