"""Run the jobs of an export on a Ray cluster, through a process that may die with the connection."""

from __future__ import annotations

import importlib.util
import logging
import multiprocessing
import os
import pickle
import secrets
import shutil
import signal
import socket
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from robot_recorder.dataset.pool import ExportJob, JobProgress, Told
from robot_recorder.model.errors import ConfigError, RecorderError

_RETRIES = 3  # by Ray, of a job whose process died
_TOLD_S = 0.2
_COUNTED_S = 5.0  # between looks at the cluster, which also find out whether it is there
_CONNECT_S = 120.0  # a cluster of this machine starts in 4 s, on a cold and busy one in 30 s
_SILENT_S = 60.0  # of a connection; then it is taken for lost
_GIVEN_UP_S = "15"  # for Ray to find back a connection by itself; we connect again anyway
_REACHED_S = 5.0  # for a port to answer
_PATIENCE_S = 300.0  # for a cluster to come back
_WAITS_S = (1.0, 30.0)  # between attempts: first, longest
_LOSSES = 5  # in a row, without a job done in between
_STOP_S = 10.0  # for a cluster to be stopped
_STARTS = 3  # of a connection that the cluster's server of clients failed to start
_FLAKE = "Starting Ray client server failed"  # one in ten, when two connections follow closely
_OBJECTS = 100 << 20  # bytes; results are small
_LOGGER = logging.getLogger(__name__)


class _Lost(Exception):
    """The cluster cannot be reached; the same may work later."""


class RayPool:
    """Runs jobs on the machines of a Ray cluster, on which this package has to be installed.

    A cluster of its own is guarded by a token that exists only in memory. For another cluster with
    tokens, set ``RAY_AUTH_MODE=token`` and ``RAY_AUTH_TOKEN`` or ``RAY_AUTH_TOKEN_PATH``.
    """

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        """
        Args:
            address: ``ray://host:10001``, on a machine of the cluster also ``ray:auto`` or
                ``ray:host:6379``; None: starts a cluster on this machine, and stops it again.
            workers: number of jobs at once; None: one for each processor that the cluster has.
        """
        if address is not None and not address.startswith("ray://"):
            address = address.removeprefix("ray:")
        self.address, self.workers = address, workers

    def close(self) -> None:
        """Do nothing: every ``run`` has a connection of its own."""

    def run(
        self, jobs: Sequence[ExportJob], told: Told = lambda progress: None
    ) -> Iterator[tuple[ExportJob, Any]]:
        """Run jobs; those whose process or machine died, or that were at work when the connection
        was lost, are run again.

        Raises:
            ConfigError: Ray is not installed, or the cluster cannot be reached.
            RecorderError: the processes of a job died several times, or the cluster did not return.
        """
        if not jobs:
            return
        if importlib.util.find_spec("ray") is None:
            raise ConfigError(
                "--on ray needs Ray, which is not installed: pip install 'robot_recorder[ray]'"
            )
        progress = JobProgress(sum(job.weight for job in jobs), len(jobs))
        left, losses = dict(enumerate(jobs)), 0
        link = self._linked()
        try:
            while left:
                try:
                    for number, result in link.results(left, progress, told):
                        job, losses = left.pop(number), 0
                        progress.done += job.weight
                        progress.finished += 1
                        yield job, result
                except _Lost as error:
                    link.close()
                    losses += 1
                    if losses > _LOSSES:
                        raise RecorderError(self._gone(len(left), str(error))) from error
                    link = self._again(left, str(error), progress, told)
            progress.running = {}
            told(progress)
        finally:
            link.close()

    def _linked(self) -> _Link:
        """Connect for the first time: what fails now is rarely a matter of patience."""
        for left in range(_STARTS)[::-1]:
            try:
                return _Link(self.address, self.workers)
            except _Lost as error:
                if self.address is None:
                    raise RecorderError(
                        f"Ray cannot be started on this machine: {error}"
                    ) from error
                if _FLAKE not in str(error) or not left:
                    raise ConfigError(
                        f"the Ray cluster at '{self.address}' cannot be reached: {error}; "
                        f"{_hint(self.address)}"
                    ) from error
        raise AssertionError("every attempt returns or raises")

    def _again(
        self, left: Mapping[int, ExportJob], why: str, progress: JobProgress, told: Told
    ) -> _Link:
        """Connect again; wait for the cluster to come back."""
        _LOGGER.warning(
            "the connection to Ray was lost (%s): connecting again; %d jobs are left, those at work "
            "start anew", why, len(left),
        )  # fmt: skip
        began, delay = time.monotonic(), _WAITS_S[0]
        progress.running = {}
        while True:
            until = time.monotonic() + delay
            while time.monotonic() < until:
                told(progress)
                time.sleep(_TOLD_S)
            try:
                link = _Link(self.address, self.workers, told=lambda: told(progress))
            except _Lost as error:
                waited = time.monotonic() - began
                if waited > _PATIENCE_S:
                    raise RecorderError(self._gone(len(left), str(error))) from error
                delay = min(2 * delay, _WAITS_S[1])
                _LOGGER.info("Ray is not back after %.0f s: %s", waited, error)
                continue
            _LOGGER.warning("connected to Ray again after %.0f s", time.monotonic() - began)
            return link

    def _gone(self, left: int, why: str) -> str:
        return (
            f"the Ray cluster at '{self.address or 'this machine'}' is gone and {left} jobs are not "
            f"done: {why}; start it and run the same command again, which keeps what is done"
        )


