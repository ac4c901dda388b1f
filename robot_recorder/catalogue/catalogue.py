"""The catalogue of the episodes under one root: adding, removing and looking up episodes.

Everything in it comes from the bags, so that it can be rebuilt at any time.
"""

from __future__ import annotations

import contextlib
import sqlite3
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from robot_recorder.bags.files import FILE_MODE
from robot_recorder.catalogue.entry import Entry
from robot_recorder.catalogue.schema import (
    COUNTERS,
    DAY_NS,
    FILE,
    HOUR_NS,
    cannot_write,
    copy_in_memory,
    open_file,
    replace,
    same_file,
)
from robot_recorder.model.labels import Outcome
from robot_recorder.model.streams import NS_PER_MS
from robot_recorder.quality.verdict import Verdict

COLUMNS = tuple(f.name for f in fields(Entry) if f.name != "root")
_TEXTS = {"robot", "task", "operator", "cause", "reason", "skew_stream"}  # ids in table ``names``
_SELECTED = ", ".join(
    f"(SELECT text FROM names WHERE id = {c})" if c in _TEXTS else c for c in COLUMNS
)
_SELECT = f"SELECT {_SELECTED} FROM episodes"
_PUT = (
    f"INSERT INTO episodes({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) "
    f"ON CONFLICT(name) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in COLUMNS[1:])}"
)
_SUMMED = (
    "start_ns",
    "duration_ms",
    "robot",
    "operator",
    "task",
    "outcome",
    "verdict",
    "size_bytes",
)
_BEFORE = f"SELECT {', '.join(_SUMMED)} FROM episodes WHERE name = ?"
_HOUR = """
SELECT MIN(start_ns), MAX(start_ns + duration_ms * 1000000) FROM episodes INDEXED BY by_robot
WHERE robot = ? AND outcome IN (0, 1, 2) AND verdict IN (0, 1, 2, 3) AND start_ns >= ? AND start_ns
< ?
"""
_LONGER_HOUR = """
INSERT INTO hours VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET
first_ns = MIN(first_ns, excluded.first_ns), last_ns = MAX(last_ns, excluded.last_ns)
"""
_READER_WAIT_S = 30.0


