"""The picture of an episode."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from support.bags import small_robot
from support.samples import T0, wrench, write_bag

from robot_recorder.core.errors import ConfigError
from robot_recorder.playback.contents import Contents
from robot_recorder.report.episode_data import load
from robot_recorder.report.picture import draw
from robot_recorder.storage.mcap_writer import McapWriter

GRIPPER = Path(__file__).parents[3] / "shared" / "data" / "gripper_closes_can"


def drawn(bag: Path, target: Path) -> np.ndarray:
    """uint8[h, w, 3] of the picture."""
    draw(load(Contents.open(bag)), target)
    return cv2.imread(str(target))


def test_curves_forces_and_pictures_are_there(tmp_path: Path) -> None:
    image = drawn(small_robot(tmp_path / "bag", 4.0), tmp_path / "a.png")
    assert image.shape[1] == 1500
    blue = (np.abs(image.astype(int) - (180, 119, 31)) < 20).all(
        axis=2
    )  # matplotlib's first colour
    assert blue.sum() > 2000, "curves"
    strip = image[110:230, 150:1280]
    assert strip.std() > 20, "the film strip has something to show"


def test_a_silent_camera_leaves_a_gap(tmp_path: Path) -> None:
    whole = drawn(small_robot(tmp_path / "bag", 4.0), tmp_path / "a.png")
    from robot_recorder.report import episode_data

    data = load(Contents.open(tmp_path / "bag"))
    camera = data.pictures[0]
    half = episode_data.Pictures(
        camera.topic, camera.times_s, [c for c in camera.chosen if c[0] < 2]
    )
    draw(episode_data.EpisodeData(data.contents, data.series, [half], []), tmp_path / "b.png")
    gap = cv2.imread(str(tmp_path / "b.png"))
    ground = (np.abs(gap[110:220, 800:1270].astype(int) - 33) < 3).mean()
    assert ground > 0.9 and (np.abs(whole[110:220, 800:1270].astype(int) - 33) < 3).mean() < 0.5


def test_an_empty_bag_has_a_picture_too(tmp_path: Path) -> None:
    write_bag(McapWriter(), tmp_path / "bag", [])
    assert drawn(tmp_path / "bag", tmp_path / "a.png").shape[1] == 1500


def test_a_single_message_is_drawn(tmp_path: Path) -> None:
    write_bag(McapWriter(), tmp_path / "bag", [("/w", wrench(T0), T0)])
    assert drawn(tmp_path / "bag", tmp_path / "a.png").shape[1] == 1500


def test_cells_of_an_unknown_type_are_a_heat_map(tmp_path: Path) -> None:
    if not GRIPPER.exists():
        pytest.skip("the recording gripper_closes_can is not beside the checkout")
    image = drawn(GRIPPER, tmp_path / "gripper.png")
    assert (image.max(axis=2) < 25).mean() > 0.1, "the dark of cells at rest"


def test_a_place_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    data = load(Contents.open(small_robot(tmp_path / "bag", 1.0)))
    with pytest.raises(ConfigError, match="can not be written"):
        draw(data, tmp_path / "nowhere" / "a.png")
