"""Processes that check bags: each check has one alone, which a bad bag may end or keep busy for ever."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from robot_recorder.configuration.worker_process import begin_worker
from robot_recorder.floor.storage.port import StorageError, StorageTrouble
from robot_recorder.web.workers import end_processes

_NICE = 10
_Result = TypeVar("_Result")


class CheckerDiedError(StorageError):
    """The process that checked a bag died."""


class CheckTooLongError(Exception):
    """A check took longer than it may; its process was ended."""


class BagCheckers:
    """Runs functions of modules in processes, as many as there are callers at once. Any thread may call it."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._guard = threading.Lock()
        self._idle: list[ProcessPoolExecutor] = []
        self._busy: set[ProcessPoolExecutor] = set()
        self._is_closed = False

    def run(self, most_s: float, work: Callable[..., _Result], *arguments: Any) -> _Result:
        """Return what a function returns; what it raises is raised.

        Args:
            most_s: how long it may take, s, with the start of a process.
            work: a function of a module.
            arguments: for it.

        Raises:
            CheckTooLongError: it took longer.
            CheckerDiedError: its process died.
            StorageError: the centre ends.
        """
        pool = self._taken()
        keep = False
        try:
            future = pool.submit(work, *arguments)
            if not wait([future], most_s).done:
                raise CheckTooLongError(f"it took longer than {most_s:g} s")
            keep = not isinstance(future.exception(), BrokenProcessPool)
            return future.result()
        except BrokenProcessPool as error:
            if self._is_closed:  # not the bag's fault
                raise _ending() from error
            raise CheckerDiedError(
                StorageTrouble.UNAVAILABLE, "the process that checks bags died"
            ) from error
        finally:
            self._give_back(pool, keep)

    def close(self) -> None:
        """End all processes, also those that check: a check may take minutes."""
        with self._guard:
            self._is_closed = True
            pools = [*self._idle, *self._busy]
            self._idle.clear()
        for pool in pools:
            end_processes(pool)

    def _taken(self) -> ProcessPoolExecutor:
        with self._guard:
            if self._is_closed:
                raise _ending()
            if self._idle:
                pool = self._idle.pop()
            else:
                context = multiprocessing.get_context("spawn")
                pool = ProcessPoolExecutor(1, context, begin_worker, (_NICE,))
            self._busy.add(pool)
            return pool

    def _give_back(self, pool: ProcessPoolExecutor, keep: bool) -> None:
        with self._guard:
            self._busy.discard(pool)
            keep = keep and not self._is_closed
            if keep:
                self._idle.append(pool)
        if not keep:
            end_processes(pool)


def _ending() -> StorageError:
    return StorageError(StorageTrouble.UNAVAILABLE, "the centre ends")
