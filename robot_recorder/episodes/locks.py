"""Locks between processes: private files, which only those can hold who may write to the root.

The kernel lets go of a lock when its process ends, however that happens. Nobody waits longer than a
deadline. Over NFS this works where the mount passes on locks (the default of NFS 4), see docs/security.md.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import stat
import threading
import time
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

from robot_recorder.model.errors import BagError

LOCKS = ".locks"
WAIT_S = 15.0  # among many who label at once
SERVICE_WAIT_S = 2.0  # where somebody waits for an answer
_LOOK_S = 0.002
_MOST_BYTES = 1000  # of what a holder says about itself
_HELD = (errno.EWOULDBLOCK, errno.EACCES)


class HeldError(BagError):
    """Somebody else holds a lock, and says who."""


class Lock:
    """A lock by name below a root folder, held until ``release``."""

    def __init__(self, root: Path, name: str, wait_s: float = WAIT_S) -> None:
        """
        Args:
            root: exists; who may write to it may hold the lock.
            name: fit for a file's name.
            wait_s: the longest to wait for whoever holds it.

        Raises:
            HeldError: it is still held then.
            OSError: there cannot be such a lock.
        """
        self.path = root / LOCKS / f"{name}.lock"
        until = time.monotonic() + wait_s
        while True:
            _make_folder(self.path.parent)
            with suppress(FileNotFoundError):  # taken away in between
                self._fd = _open(self.path)
                if self._is_ours():
                    break
                holder = _holder(self._fd)
                os.close(self._fd)
                if time.monotonic() >= until:
                    raise HeldError(holder)
            time.sleep(_LOOK_S)
        self._say_who()

    def _is_ours(self) -> bool:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD:
                return False
            os.close(self._fd)
            raise
        # Whoever let go of it took the file away, too: then this is not what others will lock.
        return self.is_there()

    def _say_who(self) -> None:
        who = {"pid": os.getpid(), "host": socket.gethostname(), "since": round(time.time())}
        with suppress(OSError):  # on a full disk it is held all the same, by somebody unnamed
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, json.dumps(who).encode(), 0)

    def is_there(self) -> bool:
        """Whether this is still what others would have to lock."""
        try:
            return os.path.samestat(os.fstat(self._fd), os.lstat(self.path))
        except OSError:
            return False

    def release(self) -> None:
        """Let go; once is enough."""
        if self._fd < 0:
            return
        with suppress(OSError):
            if self.is_there():
                self.path.unlink()
        os.close(self._fd)
        self._fd = -1

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _make_folder(folder: Path) -> None:
    """The folder of locks: open to those who may write to the one above it, and to nobody else."""
    with suppress(FileExistsError):
        os.mkdir(folder, 0o700)
        above = os.stat(folder.parent)
        mode = 0o700 | above.st_mode & stat.S_ISVTX
        mode |= 0o070 if above.st_mode & stat.S_IWGRP else 0
        mode |= 0o007 if above.st_mode & stat.S_IWOTH else 0
        with suppress(PermissionError):  # a file system without modes
            if (
                os.geteuid() == 0
            ):  # a recorder that ran as root once must not keep others out for good
                os.chown(folder, above.st_uid, above.st_gid)
            os.chmod(folder, mode)


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    above = os.lstat(path.parent)
    if not stat.S_ISDIR(above.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "it is not a directory", str(path.parent))
    fd = os.open(path, flags, 0o600)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        mode = above.st_mode & 0o666
        if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) != mode:
            with suppress(PermissionError):
                if os.geteuid() == 0:
                    os.fchown(fd, above.st_uid, above.st_gid)
                os.fchmod(fd, mode)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _holder(fd: int) -> str:
    """Who holds a lock, for people, as far as it is known."""
    try:
        who = json.loads(os.pread(fd, _MOST_BYTES, 0))
        since = datetime.fromtimestamp(int(who["since"]), timezone.utc)
        return f"process {int(who['pid'])} on {str(who['host'])!r} since {since:%Y-%m-%d %H:%M} UTC"
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return "another process"


class Claim:
    """That this process records a robot into a root: whoever wants to do so, too, is told of it."""

    def __init__(self, root: Path, robot: str) -> None:
        self._root = root
        self._robot = robot
        self._lock: Lock | None = None
        self._asking = threading.Lock()

    def problem(self) -> str:
        """Who else does so, and what to do; empty: nobody, and from now on this process does.

        Asked again and again: the other may have ended, or the root may be another disk by now.
        """
        with self._asking:
            if self._lock is not None and self._lock.is_there():
                return ""
            self._release()
            try:
                self._lock = Lock(self._root, f".recorder_{self._robot}", wait_s=0)
            except HeldError as error:
                return (
                    f"another recorder of {self._robot} records into {self._root}: {error}; end it, give "
                    "this one a namespace or root of its own, or start it with second_recorder:=true"
                )
            except OSError:  # no root yet, or not a writable one: an episode's start says so
                return ""
            return ""

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
        self._lock = None

    def release(self) -> None:
        """Let another one record."""
        with self._asking:
            self._release()
