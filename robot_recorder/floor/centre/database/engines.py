"""What differs between SQLite and PostgreSQL: addresses, connections, values and errors."""

from __future__ import annotations

import contextlib
import functools
import re
import sqlite3
import time
from collections.abc import Iterable
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import psycopg.adapt
import psycopg_pool
from psycopg import errors

from robot_recorder.bags.files import FILE_MODE, KEPT_LOG_BYTES, make_folder, set_mode
from robot_recorder.model.errors import ConfigError, RecorderError

SQLITE = "sqlite:///"
_POSTGRESQL = ("postgresql://", "postgres://")
_CACHE_KIB = 65_536
# A connection whose other end has vanished is given up after half a minute.
_CONNECTION = {
    "application_name": "robot_recorder",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
# Text in quotes, quoted names and comments, in which a question mark is no placeholder.
_PIECES = re.compile(r"('(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*)")
# Errors of PostgreSQL that pass: lost connections, conflicts, timeouts, and a lack of resources.
# Source: https://www.postgresql.org/docs/15/errcodes-appendix.html
_PASSING = {"08", "53", "57", "40"}
_LOCKED = errors.LockNotAvailable.sqlstate
_FULL = errors.DiskFull.sqlstate


class DatabaseError(RecorderError):
    """The database cannot be reached, or refuses what is asked.

    Attributes:
        retry: whether the same may succeed later.
    """

    def __init__(self, message: str, retry: bool = False) -> None:
        """Create it with a sentence for the operator."""
        super().__init__(message)
        self.retry = retry


class Dialect(str, Enum):
    """An engine."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


def dialect_of(url: str) -> Dialect:
    """Return the engine of a database's address.

    Raises:
        ConfigError: it is no address of a database.
    """
    if url.startswith(SQLITE) and url != SQLITE:
        return Dialect.SQLITE
    if url.startswith(_POSTGRESQL):
        return Dialect.POSTGRESQL
    raise ConfigError(
        f"{without_password(url)} is no address of a database: write sqlite:////folder/centre.sqlite or "
        "postgresql://user@host/database"
    )


def sqlite_path(url: str) -> Path:
    """Return the file of ``sqlite:///relative`` or ``sqlite:////absolute``."""
    return Path(url.removeprefix(SQLITE))


def without_password(url: str) -> str:
    """Return an address that may be shown."""
    try:
        parts = urlsplit(url)
        secret = parts.password
    except ValueError:
        return "this"
    if secret is None:
        return re.sub(r"(password=)[^&]*", r"\1***", url)
    host = parts.netloc.rpartition("@")[2]
    netloc = f"{parts.username}:***@{host}"
    return urlunsplit((parts.scheme, netloc, parts.path, parts.query, parts.fragment))


def connect_sqlite(
    path: Path, wait_s: float, file_mode: int = FILE_MODE, reading: bool = False
) -> sqlite3.Connection:
    """Open a SQLite file, which is created if it is missing.

    Args:
        path: of the file.
        wait_s: how long to wait for other processes that write, s.
        file_mode: mode of new folders and of the file.
        reading: refuse to write.

    Raises:
        sqlite3.Error, OSError: it cannot be opened.
    """
    make_folder(path.parent, file_mode)
    with contextlib.suppress(FileExistsError):
        path.touch(0o600, exist_ok=False)
        set_mode(path, file_mode)
    connection = sqlite3.connect(
        path, timeout=wait_s, isolation_level=None, check_same_thread=False
    )
    try:
        _log_ahead(connection, wait_s)
        connection.execute(f"PRAGMA journal_size_limit = {KEPT_LOG_BYTES}")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        if reading:
            connection.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _log_ahead(connection: sqlite3.Connection, wait_s: float) -> None:
    """Give the file a write-ahead log, with which others read while one writes."""
    until = time.monotonic() + wait_s
    while connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # Two that do this to a new file conflict, and SQLite does not wait.
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)


class NumericLoader(psycopg.adapt.Loader):
    """Reads PostgreSQL's ``numeric``, as sums of bigint are, as int or float as SQLite does."""

    def load(self, data: bytes | bytearray | memoryview) -> int | float:
        """Return the number."""
        value = Decimal(bytes(data).decode())
        return int(value) if value == value.to_integral_value() else float(value)


