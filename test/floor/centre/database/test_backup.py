"""A backup of a database in use is whole, and restores to the same."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import pytest

pytest.importorskip("alembic")
pytest.importorskip("psycopg")

from support.catalogued import floor

from robot_recorder.floor.centre.catalogue.catalogue import CentreCatalogue
from robot_recorder.floor.centre.database.backup import (
    ABOUT,
    back_up,
    read_backup,
    restore,
    run_program,
)
from robot_recorder.floor.centre.database.database import DatabaseError, open_database
from robot_recorder.floor.centre.database.migrate import numbers
from robot_recorder.model.errors import ConfigError

ENTRIES = floor(1, 60)


def empty_database(url: str, request: pytest.FixtureRequest, folder: Path) -> str:
    if url.startswith("sqlite"):
        return f"sqlite:///{folder}/restored/centre.sqlite"
    return request.getfixturevalue("server").new_database()


def test_a_backup_of_a_database_in_use_restores_to_what_it_was(
    engine_url: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = empty_database(engine_url, request, tmp_path)
    with open_database(engine_url) as db:
        catalogue = CentreCatalogue(db)
        for entry in ENTRIES:
            catalogue.put("a", entry)
        enough = threading.Event()

        def work() -> None:
            for i in itertools.count():
                if enough.is_set():
                    return
                catalogue.put("b", ENTRIES[i % len(ENTRIES)])
                catalogue.remove("b", ENTRIES[i % len(ENTRIES)].id)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            made = back_up(engine_url, tmp_path / "backups")
        finally:
            enough.set()
            thread.join()
        expected = [entry for entry in catalogue.all() if str(entry.root) == "a"]
        stats = catalogue.stats()
    info = restore(made, other)
    assert info == read_backup(made) and info.revision == numbers()[-1]
    assert info.engine in other
    with open_database(other) as db:
        again = CentreCatalogue(db)
        assert [entry for entry in again.all() if str(entry.root) == "a"] == expected
        again.remove("b", next((e.id for e in again.all() if str(e.root) == "b"), ""))
        assert again.stats().total.counts == stats.total.counts
        assert again.put("b", ENTRIES[0]), "and it goes on"
    with pytest.raises(ConfigError, match="createdb|move it away"):
        restore(made, other)
    assert [path.name for path in (tmp_path / "backups").iterdir()] == [made.name]


def test_a_damaged_or_foreign_backup_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/centre.sqlite"
    open_database(url).close()
    made = back_up(url, tmp_path / "backups", lambda: 1_800_000_000 * 10**9)
    assert made.name == "centre_20270115T080000Z"
    with pytest.raises(DatabaseError, match="this second"):
        back_up(url, tmp_path / "backups", lambda: 1_800_000_000 * 10**9)
    with pytest.raises(ConfigError, match="name a database of sqlite"):
        restore(made, "postgresql:///x")
    data = made / "centre.sqlite"
    data.write_bytes(data.read_bytes()[:-1] + b"x")
    with pytest.raises(ConfigError, match="damaged"):
        restore(made, f"sqlite:///{tmp_path}/new.sqlite")
    data.unlink()
    with pytest.raises(ConfigError, match=r"no complete backup: .*centre\.sqlite"):
        read_backup(made)
    (made / ABOUT).write_text('{"engine": "mysql"}')
    with pytest.raises(ConfigError, match="no backup"):
        read_backup(made)
    with pytest.raises(DatabaseError, match="does not exist"):
        back_up(f"sqlite:///{tmp_path}/nothing.sqlite", tmp_path / "backups")
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseError, match="cannot be written"):
        back_up(url, tmp_path / "file")


def test_a_missing_program_and_a_missing_server_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DatabaseError, match="check that its server runs"):
        back_up("postgresql://me:geheim@127.0.0.1:1/x", tmp_path)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DatabaseError, match="apt-get install postgresql-client"):
        run_program("postgresql:///x", "pg_dump")
    assert list(tmp_path.iterdir()) == []
