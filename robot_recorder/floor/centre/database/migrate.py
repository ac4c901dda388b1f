"""Brings a database to the tables of this version: one revision file per subject and change.

`A file in ``migrations/`` says in ``SQLITE`` and ``POSTGRESQL`` which statements to run, and ends with
``revision, down_revision, upgrade = revision_of(__file__, SQLITE, POSTGRESQL)``. Its number is its
revision; the one before is the file with the next lower number. A file that has been released is
never changed: changes are new files.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy
from alembic import context, op
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from robot_recorder.bags.files import FILE_MODE
from robot_recorder.floor.centre.database.engines import (
    Dialect,
    connect_postgresql,
    connect_sqlite,
    dialect_of,
    mapped,
    sqlite_path,
    without_password,
)
from robot_recorder.model.errors import ConfigError

MIGRATIONS = Path(__file__).with_name("migrations")
_LOCK = 0x726F626F  # one number of all that migrate; otherwise without meaning


def numbers(folder: Path = MIGRATIONS) -> list[str]:
    """Return the numbers of the revision files of a folder, oldest first."""
    return sorted(path.name[:4] for path in folder.glob("[0-9][0-9][0-9][0-9]_*.py"))


def revision_of(
    file: str, sqlite: Sequence[str], postgresql: Sequence[str]
) -> tuple[str, str | None, Callable[[], None]]:
    """Return a revision file's number, the number before, and what runs its statements.

    Args:
        file: of the revision.
        sqlite, postgresql: its statements, one each.
    """
    path = Path(file)
    known = numbers(path.parent)
    at = known.index(path.name[:4])
    if known.count(path.name[:4]) > 1:
        raise ConfigError(f"two revision files begin with {path.name[:4]}: rename one of them")

    def upgrade() -> None:
        connection = op.get_bind().execution_options(no_parameters=True)
        is_sqlite = connection.dialect.name == Dialect.SQLITE.value
        for statement in sqlite if is_sqlite else postgresql:
            connection.exec_driver_sql(statement)

    return known[at], known[at - 1] if at else None, upgrade


def migrate(
    url: str, wait_s: float = 60.0, file_mode: int = FILE_MODE, folder: Path = MIGRATIONS
) -> None:
    """Run all revisions that a database lacks, in one transaction and one process at a time.

    Args:
        url: of the database.
        wait_s: how long to wait for another process that does the same, s.
        file_mode: mode of a new SQLite file.
        folder: of the revision files.

    Raises:
        ConfigError: the address is invalid, or a newer version has made the database.
        DatabaseError: the database cannot be reached or refuses a statement.
    """
    shown = without_password(url)
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("version_locations", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    is_sqlite = dialect_of(url) is Dialect.SQLITE
    engine = sqlalchemy.create_engine(
        "sqlite://" if is_sqlite else "postgresql+psycopg://",
        creator=(lambda: connect_sqlite(sqlite_path(url), wait_s, file_mode))
        if is_sqlite
        else (lambda: _connect(url)),
        poolclass=sqlalchemy.pool.NullPool,
    )
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(
                "BEGIN IMMEDIATE" if is_sqlite else f"SELECT pg_advisory_xact_lock({_LOCK})"
            )
            _upgrade(connection, config, scripts, shown)
            connection.commit()
    except sqlalchemy.exc.DBAPIError as error:
        raise mapped(error.orig if isinstance(error.orig, Exception) else error, shown) from error
    except (sqlite3.Error, psycopg.Error, OSError) as error:
        raise mapped(error, shown) from error
    finally:
        engine.dispose()


def _connect(url: str) -> psycopg.Connection[Any]:
    """Return a connection in which SQLAlchemy begins the transactions."""
    connection = connect_postgresql(url)
    connection.autocommit = False
    return connection


def _upgrade(
    connection: sqlalchemy.Connection, config: Config, scripts: ScriptDirectory, shown: str
) -> None:
    """Run what is missing within the connection's transaction."""
    done = MigrationContext.configure(connection).get_current_heads()
    head = scripts.get_current_head()
    if done == (head,):
        return
    known = {script.revision for script in scripts.walk_revisions()}
    if set(done) - known:
        raise ConfigError(
            f"the database {shown} was made by a newer robot_recorder (revision {max(done)}, this one "
            f"knows {head}): update this one"
        )

    def steps(revision: Any, _: MigrationContext) -> list[MigrationStep]:
        missing = list(scripts.iterate_revisions("head", revision or "base"))
        return [
            MigrationStep.upgrade_from_script(scripts.revision_map, script)
            for script in reversed(missing)
        ]

    with EnvironmentContext(config, scripts, fn=steps, destination_rev="head"):
        context.configure(connection=connection)
        try:
            context.run_migrations()
        except CommandError as error:
            raise ConfigError(f"the database {shown} cannot be migrated: {error}") from error
