"""Loading any bag as arrays of bounded size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.bags import small_robot
from support.made import bag
from support.samples import T0, joint_state, wrench, write_bag
from support.sounds import DEFINITION, STAMPED, stamped

from robot_recorder.bags import columns
from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.content import series as episode_data
from robot_recorder.content.contents import Contents
from robot_recorder.content.series import EpisodeData, load
from robot_recorder.messages.audio import LEVELS
from robot_recorder.messages.kinds import Sort

GRIPPER = Path(__file__).parents[3] / "shared" / "data" / "gripper_closes_can"


def loaded(path: Path, pictures: int = 96) -> EpisodeData:
    return load(Contents.open(path), pictures)


def forces(path: Path, values: np.ndarray) -> Path:
    """Write a bag of one wrench stream at 100 Hz."""
    at = [T0 + i * 10**7 for i in range(len(values))]
    write_bag(
        McapWriter(), path, [("/w", wrench(t, (v, 0, 0, 0, 0, 0)), t) for t, v in zip(at, values)]
    )
    return path


def test_a_foreign_bag_is_read_with_times_of_its_own_clock(tmp_path: Path) -> None:
    (series,) = loaded(forces(tmp_path / "bag", np.arange(100.0))).series
    assert series.names[0] == "force/x (N)"
    assert np.allclose(series.times_s, np.arange(100) / 100)
    assert np.allclose(series.values[:, 0], np.arange(100))


@pytest.mark.parametrize("span", [50_000, 37])
def test_a_long_series_keeps_every_extreme(tmp_path: Path, monkeypatch, span: int) -> None:
    monkeypatch.setattr(episode_data, "_POINTS", 100)
    monkeypatch.setattr(columns, "_SPAN_MESSAGES", span)
    values = np.sin(np.arange(3000) / 100)
    values[1234], values[777] = 50.0, -60.0
    (series,) = loaded(forces(tmp_path / "bag", values)).series
    force = series.values[:, 0]
    assert len(force) <= 104 and (np.diff(series.times_s) >= 0).all()
    assert force.max() == 50.0 and force.min() == -60.0
    assert series.times_s[force.argmax()] == pytest.approx(12.34, abs=0.6)
    assert series.times_s[[0, -1]] == pytest.approx([0, 29.99])
    usual = np.abs(force) < 2
    assert np.abs(force - np.sin(series.times_s))[usual].max() < 0.6, (
        "the thinned curve has the same shape"
    )


def test_the_nearest_pictures_of_evenly_spread_times_are_chosen(tmp_path: Path) -> None:
    (camera,) = loaded(small_robot(tmp_path / "bag", 10.0), pictures=20).pictures
    assert len(camera.times_s) == 200 and len(camera.chosen) == 20
    times = np.array([time for time, _ in camera.chosen])
    assert np.abs(times - (np.arange(20) + 0.5) / 2).max() < 0.05
    assert camera.chosen[3][1].pixels().shape == (240, 240, 3)


def test_no_picture_of_a_slow_camera_appears_twice(tmp_path: Path) -> None:
    (camera,) = loaded(small_robot(tmp_path / "bag", 1.0), pictures=96).pictures
    times = [time for time, _ in camera.chosen]
    assert len(set(times)) == len(times) <= 20


def test_unreadable_content_is_listed(tmp_path: Path) -> None:
    write_bag(
        McapWriter(), tmp_path / "bag", [("/w", wrench(T0), T0), ("/x", b"\0\1\0\0zz", T0 + 10**9)]
    )
    data = loaded(tmp_path / "bag")
    assert [s.topic.name for s in data.series] == ["/w"]
    assert len(data.problems) == 2 and "/x" in data.problems[1]
    assert "not aligned" in data.problems[0] and "steady rate" in data.problems[0]


def test_a_real_recording_has_series_and_pictures() -> None:
    if not GRIPPER.exists():
        pytest.skip("the recording gripper_closes_can is not beside the checkout")
    force, pads = loaded(GRIPPER).series
    assert len(force.times_s) <= 4004 and force.times_s[-1] == pytest.approx(18.72, abs=0.01)
    assert pads.topic.sort is Sort.NUMBERS and pads.values.shape == (468, 44)


@pytest.mark.parametrize("points", [4000, 20])
def test_bodies_that_appear_late_widen_the_series(tmp_path: Path, monkeypatch, points: int) -> None:
    monkeypatch.setattr(episode_data, "_POINTS", points)
    monkeypatch.setattr(columns, "_SPAN_MESSAGES", 30)
    names = ("a", "b")
    messages = [
        (T0 + k * 10**7, joint_state(T0 + k * 10**7, names[: 1 + k // 60], [0.5] * (1 + k // 60)))
        for k in range(120)
    ]
    path = bag(tmp_path / "bag", {"/joints": ("sensor_msgs/msg/JointState", messages)})
    (series,) = loaded(path).series
    assert series.values.shape == (len(series.times_s), 2)
    assert (series.values[:, 0] == 0.5).all() and np.isnan(series.values[0, 1])
    assert series.values[-1, 1] == 0.5


def test_sound_is_loaded_beside_its_level(tmp_path: Path) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 50 * np.arange(16_000) / 8000)
    chunks = [stamped("int16", part * 2**15, rate=8000) for part in tone.reshape(20, 800)]
    messages = [(T0 + k * 10**8, data) for k, data in enumerate(chunks)]
    path = bag(tmp_path / "bag", {"/mic": (STAMPED, messages)}, DEFINITION)
    level, sound = loaded(path).series
    assert level.names == LEVELS and sound.names == ("sound/1 (1)",)
    assert len(sound.times_s) <= 4400 and sound.topic == level.topic
    assert sound.times_s[-1] == pytest.approx(2.0, abs=0.01)
    assert sound.values.max() == pytest.approx(0.5, abs=1e-3)
    middle = sound.values[np.abs(sound.times_s - 1.0) < 0.1]
    assert middle.min() < -0.45 and middle.max() > 0.45
