"""kill -9 and other faults at random of robots, links, disks, clocks, centre, database and storage; then
everything is counted bag by bag and label by label.

Holds also: floor/sim/inspector.py.

CHAOS=1000 records as many episodes on each kind of centre; SEED repeats the faults of a run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

for needed in ("cv2", "fastapi", "psycopg", "cryptography"):
    pytest.importorskip(needed)

from support.large_centre import large_centre

from robot_recorder.floor.sim.faults import SimFault
from robot_recorder.floor.sim.floor import FloorRun, SimFloor, SimSettings, plain_run
from robot_recorder.floor.sim.inspector import SimInspector
from robot_recorder.floor.sim.own_centre import OwnCentre

pytestmark = pytest.mark.floor

EPISODES = int(os.environ.get("CHAOS", "50"))
SEED = int(os.environ.get("SEED", str(time.time_ns() % 2**31)))
KILLS = (SimFault.ROBOTS_KILLED, SimFault.CENTRE_KILLED)


@contextmanager
def embedded(folder: Path) -> Iterator[OwnCentre]:
    with OwnCentre(folder, with_users=True) as centre:
        yield centre


def chaos(folder: Path, centre: OwnCentre, **more: object) -> FloorRun:
    values = {
        "robots": 12, "per_process": 3, "seconds": 20.0 + EPISODES, "episodes": EPISODES, "pace_s": 5.0,
        "seed": SEED, "faults": tuple(SimFault), "faults_per_minute": 40.0, "free_after_s": 10.0,
        "drain_s": 300.0,
    }  # fmt: skip
    settings = SimSettings(folder=folder, **{**values, **more})  # type: ignore[arg-type]
    with SimFloor(settings, centre) as floor:
        word = centre.passwords["inspector"]
        with SimInspector(centre.url, "inspector", word, SEED) as inspector:
            floor.start()
            seconds = floor.watch()
            # Nothing is killed any more: whoever found no moment between two kills finds one now.
            end = time.monotonic() + 60
            while not inspector.decided and time.monotonic() < end:
                time.sleep(0.1)
        assert inspector.decided, "no inspector got to any decision"
        return floor.end(seconds)


def judge(run: FloorRun) -> None:
    account = run.account
    assert account.wrong == 0, (SEED, account.complaints, plain_run(run))
    assert run.drain_s is not None and account.waiting == 0, (SEED, plain_run(run))
    known = account.recorded - account.discarded
    assert known <= account.acknowledged <= account.recorded
    assert account.recorded >= EPISODES / 2, (SEED, plain_run(run))
    assert sum(run.faults.values()) >= 5


def test_nothing_is_lost_on_the_embedded_centre(tmp_path: Path) -> None:
    with embedded(tmp_path / "centre") as centre:
        run = chaos(tmp_path / "floor", centre)
    judge(run)


def test_nothing_is_lost_when_robots_and_centre_are_killed_all_the_time(tmp_path: Path) -> None:
    with embedded(tmp_path / "centre") as centre:
        run = chaos(
            tmp_path / "floor",
            centre,
            robots=4,
            per_process=1,
            pace_s=1.5,
            faults=KILLS,
            faults_per_minute=60.0,
        )
    judge(run)
    assert run.faults["robots_killed"] >= 3


def test_nothing_is_lost_on_postgresql_and_s3(tmp_path: Path) -> None:
    with large_centre(tmp_path, with_users=True) as centre:
        run = chaos(tmp_path / "floor", centre)
    judge(run)
