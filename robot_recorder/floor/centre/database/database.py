"""The centre's database: transactions of plain SQL with ``?`` placeholders, on SQLite or PostgreSQL.

    with db.transaction() as tx:
        tx.run("UPDATE robots SET seen_ns = ? WHERE name = ?", (now_ns, name))

Only SQL that both engines understand is written, apart from ``Database.skip_locked`` and the like.
A transaction is written to the disk when its block has ended, else nothing of it.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import psycopg
import psycopg_pool

from robot_recorder.bags.files import FILE_MODE
from robot_recorder.floor.centre.database.engines import (
    DatabaseError,
    Dialect,
    connect_sqlite,
    dialect_of,
    for_postgresql,
    mapped,
    plain,
    pool_postgresql,
    sqlite_path,
    without_password,
)
from robot_recorder.floor.centre.database.migrate import migrate

__all__ = ["Database", "DatabaseError", "Dialect", "Transaction", "open_database"]

_T = TypeVar("_T")
_WAIT_S = 30.0
_REACH_S = 5.0  # for a server that does not answer, or a connection while all are in use
_MOST_CONNECTIONS = 16
_TRIES, _FIRST_PAUSE_S = 5, 0.05
_FAULTS = (sqlite3.Error, psycopg.Error, OSError, OverflowError, UnicodeError)


class Transaction:
    """What runs within one transaction. Only the thread that began it may use it."""

    def __init__(self, dialect: Dialect, connection: Any, shown: str) -> None:
        self.dialect = dialect
        self._connection = connection
        self._shown = shown
        self._afterwards: list[Callable[[], None]] = []
        self._failed = False

    def afterwards(self, work: Callable[[], None]) -> None:
        """Call ``work`` when the transaction has been written to the disk; never if it is undone."""
        self._afterwards.append(work)

    def check(self) -> None:
        """Refuse to be written after a statement has failed; the database does this.

        Raises:
            DatabaseError: one has, and its error was caught within the block.
        """
        if self._failed:
            raise DatabaseError(
                f"nothing was written to the database {self._shown}: a statement failed, and the block went on"
            )

    def ended(self) -> None:
        """Call what was to be called afterwards; the database does this."""
        for work in self._afterwards:
            work()

    def run(self, sql: str, params: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows; none for one that returns nothing.

        Raises:
            DatabaseError: it failed; the whole transaction is lost and its block has to be left.
        """
        cursor = self._execute(sql, params)
        try:
            return list(cursor.fetchall()) if cursor.description else []
        except _FAULTS as error:
            raise self._mapped(error) from error

    def one(self, sql: str, params: Iterable[Any] = ()) -> tuple[Any, ...] | None:
        """Run a statement and return its first row; None: there is no row."""
        rows = self.run(sql, params)
        return rows[0] if rows else None

    def changed(self, sql: str, params: Iterable[Any] = ()) -> int:
        """Run an INSERT, UPDATE or DELETE and return how many rows it concerned."""
        return int(self._execute(sql, params).rowcount)

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement once for each row of parameters.

        Raises:
            DatabaseError: one failed; the whole transaction is lost and its block has to be left.
        """
        values = [plain(row) for row in rows]
        try:
            if self.dialect is Dialect.SQLITE:
                self._connection.executemany(sql, values)
            elif values:
                with self._connection.cursor() as cursor:
                    cursor.executemany(for_postgresql(sql), values)
        except _FAULTS as error:
            raise self._mapped(error) from error

    def copy(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Insert many rows as fast as the engine can: COPY on PostgreSQL.

        Args:
            table, columns: where to.
            rows: int, float, str, bytes and None only.

        Raises:
            DatabaseError: it failed; the whole transaction is lost and its block has to be left.
        """
        names = ", ".join(columns)
        if self.dialect is Dialect.SQLITE:
            marks = ", ".join("?" * len(columns))
            self.many(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)
            return
        try:
            with (
                self._connection.cursor() as cursor,
                cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy,
            ):
                for row in rows:
                    copy.write_row(row)
        except _FAULTS as error:
            raise self._mapped(error) from error

    def lock(self, name: str) -> None:
        """Wait until no other transaction holds the lock of this name; hold it to the end.

        On SQLite nothing: there is one writing transaction at a time anyway.
        """
        if self.dialect is Dialect.POSTGRESQL:
            self.run("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", (name,))

    def _mapped(self, error: Exception) -> DatabaseError:
        self._failed = True
        return mapped(error, self._shown)

    def _execute(self, sql: str, params: Iterable[Any]) -> Any:
        values = plain(params)
        try:
            if self.dialect is Dialect.SQLITE:
                return self._connection.execute(sql, values)
            return self._connection.execute(for_postgresql(sql), values)
        except _FAULTS as error:
            raise self._mapped(error) from error


