"""Transactions behave alike on SQLite and PostgreSQL, survive a killed server, and migrate once.

Holds also: engines.py, migrate.py.
"""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from enum import Enum, IntEnum
from pathlib import Path

import pytest

pytest.importorskip("alembic")
psycopg = pytest.importorskip("psycopg")

from hypothesis import given
from hypothesis import strategies as st
from support.postgres import PostgresServer, postgres
from support.write_ahead import log_bytes, long_reader

from robot_recorder.bags.files import KEPT_LOG_BYTES
from robot_recorder.floor.centre.database.database import (
    Database,
    DatabaseError,
    Dialect,
    open_database,
)
from robot_recorder.floor.centre.database.engines import (
    dialect_of,
    for_postgresql,
    mapped,
    without_password,
)
from robot_recorder.floor.centre.database.migrate import MIGRATIONS, migrate, numbers
from robot_recorder.model.errors import ConfigError

TABLE = "CREATE TABLE things (name TEXT PRIMARY KEY, number BIGINT, truth SMALLINT, data {}, ratio DOUBLE PRECISION)"


class Colour(str, Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


@pytest.fixture
def db(engine_url: str) -> Iterator[Database]:
    with open_database(engine_url) as opened:
        make_table(opened)
        yield opened


def make_table(db: Database) -> None:
    with db.transaction() as tx:
        tx.run(TABLE.format("BLOB" if db.dialect is Dialect.SQLITE else "BYTEA"))


def put(db: Database, name: str, number: int = 0) -> None:
    with db.transaction() as tx:
        tx.run("INSERT INTO things (name, number) VALUES (?, ?)", (name, number))


def names(db: Database) -> list[str]:
    with db.reading() as tx:
        return [name for (name,) in tx.run("SELECT name FROM things ORDER BY name")]


def test_values_come_back_as_they_went_in(db: Database) -> None:
    with db.transaction() as tx:
        row = ("what? 100%", 2**63 - 1, True, b"\0\xff", 0.25)
        assert tx.run("INSERT INTO things VALUES (?, ?, ?, ?, ?)", row) == []
        tx.many(
            "INSERT INTO things (name, number) VALUES (?, ?)",
            [(Colour.RED, Level.HIGH), ("none", None)],
        )
        tx.many("INSERT INTO things (name) VALUES (?)", [])
        tx.copy("things", ("name", "number"), [("a\tb\\", 1), ("c", None)])
        assert tx.one("SELECT * FROM things WHERE name = ?", row[:1]) == (*row[:2], 1, *row[3:])
        assert tx.one("SELECT number FROM things WHERE name = ?", ("red",)) == (3,)
        assert tx.one("SELECT number FROM things WHERE name = 'no?'") is None
        assert tx.one("SELECT SUM(number), AVG(number) FROM things WHERE number < 10") == (4, 2)
        assert type(tx.run("SELECT SUM(number) FROM things WHERE number < 10")[0][0]) is int
        assert tx.changed("UPDATE things SET truth = ? WHERE number < ?", (False, 10)) == 2
        sql = "INSERT INTO things (name) VALUES (?) ON CONFLICT (name) DO UPDATE SET number = {}(things.number, 5) RETURNING number"
        assert tx.run(sql.format(db.greatest), ("red",)) == [(5,)]
        assert tx.run(sql.format(db.least), ("red",)) == [(5,)]
        tx.lock("anything")
        leased = tx.run(f"SELECT name FROM things WHERE number = 1 LIMIT 1 {db.skip_locked}")
        assert leased == [("a\tb\\",)]


def test_the_log_shrinks_after_a_reader_for_whom_it_had_to_grow(tmp_path: Path) -> None:
    path = tmp_path / "centre.sqlite"
    with open_database(f"sqlite:///{path}") as db:
        make_table(db)
        with long_reader(path):
            put(db, "n" * 2 * KEPT_LOG_BYTES)
            assert log_bytes(path) > 2 * KEPT_LOG_BYTES
        for number in range(2):
            put(db, f"{number}")
        assert log_bytes(path) <= KEPT_LOG_BYTES


def test_an_exception_undoes_the_whole_block(db: Database) -> None:
    done: list[str] = []
    with pytest.raises(KeyError), db.transaction() as tx:
        tx.run("INSERT INTO things (name) VALUES ('a')")
        tx.afterwards(lambda: done.append("undone"))
        raise KeyError
    with pytest.raises(DatabaseError) as caught, db.transaction() as tx:
        tx.run("INSERT INTO things (name) VALUES ('a')")
        tx.run("INSERT INTO things (name) VALUES ('a')")
    assert not caught.value.retry and "refuses" in str(caught.value)
    with pytest.raises(DatabaseError, match="the block went on"), db.transaction() as tx:
        tx.run("INSERT INTO things (name) VALUES ('a')")
        with pytest.raises(DatabaseError):
            tx.run("no SQL")
    assert names(db) == []
    with db.transaction() as tx:
        tx.run("INSERT INTO things (name) VALUES ('a')")
        tx.afterwards(lambda: done.extend(names(db)))
        assert done == []
    assert done == ["a"], "called once it can be read by others"


def test_a_transaction_within_a_transaction_is_refused_and_reading_cannot_write(
    db: Database,
) -> None:
    with db.transaction() as tx:
        tx.run("INSERT INTO things (name) VALUES ('a')")
        with pytest.raises(RuntimeError, match="within a transaction"), db.transaction():
            pass
        assert names(db) == [], "others do not see it yet"
    with pytest.raises(DatabaseError), db.reading() as tx:
        tx.run("INSERT INTO things (name) VALUES ('b')")
    assert names(db) == ["a"]


def test_reading_sees_one_state(db: Database) -> None:
    put(db, "a")
    with db.reading() as tx:
        assert len(tx.run("SELECT * FROM things")) == 1
        put(db, "b")
        assert len(tx.run("SELECT * FROM things")) == 1
    assert len(names(db)) == 2


def test_threads_lose_no_update(db: Database) -> None:
    put(db, "count")

    def work() -> None:
        for _ in range(25):
            with db.transaction() as tx:
                tx.lock("count")
                row = tx.one("SELECT number FROM things")
                assert row is not None
                tx.run("UPDATE things SET number = ?", (row[0] + 1,))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with db.reading() as tx:
        assert tx.one("SELECT number FROM things") == (100,)


def test_retrying_repeats_what_passes_and_nothing_else(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robot_recorder.floor.centre.database.database._FIRST_PAUSE_S", 0.0)
    calls: list[bool] = []

    def work(passes: bool, times: int) -> str:
        calls.append(passes)
        if len(calls) < times:
            raise DatabaseError("no", retry=passes)
        return "done"

    assert db.retrying(lambda tx: work(True, 3)) == "done" and len(calls) == 3
    calls.clear()
    with pytest.raises(DatabaseError):
        db.retrying(lambda tx: work(False, 3))
    assert len(calls) == 1
    calls.clear()
    with pytest.raises(DatabaseError):
        db.retrying(lambda tx: work(True, 99))
    assert len(calls) == 5


def test_a_closed_database_refuses(engine_url: str) -> None:
    db = open_database(engine_url)
    with db.reading():
        pass
    db.close()
    with pytest.raises(DatabaseError), db.reading():
        pass


# -- SQLite


def test_a_file_that_another_process_writes_is_waited_for_and_then_named(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.sqlite"
    with open_database(f"sqlite:///{path}", wait_s=0.05, file_mode=0o600) as db:
        make_table(db)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseError, match="locked by another process") as caught:
            put(db, "a")
        assert caught.value.retry
        assert names(db) == [], "reading goes on"
        other.execute("ROLLBACK")
        put(db, "a")
        other.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "b.sqlite"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(DatabaseError, match="restore it from a backup") as caught:
        open_database(f"sqlite:///{path}")
    assert not caught.value.retry
    with pytest.raises(DatabaseError, match="cannot be"):
        open_database("sqlite:////proc/nothing/here.sqlite")


KILLED = """
import os, sys
from robot_recorder.floor.centre.database.database import open_database
db = open_database(sys.argv[1])
i = 0
while True:
    with db.transaction() as tx:
        tx.run("INSERT INTO names (text) VALUES (?)", (f"n{i}",))
        tx.run("INSERT INTO names (text) VALUES (?)", (f"m{i}",))
    print(i, flush=True)
    i += 1
"""


def test_what_was_said_to_be_written_survives_kill_9(engine_url: str) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, engine_url], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    said = [int(child.stdout.readline()) for _ in range(50)]
    child.kill()
    said += [int(line) for line in child.stdout.read().splitlines() if line]
    child.wait()
    child.stdout.close()
    with open_database(engine_url) as db, db.reading() as tx:
        texts = {text for (text,) in tx.run("SELECT text FROM names WHERE text <> ''")}
    assert {f"{letter}{i}" for i in said for letter in "nm"} <= texts
    assert len(texts) % 2 == 0, "both or none"


# -- PostgreSQL


@pytest.mark.floor
def test_a_killed_server_loses_nothing_and_is_found_again() -> None:
    with tempfile.TemporaryDirectory(prefix="pg_", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        with postgres(Path(folder) / "server") as own, open_database(own.new_database()) as db:
            make_table(db)
            for i in range(20):
                put(db, f"before{i}")
            with pytest.raises(DatabaseError) as caught, db.transaction() as tx:
                tx.run("INSERT INTO things (name) VALUES ('lost')")
                own.kill9()
                tx.run("SELECT 1")
            assert caught.value.retry
            own.start()
            put(db, "after")  # at once: the broken connections of the pool are replaced
            assert len(names(db)) == 21 and "lost" not in names(db)
            own.stop()
            with (
                pytest.raises(DatabaseError, match="check that its server runs") as caught,
                db.reading(),
            ):
                pass
            assert caught.value.retry
            own.start()
            assert db.retrying(lambda tx: tx.one("SELECT 1")) == (1,)


@pytest.mark.floor
def test_leased_rows_are_skipped_and_deadlocks_can_be_repeated(server: PostgresServer) -> None:
    with open_database(server.new_database()) as db:
        make_table(db)
        for name in "ab":
            put(db, name)
        lease = f"SELECT name FROM things ORDER BY name LIMIT 1 {db.skip_locked}"
        both, order = threading.Barrier(2), {"x": "ab", "y": "ba"}
        failed: list[DatabaseError] = []

        def work(which: str) -> None:
            try:
                with db.transaction() as tx:
                    tx.run("UPDATE things SET number = 1 WHERE name = ?", (order[which][0],))
                    both.wait()
                    tx.run("UPDATE things SET number = 1 WHERE name = ?", (order[which][1],))
            except DatabaseError as error:
                failed.append(error)

        with db.transaction() as tx:
            assert tx.run(lease) == [("a",)]
            found: list[object] = []

            def other() -> None:
                with db.transaction() as second:
                    found.append(second.run(lease))

            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
            assert found == [[("b",)]]
        threads = [threading.Thread(target=work, args=(which,)) for which in order]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [error.retry for error in failed] == [True]


@pytest.mark.parametrize(
    "url", ["postgresql://me:geheim@127.0.0.1:1/db", "postgresql:///db?host=/tmp/nowhere"]
)
def test_a_server_that_is_not_there_is_named(url: str) -> None:
    with pytest.raises(DatabaseError, match="check that its server runs") as caught:
        open_database(url)
    assert caught.value.retry and "geheim" not in str(caught.value)


# -- migrations


def test_a_database_of_a_newer_version_is_refused(engine_url: str) -> None:
    with open_database(engine_url) as db, db.transaction() as tx:
        tx.run("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigError, match=r"newer robot_recorder \(revision 9999.*update"):
        open_database(engine_url)


REVISION = """
from robot_recorder.floor.centre.database.migrate import revision_of
LIST = ["CREATE TABLE t{0} (a TEXT DEFAULT '100% ?:x')", {1}]
revision, down_revision, upgrade = revision_of(__file__, LIST, LIST)
"""


def test_revisions_run_in_order_once_and_all_or_nothing(engine_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "revisions"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "0001_one.py").write_text(REVISION.format(1, ""))
    (folder / "0003_three.py").write_text(REVISION.format(3, "'INSERT INTO t1 VALUES (1)'"))
    migrate(engine_url, folder=folder)
    (folder / "0004_four.py").write_text(REVISION.format(4, "'INSERT INTO t3 VALUES (1)'"))
    (folder / "0005_five.py").write_text(REVISION.format(5, "'no SQL'"))
    with pytest.raises(DatabaseError, match="refuses"):
        migrate(engine_url, folder=folder)
    assert tables(engine_url) == {"t1", "t3"}
    (folder / "0005_five.py").unlink()
    for _ in range(2):
        migrate(engine_url, folder=folder)
    assert tables(engine_url) == {"t1", "t3", "t4"}
    (folder / "0004_other.py").write_text(REVISION.format(5, ""))
    with pytest.raises(ConfigError, match="two revision files begin with 0004"):
        migrate(engine_url, folder=folder)


def tables(url: str) -> set[str]:
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            rows = connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table'"
            ).fetchall()
        connection.close()
    else:
        with psycopg.connect(url) as connection:
            rows = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            ).fetchall()
    return {name for (name,) in rows} - {"alembic_version"}


def test_several_that_open_at_once_migrate_once(engine_url: str) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            open_database(engine_url).close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with open_database(engine_url) as db, db.reading() as tx:
        assert tx.run("SELECT version_num FROM alembic_version") == [(numbers()[-1],)]


def test_the_numbers_of_the_shipped_revisions_are_without_gaps_or_doubles() -> None:
    assert MIGRATIONS.is_dir()
    found = numbers()
    assert found == [f"{i:04}" for i in range(1, len(found) + 1)]


# -- addresses and sentences


@pytest.mark.parametrize("url", ["", "mysql://x", "sqlite:///", "/a/file", "sqlite:/a"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="no address of a database"):
        dialect_of(url)


def test_passwords_are_not_shown() -> None:
    for url in ("postgresql://me:geheim@host:1/db?x=1", "postgresql:///db?password=geheim&host=h"):
        assert "geheim" not in without_password(url) and "db" in without_password(url)
    assert without_password("sqlite:////a") == "sqlite:////a"


@given(st.lists(st.sampled_from(["?", "%", "'?%'", "''", '"a?"', " ", "x", "-- ?\n"])))
def test_placeholders_are_those_outside_of_quotes(pieces: list[str]) -> None:
    words = {"?": "%s", "%": "%%", "'?%'": "'?%%'"}
    text = " ".join(pieces)
    assert for_postgresql(text) == " ".join(words.get(piece, piece) for piece in pieces)


@pytest.mark.parametrize("error, words, retry", [
    (sqlite3.OperationalError("database or disk is full"), "make room", True),
    (sqlite3.OperationalError("disk I/O error"), "check its disk", True),
    (sqlite3.OperationalError("attempt to write a readonly database"), "check the rights", False),
    (sqlite3.DatabaseError("database disk image is malformed"), "restore it from a backup", False),
    (psycopg.errors.DiskFull("no space"), "make room", True),
    (psycopg.errors.LockNotAvailable("timeout"), "locked", True),
    (psycopg.errors.SerializationFailure("x"), "try again", True),
    (psycopg.errors.AdminShutdown("x"), "try again", True),
    (psycopg.OperationalError("connection refused\nmore"), "check that its server runs", True),
    (psycopg.errors.UndefinedTable("no table"), "refuses this", False),
    (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"), "refuses a value", False),
])  # fmt: skip
def test_errors_become_sentences(error: Exception, words: str, retry: bool) -> None:
    found = mapped(error, "db://x")
    assert words in str(found) and "db://x" in str(found) and found.retry is retry
    assert "\n" not in str(found)
