"""A process that encodes pictures; its owner never waits for it.

Pictures go through shared memory, because a pipe takes only 64 kB at once, and would make the owner
wait until the process has read the rest. The memory has no name and is no file of ``/dev/shm``,
which is small in containers.
"""

from __future__ import annotations

import ctypes
import mmap
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from robot_recorder.encoding.picture_encoder import PictureEncoder, new_encoder
from robot_recorder.encoding.regions import Regions
from robot_recorder.model.encode_settings import EncodeSettings
from robot_recorder.model.errors import DecodeError, EncodeError

_NICE = 2  # behind the recorder, well before the process that looks at pictures
_STUCK_S = 5.0  # without progress
_PAUSES_S = (
    0.0,
    1.0,
    5.0,
    30.0,
)  # before it is restarted, the more often it died without a picture
_REAP_S = 0.2  # a killed process that takes longer is reaped when the next one starts
_START_S = 30.0  # until it is ready
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # from malloc.h
_KEPT_BYTES = 1 << 25  # the most that glibc allows for the second one
_MOST_WAITING = 2000  # pictures, if they are tiny
_MOST_TOLD = 64  # of them: their announcements fit into the pipe, so that none blocks the owner


@dataclass(frozen=True)
class EncoderTask:
    """A stream whose pictures a process encodes.

    Attributes:
        settings: how.
        rate_hz: its expected rate, Hz.
    """

    settings: EncodeSettings
    rate_hz: float


class Encoded(NamedTuple):
    """What became of a picture.

    Attributes:
        picture: its number, as it was given.
        data: the message to be recorded; None: it is lost.
        why: why it is lost.
    """

    picture: int
    data: bytes | None
    why: str = ""


class _WaitingPicture(NamedTuple):
    """A picture that waits in the memory.

    Attributes:
        picture: its number.
        stream: its place among the tasks.
        start, size: where its message is, bytes.
    """

    picture: int
    stream: int
    start: int
    size: int