class Database:
    """An open database. Any thread may use it; a thread has one transaction at a time.

    Attributes:
        dialect: the engine.
        url: its address, with its password.
        shown: its address as it may be shown.
        skip_locked: what ends a SELECT that takes rows that no other transaction has taken.
        greatest, least: names of the functions of several values.
    """

    def __init__(self, url: str) -> None:
        """Prepare what both engines need; ``open_database`` makes one."""
        self.url = url
        self.shown = without_password(url)
        self.dialect = dialect_of(url)
        is_sqlite = self.dialect is Dialect.SQLITE
        self.skip_locked = "" if is_sqlite else "FOR UPDATE SKIP LOCKED"
        self.greatest, self.least = ("MAX", "MIN") if is_sqlite else ("GREATEST", "LEAST")
        self._own = threading.local()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Run the block as one transaction that may write; leave it by an exception to undo it.

        Raises:
            DatabaseError: it cannot begin or end, and nothing was written, except when the connection broke
                while it ended: then nobody knows.
        """
        if getattr(self._own, "writes", False):
            raise RuntimeError("a transaction within a transaction: hand the outer one on")
        self._own.writes = True
        try:
            with self._block("BEGIN IMMEDIATE", "BEGIN") as transaction:
                yield transaction
        finally:
            self._own.writes = False
        transaction.ended()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Run the block on one unchanging state of the database, without writing.

        Raises:
            DatabaseError: the database cannot be read.
        """
        with self._block("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY") as transaction:
            yield transaction
        transaction.ended()

    def retrying(self, work: Callable[[Transaction], _T]) -> _T:
        """Run ``work`` in a transaction, again after failures that pass. It has to be repeatable.

        Raises:
            DatabaseError: it failed for good, or five times.
        """
        for attempt in range(_TRIES):
            try:
                with self.transaction() as transaction:
                    return work(transaction)
            except DatabaseError as error:
                if not error.retry or attempt == _TRIES - 1:
                    raise
            time.sleep(_FIRST_PAUSE_S * 3**attempt)
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close all connections; transactions that still run fail."""
        raise NotImplementedError

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _block(
        self, sqlite: str, postgresql: str
    ) -> contextlib.AbstractContextManager[Transaction]:
        """Return a transaction that begins with the engine's statement."""
        raise NotImplementedError

    def _ended(self, connection: Any) -> None:
        """Write a transaction to the disk.

        Raises:
            DatabaseError: that failed.
        """
        try:
            connection.execute("COMMIT")
        except _FAULTS as error:
            raise mapped(error, self.shown) from error


