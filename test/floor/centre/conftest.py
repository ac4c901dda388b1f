"""Fresh databases of the centre on both engines, for all its tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.postgres import PostgresServer, postgres

if TYPE_CHECKING:
    from robot_recorder.floor.centre.database.database import Database

ENGINES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.floor)]


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL server, one for all tests of a process."""
    # pytest's own folders are closed to the server's user, and too long for the name of a socket.
    folder = Path(tempfile.mkdtemp(prefix="pg_", dir="/tmp"))
    folder.chmod(0o755)
    try:
        with postgres(folder / "server") as running:
            yield running
    finally:
        shutil.rmtree(folder)


@pytest.fixture(params=ENGINES)
def engine_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a new, empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/centre.sqlite"
    return request.getfixturevalue("server").new_database()


@pytest.fixture
def db(engine_url: str) -> Iterator[Database]:
    """A new, empty database of the centre."""
    from robot_recorder.floor.centre.database.database import open_database

    with open_database(engine_url) as opened:
        yield opened
