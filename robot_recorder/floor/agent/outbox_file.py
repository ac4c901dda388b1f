"""The SQLite file of an outbox: made anew when it is damaged or deleted, and written on a full disk.

Reading has a connection of its own, so nobody who only reads waits for another process that writes.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from robot_recorder.floor.agent.reserve import DiskReserve
from robot_recorder.floor.changes import ChangeMarks
from robot_recorder.model.errors import BagError

LOCKED_S = 2.0  # how long a lock of another process is waited for
_ASIDE = ".unreadable-"
_ENDINGS = ("", "-wal", "-shm")


class OutboxFile:
    """The connections to one outbox. Any thread may use them.

    Attributes:
        path: of the file.
        made: how often it was opened; another number: what it held before may be gone.
        problem: why it could not be used last; empty: it could.
    """

    def __init__(
        self, root: Path, path: Path, opened: Callable[[Path], sqlite3.Connection], is_owner: bool
    ) -> None:
        """Open the file; create it if it is missing.

        Args:
            root: directory of the episodes.
            path: of the file.
            opened: connects to it and makes its tables.
            is_owner: whether it may be set aside when it is damaged: by the agent alone, under its lock.

        Raises:
            ConfigError: a newer version made it.
            BagError: the disk fails, or it is damaged and not this one's to set aside.
        """
        self.path = path
        self.made = 0
        self.problem = ""
        self._root = root
        self._connected = opened
        self._is_owner = is_owner
        self._reserve = DiskReserve(path.parent)
        self._write_lock, self._read_lock = threading.RLock(), threading.RLock()
        try:
            self._open()
        except (OSError, sqlite3.Error) as error:
            raise BagError(f"the outbox {path} cannot be opened: {error}") from error

    def close(self) -> None:
        """Close the connections."""
        with self._write_lock, self._read_lock:
            self._writer.close()
            self._reader.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection within a transaction, which is on the disk afterwards.

        Raises:
            BagError: it cannot be written.
        """
        with self._write_lock:
            if self._is_owner and self._reserve.is_needed():
                self._reserve.release()
            made = self.made
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException as error:
                with suppress(sqlite3.Error):
                    if self._writer.in_transaction:
                        self._writer.execute("ROLLBACK")
                if not isinstance(error, sqlite3.Error):
                    raise
                raise self._failed("written", error, made) from error
            self.problem = ""

    def read(
        self,
        sql: str,
        values: Sequence[Any] = (),
        most: int | None = None,
        leave_out: Container[Any] = (),
    ) -> list[tuple[Any, ...]]:
        """Return rows.

        Args:
            sql: the question.
            values: for its places.
            most: at most so many rows; None: all.
            leave_out: of rows that begin with one of these.

        Raises:
            BagError: it cannot be read.
        """
        made = self.made
        rows: list[tuple[Any, ...]] = []
        try:
            with self._read_lock, closing(self._reader.execute(sql, values)) as found:
                for row in found:
                    if most is not None and len(rows) >= most:
                        break
                    if row[0] not in leave_out:
                        rows.append(row)
        except sqlite3.Error as error:
            raise self._failed("read", error, made) from error
        return rows

    def look(self) -> None:
        """Open the file anew if somebody deleted or replaced it.

        Raises:
            BagError: the disk fails.
        """
        try:
            with self._write_lock, self._read_lock:
                if not self._is_there():
                    logging.getLogger(__name__).warning("%s was deleted: made anew", self.path)
                    self._reopen()
        except (OSError, sqlite3.Error) as error:
            self.problem = f"the outbox {self.path} cannot be opened: {error}"
            raise BagError(self.problem) from error

    def keep_reserve(self) -> None:
        """Have the room that writing needs on a full disk, if there is any."""
        if self._is_owner:
            self._reserve.make()

    def set_aside(self) -> list[str]:
        """Return the names of the damaged files that were replaced and are still there."""
        names = (path.name for path in self.path.parent.glob(f"{self.path.stem}{_ASIDE}*"))
        return sorted(name for name in names if not name.endswith(_ENDINGS[1:]))

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(self._stat, os.stat(self.path))
        except OSError:
            return False

    def _reopen(self) -> None:
        with suppress(sqlite3.Error):
            self._writer.close()
            self._reader.close()
        self._open()

    def _open(self) -> None:
        for _ in range(3):  # each mends one thing
            try:
                return self._connect()
            except (OSError, sqlite3.OperationalError):
                if not self._is_owner or not self._reserve.release():
                    raise
            except sqlite3.DatabaseError as error:
                if not self._is_owner:
                    raise
                self._move_aside(error)
        self._connect()

    def _connect(self) -> None:
        ChangeMarks(self._root).make()
        writer = self._connected(self.path)
        try:
            (said,) = writer.execute("PRAGMA quick_check(1)").fetchone()
            if said != "ok":
                raise sqlite3.DatabaseError(said)
            stat = os.stat(self.path)
            reader = sqlite3.connect(
                self.path, timeout=LOCKED_S, isolation_level=None, check_same_thread=False
            )
        except BaseException:
            writer.close()
            raise
        self._writer, self._reader, self._stat = writer, reader, stat
        self.made += 1
        self.keep_reserve()

    def _move_aside(self, error: Exception) -> None:
        aside = self.path.with_name(f"{self.path.stem}{_ASIDE}{time.time_ns()}")
        logging.getLogger(__name__).warning(
            "%s is unreadable (%s): it is kept as %s, and everything is offered again",
            self.path, error, aside.name,
        )  # fmt: skip
        for ending in _ENDINGS:
            with suppress(FileNotFoundError):
                os.rename(f"{self.path}{ending}", f"{aside}{ending}")

    def _failed(self, what: str, error: sqlite3.Error, made: int) -> BagError:
        """Mend what can be mended, for the next attempt; return the error."""
        found = BagError(f"the outbox {self.path} cannot be {what}: {error}")
        self.problem = str(found)
        if not self._is_owner:
            return found
        # SQLite has a class of its own for all but this: what is in the file makes no sense.
        if type(error) is sqlite3.DatabaseError:
            with suppress(OSError, sqlite3.Error), self._write_lock, self._read_lock:
                if made == self.made:  # nobody else has mended it meanwhile
                    self._move_aside(error)
                    self._reopen()
        elif isinstance(error, sqlite3.OperationalError) and "locked" not in str(error):
            self._reserve.release()
        return found