class _Link:
    """A connection to a cluster, held by a process: Ray ends the one whose connection it loses."""

    def __init__(
        self, address: str | None, workers: int | None, told: Callable[[], None] = lambda: None
    ) -> None:
        if address is not None:
            _knock(address)
        self._folder = tempfile.mkdtemp(prefix="ray_")  # of the log, and of a cluster of its own
        if len(self._folder) > 45:  # paths of sockets have at most 107 bytes, of which Ray needs 60
            os.rmdir(self._folder)
            self._folder = tempfile.mkdtemp(prefix="ray_", dir="/tmp")
        context = multiprocessing.get_context("spawn")  # Ray and its threads must not be forked
        self._end, theirs = context.Pipe()
        self._process = context.Process(
            target=_drive, args=(theirs, address, workers, self._folder), name="ray", daemon=True
        )
        self._process.start()
        theirs.close()
        try:
            self._told(_CONNECT_S, told)
        except BaseException:
            self.close()
            raise

    def results(
        self, jobs: Mapping[int, ExportJob], progress: JobProgress, told: Told
    ) -> Iterator[tuple[int, Any]]:
        """Run jobs by number; yield results as they come.

        Raises:
            _Lost: the connection broke; what was not yielded has to be run again.
        """
        plain = [(n, pickle.dumps((job.work, job.arguments))) for n, job in jobs.items()]
        names = {number: job.name for number, job in jobs.items()}
        try:
            self._end.send(plain)
        except OSError as error:
            raise _Lost(self._last()) from error
        left = len(names)
        while left:
            kind, *rest = self._told(_SILENT_S, lambda: told(progress))
            if kind == "running":
                progress.running = {names[number]: spent for number, spent in rest[0].items()}
                told(progress)
            elif kind == "done":
                left -= 1
                yield rest[0], pickle.loads(rest[1])
            else:
                raise RecorderError(
                    f"{names[rest[0]]}: its process was killed {_RETRIES + 1} times, as happens when "
                    f"memory runs out; use fewer --workers, or machines with more memory ({rest[1]})"
                )

    def _told(self, most_s: float, told: Callable[[], None]) -> Any:
        """Return what the process says next."""
        until = time.monotonic() + most_s
        while not self._end.poll(_TOLD_S):
            told()
            if time.monotonic() > until:
                raise _Lost(f"it said nothing for {most_s:g} s")
        try:
            said = self._end.recv()
        except (EOFError, OSError) as error:
            raise _Lost(self._last()) from error
        if said[0] == "lost":
            raise _Lost(said[1])
        if said[0] == "raised":
            raise said[1] from RuntimeError(said[2])
        return said

    def _last(self) -> str:
        """Return the last words of a process that ended; those of Ray's core begin with a date."""
        try:
            with open(os.path.join(self._folder, "log"), errors="replace") as file:
                words = [line.partition("] ")[2].strip() for line in file if line.startswith("[")]
        except OSError:
            words = []
        return next((word[:300] for word in reversed(words) if word), "its process ended")

    def close(self) -> None:
        """Disconnect; stop a cluster that was started."""
        if self._end.closed:
            return
        self._end.close()  # tells the process
        wait([self._process.sentinel], _STOP_S)
        with suppress(ProcessLookupError):  # it had no time to make a group
            # What it leaves running; the number of the group is its own until it is joined.
            os.killpg(self._process.pid or 0, signal.SIGKILL)
        self._process.kill()
        self._process.join()
        shutil.rmtree(self._folder, ignore_errors=True)


