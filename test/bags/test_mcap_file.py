"""A closed file is complete, and changes by others are noticed."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.leftovers import ID, data_file, read_by_others, record

from robot_recorder.bags.mcap_file import McapFile
from robot_recorder.model.errors import BagError


def test_a_finished_bag_is_read_completely_by_other_readers(tmp_path: Path) -> None:
    partial, sent = record(tmp_path, close=True)
    assert read_by_others(partial) == [sum(map(len, sent.values()))] * 2


def test_closing_a_file_reports_that_another_program_changed_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = McapFile.finish

    def interfere(self: McapFile, metadata: dict[str, dict[str, str]]) -> None:
        finish(self, metadata)
        path = data_file(tmp_path / f"{ID}.partial")
        with open(path, "r+b") as file:
            file.truncate(path.stat().st_size - 1)

    monkeypatch.setattr(McapFile, "finish", interfere)
    with pytest.raises(BagError, match="another program changed the file"):
        record(tmp_path, close=True)
