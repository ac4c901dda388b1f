"""Works the centre's jobs: take some, run them on a pool of this machine or a cluster, note what came of it."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from robot_recorder.bags.files import make_folder
from robot_recorder.dataset.pool import ExportJob, LocalPool, Pool
from robot_recorder.floor.centre.database.database import Database, DatabaseError, open_database
from robot_recorder.floor.centre.jobs.kinds import JobKind
from robot_recorder.floor.centre.jobs.queue import MOST_TRIES, Jobs, LeasedJob
from robot_recorder.floor.centre.jobs.work import JobOrder, JobOutcome, JobPlace, work_job
from robot_recorder.floor.centre.settings import CentreSettings
from robot_recorder.model.errors import ConfigError, RecorderError

_LOGGER = logging.getLogger(__name__)
_RAY = "ray://"

Told = Callable[[str, str, int, int], None]  # what is done, a detail, how many, of how many


def _untold(what: str, detail: str, done: int, total: int) -> None:
    """Show nothing."""


@dataclass(frozen=True)
class WorkerSettings:
    """How a worker works.

    Attributes:
        kinds: of the jobs it takes.
        batch: how many jobs of single episodes it takes at once; a dataset comes alone.
        lease_s: how long a job stays taken without a sign of life: what a killed worker costs, s.
        idle_s: how long it waits when there is nothing to do, s.
        away_s: how long a job waits when the storage does not do its part, s.
        most: how many jobs of a kind may run at once, with all workers.
        name: of the worker, for people.
    """

    kinds: tuple[JobKind, ...] = tuple(JobKind)
    batch: int = 16
    lease_s: float = 60.0
    idle_s: float = 2.0
    away_s: float = 30.0
    most: Mapping[JobKind, int] = field(default_factory=dict)
    name: str = field(default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}")


@dataclass
class WorkerCounts:
    """What a worker has done: numbers of jobs."""

    done: int = 0
    failed: int = 0  # for good
    put_off: int = 0  # to be tried again
    lost: int = 0  # whose lease had expired, so that another has them


class JobWorker:
    """Works jobs until it is stopped. It may be killed at any moment."""

    def __init__(self, jobs: Jobs, place: JobPlace, pool: Pool, settings: WorkerSettings) -> None:
        """
        Args:
            jobs: the queue.
            place: where jobs find and put things.
            pool: what runs them.
            settings: how.
        """
        self._jobs, self._place, self._pool = jobs, place, pool
        self._settings = settings
        self.counts = WorkerCounts()

    def run(
        self, stop: threading.Event, until_idle: bool = False, told: Told = _untold
    ) -> WorkerCounts:
        """Work until ``stop`` is set; return what was done.

        Args:
            stop: ends the work after the jobs at work; those not begun are given back.
            until_idle: also stop when there is nothing to do.
            told: of progress.

        Raises:
            DatabaseError: with ``until_idle``, if the database fails; else it is tried again.
        """
        while not stop.is_set():
            try:
                worked = self.work_some(stop, told)
            except DatabaseError as error:
                if until_idle:
                    raise
                _LOGGER.warning("the queue of jobs cannot be reached: %s", error)
                worked = False
            if not worked:
                if until_idle:
                    break
                stop.wait(self._settings.idle_s)
        return self.counts

    def work_some(self, stop: threading.Event, told: Told = _untold) -> bool:
        """Take and work one batch; return whether there was anything to do."""
        settings, some = self._settings, False
        singles = [kind for kind in settings.kinds if kind is not JobKind.EXPORT]
        for kinds, count in ((singles, settings.batch), ([JobKind.EXPORT], 1)):
            wanted = [kind for kind in kinds if kind in settings.kinds]
            if stop.is_set():
                break
            taken = self._jobs.lease(settings.name, count, settings.lease_s, wanted, settings.most)
            if taken:
                some = True
                with self._kept(taken):
                    self._work(taken, stop, told)
        return some

    def _work(self, taken: Sequence[LeasedJob], stop: threading.Event, told: Told) -> None:
        left = {job.key: job for job in taken}
        try:
            for key, outcome in self._outcomes(taken):
                self._note(left.pop(key), outcome)
                told("working", left_name(left), len(taken) - len(left), len(taken))
                if stop.is_set():
                    break
        except RecorderError as error:  # the pool itself failed: nobody knows which job did it
            if isinstance(error, DatabaseError):
                raise
            for job in left.values():
                self._note(job, JobOutcome(None, str(error), again=True))
            return
        self._jobs.give_back(left.values())

    def _outcomes(self, taken: Sequence[LeasedJob]) -> Iterator[tuple[str, JobOutcome]]:
        """Yield the outcome of each job, by its key, as soon as it is there."""
        orders = [JobOrder(job.kind, job.key, job.sources, job.settings) for job in taken]
        if taken[0].kind is JobKind.EXPORT:  # its parts run on the pool
            for order in orders:
                yield order.key, work_job(self._place, order, self._pool)
            return
        jobs = [
            ExportJob(job.name, float(job.weight), work_job, (self._place, order))
            for job, order in zip(taken, orders, strict=True)
        ]
        jobs.sort(key=lambda job: -job.weight)
        for job, outcome in self._pool.run(jobs):
            if isinstance(outcome, RecorderError):  # of the pool
                outcome = JobOutcome(None, str(outcome), again=True)
            yield job.arguments[1].key, outcome

    def _note(self, job: LeasedJob, outcome: JobOutcome) -> None:
        counts = self.counts
        if outcome.result is not None:
            held = self._jobs.done(job, outcome.result)
            counts.done += held
        elif outcome.away:
            _LOGGER.warning("%s is put off: %s", job.name, outcome.problem)
            held = self._jobs.postponed(job, outcome.problem, self._settings.away_s)
            counts.put_off += held
        else:
            held = self._jobs.failed(job, outcome.problem, outcome.again)
            last = not outcome.again or job.tries >= MOST_TRIES
            counts.failed += held and last
            counts.put_off += held and not last
        if not held:
            counts.lost += 1
            _LOGGER.warning("the lease of %s had expired: another worker has it", job.name)

    @contextmanager
    def _kept(self, taken: Sequence[LeasedJob]) -> Iterator[None]:
        """Keep the leases of jobs while the block runs."""
        ended = threading.Event()

        def keep() -> None:
            while not ended.wait(self._settings.lease_s / 3):
                try:
                    self._jobs.keep({job.lease for job in taken}, self._settings.lease_s)
                except DatabaseError as error:  # the next time may be soon enough
                    _LOGGER.warning("the leases of jobs cannot be kept: %s", error)

        thread = threading.Thread(target=keep, name="job leases", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def left_name(left: Mapping[str, LeasedJob]) -> str:
    """Return the name of a job that is still to be done; empty: all are done."""
    return next((job.name for job in left.values()), "")


def opened_for_worker(
    folder: Path, database: str, storage: str, cache: Path | None, cache_bytes: int
) -> tuple[Database, JobPlace]:
    """Return the centre's database, and where jobs find and put things.

    Args:
        folder: of the centre.
        database, storage: addresses; empty: the variables of the environment, else in the folder.
        cache: for local copies; None: in the folder.
        cache_bytes: limit of the local copies.

    Raises:
        ConfigError, DatabaseError: they cannot be used.
    """
    settings = CentreSettings(folder=folder, database=database, storage=storage)
    own = not database or not storage
    if own and not folder.is_dir() and "://" not in settings.database_url.replace("sqlite://", ""):
        raise ConfigError(
            f"{folder} does not exist: give the folder of the centre, or its --database and --storage"
        )
    place = cache or folder / "cache"
    make_folder(place)
    return open_database(settings.database_url), JobPlace(
        settings.storage_url, place.absolute(), cache_bytes
    )


def pool_for_worker(on: str, workers: int | None) -> Pool:
    """Return what runs jobs: processes of this machine, or a Ray cluster.

    Args:
        on: empty: this machine; ``ray``: Ray started here; ``ray://host:port``: a cluster.
        workers: number of jobs at once; None: one for each processor.

    Raises:
        ConfigError: it is neither.
    """
    if not on:
        return LocalPool(workers)
    if on != "ray" and not on.startswith(_RAY):
        raise ConfigError(f"--on {on}: it is 'ray', or ray://host:port")
    from robot_recorder.dataset.ray_pool import RayPool

    return RayPool(None if on == "ray" else on, workers)
