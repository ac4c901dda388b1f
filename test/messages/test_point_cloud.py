"""Point clouds of any layout of fields, held against how they were made."""

from __future__ import annotations

import time

import numpy as np
import pytest
from support.point_clouds import message, some

from robot_recorder.messages.point_cloud import NAMES, decode_point_cloud, read_point_cloud
from robot_recorder.model.errors import DecodeError


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
