"""What takes long: thumbnails, reports, comparisons, made one at a time in a process that yields to recording."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from robot_recorder.configuration.worker_process import begin_worker
from robot_recorder.model.errors import RecorderError

_NICE = 15
_MOST_FILES = 300
_PATIENCE_S = 5.0


class BusyError(RecorderError):
    """Too many wait for the same."""


class Workers:
    """One process, and a folder of what it made. Its methods belong to the server's event loop."""

    def __init__(self, most_s: float | None = None) -> None:
        """Start nothing yet.

        Args:
            most_s: how long making one file may take, s; its process is ended then. None: for ever.
        """
        self._most_s = most_s
        self._alone = asyncio.Lock()  # so that nobody's time passes while others' files are made
        self._folder = tempfile.TemporaryDirectory(prefix="robot_recorder_console_")
        self._pool: ProcessPoolExecutor | None = None
        self._made: OrderedDict[str, Path] = OrderedDict()
        self._making: dict[str, asyncio.Future[Path]] = {}
        self._count = 0

    def close(self) -> None:
        """End the process, whatever it makes, and remove the folder."""
        if self._pool is not None:
            end_processes(self._pool)
        self._folder.cleanup()

    def made(self, key: str) -> Path | None:
        """Return a file that is there; None: it has to be made."""
        if key not in self._made:
            return None
        self._made.move_to_end(key)
        return self._made[key]

    async def make(
        self, key: str, suffix: str, work: Callable[..., None], *arguments: Any, most: int
    ) -> Path:
        """Return a file, made unless it is there.

        Args:
            key: its kind, and what it is of; changes when that changes.
            suffix: of the file.
            work: a function of a module; gets the arguments and the path to write.
            arguments: for it.
            most: how many of its kind may wait.

        Raises:
            BusyError: that many wait.
            RecorderError: it cannot be made; the message says why.
        """
        if key in self._made:
            self._made.move_to_end(key)
            return self._made[key]
        if key in self._making:
            return await asyncio.shield(self._making[key])
        waiting = sum(other.partition(" ")[0] == key.partition(" ")[0] for other in self._making)
        if waiting >= most:
            raise BusyError(f"{waiting} others wait for the same: try again in a moment")
        future = asyncio.get_running_loop().create_future()
        self._making[key] = future
        try:
            path = await self._run(suffix, work, *arguments)
            self._made[key] = path
            future.set_result(path)
        except BaseException as error:
            future.set_exception(error)
            future.exception()  # nobody else may be waiting for it
            raise
        finally:
            del self._making[key]
        while len(self._made) > _MOST_FILES:
            self._made.popitem(last=False)[1].unlink(missing_ok=True)
        return path

    async def _run(self, suffix: str, work: Callable[..., None], *arguments: Any) -> Path:
        self._count += 1
        path = Path(self._folder.name, f"{self._count}{suffix}")
        async with self._alone:
            if self._pool is None:
                self._pool = ProcessPoolExecutor(1, get_context("spawn"), begin_worker, (_NICE,))
            try:
                await self._ended(self._pool, partial(work, *arguments, path))
            except BrokenProcessPool as error:
                broken, self._pool = self._pool, None
                if broken is not None:
                    await asyncio.to_thread(end_processes, broken)
                raise RecorderError(
                    "the process that makes pictures and reports ended: try again"
                ) from error
        return path

    async def _ended(self, pool: ProcessPoolExecutor, work: Callable[[], None]) -> None:
        """Wait until work is done; end its process if it takes too long, or nobody waits any more."""
        made = asyncio.wrap_future(pool.submit(work))
        try:
            if not (await asyncio.wait([made], timeout=self._most_s))[0]:
                raise RecorderError(f"it takes longer than {self._most_s:g} s: it is given up")
            made.result()
        finally:
            if not made.done():
                self._pool = None
                made.add_done_callback(_forget)
                await asyncio.to_thread(end_processes, pool)


def end_processes(pool: ProcessPoolExecutor) -> None:
    """End a pool and its processes at once, whatever they do."""
    processes = list((getattr(pool, "_processes", None) or {}).values())
    manager: threading.Thread | None = pool._executor_manager_thread  # type: ignore[assignment]
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.kill()
    if manager is not None:
        # Otherwise it may close the pool's pipe just when Python, on exit, writes to it.
        manager.join(_PATIENCE_S)


def _forget(made: asyncio.Future[None]) -> None:
    if not made.cancelled():
        made.exception()  # nobody waits for it any more
