"""Compression in the background: only while nothing is recorded, and ended at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("rclpy")
from support.bags import small_robot

from robot_recorder.bags.reader import read_messages
from robot_recorder.episodes.compression import STAGING
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.nodes import idle_compression
from robot_recorder.nodes.idle_compression import IdleCompression

# What runs only when nothing else wants to does not get far beside other tests.
pytestmark = pytest.mark.alone


def wait(what: str, until: Callable[[], bool], seconds: float = 30) -> None:
    ends = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < ends, f"no {what}"
        time.sleep(0.01)


def is_compressed(path: Path) -> bool:
    return "compressed" in Episode.open(path).facts


def test_it_begins_when_it_is_quiet_ends_at_once_for_a_recording_and_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The command as an endless one first: it must be killed.
    endless = (
        "import pathlib, sys, time; pathlib.Path(sys.argv[4] + '.began').touch(); time.sleep(600)"
    )
    program = idle_compression._PROGRAM
    monkeypatch.setattr(idle_compression, "_PROGRAM", endless)
    small_robot(tmp_path / "one", 2, episode_id="one")
    before = list(read_messages(tmp_path / "one"))
    said: list[str] = []
    idle = False
    work = IdleCompression(EpisodeStore(tmp_path), lambda: idle, said.append, quiet_s=0.05)
    try:
        time.sleep(0.3)
        assert not (tmp_path / "one.began").exists(), "something is being recorded"
        idle = True
        wait("beginning", (tmp_path / "one.began").exists)
        idle = False
        monkeypatch.setattr(idle_compression, "_PROGRAM", program)
        time.sleep(0.3)
        assert not is_compressed(tmp_path / "one")
        idle = True
        wait("compression", lambda: is_compressed(tmp_path / "one") and bool(said))
    finally:
        work.close()
    assert said[0].startswith("compressed 1 episodes: ")
    assert list(read_messages(tmp_path / "one")) == before
    assert not (tmp_path / STAGING).exists()


def test_what_goes_wrong_is_said_and_the_recorder_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_robot(tmp_path / "one", 1, episode_id="one")
    monkeypatch.setattr(
        idle_compression, "_PROGRAM", "import sys; sys.exit('error: no such thing')"
    )
    said: list[str] = []
    work = IdleCompression(EpisodeStore(tmp_path), lambda: True, said.append, quiet_s=0.05)
    try:
        wait("sentence", lambda: bool(said))
        time.sleep(0.2)
    finally:
        work.close()
    assert said == ["episodes are not compressed: no such thing"], "and not again and again"


def test_what_the_disk_has_no_room_for_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first run finds the disk full, a later one does not."""
    program = """
import pathlib, sys
from robot_recorder.cli.main import main
from robot_recorder.episodes import compression
began = pathlib.Path(sys.argv[4] + ".began")
compression._KEEP_FREE = 1000 if began.exists() else 1 << 62
began.touch()
sys.exit(main())
"""
    monkeypatch.setattr(idle_compression, "_PROGRAM", program)
    monkeypatch.setattr(idle_compression, "_REST_S", 0.1)
    small_robot(tmp_path / "one", 1, episode_id="one")
    work = IdleCompression(EpisodeStore(tmp_path), lambda: True, lambda _: None, quiet_s=0.05)
    try:
        wait("compression", lambda: is_compressed(tmp_path / "one"))
    finally:
        work.close()
