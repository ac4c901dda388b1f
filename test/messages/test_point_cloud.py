"""Point clouds of any layout of fields, held against how they were made."""

from __future__ import annotations

import struct
import time
from typing import Any

import numpy as np
import pytest

from robot_recorder.messages.point_cloud import NAMES, decode_point_cloud, read_point_cloud
from robot_recorder.model.errors import DecodeError

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


@pytest.mark.parametrize("kind, order", [("f4", "<"), ("f8", "<"), ("f4", ">"), ("i2", "<")])
def test_count_and_extent_are_those_of_the_points(kind: str, order: str) -> None:
    decoded = decode_point_cloud(message(some(50, order, kind), big=order == ">"))
    assert decoded.names == NAMES and decoded.names[:2] == ("count (1)", "min/x (m)")
    whole = [[-1, 0, -0.5], [2, 4, 0.5]] if kind != "i2" else [[-1, 0, 0], [2, 4, 0]]
    assert decoded.values == pytest.approx([50, *np.ravel(whole)])


def test_points_that_are_not_finite_do_not_count_for_the_extent() -> None:
    points = some(50)
    points["x"][0, 3], points["y"][0, 4], points["z"][0, :2] = np.nan, np.inf, -np.inf
    points["x"][0, 4] = -100
    assert decode_point_cloud(message(points)).values[:2] == pytest.approx([50, -1 + 3 / 49 * 2])
    points["x"][:] = np.nan
    assert np.isnan(decode_point_cloud(message(points)).values[1:]).all()
    assert decode_point_cloud(message(some(0))).values[0] == 0


def test_rows_may_have_a_gap_behind_them() -> None:
    points = some(12).reshape(3, 4)
    for gap in (0, 5):
        cloud = read_point_cloud(message(points, gap))
        places = cloud.places(100)
        assert cloud.frame == "lidar" and len(places) == 12
        assert cloud.positions(places)[:, 0] == pytest.approx(np.linspace(-1, 2, 12), abs=1e-6)
        assert cloud.positions(np.array([5]))[0, 1] == pytest.approx(20 / 11)
        colours = cloud.colours(places)
        assert colours is not None and colours[3].tolist() == [3, 0, 7]


def test_intensity_gives_greys_and_a_cloud_without_it_has_no_colours() -> None:
    layout = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "<f4")])
    points = np.zeros((1, 100), dtype=layout)
    points["intensity"][0] = np.arange(100)
    cloud = read_point_cloud(message(points))
    greys = cloud.colours(cloud.places(100))
    assert greys is not None and (np.diff(greys[:, 0].astype(int)) >= 0).all()
    assert greys[0, 0] == 60 and greys[-1, 0] == 255
    bare = read_point_cloud(message(points[["x", "y", "z"]].copy()))
    assert bare.colours(bare.places(9)) is None


def test_a_large_cloud_is_sampled_and_read_at_once() -> None:
    data = message(some(300_000))
    begin = time.perf_counter()
    decoded = decode_point_cloud(data)
    assert time.perf_counter() - begin < 0.1
    assert decoded.values == pytest.approx([300_000, -1, 0, -0.5, 2, 4, 0.5], abs=1e-3)


def test_points_that_do_not_fit_are_refused() -> None:
    data = message(some(10))
    for wrong in (data[:-20], data[:60], data[:30], b"\0\1\0\0"):
        with pytest.raises(DecodeError):
            decode_point_cloud(wrong)
