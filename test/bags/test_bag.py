"""Bags of all kinds are opened, and paths that are not bags are errors that say what they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support import cases

from robot_recorder.bags.bag import data_files, found_files, full_type, opened, read_bag
from robot_recorder.bags.metadata import METADATA_FILE
from robot_recorder.model.errors import BagError

WHOLE = [case for case in cases.CASES.values() if case.messages is not None]


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case.name)
def test_every_whole_bag_is_described_alike(case: cases.Case, tmp_path: Path) -> None:
    path = case.make(tmp_path)
    metadata, notes = read_bag(path)
    (topic,) = metadata["topics_with_message_count"]
    assert topic["topic_metadata"]["name"] == "/joint_states"
    assert topic["topic_metadata"]["type"] == cases.JOINT_STATE
    assert topic["message_count"] == metadata["message_count"] == case.messages
    assert metadata["storage_identifier"] in ("mcap", "sqlite3", "rosbag_v2")
    assert bool(notes) == (case.name == "wrong_duration")
    with opened(path) as bag:
        (found,) = bag.topics()
    assert (found.name, found.type, found.messages) == (
        "/joint_states", cases.JOINT_STATE, case.messages,
    )  # fmt: skip


def test_a_duration_that_contradicts_the_messages_is_corrected_with_a_note(tmp_path: Path) -> None:
    metadata, (note,) = read_bag(cases.wrong_duration(tmp_path))
    assert metadata["duration"]["nanoseconds"] == 299 * cases.STEP
    assert note.startswith("metadata.yaml says it lasts 50.000 s") and "span 2.990 s" in note


def test_split_files_are_ordered_by_number(tmp_path: Path) -> None:
    file = cases.file_alone(tmp_path)
    bag = tmp_path / "bag"
    bag.mkdir()
    for number in (10, 2, 1):
        shutil.copy(file, bag / f"bag_{number}.mcap")
    assert [p.name for p in found_files(bag)] == ["bag_1.mcap", "bag_2.mcap", "bag_10.mcap"]
    metadata, _ = read_bag(bag)
    assert metadata["message_count"] == 900
    assert metadata["relative_file_paths"] == [p.name for p in found_files(bag)]


def test_a_file_that_the_metadata_names_must_be_there(tmp_path: Path) -> None:
    bag = cases.plain(tmp_path)
    (file,) = data_files(bag, read_bag(bag)[0])
    file.unlink()
    with pytest.raises(BagError, match=f"lacks {file.name}, which its metadata.yaml names"):
        list(data_files(bag, read_bag(bag)[0]))


def test_paths_that_are_not_bags_are_described(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    (tmp_path / "many").mkdir()
    for number in range(7):
        (tmp_path / "many" / f"{number}.txt").touch()
    mixed = cases.db3_alone(tmp_path).parent
    shutil.copy(cases.file_alone(tmp_path / "many"), mixed / "other.mcap")
    assert not (mixed / METADATA_FILE).exists()
    for path, words in (
        (tmp_path / "nothing", "does not exist"),
        (tmp_path / "text", "of 5 bytes that is no MCAP file, rosbag2 database or ROS 1 bag"),
        (cases.empty_folder(tmp_path), "an empty folder"),
        (cases.a_pipe(tmp_path), "a FIFO"),
        (mixed, "both .mcap and .db3 files"),
    ):
        with pytest.raises(BagError, match=words):
            read_bag(path)
    (tmp_path / "many" / "alone.mcap").unlink()
    with pytest.raises(BagError, match=r"a folder of 0.txt, 1.txt, .*4.txt and 2 more"):
        read_bag(tmp_path / "many")


@pytest.mark.parametrize(
    ("short", "full"),
    [("a/B", "a/msg/B"), ("a/msg/B", "a/msg/B"), ("a/srv/B", "a/srv/B"), ("a", "a"), ("", "")],
)
def test_a_short_type_name_is_completed(short: str, full: str) -> None:
    assert full_type(short) == full
