"""Messages with point clouds."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

CLOUD = "sensor_msgs/msg/PointCloud2"
_CODES = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 8}


def message(points: np.ndarray, row_gap: int = 0, big: bool = False) -> bytes:
    """Return a PointCloud2 of a structured array, [height, width].

    Args:
        points: with fields such as x, y and z.
        row_gap: bytes behind each row.
        big: whether the points are big-endian.
    """

    def padded(data: bytes, size: int) -> bytes:
        return data + bytes(-(len(data)) % size)

    fields: dict[str, Any] = dict(points.dtype.fields or {})
    body = struct.pack("<iI", 5, 6) + struct.pack("<I", 6) + b"lidar\0"
    body = padded(body, 4) + struct.pack("<III", *points.shape, len(fields))
    for name, (kind, offset, *_) in fields.items():
        text = name.encode() + b"\0"
        body = padded(padded(body, 4) + struct.pack("<I", len(text)) + text, 4)
        body += struct.pack("<IBxxxI", offset, _CODES[kind.str[1:]], 1)
    step = points.dtype.itemsize
    rows = [row.tobytes() + bytes(row_gap) for row in points]
    body = padded(body + struct.pack("<B", big), 4)
    body += struct.pack("<II", step, step * points.shape[1] + row_gap)
    data = b"".join(rows)
    return b"\0\1\0\0" + body + struct.pack("<I", len(data)) + data + b"\1"


def some(count: int, order: str = "<", kind: str = "f4") -> np.ndarray:
    """Return a cloud in one row with padding between its fields."""
    formats = [f"{order}{kind}"] * 3 + [f"{order}u4"]
    size = np.dtype(kind).itemsize
    layout = {"names": ["x", "y", "z", "rgb"], "formats": formats, "itemsize": 4 * size + 12,
              "offsets": [0, size, 2 * size, 4 * size]}  # fmt: skip
    points: Any = np.zeros((1, count), dtype=np.dtype(layout))  # type: ignore[call-overload]
    for axis, (low, high) in zip("xyz", ((-1, 2), (0, 4), (-0.5, 0.5))):
        points[axis][0] = np.linspace(low, high, count)
    points["rgb"][0] = np.arange(count) % 256 << 16 | 7
    return points