class SqliteDatabase(Database):
    """One SQLite file. One transaction writes at a time; others read meanwhile."""

    def __init__(self, url: str, wait_s: float, file_mode: int) -> None:
        """Open it; arguments as of ``open_database``."""
        super().__init__(url)
        self._wait_s, self._file_mode = wait_s, file_mode
        self._path = sqlite_path(url)
        self._turn = threading.Lock()  # SQLite itself waits with pauses, and favours nobody
        self._guard = threading.Lock()
        self._idle: dict[bool, list[sqlite3.Connection]] = {True: [], False: []}
        self._closed = False

    def close(self) -> None:
        """Close all connections that are not in use; the others close as their blocks end."""
        with self._guard:
            self._closed = True
            for connections in self._idle.values():
                while connections:
                    connections.pop().close()

    @contextlib.contextmanager
    def _block(self, sqlite: str, postgresql: str) -> Iterator[Transaction]:
        writes = sqlite == "BEGIN IMMEDIATE"
        if writes and not self._turn.acquire(timeout=self._wait_s):
            raise DatabaseError(f"the database {self.shown} is busy: try again", retry=True)
        try:
            connection = self._taken(not writes)
            try:
                self._begun(connection, sqlite)
                transaction = Transaction(self.dialect, connection, self.shown)
                yield transaction
                transaction.check()
                self._ended(connection)
            finally:
                self._given_back(connection, not writes)
        finally:
            if writes:
                self._turn.release()

    def _begun(self, connection: sqlite3.Connection, sql: str) -> None:
        try:
            connection.execute(sql)
        except _FAULTS as error:
            raise mapped(error, self.shown) from error

    def _taken(self, reading: bool) -> sqlite3.Connection:
        """Return an idle connection, or a new one."""
        with self._guard:
            if self._closed:
                raise DatabaseError(f"the database {self.shown} is closed")
            if self._idle[reading]:
                return self._idle[reading].pop()
        try:
            return connect_sqlite(self._path, self._wait_s, self._file_mode, reading)
        except _FAULTS as error:
            raise mapped(error, self.shown) from error

    def _given_back(self, connection: sqlite3.Connection, reading: bool) -> None:
        """Undo what has not been written, and keep the connection for the next."""
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            connection.close()  # which undoes it as well
            return
        with self._guard:
            if self._closed or len(self._idle[reading]) >= _MOST_CONNECTIONS:
                connection.close()
            else:
                self._idle[reading].append(connection)


class PostgresqlDatabase(Database):
    """A PostgreSQL database. A restarted server is found again by the next transaction."""

    def __init__(self, url: str, wait_s: float, connections: int) -> None:
        """Open it; arguments as of ``open_database``."""
        super().__init__(url)
        self._pool: psycopg_pool.ConnectionPool[Any] = pool_postgresql(
            url, connections, min(wait_s, _REACH_S), wait_s
        )

    def close(self) -> None:
        """Close all connections; transactions that still run fail."""
        self._pool.close()

    @contextlib.contextmanager
    def _block(self, sqlite: str, postgresql: str) -> Iterator[Transaction]:
        connection = self._begun(postgresql)
        try:
            transaction = Transaction(self.dialect, connection, self.shown)
            yield transaction
            transaction.check()
            self._ended(connection)
        finally:
            self._given_back(connection)

    def _begun(self, sql: str) -> psycopg.Connection[Any]:
        """Return a connection with a new transaction; nothing is lost if it has to be another one."""
        for again in (False, True):
            connection: psycopg.Connection[Any] | None = None
            try:
                connection = self._pool.getconn()
                connection.execute(sql)
                return connection
            except _FAULTS as error:
                broken = connection is not None and connection.closed
                if connection is not None:
                    self._pool.putconn(connection)
                if again or not broken:
                    raise mapped(error, self.shown) from error
                # The server was restarted: the others in the pool are broken, too.
                self._pool.check()
        raise AssertionError("unreachable")

    def _given_back(self, connection: psycopg.Connection[Any]) -> None:
        """Undo what has not been written; the pool replaces a broken connection."""
        try:
            if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                connection.execute("ROLLBACK")
        except psycopg.Error:
            connection.close()
        self._pool.putconn(connection)


def open_database(
    url: str,
    wait_s: float = _WAIT_S,
    file_mode: int = FILE_MODE,
    connections: int = _MOST_CONNECTIONS,
) -> Database:
    """Open a database and bring its tables to this version.

    Args:
        url: ``sqlite:///relative``, ``sqlite:////absolute`` or ``postgresql://user@host/database``.
        wait_s: how long to wait for a turn to write and for locks, s; for a connection 5 s at most.
        file_mode: mode of a new SQLite file.
        connections: most connections to PostgreSQL.

    Raises:
        ConfigError: the address is invalid, or a newer version has made the database.
        DatabaseError: the database cannot be reached or written.
    """
    migrate(url, wait_s, file_mode)
    if dialect_of(url) is Dialect.SQLITE:
        return SqliteDatabase(url, wait_s, file_mode)
    return PostgresqlDatabase(url, wait_s, connections)
