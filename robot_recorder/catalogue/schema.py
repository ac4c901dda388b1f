"""Tables and indexes of a catalogue; opening, rebuilding and replacing its file.

Repeated texts are stored once, in ``names``. ``tally`` holds the sums that statistics need, by day,
robot, operator and task, with one row for some forty episodes. ``hours`` holds when each robot was
at work. Every transaction on ``episodes`` updates both.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
import urllib.parse
from pathlib import Path

from robot_recorder.bags.files import (
    FILE_MODE,
    KEPT_LOG_BYTES,
    is_real_directory,
    make_folder,
    set_mode,
)
from robot_recorder.model.errors import BagError, ConfigError
from robot_recorder.model.labels import Outcome
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.quality.verdict import Verdict

# In its own folder, so that its files do not change the root's modification time.
FILE = Path(".catalogue", "episodes.sqlite")
VERSION = 1
DAY_NS = 86_400 * NS_PER_S
HOUR_NS = 3600 * NS_PER_S
# Each row of ``tally`` has a counter for every pair of outcome and verdict.
PAIRS = [(o, v) for o in Outcome for v in Verdict]
COUNTERS = [f"n{o:d}{v:d}" for o, v in PAIRS]

TABLES = f"""
CREATE TABLE facts (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE names (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE episodes (
    key INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, id TEXT, start_ns INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL, robot INTEGER NOT NULL, task INTEGER NOT NULL, operator INTEGER NOT NULL,
    outcome INTEGER NOT NULL, cause INTEGER NOT NULL, verdict INTEGER NOT NULL, reason INTEGER NOT NULL,
    messages INTEGER NOT NULL, size_bytes INTEGER NOT NULL, lost INTEGER NOT NULL,
    all_lost_known INTEGER NOT NULL, frames INTEGER NOT NULL, complete INTEGER NOT NULL,
    skew_p95_us INTEGER, skew_stream INTEGER NOT NULL, recovered INTEGER NOT NULL, aborted INTEGER NOT NULL,
    stamp_ns INTEGER NOT NULL
);
CREATE TABLE others (name TEXT PRIMARY KEY, problem TEXT NOT NULL, stamp_ns INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE tally (
    day INTEGER, robot INTEGER, operator INTEGER, task INTEGER,
    {", ".join(f"{counter} INTEGER NOT NULL DEFAULT 0" for counter in COUNTERS)},
    duration_ms INTEGER NOT NULL, size_bytes INTEGER NOT NULL,
    PRIMARY KEY (day, robot, operator, task)
) WITHOUT ROWID;
CREATE TABLE hours (
    robot INTEGER, hour INTEGER, first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL,
    PRIMARY KEY (robot, hour)
) WITHOUT ROWID;
"""

# Outcome and verdict precede the time, because queries merge the newest episodes of each pair. The
# columns after the time save reading the row. docs/catalogue.md lists the index of each query.
INDEXES = {
    "by_time": "(outcome, verdict, start_ns, duration_ms)",
    "by_task": "(task, outcome, verdict, start_ns, duration_ms)",
    "by_robot": "(robot, outcome, verdict, start_ns, task, operator, duration_ms)",
    "by_operator": "(operator, outcome, verdict, start_ns, task, duration_ms)",
    "by_length": "(task, outcome, verdict, duration_ms, start_ns)",
    "by_cause": "(cause, task, robot, operator, start_ns) WHERE outcome = 2",
    "by_reason": "(reason, verdict, task, robot, operator, start_ns) WHERE verdict >= 2",
}

# Computes the sums from the rows; every change keeps the tables equal to this.
SUMS = f"""
INSERT INTO tally SELECT start_ns / {DAY_NS}, robot, operator, task,
    {", ".join(f"SUM(outcome = {o:d} AND verdict = {v:d})" for o, v in PAIRS)},
    SUM(duration_ms), SUM(size_bytes)
    FROM episodes GROUP BY 1, 2, 3, 4;
INSERT INTO hours SELECT robot, start_ns / {HOUR_NS}, MIN(start_ns), MAX(start_ns + duration_ms * 1000000)
    FROM episodes GROUP BY 1, 2;
"""


def create_indexes(connection: sqlite3.Connection) -> None:
    """Create all indexes, which takes long on a filled table."""
    for name, columns in INDEXES.items():
        connection.execute(f"CREATE INDEX {name} ON episodes {columns}")


def is_broken(error: Exception) -> bool:
    """Tell whether an error means a broken file, and not a problem with locks or the disk."""
    return type(error) is sqlite3.DatabaseError


def open_file(path: Path, wait_s: float, file_mode: int = FILE_MODE) -> sqlite3.Connection:
    """Open a catalogue for writing; create a missing one, and replace a broken or outdated one.

    Args:
        path: of the file.
        wait_s: how long to wait for other writers, s.
        file_mode: mode of a new file.

    Raises:
        sqlite3.Error, OSError: the file cannot be written.
        ConfigError: the file was made by a newer version of this package.
    """
    make_folder(path.parent, file_mode)
    if not is_real_directory(path.parent):
        raise NotADirectoryError(f"{path.parent} is a link: remove it")
    until = time.monotonic() + wait_s
    while True:
        _create(path, file_mode)
        inode = path.stat().st_ino if path.exists() else 0
        try:
            connection = _open(path, wait_s)
            if _version(connection) == VERSION:
                return connection
            connection.close()
        except sqlite3.OperationalError:
            # Two processes that make a WAL database of a new file conflict; SQLite never waits.
            if time.monotonic() > until or _is_wal(path):
                raise
            time.sleep(0.01)
            continue
        except sqlite3.DatabaseError as error:
            if not is_broken(error) or time.monotonic() > until:
                raise
        replace(path, inode)


def _create(path: Path, file_mode: int) -> None:
    """Create an empty file if it is missing: SQLite makes it a database, and copies its mode."""
    with contextlib.suppress(FileExistsError):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            set_mode(fd, file_mode)
        finally:
            os.close(fd)


def _is_wal(path: Path) -> bool:
    """Tell whether a database has a write-ahead log; source: SQLite's file format, byte 18."""
    with open(path, "rb") as file:
        return file.read(20)[18:] == b"\2\2"


def _open(path: Path, wait_s: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=wait_s, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA journal_size_limit = {KEPT_LOG_BYTES}")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA cache_size = -65536")
        if _version(connection) > VERSION:
            raise ConfigError(f"{path} was made by a newer robot_recorder: update this one")
        _prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _prepare(connection: sqlite3.Connection) -> None:
    """Create missing tables in a write transaction, so that a read-only file is refused now."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection)
        connection.execute(f"PRAGMA user_version = {version or VERSION}")
        if not version:
            create_tables(connection)
            create_indexes(connection)
        connection.execute("ROLLBACK" if version else "COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def create_tables(connection: sqlite3.Connection) -> None:
    """Create all tables, empty."""
    for statement in filter(str.strip, TABLES.split(";")):
        connection.execute(statement)
    connection.execute("INSERT INTO names VALUES (0, '')")


def replace(path: Path, inode: int) -> None:
    """Remove an unusable file, if it is still there; everything in it can be read from the bags.

    Processes that have it open notice this by ``same_file``.
    """
    if same_file(path, inode):
        for suffix in ("-wal", "-shm", ""):
            Path(f"{path}{suffix}").unlink(missing_ok=True)


def same_file(path: Path, inode: int) -> bool:
    """Tell whether a path still leads to the file that was opened."""
    try:
        return os.stat(path).st_ino == inode
    except OSError:
        return False


def copy_in_memory(path: Path) -> sqlite3.Connection:
    """Return a catalogue in memory, with the content of a file that cannot be written."""
    quoted = urllib.parse.quote(str(path.resolve()))
    for mode in ("mode=ro", "mode=ro&immutable=1"):  # the second works where locks are impossible
        memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        try:
            source = sqlite3.connect(f"file:{quoted}?{mode}", uri=True, timeout=5)
            try:
                source.backup(memory)
            finally:
                source.close()
            if _version(memory) == VERSION:
                return memory
        except sqlite3.Error:
            pass
        memory.close()
    memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    _prepare(memory)
    return memory


def cannot_write(root: Path, error: Exception) -> BagError:
    """Return the error for a catalogue that cannot be written."""
    return BagError(f"the catalogue {root / FILE} cannot be written ({error})")
