"""``compress``: finished episodes become smaller."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.bags import small_robot

from robot_recorder.bags.metadata import read_metadata, write_metadata
from robot_recorder.bags.reader import read_messages
from robot_recorder.cli.main import main
from robot_recorder.floor.agent.outbox import Outbox, SeenEpisode
from robot_recorder.floor.manifest import FileFact, Manifest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two episodes."""
    for name in ("one", "two"):
        small_robot(tmp_path / name, 3, episode_id=name)
    return tmp_path


def test_a_folder_is_compressed_once_and_its_saving_is_shown(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = list(read_messages(root / "one"))
    assert main(["compress", str(root)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("two: ") and " MB became " in lines[0] and "% less)" in lines[0]
    assert lines[-1].startswith("2 of 2 episodes compressed: ") and lines[-1].endswith(" MB/s")
    assert main(["compress", str(root)]) == 0
    assert capsys.readouterr().out == "0 of 2 episodes compressed\n"
    assert main(["compress", str(root / "one"), "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert (
        one["changed"] == 0 and one["after_bytes"] < one["before_bytes"] and len(one["left"]) == 1
    )
    assert list(read_messages(root / "one")) == before
    assert main(["check", str(root)]) == 1
    assert "damaged" not in capsys.readouterr().out


def test_an_episode_that_the_agent_sends_stays(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outbox = Outbox(root)
    for name in ("one", "two"):
        outbox.see(name, SeenEpisode(1, 2, "", 3, "m"))
    outbox.offer([("one", "m"), ("two", "m")])
    assert outbox.upload("one", Manifest((FileFact("one_0.mcap", 5, "0" * 64),)), "files")
    outbox.close()
    assert main(["compress", str(root / "one"), str(root / "two")]) == 0
    out = capsys.readouterr().out
    assert "one stays as it is: one_0.mcap: the station agent has begun to send it" in out
    assert "1 of 2 episodes compressed" in out


def test_it_waits_while_something_is_recorded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    partial = root / "three.partial"
    partial.mkdir()
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        os.utime(partial, (1, 1))  # as time goes by

    monkeypatch.setattr(time, "sleep", sleep)
    assert main(["compress", str(root)]) == 0
    assert len(waited) == 1


def test_what_cannot_be_compressed_is_told(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = root / "one" / "one_0.mcap"
    file.write_bytes(file.read_bytes()[:-100])
    assert main(["compress", str(root)]) == 0
    assert main(["compress", str(root / "one")]) == 0
    assert "cut off or damaged" in capsys.readouterr().out
    file.unlink()
    assert main(["compress", str(root)]) == 1
    assert "lacks one_0.mcap" in capsys.readouterr().err
    assert main(["compress", str(root / "missing")]) == 2
    assert main(["compress", str(root / "three.partial")]) == 2
    assert main(["compress", str(root / ".trash" / "x")]) == 2


def test_what_is_left_of_an_episode_of_several_files_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "one"
    small_robot(path, 1, episode_id="one")
    metadata = read_metadata(path)
    names = [f"one_{number}.mcap" for number in range(4)]
    for name in names[1:]:
        shutil.copy(path / names[0], path / name)
    write_metadata(path, {**metadata, "relative_file_paths": names})
    os.truncate(path / names[3], 5000)
    for name in names[1:3]:
        os.link(path / name, tmp_path / name)
    assert main(["compress", str(path)]) == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert "% less); left as they are: 2 files: it has another name" in line
    assert f"; {names[3]}: {path / names[3]} is cut off or damaged" in line


@pytest.mark.alone
def test_idle_lets_everybody_else_go_first(root: Path) -> None:
    program = (
        "import os, sys; from robot_recorder.cli.main import main; main(); "
        "sys.exit(os.sched_getscheduler(0) != os.SCHED_IDLE)"
    )
    words = [sys.executable, "-c", program, "compress", "--idle", str(root)]
    assert subprocess.run(words, capture_output=True).returncode == 0
