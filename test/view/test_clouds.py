"""Point clouds in 3D, thinned out where there are too many points."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rerun")
from support.made import bag
from support.point_clouds import CLOUD, message, some
from support.recordings import view
from support.samples import T0

from robot_recorder.view import clouds


def lidar(path: Path, count: int, points: int) -> Path:
    """Write a bag of clouds at 10 Hz."""
    data = message(some(points))
    messages = [(T0 + k * 10**8, stamped(data, T0 + k * 10**8)) for k in range(count)]
    return bag(path, {"/lidar/points": (CLOUD, messages)})


def stamped(data: bytes, at: int) -> bytes:
    return data[:4] + struct.pack("<iI", *divmod(at, 10**9)) + data[12:]


def test_points_have_their_places_and_colours(tmp_path: Path) -> None:
    found = view(lidar(tmp_path / "bag", 20, 50), tmp_path / "a.rrd")
    times, positions = found.rows("/streams/lidar_points/points", "Points3D:positions")
    assert len(times) == 20 and len(positions[3]) == 50
    assert np.array(positions[3])[:, 0] == pytest.approx(np.linspace(-1, 2, 50), abs=1e-6)
    _, colours = found.rows("/streams/lidar_points/points", "Points3D:colors")
    assert [c >> 24 for c in colours[3][:5]] == [0, 1, 2, 3, 4]
    assert not any("clouds" in note for note in found.viewed.notes)


def test_too_many_points_are_thinned_and_it_is_said(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(clouds, "MOST_POINTS", 20)
    monkeypatch.setattr(clouds, "MOST_IN_ALL", 100)
    found = view(lidar(tmp_path / "bag", 20, 50), tmp_path / "a.rrd")
    times, positions = found.rows("/streams/lidar_points/points", "Points3D:positions")
    assert len(times) == 5 and {len(p) for p in positions} == {17}
    assert "one point cloud of 4" in found.viewed.notes[0]
    assert any("20 of up to 50 points" in note for note in found.viewed.notes)
    everything = view(lidar(tmp_path / "two", 20, 50), tmp_path / "b.rrd", everything=True)
    assert len(everything.rows("/streams/lidar_points/points", "Points3D:positions")[0]) == 20
