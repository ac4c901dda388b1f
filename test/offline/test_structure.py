"""What is wrong with a bag's files, by reading all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support import cases
from support.leftovers import ID, data_file, record
from support.made import bag, swings
from support.samples import T0, WRENCH, wrench

from robot_recorder.bags.metadata import read_metadata, write_metadata
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.offline.structure import recording_problems, structure_of, structure_problems

WHOLE = [cases.plain, cases.db3_alone, cases.no_chunks, cases.wrong_duration]


@pytest.mark.parametrize("make", WHOLE, ids=lambda make: make.__name__)
def test_a_whole_bag_has_no_problems(make: Callable[[Path], Path], tmp_path: Path) -> None:
    episode = Episode.open(make(tmp_path))
    found = structure_of(episode)
    assert found.messages == 300 and found.problems == list(episode.notes)


def test_messages_that_do_not_fit_their_type_are_counted(tmp_path: Path) -> None:
    messages = [(T0 + i, wrench(T0 + i) if i % 3 else b"\0\1\0\0short") for i in range(30)]
    path = bag(tmp_path / "bag", {"/wrench": (WRENCH, messages)})
    assert structure_problems(Episode.open(path)) == [
        "/wrench has 10 messages whose bytes do not fit their type"
    ]


def test_counts_that_differ_from_the_metadata_are_named(tmp_path: Path) -> None:
    path = bag(tmp_path / "bag", {"/joint_states": swings(0.0, seconds=1.0)})
    metadata = read_metadata(path)
    metadata["topics_with_message_count"][0]["message_count"] = 103
    write_metadata(path, metadata)
    (problem,) = structure_problems(Episode.open(path))
    assert problem == "/joint_states has 100 messages, metadata.yaml says 103"


def test_only_our_own_episodes_have_their_checksums_checked(tmp_path: Path) -> None:
    for name, facts in (("foreign", {}), ("own", {"episode_id": "own"})):
        path = bag(tmp_path / name, {"/joint_states": swings(0.0, seconds=1.0)}, **facts)
        (file,) = path.glob("*.mcap")
        data = bytearray(file.read_bytes())
        data[-20] ^= 1  # in the footer: every message can be read
        file.write_bytes(data)
        problems = structure_problems(Episode.open(path))
        assert problems == ([f"{file.name}: its header or index is damaged"] if facts else [])


def test_a_file_that_is_missing_is_a_problem(tmp_path: Path) -> None:
    path = bag(tmp_path / "bag", {"/joint_states": swings(0.0)}, episode_id="bag")
    episode = Episode.open(path)
    (file,) = path.glob("*.mcap")
    file.unlink()
    assert any(f"lacks {file.name}" in problem for problem in structure_problems(episode))


def test_problems_of_the_recording_are_listed(tmp_path: Path) -> None:
    path = bag(
        tmp_path / "bag", {"/joint_states": swings(0.0, seconds=1.0)}, episode_id="bag",
        recovered="true", missing="2 messages", error="the disk is full",
        streams='{"/a": {"written": 1, "lost": {"dds": 3, "queue": 0, "writer": null}}}',
    )  # fmt: skip
    assert recording_problems(Episode.open(path)) == [
        "/a lost 3 messages while recording (dds)",
        "it was recovered after a crash; missing: 2 messages",
        "it was aborted: the disk is full",
    ]


def test_check_finds_a_flipped_bit_in_a_finished_episode(tmp_path: Path) -> None:
    partial, _ = record(tmp_path, close=True)
    path = EpisodeStore(tmp_path).finalise(partial, {"episode_id": ID})
    assert structure_problems(Episode.open(path)) == []
    whole = data_file(path).read_bytes()
    for at in (5000, len(whole) // 2, len(whole) - 100):
        broken = bytearray(whole)
        broken[at] ^= 4
        data_file(path).write_bytes(broken)
        assert structure_problems(Episode.open(path)), at
