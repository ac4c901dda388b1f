"""Data files without ``metadata.yaml`` become bags that another library reads.

Holds also: incomplete.py.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from rosbags.rosbag2 import Reader
from support import cases

from robot_recorder.bags.incomplete import incomplete
from robot_recorder.bags.rebuild import complete, is_whole
from robot_recorder.model.errors import BagError

FILES = [cases.no_metadata, cases.file_alone, cases.db3_alone, cases.no_message_indexes,
         cases.no_chunks, cases.cut_off]  # fmt: skip


@pytest.mark.parametrize("make", FILES, ids=lambda make: make.__name__)
def test_every_message_is_read_from_the_completed_bag(make, tmp_path: Path) -> None:
    path = make(tmp_path)
    file = path if path.is_file() else next(path.iterdir())
    before = file.read_bytes()
    directory, told = complete(path)
    assert is_whole(directory) and "300 messages, read back by rosbags" in told
    assert file.read_bytes() == before, "originals stay as they are"
    with Reader(directory) as reader:
        assert sum(1 for _ in reader.messages()) == 300


def test_a_bag_with_unreadable_metadata_is_completed_and_keeps_it(tmp_path: Path) -> None:
    path = cases.plain(tmp_path)
    (path / "metadata.yaml").write_text("{rubbish")
    assert not is_whole(path)
    complete(path)
    assert is_whole(path) and (path / "metadata.yaml.unreadable").read_text() == "{rubbish"


def test_a_file_without_messages_is_refused_and_gets_no_metadata(tmp_path: Path) -> None:
    path = cases.write_mcap(tmp_path / "empty.mcap", [])
    with pytest.raises(BagError, match="there is no message in it"):
        complete(path)
    assert not (tmp_path / "empty" / "metadata.yaml").exists()


def test_an_existing_folder_is_not_written_into(tmp_path: Path) -> None:
    path = cases.file_alone(tmp_path)
    (tmp_path / "alone").mkdir()
    with pytest.raises(BagError, match="alone already exists: move it away first"):
        complete(path)


def test_folders_without_metadata_are_listed_unless_still_written_to(tmp_path: Path) -> None:
    cases.plain(tmp_path)
    cases.empty_folder(tmp_path)
    path = cases.no_metadata(tmp_path)
    (tmp_path / "recording.partial").mkdir()
    assert incomplete(tmp_path) == [], "it may still be recording"
    assert incomplete(tmp_path, quiet=False) == [path]
    for file in path.iterdir():
        os.utime(file, (1, 1))
    assert incomplete(tmp_path) == [path]
