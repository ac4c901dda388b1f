"""An episode as its metadata tells it, with invalid facts named by their key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.episodes import make_episode
from support.samples import T0

from robot_recorder.episodes.episode import Episode, episode_id, robot_in
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.floor.store import open_store
from robot_recorder.model.errors import BagError
from robot_recorder.model.labels import Outcome
from robot_recorder.quality.verdict import UNCHECKED


def test_ids_sort_by_time_and_never_collide(tmp_path: Path) -> None:
    assert episode_id("g1", "lift", 1_700_000_000_123_456_789) == "g1_20231114T221320_123_lift"
    store = open_store(tmp_path)
    for expected in ("a.partial", "a-2.partial", "a-3.partial"):
        path = store.new_partial("a")
        assert path.name == expected
        path.mkdir()


def made(tmp_path: Path, **facts: Any) -> Episode:
    return Episode.open(make_episode(EpisodeStore(tmp_path), outcome=Outcome.SUCCESS, **facts))


@pytest.mark.parametrize(
    ("id", "robot"),
    [
        ("g1_20231114T221320_123_lift", "g1"),
        ("my_arm_20231114T221320_123", "my_arm"),
        ("arm_20231114T221320_123.partial", "arm"),
        ("rosbag2_2023_11_14-22_13_20", ""),
        ("20231114T221320_123_lift", ""),
    ],
)
def test_an_id_begins_with_its_robot(id: str, robot: str) -> None:
    assert robot_in(id) == robot


def test_an_episode_is_read_from_its_metadata(tmp_path: Path) -> None:
    streams = {
        "/a": {"written": 9, "lost": {"dds": None, "ring": 0, "queue": 2, "writer": 1}},
        "/b": {"written": 0, "lost": {"dds": None, "queue": 5}},
    }
    episode = made(
        tmp_path, pre_roll_s="1.5", streams=json.dumps(streams), clock_jumps="[[5, -7]]",
        recovered="true",
    )  # fmt: skip
    assert episode.id == episode.path.name and episode.labels.outcome is Outcome.SUCCESS
    assert (episode.start_ns, episode.duration_s, episode.pre_roll_s) == (T0, 10.0, 1.5)
    assert episode.span.from_ns == T0 - 1_500_000_000 and episode.span.to_ns == T0 + 10 * 10**9
    assert episode.lost == (8, False), "unknown losses of a topic without messages do not count"
    assert episode.clock_jumps == [(5, -7)] and episode.is_recovered
    assert episode.counts == {"/wrist/wrench": 100} and episode.silent == []
    assert episode.certificate is None and episode.quality is UNCHECKED


@pytest.mark.parametrize(
    ("key", "value", "read"),
    [
        ("start_ns", "soon", "start_ns"), ("stop_ns", "1e9", "duration_s"),
        ("pre_roll_s", "nan", "pre_roll_s"), ("labels", "{", "labels"), ("quality", "[1]", "quality"),
        ("sync", '{"frames": -1}', "certificate"), ("streams", "7", "streams"),
        ("clock_jumps", "[[1]]", "clock_jumps"),
    ],
)  # fmt: skip
def test_an_invalid_fact_is_an_error_that_names_it_and_hides_no_other(
    tmp_path: Path, key: str, value: str, read: str
) -> None:
    episode = made(tmp_path, **{key: value})
    with pytest.raises(BagError, match=rf"metadata\.yaml: '{key}' of custom_data is invalid"):
        getattr(episode, read)
    readable, problems = episode.readable()
    assert len(problems) == 1 and f"'{key}'" in problems[0]
    assert key not in readable.facts and readable.readable()[1] == []
    assert readable.facts.keys() == episode.facts.keys() - {key}


def test_known_results_are_not_read_again(tmp_path: Path) -> None:
    episode = made(tmp_path, quality="{", sync="{")
    assert episode.knowing(quality=UNCHECKED).quality is UNCHECKED
    with pytest.raises(BagError):
        _ = episode.knowing(quality=UNCHECKED).certificate


def test_a_data_file_of_an_episode_opens_the_episode(tmp_path: Path) -> None:
    episode = made(tmp_path)
    (file,) = episode.path.glob("*.mcap")
    assert Episode.open(str(file)).path == episode.path
