"""Backup of the centre's database into a folder, while it is in use, and restoring from one.

A backup is a folder with ``backup.json`` (when, of which engine and revision, with the SHA-256 of the data) and
the data: a SQLite file, or what ``pg_dump`` writes. Episodes themselves are in the storage, which has its own
backups.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

import psycopg

from robot_recorder.bags.files import FILE_MODE, make_folder, set_mode
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

ABOUT = "backup.json"
DATA = {Dialect.SQLITE: "centre.sqlite", Dialect.POSTGRESQL: "centre.dump"}
_UNDER_WAY = ".partial"
_VERSION = "SELECT version_num FROM alembic_version"
# Robots offer everything again to a database that has a new history, as it may lack what came after the backup.
_FORGET = "DELETE FROM floor_identity WHERE name = 'history'"


@dataclass(frozen=True)
class BackupInfo:
    """What ``backup.json`` says.

    Attributes:
        made_ns: when it was begun.
        engine: ``sqlite`` or ``postgresql``.
        revision: of the tables.
        size_bytes, sha256: of the data.
    """

    made_ns: int
    engine: str
    revision: str
    size_bytes: int
    sha256: str


def back_up(url: str, folder: Path, clock: Callable[[], int] = time.time_ns) -> Path:
    """Write a backup into a new folder below ``folder``, named by the time; return that folder.

    Args:
        url: of the database, which may be in use.
        folder: of all backups.
        clock: time since the epoch, ns.

    Raises:
        DatabaseError: the database cannot be read, the folder cannot be written, or ``pg_dump`` is missing.
    """
    dialect, made_ns = dialect_of(url), clock()
    stamp = datetime.fromtimestamp(made_ns // 10**9, timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    target = folder / f"centre_{stamp}"
    partial = target.with_name(target.name + _UNDER_WAY)
    try:
        if target.exists():
            raise DatabaseError(f"{target} exists: a backup was made this second, try again", True)
        make_folder(folder)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        data = partial / DATA[dialect]
        revision = _copy_sqlite(url, data) if dialect is Dialect.SQLITE else _dump(url, data)
        set_mode(data, FILE_MODE)
        info = BackupInfo(made_ns, dialect.value, revision, data.stat().st_size, _sha256(data))
        _write(partial / ABOUT, json.dumps(asdict(info), indent=1) + "\n")
        _sync(data)
        partial.rename(target)
        _sync(folder)
    except (sqlite3.Error, psycopg.Error) as error:
        raise mapped(error, without_password(url)) from error
    except OSError as error:
        raise DatabaseError(
            f"the backup {target} cannot be written: {error.strerror}", True
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def read_backup(backup: Path) -> BackupInfo:
    """Check a backup's data and return what it is.

    Raises:
        ConfigError: it is no backup, is not complete, or has been changed.
    """
    try:
        info = BackupInfo(**json.loads((backup / ABOUT).read_text()))
        data = backup / DATA[Dialect(info.engine)]
        if (data.stat().st_size, _sha256(data)) != (info.size_bytes, info.sha256):
            raise ConfigError(
                f"the backup {backup} has been damaged: {data.name} differs from {ABOUT}; use another one"
            )
    except OSError as error:
        raise ConfigError(
            f"{backup} is no complete backup: {error.filename}: {error.strerror}"
        ) from error
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{backup} is no backup: {ABOUT} cannot be read ({error})") from error
    return info


def restore(backup: Path, url: str) -> BackupInfo:
    """Write a backup into a new database, and return what it was.

    Args:
        backup: folder of one backup.
        url: of a SQLite file that does not exist, or of an empty PostgreSQL database.

    Raises:
        ConfigError: the backup is damaged or of the other engine, or the database is not empty.
        DatabaseError: the database cannot be written.
    """
    info, dialect, shown = read_backup(backup), dialect_of(url), without_password(url)
    if info.engine != dialect.value:
        raise ConfigError(
            f"the backup {backup} is of {info.engine}, and {shown} is not: name a database of {info.engine}"
        )
    data = backup / DATA[dialect]
    try:
        if dialect is Dialect.SQLITE:
            _restore_sqlite(data, sqlite_path(url))
        else:
            _restore_postgresql(data, url)
    except (sqlite3.Error, psycopg.Error) as error:
        raise mapped(error, shown) from error
    except OSError as error:
        raise DatabaseError(f"the database {shown} cannot be written: {error.strerror}") from error
    return info


def _copy_sqlite(url: str, target: Path) -> str:
    path = sqlite_path(url)
    if not path.is_file():
        raise DatabaseError(f"the database {path} does not exist")
    with (
        closing(sqlite3.connect(path, timeout=60)) as source,
        closing(sqlite3.connect(target)) as copy,
    ):
        source.backup(copy)  # in one go: others write on, and it would begin anew after each pause
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
        if copy.execute("PRAGMA integrity_check(1)").fetchall() != [("ok",)]:
            raise DatabaseError(f"the database {path} is broken: restore it from an older backup")
        return str(copy.execute(_VERSION).fetchone()[0])


def _restore_sqlite(data: Path, path: Path) -> None:
    if path.exists():
        raise ConfigError(f"{path} exists: move it away first, with its -wal and -shm")
    make_folder(path.parent)
    partial = path.with_name(path.name + _UNDER_WAY)
    try:
        shutil.copyfile(data, partial)
        set_mode(partial, FILE_MODE)
        with closing(sqlite3.connect(partial, isolation_level=None)) as copy:
            copy.execute(_FORGET)
        _sync(partial)
        for suffix in ("-wal", "-shm"):  # of an earlier file; they would be applied to this one
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        partial.rename(path)
        _sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def _dump(url: str, target: Path) -> str:
    with connect_postgresql(url) as connection:
        row = connection.execute(_VERSION).fetchone()
    run_program(
        url, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={target}"
    )
    return str(row[0]) if row else ""


def _restore_postgresql(data: Path, url: str) -> None:
    with connect_postgresql(url) as connection:
        row = connection.execute(
            "SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'"
        ).fetchone()
    if row is None or row[0]:
        raise ConfigError(
            f"{without_password(url)} is not empty: create a new database with `createdb`, and restore there"
        )
    run_program(
        url,
        "pg_restore",
        "--no-owner",
        "--no-privileges",
        "--exit-on-error",
        "--single-transaction",
        str(data),
    )
    with connect_postgresql(url) as connection:
        connection.execute(_FORGET)


def run_program(url: str, program: str, *words: str) -> None:
    """Run a program of PostgreSQL; the address with its password goes by the environment, which others cannot read."""
    found = shutil.which(program)
    if found is None:
        raise DatabaseError(
            f"{program} is missing on this machine: apt-get install postgresql-client"
        )
    options = psycopg.conninfo.conninfo_to_dict(url)
    environment = dict(os.environ)
    if options.get("password"):
        environment["PGPASSWORD"] = str(options.pop("password"))
    plain = psycopg.conninfo.make_conninfo("", **options)
    done = subprocess.run(
        [found, *words, f"--dbname={plain}"], env=environment, capture_output=True, text=True
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise DatabaseError(f"{program} failed for {without_password(url)}: {last}", True)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    set_mode(path, FILE_MODE)
    _sync(path)


def _sync(path: Path) -> None:
    """Make a file or folder survive a power cut."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
