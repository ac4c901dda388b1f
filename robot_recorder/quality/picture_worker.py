"""Measures pictures in a process of its own: neither its time nor a decoder crash costs a take."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from robot_recorder.configuration.worker_process import begin_worker
from robot_recorder.quality.checks.looker import Tell, TellVideo

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

    from robot_recorder.quality.checks.picture_figures import VideoPackets

_MOST_WAITING = 16  # pictures; when more wait, the machine is too busy for them
_MOST_BYTES = 32_000_000  # of video that waits: 30 s of a megabyte a second
_NICE = 10
_STUCK_S = 10.0
_PATIENCE_S = 5.0
_DIED = "the process that checks pictures died; it is restarted"


_T = TypeVar("_T")


@dataclass(frozen=True)
class _Job:
    """What a job that waits counts for."""

    pictures: int
    bytes: int


class PictureWorker:
    """A process that measures pictures, shared by all episodes of a recorder."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._settled = threading.Condition(self._lock)
        self._pool: ProcessPoolExecutor | None = None
        self._ending: list[threading.Thread] = []  # managers of processes that were killed
        self._waiting = self._pictures = self._bytes = 0  # jobs; of them, pictures; bytes of video
        self._progress = 0.0  # monotonic clock: when a picture was last started or finished
        self.problem = ""

    def warm_up(self) -> None:
        """Start the process before it is needed; returns at once."""
        self.look("sensor_msgs/msg/CompressedImage", 0, bytes(12), lambda _: None)

    def look(self, type_name: str, time_ns: int, message: bytes, tell: Tell) -> None:
        """Queue a picture and return at once; drops it when too many are waiting.

        Args:
            type_name: sensor_msgs/msg/Image or CompressedImage.
            time_ns: time of the picture, robot clock.
            message: the whole message, CDR.
            tell: called with the figures from another thread; never called for a dropped picture.
        """
        from robot_recorder.quality.pictures import look_at

        if self._is_stuck() or self._pictures < _MOST_WAITING:
            self._submit(_Job(1, 0), tell, look_at, type_name, time_ns, message)

    def follow(self, packets: VideoPackets, tell: TellVideo) -> None:
        """Queue packets of a video and return at once; drops them when too many bytes are waiting.

        Args:
            packets: the packets.
            tell: called with what was found from another thread; never called for dropped packets.
        """
        from robot_recorder.quality.video_watch import follow_video

        job = _Job(0, sum(map(len, packets.messages)))
        if self._is_stuck() or self._bytes + job.bytes <= _MOST_BYTES:
            self._submit(job, tell, follow_video, packets)

    def leave(self, video: int) -> None:
        """Forget a video, unless the process that followed it has ended."""
        from robot_recorder.quality.video_watch import leave_video

        if self._pool is not None:
            self._submit(_Job(0, 0), lambda _: None, leave_video, video)

    def _is_stuck(self) -> bool:
        """Return whether the process was stuck; it is then restarted and has nothing waiting."""
        with self._lock:
            stuck = self._waiting > 0 and time.monotonic() - self._progress > _STUCK_S
            if not self._waiting:
                self._progress = time.monotonic()
        if stuck:
            self._give_up(
                f"a picture took more than {_STUCK_S:g} s; its process is restarted", self._pool
            )
        return stuck

    def _submit(
        self, job: _Job, tell: Callable[[_T], None], work: Callable[..., _T], *arguments: object
    ) -> None:
        with self._lock:
            self._waiting += 1
            self._pictures += job.pictures
            self._bytes += job.bytes
        pool = None
        try:
            pool = self._running()
            future = pool.submit(work, *arguments)
        except BrokenExecutor:
            self._give_up(_DIED, pool)
            self._done(job)
            return
        except (RuntimeError, OSError) as error:  # the pool is closing, or cannot start
            self._give_up(f"pictures cannot be checked: {error}", pool)
            self._done(job)
            return
        future.add_done_callback(lambda done: self._tell(done, tell, pool, job))

    def _tell(
        self,
        done: Future[_T],
        tell: Callable[[_T], None],
        pool: ProcessPoolExecutor | None,
        job: _Job,
    ) -> None:
        try:
            tell(done.result())
        except BrokenExecutor:
            self._give_up(_DIED, pool)
        except CancelledError:
            pass  # whoever gave its process up has said why
        except Exception as error:
            self._say(f"a picture could not be checked: {type(error).__name__}: {error}")
        finally:
            self._done(job)

    def _done(self, job: _Job) -> None:
        with self._settled:
            self._waiting -= 1
            self._pictures -= job.pictures
            self._bytes -= job.bytes
            self._progress = time.monotonic()
            self._settled.notify_all()

    def _running(self) -> ProcessPoolExecutor:
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        with self._lock:
            if self._pool is None:
                # spawn, because threads of the middleware do not survive a fork
                context = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(1, context, initializer=_stand_back)
            return self._pool

    def _say(self, problem: str) -> None:
        if problem != self.problem:
            logging.getLogger(__name__).warning(problem)
        self.problem = problem

    def _give_up(self, problem: str, pool: ProcessPoolExecutor | None) -> None:
        """Kill a process that failed, unless another has replaced it already."""
        if pool is self._pool:
            self._say(problem)
            self._end()

    def settle(self, timeout_s: float) -> bool:
        """Wait until all pictures given so far are measured; False: the timeout came first.

        Args:
            timeout_s: seconds to wait at most.
        """
        end = time.monotonic() + timeout_s
        with self._settled:
            while self._waiting:
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._settled.wait(left)
        return True

    def close(self) -> None:
        """Kill the process, even if it is busy; the next picture starts another."""
        self._end()
        with self._lock:
            managers, self._ending = self._ending, []
        for manager in managers:
            # Otherwise it may close the pool's pipe just when Python, on exit, writes to it.
            manager.join(_PATIENCE_S)

    def _end(self) -> None:
        """Kill the process; the thread that manages it, which may be the caller, ends later."""
        with self._lock:
            pool, self._pool = self._pool, None
            self._ending = [thread for thread in self._ending if thread.is_alive()]
            if pool is None:
                return
            manager: threading.Thread | None = pool._executor_manager_thread  # type: ignore[assignment]
            if manager is not None:
                self._ending.append(manager)
        processes = list((pool._processes or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.kill()


def _stand_back() -> None:
    """Prepare the new process: ignore Ctrl-C, end with the recorder, run at low priority."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    begin_worker(_NICE)
