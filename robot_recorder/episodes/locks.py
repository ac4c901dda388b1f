"""Locks between processes: files that only users with write access to the root can lock.

The kernel releases a lock when its process ends for any reason. All waits have a deadline. Over NFS
this needs a mount that forwards locks (the default of NFS 4), see docs/security.md.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import socket
import stat
import threading
import time
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

from robot_recorder.model.errors import BagError

LOCKS = ".locks"
WAIT_S = 15.0  # enough for many processes that label at once
SERVICE_WAIT_S = 2.0  # for calls that a person waits for
_LOOK_S = 0.002
_MOST_BYTES = 1000  # of the description of the holder
_HELD = (errno.EWOULDBLOCK, errno.EACCES)


class HeldError(BagError):
    """Another process holds the lock; the message names it."""


class Lock:
    """A named lock below a root directory, held until ``release``."""

    def __init__(self, root: Path, name: str, wait_s: float = WAIT_S) -> None:
        """Take the lock.

        Args:
            root: an existing directory; write access to it is needed.
            name: a valid file name.
            wait_s: timeout while another process holds the lock, s.

        Raises:
            HeldError: it is still held after the timeout.
            OSError: the lock file cannot be created.
        """
        self.path = root / LOCKS / f"{name}.lock"
        until = time.monotonic() + wait_s
        while True:
            _make_folder(self.path.parent)
            with suppress(FileNotFoundError):  # its holder has just removed it
                self._fd = _open(self.path)
                if self._is_ours():
                    break
                holder = _holder(self._fd)
                os.close(self._fd)
                if time.monotonic() >= until:
                    raise HeldError(holder)
            time.sleep(_LOOK_S)
        self._write_holder()

    def _is_ours(self) -> bool:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD:
                return False
            os.close(self._fd)
            raise
        # A released lock's file is removed: others then lock a new file, not this one.
        return self.is_there()

    def _write_holder(self) -> None:
        who = {"pid": os.getpid(), "host": socket.gethostname(), "since": round(time.time())}
        with suppress(OSError):  # disk full: locked all the same, without a description
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, json.dumps(who).encode(), 0)

    def is_there(self) -> bool:
        """Return whether the lock file still exists and is the one locked here."""
        try:
            return os.path.samestat(os.fstat(self._fd), os.lstat(self.path))
        except OSError:
            return False

    def release(self) -> None:
        """Release the lock; further calls do nothing."""
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


def take_over(root: Path, name: str) -> Lock:
    """Lock a folder of a root in which things are half made, and delete what was left there.

    Raises:
        HeldError: another process has it.
        OSError: the root cannot be written.
    """
    lock, folder = Lock(root, name, wait_s=0), root / name
    try:
        if folder.is_symlink():  # nothing is written outside of the root
            folder.unlink()
    except BaseException:
        lock.release()
        raise
    shutil.rmtree(folder, ignore_errors=True)
    return lock


def _make_folder(folder: Path) -> None:
    """Create the lock directory, writable for exactly those who may write to its parent."""
    with suppress(FileExistsError):
        os.mkdir(folder, 0o700)
        above = os.stat(folder.parent)
        mode = 0o700 | above.st_mode & stat.S_ISVTX
        mode |= 0o070 if above.st_mode & stat.S_IWGRP else 0
        mode |= 0o007 if above.st_mode & stat.S_IWOTH else 0
        with suppress(PermissionError):  # a file system without modes
            if os.geteuid() == 0:  # a recorder run as root must not lock others out for good
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
    """Describe the holder of a lock: process, host, since when."""
    try:
        who = json.loads(os.pread(fd, _MOST_BYTES, 0))
        since = datetime.fromtimestamp(int(who["since"]), timezone.utc)
        return f"process {int(who['pid'])} on {str(who['host'])!r} since {since:%Y-%m-%d %H:%M} UTC"
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return "another process"


class Claim:
    """A lock that keeps a second recorder from recording the same robot into the same root."""

    def __init__(self, root: Path, robot: str) -> None:
        """Create the claim; ``problem`` tries to take it."""
        self._root = root
        self._robot = robot
        self._lock: Lock | None = None
        self._asking = threading.Lock()

    def problem(self) -> str:
        """Take the claim; return which process holds it and what to do, or an empty string.

        Call it before each use: the other process may have ended, or another disk may be mounted.
        """
        with self._asking:
            if self._lock is not None and self._lock.is_there():
                return ""
            self._release()
            try:
                self._lock = Lock(self._root, f".recorder_{self._robot}", wait_s=0)
            except HeldError as error:
                return (
                    f"another recorder of {self._robot} records into {self._root}: {error}; stop it, give "
                    "this one a namespace or root of its own, or start it with second_recorder:=true"
                )
            except OSError:  # no writable root: starting an episode reports that
                return ""
            return ""

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
        self._lock = None

    def release(self) -> None:
        """Release the claim."""
        with self._asking:
            self._release()
