"""That one process at a time is the centre of a database: locks on episodes and wake-ups are within a process.

A process that is killed leaves no lease behind: the operating system lets go of a lock on a file, and PostgreSQL
of the lock of a session whose connection has ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from pathlib import Path
from typing import Any

import psycopg

from robot_recorder.bags.files import FILE_MODE, make_folder
from robot_recorder.floor.centre.database.engines import (
    DatabaseError,
    Dialect,
    connect_postgresql,
    dialect_of,
    mapped,
    sqlite_path,
    without_password,
)
from robot_recorder.model.errors import ConfigError

_KEY = 0x726F6263  # one number of all centres; another one than that of ``migrate``
_WAIT_S, _PAUSE_S = (
    3.0,
    0.05,
)  # for a server that still has to notice that the last centre was killed
# A centre whose machine lost its power is noticed within half a minute, and not after hours.
_NOTICE = {"tcp_keepalives_idle": 10, "tcp_keepalives_interval": 5, "tcp_keepalives_count": 3}


class CentreLease:
    """The right to be the centre of a database, until ``close``."""

    def __init__(self, url: str, wait_s: float = _WAIT_S) -> None:
        """Take it.

        Args:
            url: of the database.
            wait_s: how long to wait for another process that ends, s.

        Raises:
            ConfigError: another process has it.
            DatabaseError: the database cannot be reached or its folder cannot be written.
        """
        self._url, self._shown = url, without_password(url)
        self._is_file = dialect_of(url) is Dialect.SQLITE
        self._file: int | None = None
        self._session: psycopg.Connection[Any] | None = None
        self._guard = threading.Lock()
        self._take(wait_s)

    def keep(self) -> None:
        """Make sure that it is still held, and take it again if the connection of it was lost.

        Raises:
            ConfigError: another process has taken it meanwhile: this one must end.
            DatabaseError: the database cannot be reached, neither by this process nor by another one.
        """
        with self._guard:
            if self._is_file:
                return
            if self._session is not None:
                try:
                    self._session.execute("SELECT 1")
                    return
                except psycopg.Error:
                    self._let_go()
            self._take(_WAIT_S)

    def close(self) -> None:
        """Let another process have it."""
        with self._guard:
            self._let_go()

    def _let_go(self) -> None:
        if self._file is not None:
            os.close(self._file)
        if self._session is not None:
            with contextlib.suppress(psycopg.Error):
                self._session.close()
        self._file = self._session = None

    def _take(self, wait_s: float) -> None:
        until = time.monotonic() + wait_s
        try:
            while not (self._locked() if self._is_file else self._session_locked()):
                if time.monotonic() > until:
                    raise ConfigError(
                        f"another process is the centre of the database {self._shown}: end it first; there can be "
                        "one at a time"
                    )
                time.sleep(_PAUSE_S)
        except BaseException:
            self._let_go()
            raise

    def _locked(self) -> bool:
        database = sqlite_path(self._url)
        path = database.with_name(database.name + ".lease")
        try:
            if self._file is None:
                self._file = _opened(path)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise DatabaseError(
                f"{path} cannot be written: {error.strerror or error}: check its folder"
            ) from error
        return True

    def _session_locked(self) -> bool:
        try:
            if self._session is None:
                self._session = connect_postgresql(self._url)
                for name, value in _NOTICE.items():
                    self._session.execute(f"SET {name} = {value}")
            row = self._session.execute("SELECT pg_try_advisory_lock(%s)", (_KEY,)).fetchone()
        except psycopg.Error as error:
            raise mapped(error, self._shown) from error
        return bool(row and row[0])


def _opened(path: Path) -> int:
    """Open a file that processes of this one do not inherit: they would hold its lock after its death."""
    make_folder(path.parent, FILE_MODE)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