def connect_postgresql(url: str) -> psycopg.Connection[Any]:
    """Open a connection to PostgreSQL.

    Raises:
        psycopg.Error: it cannot be opened.
    """
    return psycopg.connect(url, autocommit=True, **_CONNECTION)  # type: ignore[arg-type]


def pool_postgresql(
    url: str, most: int, reach_s: float, wait_s: float
) -> psycopg_pool.ConnectionPool[Any]:
    """Return connections to PostgreSQL, opened as they are needed.

    Args:
        url: of the database.
        most: number of connections.
        reach_s: how long to wait for a connection, s.
        wait_s: how long to wait for locks, s.
    """

    def configure(connection: psycopg.Connection[Any]) -> None:
        connection.adapters.register_loader("numeric", NumericLoader)
        connection.execute(f"SET lock_timeout = {int(1000 * wait_s)}")
        connection.execute("SET idle_in_transaction_session_timeout = '10min'")
        connection.execute("SET TIME ZONE 'UTC'")

    return psycopg_pool.ConnectionPool(
        url,
        kwargs={"autocommit": True, **_CONNECTION},
        min_size=1,
        max_size=most,
        timeout=reach_s,
        configure=configure,
        # After a failure it is tried again as soon as somebody asks, not after a growing pause.
        reconnect_timeout=2.0,
        open=True,
    )


@functools.lru_cache(maxsize=4096)
def for_postgresql(sql: str) -> str:
    """Return SQL with ``?`` placeholders as psycopg wants it."""
    pieces = _PIECES.split(sql.replace("%", "%%"))
    pieces[::2] = [piece.replace("?", "%s") for piece in pieces[::2]]
    return "".join(pieces)


def plain(params: Iterable[Any]) -> tuple[Any, ...]:
    """Return parameters as both engines store them: truth as 0 and 1, enums as their values."""
    return tuple(_plain(value) for value in params)


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        value = value.value
    return int(value) if isinstance(value, bool) else value


def mapped(error: Exception, shown: str) -> DatabaseError:
    """Return the sentence for an error of an engine.

    Args:
        error: of the driver.
        shown: address of the database, without password.
    """
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if isinstance(error, sqlite3.Error):
        return _of_sqlite(error, text, shown)
    if isinstance(error, psycopg.Error):
        return _of_postgresql(error, text, shown)
    if isinstance(error, OSError):
        return DatabaseError(f"the database {shown} cannot be opened: {error.strerror}", True)
    return DatabaseError(f"the database {shown} refuses a value ({text})")


def _of_sqlite(error: sqlite3.Error, text: str, shown: str) -> DatabaseError:
    """Return the sentence for an error of SQLite, by its text: codes came with Python 3.11."""
    if "locked" in text or "busy" in text:
        return DatabaseError(
            f"the database {shown} is locked by another process: try again, and end what holds it",
            True,
        )
    if "full" in text:
        return DatabaseError(f"the disk of the database {shown} is full: make room", True)
    if "disk I/O" in text or "unable to open" in text:
        return DatabaseError(
            f"the database {shown} cannot be read or written ({text}): check its disk and its folder",
            True,
        )
    if "readonly" in text:
        return DatabaseError(
            f"the database {shown} cannot be written: check the rights of its folder"
        )
    if "malformed" in text or "not a database" in text:
        return DatabaseError(f"the database {shown} is broken ({text}): restore it from a backup")
    return DatabaseError(f"the database {shown} refuses this ({text})")


def _of_postgresql(error: psycopg.Error, text: str, shown: str) -> DatabaseError:
    """Return the sentence for an error of PostgreSQL."""
    state = error.sqlstate
    if state == _FULL:
        return DatabaseError(f"the disk of the database {shown} is full: make room", True)
    if state == _LOCKED:
        return DatabaseError(
            f"the database {shown} is locked by another transaction for too long: try again", True
        )
    lost = state is None and isinstance(error, psycopg.OperationalError)
    if lost or isinstance(error, psycopg_pool.PoolTimeout | psycopg_pool.PoolClosed):
        return DatabaseError(
            f"the database {shown} cannot be reached ({text}): check that its server runs", True
        )
    if state is not None and state[:2] in _PASSING:
        return DatabaseError(f"the database {shown} cannot do this now ({text}): try again", True)
    return DatabaseError(f"the database {shown} refuses this ({text})")
