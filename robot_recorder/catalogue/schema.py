"""Tables and indexes of a catalogue, and how its file is opened, made anew and replaced.

Texts that repeat are kept once, in ``names``. ``tally`` holds what statistics need, summed up by day,
robot, operator and task: it has one row for some forty episodes, and ``hours`` when each robot was
at work. Both are kept in step with ``episodes`` within each transaction.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
import urllib.parse
from pathlib import Path

from robot_recorder.bags.files import FILE_MODE, is_real_directory, make_folder, set_mode
from robot_recorder.model.errors import BagError, ConfigError
from robot_recorder.model.labels import Outcome
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.quality.report import Verdict

FILE = Path(
    ".catalogue", "episodes.sqlite"
)  # in a folder of its own: its comings and goings are not the root's
VERSION = 1
DAY_NS = 86_400 * NS_PER_S
HOUR_NS = 3600 * NS_PER_S
# Every pair of outcome and verdict has a counter of its own in a row of ``tally``.
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

# Outcome and verdict stand before the time: the newest of each pair are sought, and merged. What stands
# after it spares a look at the row. docs/catalogue.md says which index serves which question.
INDEXES = {
    "by_time": "(outcome, verdict, start_ns, duration_ms)",
    "by_task": "(task, outcome, verdict, start_ns, duration_ms)",
    "by_robot": "(robot, outcome, verdict, start_ns, task, operator, duration_ms)",
    "by_operator": "(operator, outcome, verdict, start_ns, task, duration_ms)",
    "by_length": "(task, outcome, verdict, duration_ms, start_ns)",
    "by_cause": "(cause, task, robot, operator, start_ns) WHERE outcome = 2",
    "by_reason": "(reason, verdict, task, robot, operator, start_ns) WHERE verdict >= 2",
}

# The sums, made of the rows alone: what every change keeps them equal to.
SUMS = f"""
INSERT INTO tally SELECT start_ns / {DAY_NS}, robot, operator, task,
    {", ".join(f"SUM(outcome = {o:d} AND verdict = {v:d})" for o, v in PAIRS)},
    SUM(duration_ms), SUM(size_bytes)
    FROM episodes GROUP BY 1, 2, 3, 4;
INSERT INTO hours SELECT robot, start_ns / {HOUR_NS}, MIN(start_ns), MAX(start_ns + duration_ms * 1000000)
    FROM episodes GROUP BY 1, 2;
"""


def create_indexes(connection: sqlite3.Connection) -> None:
    """All of them; where there are rows already, this takes its time."""
    for name, columns in INDEXES.items():
        connection.execute(f"CREATE INDEX {name} ON episodes {columns}")


def is_broken(error: Exception) -> bool:
    """Whether an error says that a file is no catalogue any more; those of locks and disks do not."""
    return type(error) is sqlite3.DatabaseError


def open_file(path: Path, wait_s: float, file_mode: int = FILE_MODE) -> sqlite3.Connection:
    """Open a catalogue for writing; made when there is none, made anew when it is broken or old.

    Args:
        wait_s: for others who write.
        file_mode: of a new one.

    Raises:
        sqlite3.Error, OSError: it can not be written.
        ConfigError: it was made by a newer version of this package.
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
            # Two that turn the same new file into a WAL database are in each other's way: SQLite waits for neither.
            if time.monotonic() > until or _is_wal(path):
                raise
            time.sleep(0.01)
            continue
        except sqlite3.DatabaseError as error:
            if not is_broken(error) or time.monotonic() > until:
                raise
        replace(path, inode)


def _create(path: Path, file_mode: int) -> None:
    """An empty file, where there is none: SQLite takes it for a new database, and its mode for its others."""
    with contextlib.suppress(FileExistsError):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            set_mode(fd, file_mode)
        finally:
            os.close(fd)


def _is_wal(path: Path) -> bool:
    """Whether a database file says that it has a write-ahead log; see SQLite's file format, byte 18."""
    with open(path, "rb") as file:
        return file.read(20)[18:] == b"\2\2"


def _open(path: Path, wait_s: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=wait_s, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
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
    """Make the tables where there are none; refuse a file now that could not be changed later."""
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
    """All of them, empty."""
    for statement in filter(str.strip, TABLES.split(";")):
        connection.execute(statement)
    connection.execute("INSERT INTO names VALUES (0, '')")


def replace(path: Path, inode: int) -> None:
    """Take away a file that is of no use, if it is still there; nothing is lost that is not in the bags.

    Whoever has it open notices that it is another one now, see ``same_file``.
    """
    if same_file(path, inode):
        for suffix in ("-wal", "-shm", ""):
            Path(f"{path}{suffix}").unlink(missing_ok=True)


def same_file(path: Path, inode: int) -> bool:
    """Whether a path still leads to the file that was opened."""
    try:
        return os.stat(path).st_ino == inode
    except OSError:
        return False


def copy_in_memory(path: Path) -> sqlite3.Connection:
    """A catalogue that is kept nowhere, begun with what can be read of a file that can not be written."""
    quoted = urllib.parse.quote(str(path.resolve()))
    for mode in (
        "mode=ro",
        "mode=ro&immutable=1",
    ):  # the second where not even locks can be written
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
    """What is said when a catalogue can not be kept."""
    return BagError(f"the catalogue {root / FILE} can not be written ({error})")
