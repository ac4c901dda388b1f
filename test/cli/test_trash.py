"""``trash``: discarded episodes are listed, brought back and deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from robot_recorder.cli.main import main
from robot_recorder.floor.store import open_store


def test_the_trash_is_listed_and_given_back(
    crashed_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = open_store(crashed_root)
    first, second = store.paths()
    store.discard(first)
    assert main(["trash", str(crashed_root)]) == 0
    out = capsys.readouterr().out
    assert first.name in out and "1 discarded" in out and "kept until" in out
    assert main(["trash", str(crashed_root), "--restore", "nothing"]) == 2
    assert main(["trash", str(crashed_root), "--restore", first.name]) == 0
    assert store.paths() == [first, second] and not store.trashed()


def test_only_episodes_in_the_trash_are_deleted_and_only_by_name(
    crashed_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = open_store(crashed_root)
    first, second = (store.discard(path) for path in store.paths())
    assert main(["trash", str(crashed_root), "--delete", f"../{first.name}"]) == 2
    assert main(["trash", str(crashed_root), "--delete", first.name]) == 0
    assert str(first) in capsys.readouterr().out
    assert store.trashed() == [second]
    assert (crashed_root / "died.partial").is_dir()
