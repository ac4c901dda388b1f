"""Looks at pictures in a process of its own: neither its time nor a decoder's crash costs a take."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from robot_recorder.core.quality.cameras import PictureFigures
from robot_recorder.quality.pictures import look_at

_MOST_WAITING = 16  # pictures; more than that is a machine that has no time for them
_NICE = 10


class PictureWorker:
    """One for all episodes of a recorder."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None
        self._waiting = 0
        self._settled = threading.Condition(self._lock)
        self.left_out = 0  # pictures nobody had the time to look at
        self.problem = ""

    def warm_up(self) -> None:
        """Start the process before it is needed; returns at once."""
        self._submit("sensor_msgs/msg/CompressedImage", 0, bytes(12), lambda _: None)

    def look(
        self, type_name: str, time_ns: int, message: bytes, tell: Callable[[PictureFigures], None]
    ) -> None:
        """Look at a picture later; never waits.

        Args:
            tell: called with what was seen, in another thread; not at all when there is no time.
        """
        with self._lock:
            if self._waiting >= _MOST_WAITING:
                self.left_out += 1
                return
        self._submit(type_name, time_ns, message, tell)

    def _submit(
        self, type_name: str, time_ns: int, message: bytes, tell: Callable[[PictureFigures], None]
    ) -> None:
        def done(future: Future[PictureFigures]) -> None:
            try:
                tell(future.result())
            except BrokenProcessPool:
                self._lose("the process that looks at pictures died; it is started again")
            except Exception as error:
                self._lose(f"a picture could not be looked at: {type(error).__name__}: {error}")
            with self._settled:
                self._waiting -= 1
                self._settled.notify_all()

        with self._lock:
            self._waiting += 1
        try:
            self._running().submit(look_at, type_name, time_ns, message).add_done_callback(done)
        except (RuntimeError, OSError) as error:  # a broken pool is one, too
            self._lose(f"a picture could not be looked at: {error}")
            with self._lock:
                self._waiting -= 1

    def _running(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                # spawn: threads of the middleware do not survive a fork.
                context = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(1, context, initializer=_stand_back)
            return self._pool

    def _lose(self, problem: str) -> None:
        if problem != self.problem:
            logging.getLogger(__name__).warning(problem)
        with self._lock:
            self.problem = problem
            self.left_out += 1
            broken, self._pool = self._pool, None
        if broken is not None:
            broken.shutdown(wait=False, cancel_futures=True)

    def settle(self, timeout_s: float) -> bool:
        """Wait until everything given so far has been looked at; False: there was no time for all."""
        end = time.monotonic() + timeout_s
        with self._settled:
            while self._waiting:
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._settled.wait(left)
        return True

    def close(self) -> None:
        """End the process."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)


def _stand_back() -> None:
    """In the new process: it ends with the recorder, not with Ctrl-C, and comes after everything else."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_NICE)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A recorder that is killed has no time to end it, and it would hold the recorder's terminal open."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(0)
