"""Run the jobs of an export on the processes of this machine."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, Protocol

from robot_recorder.model.errors import RecorderError

_TRIES = 3  # of a job whose process died
_TOLD_S = 0.2
_PDEATHSIG = 1  # of prctl(2)


@dataclass(frozen=True)
class ExportJob:
    """A piece of work that another process can do.

    Attributes:
        name: for people: the episode, or the part of the dataset.
        weight: how long it takes, in any unit.
        work: function of a module, which can be called in another process.
        arguments: of the function; can be pickled.
    """

    name: str
    weight: float
    work: Callable[..., Any]
    arguments: tuple[Any, ...]


@dataclass
class JobProgress:
    """How far the jobs are.

    Attributes:
        total: weight of all jobs.
        done: weight of those that are done.
        jobs, finished: their numbers.
        running: seconds by the name of each job at work.
    """

    total: float
    jobs: int
    done: float = 0.0
    finished: int = 0
    running: dict[str, float] = field(default_factory=dict)


Told = Callable[[JobProgress], None]


class Pool(Protocol):
    """Something that runs jobs."""

    def close(self) -> None:
        """End what runs jobs; the next ``run`` begins anew."""

    def run(
        self, jobs: Sequence[ExportJob], told: Told = lambda progress: None
    ) -> Iterator[tuple[ExportJob, Any]]:
        """Run jobs in any order; yield each with its result, or with the RecorderError it raised.

        Jobs whose process died are run again.

        Args:
            jobs: the heaviest first, if their weights differ.
            told: called now and then.

        Raises:
            RecorderError: the jobs cannot be run at all.
        """


class LocalPool:
    """Runs jobs in processes of this machine, which stay for the next jobs until ``close``."""

    def __init__(self, workers: int | None = None) -> None:
        """
        Args:
            workers: number of processes; None: one for each processor.
        """
        self.workers = workers or len(os.sched_getaffinity(0))
        self._executor: ProcessPoolExecutor | None = None

    def run(
        self, jobs: Sequence[ExportJob], told: Told = lambda progress: None
    ) -> Iterator[tuple[ExportJob, Any]]:
        """Run jobs; a single one in this process."""
        progress = JobProgress(sum(job.weight for job in jobs), len(jobs))
        if min(self.workers, len(jobs)) <= 1:
            for job in jobs:
                progress.running = {job.name: 0.0}
                told(progress)
                yield job, answered(job.work, job.arguments)
                progress.done, progress.finished = progress.done + job.weight, progress.finished + 1
            told(progress)
            return
        left, tries = list(jobs), dict.fromkeys(range(len(jobs)), 0)
        while left:
            died: list[ExportJob] = []
            for job, result in self._once(left, progress, told):
                if isinstance(result, BrokenExecutor):
                    died.append(job)
                else:
                    yield job, result
            for job in died:
                number = next(i for i, j in enumerate(jobs) if j is job)
                tries[number] += 1
                if tries[number] >= _TRIES:
                    raise RecorderError(
                        f"{job.name}: its process was killed {_TRIES} times, as happens when memory "
                        "runs out; use fewer --workers"
                    )
            left = died

    def close(self, wait: bool = True) -> None:
        """End the processes.

        Args:
            wait: for the jobs that they still do; else they are killed.
        """
        executor, self._executor = self._executor, None
        if executor is not None:
            _end(executor, kill=not wait)

    def _once(
        self, jobs: Sequence[ExportJob], progress: JobProgress, told: Told
    ) -> Iterator[tuple[ExportJob, Any]]:
        """Run jobs once; yield a BrokenExecutor for those whose process died."""
        if self._executor is None:  # processes made by fork start at once
            context = multiprocessing.get_context("fork")
            parent = (os.getpid(),)
            self._executor = ProcessPoolExecutor(self.workers, context, _die_with, parent)
            weakref.finalize(self, _end, self._executor)  # if nobody closes it
        waiting: dict[Future[Any], ExportJob] = {}
        queue, began, died = list(jobs)[::-1], dict[str, float](), False
        try:
            while queue or waiting:
                while queue and len(waiting) < self.workers:
                    job = queue.pop()
                    try:
                        future = self._executor.submit(answered, job.work, job.arguments)
                    except BrokenExecutor as error:
                        died = True
                        yield job, error
                        continue
                    waiting[future] = job
                    began[job.name] = time.monotonic()
                done, _ = wait(waiting, _TOLD_S, FIRST_COMPLETED)
                now = time.monotonic()
                progress.running = {j.name: now - began[j.name] for j in waiting.values()}
                for future in done:
                    job, result = waiting.pop(future), _result(future)
                    died |= isinstance(result, BrokenExecutor)
                    if not isinstance(result, BrokenExecutor):
                        progress.done += job.weight
                        progress.finished += 1
                    yield job, result
                told(progress)
        finally:
            if died or waiting:
                self.close(wait=False)


def _die_with(parent: int) -> None:
    """End this process when its parent ends, even by ``kill -9``: it holds the parent's locks."""
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before
        os.kill(os.getpid(), signal.SIGKILL)


def _end(executor: ProcessPoolExecutor, kill: bool = False) -> None:
    """End the processes of an executor, and wait for the thread that manages them.

    Otherwise it may close the executor's pipe just when Python, on exit, writes to it.
    """
    for process in list((executor._processes or {}).values()) if kill else ():
        process.kill()
    manager: threading.Thread | None = executor._executor_manager_thread  # type: ignore[assignment]
    executor.shutdown(wait=manager is not threading.current_thread(), cancel_futures=True)


def _result(future: Future[Any]) -> Any:
    """Return the result of a job, or the BrokenExecutor if its process died; raise its fault."""
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, BrokenExecutor):
        return error
    raise error


def answered(work: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Call a function in a worker; return its result, or the RecorderError that it raised."""
    try:
        return work(*arguments)
    except RecorderError as error:
        return error
