"""One stream of a bag as a whole, by its name or its topic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.bags import PROFILE, small_robot
from support.made import bag
from support.samples import T0, joint_state
from support.two_arms import two_arms

from robot_recorder.content.read import read_pictures, read_values
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.errors import BagError


@pytest.fixture(scope="module")
def episode(tmp_path_factory: pytest.TempPathFactory) -> Episode:
    path = tmp_path_factory.mktemp("read") / "bag"
    return Episode.open(small_robot(path, 2, profile_yaml=PROFILE, namespace="/"))


def test_all_values_are_read_by_stream_or_topic(episode: Episode) -> None:
    by_name, by_topic = (read_values(episode, n) for n in ("joints", "/joint_states"))
    assert by_name.names == by_topic.names == ("position/joint_0 (rad)", "position/joint_1 (rad)")
    assert by_name.values.shape == (200, 2) and (np.diff(by_name.times_s) > 0).all()
    assert np.array_equal(by_name.values, by_topic.values)


def test_all_pictures_are_read_with_their_times(episode: Episode) -> None:
    pictures = list(read_pictures(episode, "camera"))
    assert len(pictures) == 40
    assert all(pixels.shape == (240, 240, 3) for _, pixels in pictures)
    assert (np.diff([time for time, _ in pictures]) > 0).all()


def test_a_joint_that_is_named_later_is_nan_before(tmp_path: Path) -> None:
    names = ("a", "b")
    messages = [
        (T0 + k * 10**7, joint_state(T0 + k * 10**7, names[: 1 + k // 50], [0.5] * (1 + k // 50)))
        for k in range(100)
    ]
    path = bag(tmp_path / "bag", {"/joints": ("sensor_msgs/msg/JointState", messages)})
    values = read_values(Episode.open(path), "/joints").values
    assert values.shape == (100, 2) and (values[:, 0] == 0.5).all()
    assert np.isnan(values[:50, 1]).all() and (values[50:, 1] == 0.5).all()


def test_streams_of_one_topic_are_read_by_their_names(tmp_path: Path) -> None:
    episode = Episode.open(two_arms(tmp_path / "bag"))
    assert read_values(episode, "touch").names[0] == "normal/tip/0,0 (raw)"
    assert read_values(episode, "bodies").names[0] == "position/hand/x (m)"
    with pytest.raises(BagError, match=r"read from /hand: name one of touch, bodies"):
        read_values(episode, "/hand")


def test_a_stream_that_is_missing_or_of_another_kind_is_an_error(episode: Episode) -> None:
    with pytest.raises(BagError, match=r"no stream 'joint'; did you mean 'joints'"):
        read_values(episode, "joint")
    with pytest.raises(BagError, match=r"'wrench' \(geometry_msgs.*\) is not a camera"):
        list(read_pictures(episode, "wrench"))
    with pytest.raises(BagError, match=r"'camera' \(sensor_msgs.*\) has no values"):
        read_values(episode, "camera")
