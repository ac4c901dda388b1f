"""Workers make what jobs ask for, once, whatever happens to them.

Holds also: work.py, cli/worker.py.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("alembic")
pytest.importorskip("cryptography")
from support.dataset_takes import TakeOptions, take
from support.job_floor import SITE, know, made

from robot_recorder.cli.main import main
from robot_recorder.dataset.pool import ExportJob, LocalPool
from robot_recorder.floor.centre.database.database import Database, open_database
from robot_recorder.floor.centre.jobs.kinds import JobKind, checked_settings
from robot_recorder.floor.centre.jobs.queue import Jobs, JobSource, JobState, NewJob
from robot_recorder.floor.centre.jobs.work import (
    JobOrder,
    JobOutcome,
    JobPlace,
    made_result,
    work_job,
)
from robot_recorder.floor.centre.jobs.worker import JobWorker, WorkerSettings, pool_for_worker
from robot_recorder.floor.storage.open import open_storage
from robot_recorder.model.errors import ConfigError, RecorderError

SHORT = TakeOptions(seconds=0.4)


class Centre:
    """A folder of a centre with real takes, and its queue."""

    def __init__(self, folder: Path, takes: int) -> None:
        self.folder, self.storage = folder, folder / "storage"
        self.storage.mkdir(parents=True)
        self.db: Database = open_database(f"sqlite:///{folder}/centre.sqlite")
        self.jobs = Jobs(self.db)
        self.names = []
        for number in range(takes):
            path = take(folder / "takes", number, SHORT)
            know(self.db, self.storage, path)
            self.names.append(path.name)
        self.place = JobPlace(str(self.storage), folder / "cache", 10**9)

    def ask(self, kind: JobKind, **settings: Any) -> int:
        sources = self.jobs.sources(kind, [(SITE, name) for name in self.names])
        groups = [tuple(sources)] if kind is JobKind.EXPORT else [(s,) for s in sources]
        plain = checked_settings(kind, settings)
        new = [NewJob(kind, group, plain, f"{kind.value} {group[0].episode}") for group in groups]
        return self.jobs.add(new, "ann")

    def work(self, **settings: Any) -> tuple[int, int]:
        asked = WorkerSettings(name="w", **settings)
        with_pool = JobWorker(self.jobs, self.place, LocalPool(1), asked)
        counts = with_pool.run(threading.Event(), until_idle=True)
        return counts.done, counts.failed

    def counts(self, state: str) -> int:
        return sum(self.jobs.counts()[state].values())


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Centre]:
    found = Centre(tmp_path / "centre", 2)
    yield found
    found.db.close()


def test_checks_tables_and_thumbnails_are_made_once(centre: Centre) -> None:
    for kind in (JobKind.CHECK, JobKind.ALIGN, JobKind.THUMBNAIL):
        assert centre.ask(kind) == 2
    assert centre.work() == (6, 0)
    before = made(centre.storage)
    assert len(before) == 2 * (2 + 3 + 2)
    for job in centre.jobs.newest(JobState.DONE):
        result = centre.jobs.result(job["key"])
        assert result is not None
        assert result == made_result(
            open_storage(str(centre.storage)), JobKind(job["kind"]), job["key"]
        )
        telling = {"check": "verdict", "align": "frames"}.get(job["kind"])
        assert telling is None or telling in result["summary"]
    checks = list((centre.storage / "made" / "check").glob("*/check.json"))
    assert json.loads(checks[0].read_text())["verdict"] in ("accept", "review", "reject")
    assert (
        next((centre.storage / "made" / "thumbnail").glob("*/thumbnail.jpg")).read_bytes()[:2]
        == b"\xff\xd8"
    )
    assert centre.ask(JobKind.CHECK) == 0
    assert centre.jobs.forget(-1) == 6 and centre.ask(JobKind.ALIGN) == 2
    assert centre.work() == (2, 0)  # found, not made again
    assert made(centre.storage) == before
    assert not list((centre.folder / "cache" / "work").iterdir())


def test_a_dataset_is_made_on_the_pool(centre: Centre) -> None:
    assert centre.ask(JobKind.EXPORT, format="npz") == 1
    assert centre.work() == (1, 0)
    (job,) = centre.jobs.newest(JobState.DONE)
    result = centre.jobs.result(job["key"])
    assert result is not None and result["summary"]["episodes"] == 2
    assert result["summary"]["left_out"] == {}
    names = [name for name, *_ in result["files"]]
    assert any(name.endswith(".npz") for name in names)
    folder = centre.storage / "made" / "export" / job["key"]
    for name, size, _ in result["files"]:
        assert (folder / name).stat().st_size == size
    assert all(b'"ann"' not in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_damaged_bag_fails_with_a_sentence_and_the_others_are_made(centre: Centre) -> None:
    bag = next((centre.storage / "bags" / SITE / centre.names[0]).glob("*.mcap"))
    bag.write_bytes(b"nothing")
    centre.ask(JobKind.ALIGN)
    assert centre.work() == (1, 1)
    (failed,) = centre.jobs.newest(JobState.FAILED)
    assert failed["tries"] == 1 and centre.names[0] in failed["problem"]


def test_an_episode_that_is_gone_and_a_storage_that_is_away_are_told_apart(centre: Centre) -> None:
    source = JobSource(SITE, "gone", "0" * 64)
    order = JobOrder(JobKind.CHECK, "1" * 64, (source,), {})
    gone = work_job(centre.place, order)
    assert gone.result is None and "no episode gone" in gone.problem and not gone.again
    known = JobSource(SITE, centre.names[0], "0" * 64)
    order = JobOrder(JobKind.CHECK, "1" * 64, (known,), {})
    (centre.folder / "file").write_text("")
    no_folder = JobPlace(str(centre.storage), centre.folder / "file", 1)
    assert work_job(no_folder, order).again and not work_job(no_folder, order).away
    away = JobPlace("/proc/nothing/storage", centre.folder / "cache", 1)
    centre.ask(JobKind.CHECK)
    with_it = JobWorker(centre.jobs, away, LocalPool(1), WorkerSettings())
    counts = with_it.run(threading.Event(), until_idle=True)
    assert (counts.done, counts.failed, counts.put_off) == (0, 0, 2)
    assert centre.counts("waiting") == 2
    assert made(centre.storage) == {}


class KillingPool:
    """A pool whose processes are killed by one job, as happens when memory runs out."""

    def __init__(self, killer: str) -> None:
        self.killer = killer

    def close(self) -> None:
        """End nothing."""

    def run(
        self, jobs: Sequence[ExportJob], told: Callable[[Any], None] = lambda progress: None
    ) -> Iterator[tuple[ExportJob, Any]]:
        for job in sorted(jobs, key=lambda job: self.killer in job.name):
            if self.killer in job.name:
                raise RecorderError(f"{job.name}: its process was killed 3 times")
            yield job, JobOutcome({"files": []})


def test_a_job_that_kills_its_process_fails_alone(centre: Centre) -> None:
    centre.ask(JobKind.CHECK)
    centre.ask(JobKind.THUMBNAIL)
    jobs = Jobs(centre.db, pause_s=0)
    worker = JobWorker(
        jobs, centre.place, KillingPool(centre.names[1]), WorkerSettings((JobKind.CHECK,))
    )
    counts = worker.run(threading.Event(), until_idle=True)
    assert counts.done == 1 and centre.counts("failed") == 1
    (failed,) = centre.jobs.newest(JobState.FAILED)
    assert failed["tries"] == 3 and "killed 3 times" in failed["problem"]
    assert centre.jobs.counts()["waiting"]["thumbnail"] == 2


def test_a_worker_that_is_stopped_gives_back_what_it_has_not_begun(centre: Centre) -> None:
    centre.ask(JobKind.CHECK)
    stop = threading.Event()
    worker = JobWorker(centre.jobs, centre.place, LocalPool(1), WorkerSettings())
    counts = worker.run(stop, told=lambda *_: stop.set())
    assert counts.done == 1
    assert [job.tries for job in centre.jobs.lease("other", 5, 60)] == [1]


CHILD = """
import sys, threading
from pathlib import Path
from robot_recorder.dataset.pool import LocalPool
from robot_recorder.floor.centre.database.database import open_database
from robot_recorder.floor.centre.jobs.work import JobPlace
from robot_recorder.floor.centre.jobs.worker import JobWorker, WorkerSettings
from robot_recorder.floor.centre.jobs.queue import Jobs
folder = Path(sys.argv[1])
db = open_database(f"sqlite:///{folder}/centre.sqlite")
place = JobPlace(str(folder / "storage"), folder / "cache", 10**9)
settings = WorkerSettings(batch=4, lease_s=1.0, idle_s=0.1, name=sys.argv[2])
JobWorker(Jobs(db), place, LocalPool(2), settings).run(threading.Event())
"""


def test_a_worker_that_is_killed_costs_a_lease_and_nothing_is_made_twice(tmp_path: Path) -> None:
    centre = Centre(tmp_path / "centre", 6)
    centre.ask(JobKind.CHECK)
    centre.ask(JobKind.ALIGN)
    command = [sys.executable, "-c", CHILD, str(centre.folder)]
    first = subprocess.Popen([*command, "first"], start_new_session=True)
    try:
        wait_for(lambda: centre.counts("done") >= 1)
        os.kill(first.pid, signal.SIGKILL)  # its processes die with it
        first.wait()
        running = centre.jobs.newest(JobState.RUNNING)
        assert {job["worker"] for job in running} <= {"first"}
        whole = {p.parent: made(centre.storage)[str(p.relative_to(centre.storage / "made"))]
                 for p in (centre.storage / "made").rglob("made.json")}  # fmt: skip
        began = time.monotonic()
        second = subprocess.Popen([*command, "second"], start_new_session=True)
        try:
            wait_for(lambda: centre.counts("done") == 12)
        finally:
            second.kill()
            second.wait()
        took_s = time.monotonic() - began
    finally:
        first.kill()
        first.wait()
    done = centre.jobs.newest(JobState.DONE)
    assert len({job["key"] for job in done}) == 12
    assert all(job["tries"] <= 2 for job in done) and took_s < 30
    found = made(centre.storage)
    assert len(found) == 6 * 2 + 6 * 3  # each output once
    for folder, stamp in whole.items():  # what the first had finished was not made again
        assert found[str((folder / "made.json").relative_to(centre.storage / "made"))] == stamp
    centre.db.close()


def wait_for(holds: Callable[[], bool], within_s: float = 60.0) -> None:
    until = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.floor
def test_the_same_jobs_are_worked_on_ray(centre: Centre) -> None:
    pytest.importorskip("ray")
    centre.ask(JobKind.CHECK)
    centre.ask(JobKind.EXPORT, format="npz")
    pool = pool_for_worker("ray", 2)
    worker = JobWorker(centre.jobs, centre.place, pool, WorkerSettings())
    counts = worker.run(threading.Event(), until_idle=True)
    assert (counts.done, counts.failed) == (3, 0)
    assert len(list((centre.storage / "made" / "check").glob("*/check.json"))) == 2


@pytest.mark.floor
def test_what_a_robot_sent_is_checked_by_a_worker_and_read_at_the_centre(tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    from support.centres import BareRobot
    from support.centres import centre as running_centre

    path = take(tmp_path / "takes", 0, SHORT)
    with running_centre(
        tmp_path / "centre", users={"ann": "inspector", "bob": "operator"}
    ) as there:
        robot = BareRobot(there.url, there.token(SITE, "arm"))
        robot.offer(path)
        ann, bob = there.login("ann"), there.login("bob")
        assert there.post("/api/jobs", {"kind": "check"}, ann)[0] == 422  # no receipt yet
        robot.send(path)
        robot.receipt(path.name)
        assert there.post("/api/jobs", {"kind": "check"}, bob)[0] == 403
        status, answer = there.post("/api/jobs", {"kind": "check"}, ann)
        assert (status, answer["added"]) == (200, 1)
        assert main(["worker", "--folder", str(tmp_path / "centre"), "--until-idle"]) == 0
        queue = there.get("/api/jobs", bob)[1]
        assert queue["counts"]["done"]["check"] == 1
        place = f"/api/jobs/made/check/{queue['done'][0]['key']}"
        assert there.get(place, bob)[1]["summary"]["sound"] is True
        assert there.get(f"{place}/check.json", bob)[1]["problems"] == []
        assert there.get(f"{place}/check.json")[0] == 401


# -- the command


def test_the_command_works_until_there_is_nothing_to_do(
    centre: Centre, capsys: pytest.CaptureFixture[str]
) -> None:
    centre.ask(JobKind.CHECK)
    centre.ask(JobKind.THUMBNAIL)
    command = ["worker", "--folder", str(centre.folder), "--until-idle", "--workers", "1"]
    assert main([*command, "--kind", "thumbnail"]) == 0
    assert "2 jobs done, 0 failed" in capsys.readouterr().out
    next((centre.storage / "bags" / SITE / centre.names[0]).glob("*.yaml")).write_text("{")
    assert main(command) == 1
    assert "1 job done, 1 failed" in capsys.readouterr().out


def test_the_command_refuses_folders_and_clusters_that_are_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["worker", "--folder", str(tmp_path / "no")]) == 2
    assert "does not exist" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="ray://host:port"):
        pool_for_worker("slurm", None)
