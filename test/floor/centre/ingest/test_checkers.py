"""Bags are checked in processes of which none waits for another one."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
from support.centres import DeskRobot, desk_in, die, take
from support.slow_work import stall

from robot_recorder.floor.centre.ingest import verify
from robot_recorder.floor.centre.ingest.checkers import (
    BagCheckers,
    CheckerDiedError,
    CheckTooLongError,
)
from robot_recorder.floor.storage.port import StorageError


@pytest.fixture
def checkers() -> Iterator[BagCheckers]:
    checkers = BagCheckers()
    yield checkers
    checkers.close()


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_process_is_used_again(checkers: BagCheckers) -> None:
    assert checkers.run(30, os.getpid) == checkers.run(30, os.getpid) != os.getpid()


def test_a_check_that_takes_too_long_is_ended_and_the_next_is_not_concerned(
    checkers: BagCheckers,
) -> None:
    pid = checkers.run(30, os.getpid)
    for _ in range(2):
        with pytest.raises(CheckTooLongError, match="longer than 0.5 s"):
            checkers.run(0.5, time.sleep, 60)
    assert checkers.run(30, os.getpid) != pid
    end_s = time.monotonic() + 10
    while not is_gone(pid):
        assert time.monotonic() < end_s, "its process goes on"
        time.sleep(0.02)


def test_a_check_that_ends_its_process_ends_no_other(checkers: BagCheckers) -> None:
    done: list[None] = []
    other = threading.Thread(target=lambda: done.append(checkers.run(30, time.sleep, 1.5)))
    other.start()
    with pytest.raises(CheckerDiedError):
        checkers.run(30, die)
    other.join()
    assert done == [None]


def test_what_a_check_raises_is_raised(checkers: BagCheckers) -> None:
    with pytest.raises(FileNotFoundError):
        checkers.run(30, os.stat, "/nowhere")
    with pytest.raises(TimeoutError):
        checkers.run(30, exec, "raise TimeoutError(110, 'the disk does not answer')")


def test_a_bag_that_is_checked_for_ever_is_held_and_the_next_gets_its_receipt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with desk_in(tmp_path / "centre", verifiers=1) as desk:
        robot = DeskRobot(desk, "berlin", "arm")
        bad, good = take(tmp_path, 1), take(tmp_path, 2)
        for path in (bad, good):
            robot.offer(path)
        with monkeypatch.context() as patch:
            patch.setattr(verify, "bag_problems", stall)
            patch.setattr(verify, "_STRUCTURE_S", 1.0)
            robot.send(bad)
        told = desk.ingest.told("berlin", bad.name)
        assert told["state"] == "held" and "within 1 s" in told["problem"]
        monkeypatch.setattr(verify, "_STRUCTURE_S", 20.0)
        robot.send(good)
        assert desk.ingest.told("berlin", good.name)["state"] == "stored"


def test_the_end_of_the_centre_is_not_the_fault_of_a_bag(checkers: BagCheckers) -> None:
    threading.Timer(1.0, checkers.close).start()
    begun_s = time.monotonic()
    with pytest.raises(StorageError) as told:
        checkers.run(60, time.sleep, 60)
    assert not isinstance(told.value, CheckerDiedError)
    assert time.monotonic() - begun_s < 20
    with pytest.raises(StorageError):
        checkers.run(60, os.getpid)
