"""Measures the queue of jobs: how many jobs a second workers take and end, and what a killed worker costs.

``jobs_figures`` is part of ``make bench-floor``; by itself: ``python bench/floor_jobs.py [DATABASE_URL]``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from robot_recorder.floor.centre.database.database import open_database
from robot_recorder.floor.centre.jobs.kinds import JobKind
from robot_recorder.floor.centre.jobs.queue import Jobs, JobSource, NewJob

JOBS, WORKERS, BATCH = 8000, 4, 16
SINGLE_JOBS = 1000
LEASE_S = 3.0  # of the killed worker; a real worker's is 60 s


def fill(jobs: Jobs, count: int, kind: JobKind = JobKind.CHECK) -> float:
    """Add jobs; return how many a second were added."""
    new = [
        NewJob(kind, (JobSource("site", f"episode_{n:06d}", f"{n:064x}", 24_000_000),), {}, f"job {n}")
        for n in range(count)
    ]  # fmt: skip
    began = time.perf_counter()
    for at in range(0, count, 500):
        jobs.add(new[at : at + 500], "bench")
    return count / (time.perf_counter() - began)


def worked(jobs: Jobs, batch: int, workers: int, kind: JobKind) -> float:
    """Take and end all jobs that wait, without working them; return how many a second."""
    ended: list[int] = []

    def work(name: str) -> None:
        while taken := jobs.lease(name, batch, 60, [kind]):
            for job in taken:
                jobs.done(job, {"files": []})
            ended.append(len(taken))

    return sum(ended) / _at_once(work, workers)


def leased(jobs: Jobs, batch: int, workers: int, kind: JobKind) -> float:
    """Take all jobs that wait; return how many a second."""
    counts: list[int] = []

    def work(name: str) -> None:
        while taken := jobs.lease(name, batch, 600, [kind]):
            counts.append(len(taken))

    return sum(counts) / _at_once(work, workers)


def _at_once(work: Callable[[str], None], workers: int) -> float:
    """Let so many threads work, each with a name of its own; return how long the last one took, s."""
    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(workers)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began


def _take_and_wait(url: str, ready: Any) -> None:
    with open_database(url) as db:
        ready.send(len(Jobs(db).lease("killed", BATCH, LEASE_S, [JobKind.THUMBNAIL])))
        time.sleep(600)


def takeover_s(url: str) -> float:
    """Kill a worker that holds jobs; return when another had them all, less the length of the lease, s."""
    with open_database(url) as db:
        jobs = Jobs(db)
        fill(jobs, BATCH, JobKind.THUMBNAIL)
        mine, theirs = multiprocessing.Pipe()
        worker = multiprocessing.get_context("spawn").Process(
            target=_take_and_wait, args=(url, theirs)
        )
        worker.start()
        assert mine.recv() == BATCH and worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        began, taken = time.perf_counter(), 0
        while taken < BATCH:  # they were tried before: each comes alone
            found = jobs.lease("other", BATCH, 600, [JobKind.THUMBNAIL])
            taken += len(found)
            time.sleep(0 if found else 0.02)
        worker.join()
        return time.perf_counter() - began - LEASE_S


def jobs_figures(url: str) -> dict[str, float]:
    """Return the figures of a new, empty database.

    ``jobs_per_s`` counts jobs that are taken 16 at a time and ended one by one, each ending a transaction
    on the disk, by four workers; ``job_leases_per_s`` only the taking.
    """
    with open_database(url) as db:
        jobs = Jobs(db)
        added = fill(jobs, JOBS)
        both = worked(jobs, BATCH, WORKERS, JobKind.CHECK)
        fill(jobs, JOBS, JobKind.ALIGN)
        taken = leased(jobs, BATCH, WORKERS, JobKind.ALIGN)
        jobs_one = [
            NewJob(JobKind.EXPORT, (JobSource("site", f"e{n}", f"{n:064x}"),), {}, f"e{n}")
            for n in range(SINGLE_JOBS)
        ]
        jobs.add(jobs_one, "bench")
        single = leased(jobs, 1, WORKERS, JobKind.EXPORT)
    return {
        "jobs_per_s": both, "job_leases_per_s": taken, "job_single_leases_per_s": single,
        "jobs_added_per_s": added, "job_takeover_s": takeover_s(url),
    }  # fmt: skip


def main() -> None:
    """Print the figures of a database, by default a new SQLite file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="?", default="", help="of a new, empty database")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = options.url or f"sqlite:///{Path(folder).absolute()}/jobs.sqlite"
        for name, value in jobs_figures(url).items():
            print(f"{name}: {value:,.2f}")


if __name__ == "__main__":
    main()
