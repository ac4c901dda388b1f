"""Files are replaced, renamed and read without losing or overwriting anything."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from robot_recorder.bags.files import (
    Spare,
    folder_bytes,
    folder_mode,
    is_real_directory,
    is_regular,
    make_folder,
    move_into,
    open_regular,
    read_regular,
    read_text,
    rename_durably,
    replace_text,
    replaced,
)
from robot_recorder.model.errors import ConfigError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.parametrize(
    ("file", "folder"), [(0o640, 0o750), (0o600, 0o700), (0o664, 0o775), (0o644, 0o755)]
)
def test_whoever_may_read_files_may_enter_their_folder(file: int, folder: int) -> None:
    assert folder_mode(file) == folder


def test_a_new_folder_has_its_mode_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        make_folder(tmp_path / "a" / "b", 0o644)
        make_folder(tmp_path / "a" / "b", 0o600)
    finally:
        os.umask(before)
    assert mode(tmp_path / "a" / "b") == 0o755, "an existing folder stays as it is"


def test_replacing_a_text_keeps_its_mode_and_removes_what_a_crash_left(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    path.chmod(0o604)
    (tmp_path / "a.tmp").symlink_to("/etc/passwd")
    replace_text(path, "new")
    assert path.read_text() == "new" and mode(path) == 0o604
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_failed_replacement_changes_nothing(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        replace_text(path, "new")
    unwritten = pytest.raises(ConfigError, match="a cannot be written: No space left")
    with unwritten, replaced(path) as partial:
        partial.write_text("new")
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a"]


def test_nothing_is_overwritten_by_moving(tmp_path: Path) -> None:
    for name in ("a", "b", "c.partial", "d.partial"):
        (tmp_path / name).mkdir()
    with pytest.raises(FileExistsError, match="already exists: move it away first"):
        rename_durably(tmp_path / "a", tmp_path / "b")
    folder = tmp_path / "trash"
    assert move_into(tmp_path / "a", folder, "b") == folder / "b"
    assert move_into(tmp_path / "b", folder) == folder / "b-2"
    assert move_into(tmp_path / "c.partial", folder, "x.partial") == folder / "x.partial"
    assert move_into(tmp_path / "d.partial", folder, "x.partial") == folder / "x-2.partial"


def test_nothing_is_moved_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotADirectoryError, match="it is a link"):
        move_into(tmp_path / "a", tmp_path / "link")
    assert (tmp_path / "a").is_dir() and not is_real_directory(tmp_path / "link")


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    assert open_regular(tmp_path / "file").read() == b"text"
    assert read_text(tmp_path / "link", 4) == "text"
    assert [is_regular(tmp_path / name) for name in ("file", "link", "pipe", "none")] == [
        True, False, False, False,
    ]  # fmt: skip
    with pytest.raises(OSError, match="it is a FIFO, not a file"):
        open_regular(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(OSError):
            read_regular(tmp_path / name, 100)


def test_a_text_that_is_too_long_or_not_utf8_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xff" * 10)
    for read, wrong in ((read_text, ValueError), (read_regular, OSError)):
        with pytest.raises(wrong):
            read(tmp_path / "a", 9)
        with pytest.raises(UnicodeDecodeError):
            read(tmp_path / "a", 10)


def test_the_size_of_a_folder_is_that_of_its_regular_files(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_bytes(bytes(100))
    (tmp_path / "a" / "d").write_bytes(bytes(11))
    (tmp_path / "a" / "e").symlink_to(tmp_path / "a" / "d")
    assert folder_bytes(tmp_path / "a") == 111


def test_a_spare_descriptor_is_lent_taken_back_and_given_away() -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = descriptors()
    spare = Spare()
    assert descriptors() == before + 4
    with spare.lent():
        assert descriptors() == before
    assert descriptors() == before + 4
    spare.give()
    with spare.lent():
        pass
    assert descriptors() == before