def _knock(address: str) -> None:
    """Find out at once whether a port answers; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address == "auto" or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _REACHED_S).close()
    except OSError as error:
        raise _Lost(error.strerror or str(error)) from error


def _hint(address: str) -> str:
    """Return what to do about a cluster that cannot be reached."""
    try:
        _knock(address)
        answers = address != "auto"
    except _Lost:
        answers = False
    if not answers:
        return "start it with `ray start --head`, or say --on ray to start one on this machine"
    return (
        "is the port right (10001 after ray://, else 6379), Ray there of the same version, and its "
        "token set here (RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH)?"
    )


def _drive(end: Connection, address: str | None, workers: int | None, folder: str) -> None:
    """Connect to a cluster and run jobs: the process of a link. It ends with the pipe."""
    os.setsid()  # what Ray starts is ended as one group, and Ctrl-C is for the other process
    log = os.open(os.path.join(folder, "log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        ray = _connected(address, workers, folder)
        end.send(("ready",))
        try:
            _run(ray, end.recv(), workers, end)
            end.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            pass  # the other process closed the pipe
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)  # the other process may have been killed
    except ImportError as error:
        end.send(("raised", _sendable(error), traceback.format_exc()))  # not a matter of patience
    except Exception as error:
        with suppress(OSError):
            end.send(("lost", _reason(error)))
    os._exit(0)


def _connected(address: str | None, workers: int | None, folder: str) -> Any:
    """Connect to a cluster, or start one in a folder; return the module of Ray."""
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    for name in ("CLIENT_RECONNECT_GRACE_PERIOD", "gcs_rpc_server_reconnect_timeout_s"):
        os.environ.setdefault(f"RAY_{name}", _GIVEN_UP_S)
    if address is None:
        # Without a token, Ray would write one into the home folder.
        if not os.environ.get("RAY_AUTH_TOKEN_PATH"):
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_task_oom_retries", str(_RETRIES))  # else it tries for ever
        os.environ.pop("RAY_ADDRESS", None)
        quiet |= {"address": "local", "include_dashboard": False, "_temp_dir": folder}
        quiet["num_cpus"] = workers or len(os.sched_getaffinity(0))
        quiet |= {"_node_ip_address": "127.0.0.1", "object_store_memory": _OBJECTS}
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # no port open to other machines
    else:
        quiet["address"] = address
    import ray

    ray.init(**quiet)
    return ray


def _run(ray: Any, jobs: list[Any], workers: int | None, end: Connection) -> None:
    """Run jobs of (number, pickled function and arguments), and say what happens."""
    remote = ray.remote(max_retries=_RETRIES, num_cpus=1)(_sent())
    waiting: dict[Any, tuple[int, float]] = {}
    queue, counted, most = jobs[::-1], 0.0, 1
    while queue or waiting:
        if time.monotonic() > counted + _COUNTED_S:
            found = int(ray.cluster_resources().get("CPU", 0))
            most, counted = max(1, workers or found), time.monotonic()
        while queue and len(waiting) < most:
            number, job = queue.pop()
            waiting[remote.remote(job)] = number, time.monotonic()
        done, _ = ray.wait(list(waiting), timeout=_TOLD_S)
        for reference in done:
            end.send(_outcome(ray, reference, waiting.pop(reference)[0]))
        now = time.monotonic()
        end.send(("running", {number: now - began for number, began in waiting.values()}))


def _sent() -> Callable[[bytes], bytes]:
    """Return the function that runs a job; one inside another is sent with its code, so that it can
    raise what is missing where it runs."""

    def run(job: bytes) -> bytes:
        import pickle

        from robot_recorder.dataset.pool import answered

        work, arguments = pickle.loads(job)
        return pickle.dumps(answered(work, arguments))

    return run


def _outcome(ray: Any, reference: Any, number: int) -> tuple[Any, ...]:
    """Return what to say of a job that ended."""
    try:
        return "done", number, ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        return "raised", _sendable(error.cause), str(error)
    except _deaths(ray) as error:
        ray.cluster_resources()  # raises if it died with the cluster, which is another matter
        return "died", number, _reason(error)


def _deaths(ray: Any) -> tuple[type[Exception], ...]:
    """Return what says that all processes of a job died."""
    known = ray.exceptions
    return known.WorkerCrashedError, known.OutOfMemoryError, known.NodeDiedError


def _sendable(error: Exception) -> Exception:
    """Return an error that can be pickled and says the same."""
    if isinstance(error, ModuleNotFoundError):
        return ConfigError(
            f"a machine of the Ray cluster lacks the Python module '{error.name}': install there "
            "what is installed here"
        )
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(_reason(error))
    return error


def _reason(error: BaseException) -> str:
    """Return what an error says, in one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__