class Catalogue:
    """The open catalogue of one root. Only one thread may use it at a time.

    Attributes:
        root: directory of the episodes.
        connection: connection to the tables, for reading.
        note: warning for the user; empty: none.
    """

    def __init__(
        self,
        root: Path,
        wait_s: float = _READER_WAIT_S,
        writable: bool = False,
        file_mode: int = FILE_MODE,
    ) -> None:
        """
        Args:
            root: directory of the episodes.
            wait_s: how long to wait for other writers, s.
            writable: whether to fail if the file cannot be written; otherwise work on a copy in
                memory.
            file_mode: mode of new files.

        Raises:
            BagError: the file cannot be written.
            ConfigError: the file was made by a newer version of this package.
        """
        self.root = root
        self.note = ""
        self._path = root / FILE
        self._ids: dict[str, int] = {}
        self._inode = 0
        try:
            self.connection = open_file(self._path, wait_s, file_mode)
            self._inode = self._path.stat().st_ino
        except (sqlite3.Error, OSError) as error:
            if writable:
                raise cannot_write(root, error) from error
            self.connection = copy_in_memory(self._path)
            self.note = f"{cannot_write(root, error)}: it is kept in memory, for this command only"
        # A connection is in a reference cycle: only the garbage collector would close it.
        self._closing = weakref.finalize(self, self.connection.close)

    def close(self) -> None:
        """Close the file."""
        self._closing()

    def __enter__(self) -> Catalogue:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_current(self) -> bool:
        """Whether the file is still the one that was opened."""
        return same_file(self._path, self._inode)

    def take_away(self) -> None:
        """Remove a broken file, to be rebuilt by the next process that opens it."""
        self.close()
        if self._inode:
            replace(self._path, self._inode)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Run the context as one transaction.

        Raises:
            sqlite3.Error: writing failed, and the transaction was rolled back.
        """
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            self._ids.clear()  # some ids may have been rolled back
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    # -- changes

    def put(self, entry: Entry) -> None:
        """Add or update an episode. Call within ``writing``."""
        before = self._summed(entry.name)
        row = {c: getattr(entry, c) for c in COLUMNS}
        row |= {c: self._id(row[c]) for c in _TEXTS}
        row["id"] = None if entry.id == entry.name else entry.id
        self.connection.execute(_PUT, tuple(row.values()))
        self._sum_up(before, tuple(row[c] for c in _SUMMED))
        self.connection.execute("DELETE FROM others WHERE name = ?", (entry.name,))

    def remove(self, name: str) -> None:
        """Remove a directory's entry. Call within ``writing``."""
        before = self._summed(name)
        self.connection.execute("DELETE FROM episodes WHERE name = ?", (name,))
        self._sum_up(before, None)
        self.connection.execute("DELETE FROM others WHERE name = ?", (name,))

    def put_aside(self, name: str, problem: str, stamp_ns: int) -> None:
        """Record a directory that is not an episode, or unreadable. Call within ``writing``.

        Args:
            name: of the directory.
            problem: why it is unreadable; empty: it is not an episode.
            stamp_ns: modification time of its metadata; 0: no metadata.
        """
        self.remove(name)
        self.connection.execute("INSERT INTO others VALUES (?, ?, ?)", (name, problem, stamp_ns))

    def _id(self, text: str) -> int:
        """Return the id of a text, adding it if it is new."""
        found = self._ids.get(text)
        if found is None:
            self.connection.execute("INSERT OR IGNORE INTO names(text) VALUES (?)", (text,))
            found = self.number(text)
            assert found is not None
            self._ids[text] = found
        return found

    def _summed(self, name: str) -> tuple[int, ...] | None:
        """Return the summed columns of an episode's row; None: no such episode."""
        row: tuple[int, ...] | None = self.connection.execute(_BEFORE, (name,)).fetchone()
        return row

    def _sum_up(self, before: tuple[int, ...] | None, after: tuple[int, ...] | None) -> None:
        """Update the sums for an episode's row before and after a change."""
        for row, sign in ((before, -1), (after, 1)):
            if row is not None:
                self._tally(row, sign)
        if before is None and after is not None:
            start_ns, duration_ms, robot = after[:3]
            stop_ns = start_ns + duration_ms * NS_PER_MS
            self.connection.execute(_LONGER_HOUR, (robot, start_ns // HOUR_NS, start_ns, stop_ns))
        elif before is not None and (after is None or before[:3] != after[:3]):
            for robot, hour in {(r[2], r[0] // HOUR_NS) for r in (before, after) if r is not None}:
                self._look_at_hour(robot, hour)

    def _tally(self, row: tuple[int, ...], sign: int) -> None:
        """Add a row to the tally, or subtract it with sign -1."""
        start_ns, duration_ms, robot, operator, task, outcome, verdict, size = row
        key = (start_ns // DAY_NS, robot, operator, task)
        counter = f"n{outcome}{verdict}"
        self.connection.execute(
            f"INSERT INTO tally(day, robot, operator, task, {counter}, duration_ms, size_bytes) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            f"{counter} = {counter} + excluded.{counter}, duration_ms = duration_ms + "
            "excluded.duration_ms, size_bytes = size_bytes + excluded.size_bytes",
            (*key, sign, sign * duration_ms, sign * size),
        )
        if sign < 0:
            self.connection.execute(
                "DELETE FROM tally WHERE day = ? AND robot = ? AND operator = ? AND task = ? "
                f"AND {' + '.join(COUNTERS)} = 0", key,
            )  # fmt: skip

    def _look_at_hour(self, robot: int, hour: int) -> None:
        """Recompute when a robot was at work within an hour."""
        limits = (robot, hour * HOUR_NS, (hour + 1) * HOUR_NS)
        first_ns, last_ns = self.connection.execute(_HOUR, limits).fetchone()
        if first_ns is None:
            self.connection.execute("DELETE FROM hours WHERE robot = ? AND hour = ?", (robot, hour))
        else:
            self.connection.execute(
                "INSERT OR REPLACE INTO hours VALUES (?, ?, ?, ?)", (robot, hour, first_ns, last_ns)
            )

    # -- lookup

    def entries(self, keys: Iterable[int]) -> Iterator[Entry]:
        """Yield episodes by their row keys, in the order of the keys."""
        for key in keys:
            row = self.connection.execute(f"{_SELECT} WHERE key = ?", (key,)).fetchone()
            if row is not None:
                yield self._entry(row)

    def _entry(self, row: tuple[Any, ...]) -> Entry:
        """Build an entry from a row."""
        values = dict(zip(COLUMNS, row, strict=True))
        values["id"] = values["id"] or values["name"]
        values["outcome"] = Outcome(values["outcome"])
        values["verdict"] = Verdict(values["verdict"])
        for flag in ("all_lost_known", "recovered", "aborted"):
            values[flag] = bool(values[flag])
        return Entry(root=self.root, **values)

    def find(self, name: str) -> Entry | None:
        """Return the episode by its directory name; None: not in the catalogue."""
        row = self.connection.execute(f"{_SELECT} WHERE name = ?", (name,)).fetchone()
        return None if row is None else self._entry(row)

    def number(self, text: str) -> int | None:
        """Return the id of a text; None: no episode has it."""
        row = self.connection.execute("SELECT id FROM names WHERE text = ?", (text,)).fetchone()
        return None if row is None else int(row[0])

    def stamp(self, name: str) -> int | None:
        """Return when a directory's metadata was last written, ns; None: unknown directory."""
        row = self.connection.execute(
            "SELECT stamp_ns FROM episodes WHERE name = ?1 UNION ALL "
            "SELECT stamp_ns FROM others WHERE name = ?1", (name,),
        ).fetchone()  # fmt: skip
        return None if row is None else int(row[0])

    def fact(self, key: str) -> int | None:
        """Return a number stored with ``set_fact``; None: not stored."""
        row = self.connection.execute("SELECT value FROM facts WHERE key = ?", (key,)).fetchone()
        return None if row is None else int(row[0])

    def set_fact(self, key: str, value: int) -> None:
        """Store a number about the catalogue itself. Call within ``writing``."""
        self.connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (key, value))

    def stamps(self, table: str = "episodes") -> dict[str, int]:
        """Return when the metadata of each directory was last written, ns, by name.

        Args:
            table: ``episodes`` or ``others``.
        """
        return dict(self.connection.execute(f"SELECT name, stamp_ns FROM {table}"))

    def episodes(self) -> int:
        """Return the number of episodes."""
        return int(self.connection.execute("SELECT COUNT(*) FROM episodes").fetchone()[0])

    def is_empty(self) -> bool:
        """Tell whether there are neither episodes nor unreadable directories."""
        sql = "SELECT 1 FROM episodes UNION ALL SELECT 1 FROM others WHERE problem != '' LIMIT 1"
        return self.connection.execute(sql).fetchone() is None

    def is_sound(self) -> bool:
        """Run SQLite's integrity check, which reads the whole file."""
        try:
            rows = self.connection.execute("PRAGMA quick_check(1)").fetchall()
        except sqlite3.Error:
            return False
        return rows == [("ok",)]

    def unreadable(self) -> list[str]:
        """Return a sentence for each unreadable directory."""
        rows = self.connection.execute("SELECT problem FROM others WHERE problem != ''")
        return [problem for (problem,) in rows]
