"""Any bag as arrays: also one that this package never saw before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.samples import T0, wrench, write_bag

from robot_recorder.report.episode_data import load
from robot_recorder.report.picture import draw
from robot_recorder.storage.episodes import Episode
from robot_recorder.storage.mcap_writer import McapWriter

GRIPPER = Path(__file__).parents[3] / "shared" / "data" / "gripper_closes_can"


def test_a_foreign_bag_gives_its_numbers_on_its_own_clock(tmp_path: Path) -> None:
    messages = [
        ("/w", wrench(T0 + i * 10**7, (i, 0, 0, 0, 0, 0)), T0 + i * 10**7) for i in range(100)
    ]
    write_bag(McapWriter(), tmp_path / "bag", messages)
    (series,) = load(Episode.open(tmp_path / "bag")).series
    assert series.names[0] == "force/x (N)"
    assert np.allclose(series.times_s, np.arange(100) / 100)
    assert np.allclose(series.values[:, 0], np.arange(100))
    draw(load(Episode.open(tmp_path / "bag")), tmp_path / "a.png")
    assert (tmp_path / "a.png").exists()


def test_what_can_not_be_read_is_listed(tmp_path: Path) -> None:
    write_bag(
        McapWriter(), tmp_path / "bag", [("/w", wrench(T0), T0), ("/x", b"\0\1\0\0zz", T0 + 1)]
    )
    data = load(Episode.open(tmp_path / "bag"))
    assert [s.topic for s in data.series] == ["/w"]
    assert len(data.problems) == 1 and "/x" in data.problems[0]


def test_an_empty_bag_has_a_picture_too(tmp_path: Path) -> None:
    write_bag(McapWriter(), tmp_path / "bag", [])
    draw(load(Episode.open(tmp_path / "bag")), tmp_path / "a.png")
    assert (tmp_path / "a.png").exists()


def test_a_real_recording(tmp_path: Path) -> None:
    if not GRIPPER.exists():
        pytest.skip("the recording gripper_closes_can is not beside the checkout")
    data = load(Episode.open(GRIPPER))
    (wrench_series,) = data.series
    assert len(wrench_series.times_s) == 18711
    assert 1 / np.median(np.diff(wrench_series.times_s)) == pytest.approx(1000, rel=0.02)
    draw(data, tmp_path / "gripper.png")
