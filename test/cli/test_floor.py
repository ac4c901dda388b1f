"""``floor``: what is asked for, and what is said of a run; the floor itself is in test/floor/sim/test_floor.py."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from robot_recorder.cli import floor
from robot_recorder.cli.commands import parser_for
from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.cli.main import main
from robot_recorder.floor.sim.account import FloorAccount
from robot_recorder.floor.sim.floor import FloorRun, SimSettings

pytest.importorskip("fastapi")
pytest.importorskip("psycopg")


class FakeFloor:
    """Stands for a floor: nothing runs."""

    settings: SimSettings
    result: FloorRun

    def __init__(self, settings: SimSettings, centre: Any) -> None:
        type(self).settings = settings
        self.left_out = ["disk_full: only root can mount a small disk"]
        self.stopped = False

    def __enter__(self) -> FakeFloor:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing runs."""

    def start(self) -> None:
        """Nothing starts."""

    def watch(self) -> float:
        signal.raise_signal(signal.SIGINT)
        assert self.stopped
        return 1.0

    def stop(self) -> None:
        self.stopped = True

    def run(self) -> FloorRun:
        return self.result


class FakeCentre:
    """Stands for a centre."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Take anything."""

    def __enter__(self) -> FakeCentre:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing runs."""

    def invitation(self) -> list[str]:
        return ["the wall: http://127.0.0.1:8090/#wall"]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeFloor]:
    monkeypatch.setattr("robot_recorder.floor.sim.floor.SimFloor", FakeFloor)
    monkeypatch.setattr("robot_recorder.floor.sim.own_centre.OwnCentre", FakeCentre)
    return FakeFloor


def ran(**counts: Any) -> FloorRun:
    return FloorRun(FloorAccount(**counts), Counter(link_cut=3), 60.0, 2.0, [])


def test_a_run_in_which_nothing_is_wrong_returns_0(
    fake: type[FakeFloor], tmp_path: Path, capsys
) -> None:
    fake.result = ran(recorded=9, acknowledged=9)
    words = ["floor", "sim", "3", "--folder", str(tmp_path), "--seed", "7", "--seconds", "60"]
    assert main(words) == ExitCode.OK
    said = capsys.readouterr()
    assert "seed 7" in said.err and "left out: disk_full" in said.err
    assert "fault: link cut" in said.out and "all was sent 2.0 s later" in said.out
    assert fake.settings.robots == 3 and fake.settings.seconds == 60


@pytest.mark.parametrize(
    "name", ["lost", "doubled", "labels_differ", "freed_without_receipt", "waiting"]
)
def test_a_run_in_which_something_is_wrong_returns_1(
    fake: type[FakeFloor], tmp_path: Path, name: str
) -> None:
    fake.result = ran(recorded=9, **{name: 1})
    assert main(["floor", "sim", "3", "--folder", str(tmp_path)]) == ExitCode.FINDING


def test_ctrl_c_ends_the_demo_in_good_order(fake: type[FakeFloor], tmp_path: Path, capsys) -> None:
    assert main(["floor", "demo", "--folder", str(tmp_path)]) == ExitCode.OK
    assert "the wall: http://127.0.0.1:8090/#wall" in capsys.readouterr().out
    assert fake.settings.robots == 10 and fake.settings.seconds is None
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_unknown_fault_is_refused_with_those_that_exist(
    fake: type[FakeFloor], tmp_path: Path, capsys
) -> None:
    assert (
        main(["floor", "sim", "3", "--folder", str(tmp_path), "--faults", "flood"])
        == ExitCode.FAILED
    )
    assert "there are robots_killed, link_dead" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", ["sim 0", "sim 2.5", "sim many", "demo --robots 9999", "sim 3 --pace 0"]
)
def test_numbers_out_of_range_are_refused(words: str, capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        parser_for(["floor", *words.split()]).parse_args(["floor", *words.split()])
    assert "error: " in capsys.readouterr().err


def test_a_folder_is_made_below_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = parser_for(["floor", "demo"]).parse_args(["floor", "demo"])
    made = floor._folder(options)
    assert made.parent == tmp_path / ".cache/floor" and made.is_dir()
