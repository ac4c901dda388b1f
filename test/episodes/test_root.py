"""The Python API: what docs/api.md promises, on a real bag."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.bags import PROFILE, small_robot
from support.episodes import make_episode

from robot_recorder.content import read_pictures, read_values
from robot_recorder.episodes import Episode, open_root
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.model.errors import BagError
from robot_recorder.offline import frames_of


def test_a_root_yields_its_episodes_and_names_those_that_cannot_be_opened(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    first, second = make_episode(store, 0), make_episode(store, 60)
    (second / "metadata.yaml").write_text("rosbag2_bagfile_information: 7\n")
    root = open_root(str(tmp_path))
    assert len(root) == 2
    assert [episode.path for episode in root] == [first]
    assert list(root.problems) == [second.name] and "metadata.yaml" in root.problems[second.name]
    assert root[first.name].labels.task == "lift"
    with pytest.raises(BagError, match="did you mean"):
        root[first.name[:-1]]
    with pytest.raises(BagError, match="is not a directory"):
        open_root(tmp_path / "nowhere")


def test_an_episode_gives_messages_frames_values_and_pictures(tmp_path: Path) -> None:
    episode = Episode.open(str(small_robot(tmp_path / "bag", 3, profile_yaml=PROFILE)))
    wrenches = list(episode.messages(["/wrist/wrench"]))
    assert len(wrenches) == episode.counts["/wrist/wrench"] > 100
    assert {m.type for m in wrenches} == {episode.topics["/wrist/wrench"]}

    aligned = frames_of(episode, rate_hz=20)
    column = aligned.column("wrench")
    assert column.values.shape == (len(aligned.frames), len(aligned.names("wrench")))
    assert len(list(aligned.frames)) == len(aligned.frames) > 50
    with pytest.raises(KeyError, match="there are"):
        aligned.column("elbow")

    joints = read_values(episode, "joints")
    assert joints.values.shape == (len(joints.times_s), len(joints.names))
    assert (np.diff(joints.times_s) > 0).all() and joints.names[0].startswith("position/")
    same = read_values(episode, "/joint_states")
    assert (same.values == joints.values).all()

    pictures = list(read_pictures(episode, "camera"))
    assert len(pictures) == episode.counts["/camera/image/compressed"]
    assert pictures[0][1].ndim == 3 and pictures[0][1].dtype == np.uint8
    with pytest.raises(BagError, match="did you mean 'camera'"):
        next(read_pictures(episode, "camra"))
    with pytest.raises(BagError, match="is not a camera"):
        next(read_pictures(episode, "joints"))
    with pytest.raises(BagError, match="has no values"):
        read_values(episode, "camera")