class EncoderProcess:
    """Starts the process, hands pictures to it, and starts it again when it dies.

    Attributes:
        encoders: name of the encoder of each stream, or "" and why it has no encoder; None: not known
            yet, because the process is starting.
        deaths: how often the process died.
        max_bytes: most bytes of pictures that wait.
    """

    def __init__(self, tasks: Sequence[EncoderTask | None], max_bytes: int) -> None:
        """Create it; ``start`` starts the process.

        Args:
            tasks: the streams; None: another process has it.
            max_bytes: most bytes of pictures that wait.
        """
        self.encoders: list[tuple[str, str]] | None = None
        self.deaths = 0
        self._tasks = tuple(tasks)
        self.max_bytes = max_bytes
        self._process: Any = None
        self._closed = False
        self._fruitless = 0  # deaths in a row without a picture
        self._next_start = 0.0  # monotonic clock, s
        self._progress = 0.0
        self._memory: mmap.mmap | None = None
        self._waiting: deque[_WaitingPicture] = deque()
        self._told = 0  # how many of the first ones the process knows of

    def start(self) -> None:
        """Start the process, unless it is too early to try again; pictures may be given at once."""
        if self._closed or time.monotonic() < self._next_start:
            return
        try:
            self._spawn()
        except OSError as error:  # too many processes or files: ``collect`` tries again
            self.encoders = [("", f"its process cannot be started: {error}")] * len(self._tasks)
            self._next_start = time.monotonic() + _PAUSES_S[-1]

    def _spawn(self) -> None:
        context = multiprocessing.get_context("spawn")  # threads do not survive a fork
        self._regions = Regions(self.max_bytes)
        self._connection, other = context.Pipe()
        handle = os.memfd_create("pictures", os.MFD_CLOEXEC)
        try:
            os.ftruncate(handle, self.max_bytes)
            self._memory = mmap.mmap(handle, self.max_bytes)
            process = context.Process(
                target=_work, args=(other, self._tasks, self.max_bytes), daemon=True
            )
            process.start()
            reduction.send_handle(self._connection, handle, process.pid)
        finally:
            other.close()
            os.close(handle)
        self._process, self._progress = process, time.monotonic()

    @property
    def pid(self) -> int | None:
        """Return the id of the process; None: it is not running."""
        return None if self._process is None else self._process.pid

    @property
    def waiting(self) -> int:
        """Return how many pictures it holds."""
        return len(self._waiting)

    def give(self, picture: int, stream: int, message: bytes) -> bool:
        """Hand over a picture and return at once; False: there is no room, or no process.

        Args:
            picture: its number.
            stream: its place among the tasks.
            message: the Image message.
        """
        if self._memory is None or len(self._waiting) >= _MOST_WAITING:
            return False
        size = len(message)
        start = self._regions.take(size)
        if start is None:
            return False
        self._memory[start : start + size] = message
        if not self._waiting:
            self._progress = time.monotonic()
        self._waiting.append(_WaitingPicture(picture, stream, start, size))
        self._tell()
        return True

    def _tell(self) -> None:
        """Tell the process of the next pictures, a few ahead of what it encodes."""
        while self._told < min(len(self._waiting), _MOST_TOLD):
            try:
                self._connection.send(self._waiting[self._told][1:])
            except OSError:  # it died; ``collect`` finds that out
                return
            self._told += 1

    def collect(self) -> list[Encoded]:
        """Return what has been encoded or lost meanwhile, in the order given; restart a dead process."""
        found: list[Encoded] = []
        if self._process is None:
            self.start()
            return found
        try:
            while self._connection.poll():
                self._read(self._connection.recv(), found)
        except (EOFError, OSError):
            return found + self._died("its process died")
        limit_s = _STUCK_S if self.encoders is not None else _START_S
        busy = self._waiting or self.encoders is None
        if busy and time.monotonic() - self._progress > limit_s:
            return found + self._died(f"its process made no progress for {limit_s:g} s")
        return found

    def _read(self, said: Any, found: list[Encoded]) -> None:
        """Take one message of the process: its encoders, or a picture."""
        self._progress = time.monotonic()
        if isinstance(said, list):
            self.encoders = said
            return
        size, why, whole = said
        picture, _, start, _ = self._waiting.popleft()
        self._told -= 1
        self._regions.give()
        self._fruitless = 0
        assert self._memory is not None
        data = whole or (None if why else self._memory[start : start + size])
        found.append(Encoded(picture, data, why))
        self._tell()

    def _died(self, why: str) -> list[Encoded]:
        """Note that the process died; return what it held, as lost."""
        self.deaths += 1
        self._kill()
        pause_s = _PAUSES_S[min(self._fruitless, len(_PAUSES_S) - 1)]
        self._fruitless += 1
        self._next_start = time.monotonic() + pause_s
        lost = [Encoded(place.picture, None, why) for place in self._waiting]
        self._waiting.clear()
        self._told = 0
        self.start()
        return lost

    def _kill(self) -> None:
        process, self._process = self._process, None
        self.encoders = None
        if process is None:
            return
        process.kill()
        process.join(_REAP_S)
        self._connection.close()
        self._memory = None

    def close(self) -> None:
        """Kill the process for good; what it holds is lost without a word."""
        self._kill()
        self._waiting.clear()
        self._closed = True


# -- in the process


def _work(connection: Connection, tasks: Sequence[EncoderTask | None], size: int) -> None:
    """Encode pictures until the owner closes the connection, or ends."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C is for the recorder, which ends this process
    os.nice(_NICE)
    _keep_memory()
    try:
        handle = reduction.recv_handle(connection)
        memory = mmap.mmap(handle, size)
        os.close(handle)
        encoders = [_built(task) for task in tasks]
        connection.send([(e.name, "") if not isinstance(e, str) else ("", e) for e in encoders])
        while True:
            stream, start, length = connection.recv()
            connection.send(_encode(encoders[stream], memory, start, length))
    except (EOFError, OSError):  # the owner ended
        return


def _keep_memory() -> None:
    """Let glibc keep what a picture needed for the next one: clearing new pages takes as long as RVL."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # other C libraries are not changed
        libc.mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def _built(task: EncoderTask | None) -> PictureEncoder | str:
    """Return a stream's encoder, or why it cannot be made."""
    if task is None:
        return "another process encodes it"
    try:
        return new_encoder(task.settings, task.rate_hz)
    except EncodeError as error:
        return str(error)


def _encode(
    encoder: PictureEncoder | str, memory: mmap.mmap, start: int, length: int
) -> tuple[int, str, bytes | None]:
    """Encode a picture in its place in the memory.

    Returns:
        Size of the message; why it is lost (empty: it is not); the message, if it has no room there.
    """
    if isinstance(encoder, str):
        return 0, encoder, None
    try:
        data = encoder.encode(memory[start : start + length])
    except (DecodeError, EncodeError) as error:
        return 0, str(error), None
    except Exception as error:  # of a library: this picture is lost, and counted
        return 0, f"{type(error).__name__}: {error}", None
    if len(data) > length:
        return len(data), "", data
    memory[start : start + len(data)] = data
    return len(data), "", None
