"""The file that a shift survives a restart in."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from robot_recorder.recorder.shift_file import ShiftFile


def test_what_was_saved_is_loaded_and_nothing_is_written_twice(tmp_path: Path) -> None:
    file = ShiftFile(tmp_path, "g1")
    assert file.load() is None
    file.save({"shift": "名前"})
    written = file.path.stat().st_mtime_ns, file.path.stat().st_ino
    file.save({"shift": "名前"})
    assert (file.path.stat().st_mtime_ns, file.path.stat().st_ino) == written
    assert ShiftFile(tmp_path, "g1").load() == {"shift": "名前"}


@pytest.mark.announced("the last shift is lost")
@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff\xfe", b"[" * 100_000, b""])
def test_a_file_that_cannot_be_read_is_kept_aside(tmp_path: Path, content: bytes) -> None:
    file = ShiftFile(tmp_path, "g1")
    file.path.parent.mkdir()
    file.path.write_bytes(content)
    assert file.load() is None and not file.path.exists()
    (aside,) = file.path.parent.iterdir()
    assert aside.read_bytes() == content
    file.save({"shift": 1})
    assert json.loads(file.path.read_text()) == {"shift": 1}


@pytest.mark.announced("the last shift is lost")
def test_a_link_is_not_followed(tmp_path: Path) -> None:
    file = ShiftFile(tmp_path, "g1")
    file.path.parent.mkdir()
    os.symlink("/etc/hostname", file.path)
    assert file.load() is None


def test_a_disk_that_takes_nothing_is_told_and_the_shift_goes_on(tmp_path: Path) -> None:
    (tmp_path / ".shift").write_text("in the way")
    file = ShiftFile(tmp_path, "g1")
    file.save({"shift": 1})
    assert str(file.path) in file.problem
    (tmp_path / ".shift").unlink()
    file.save({"shift": 1})
    assert file.problem == "" and file.load() == {"shift": 1}
