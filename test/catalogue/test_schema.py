"""The catalogue's file: rebuilt when broken or outdated."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from support.catalogued import content
from support.episodes import make_episode
from support.write_ahead import log_bytes, long_reader

from robot_recorder.bags.files import KEPT_LOG_BYTES
from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.catalogue.query import Filter, Query
from robot_recorder.catalogue.schema import FILE, VERSION
from robot_recorder.floor.store import open_store
from robot_recorder.model.errors import ConfigError


@pytest.mark.parametrize("damage", ["garbage", "cut", "empty", "pages", "old"])
def test_a_broken_file_is_rebuilt(tmp_path: Path, damage: str) -> None:
    store = open_store(tmp_path)
    for i in range(40):
        make_episode(store, 20.0 * i, task=f"task{i}")
    before = content(tmp_path)
    del store
    path = tmp_path / FILE
    data = path.read_bytes()
    for extra in path.parent.glob("*-*"):
        extra.unlink()
    if damage == "old":
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 99999")
        with pytest.raises(ConfigError, match="newer robot_recorder"):
            Catalogue(tmp_path)
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = -1")
            connection.execute("DROP TABLE tally")
        connection.close()
    elif damage == "pages":
        path.write_bytes(data[:8192] + b"\xa5" * (len(data) - 8192))
    else:
        path.write_bytes(
            {"garbage": b"no catalogue " * 1000, "cut": data[: len(data) // 2], "empty": b""}[
                damage
            ]
        )
    late = make_episode(
        open_store(tmp_path), 9999.0
    )  # the take is saved, whatever the state of the catalogue
    assert late.is_dir()
    from robot_recorder.cli.main import main

    assert main(["episodes", str(tmp_path)]) == 0
    after = content(tmp_path)
    assert [e for e in after[0] if e.name != late.name] == before[0] and len(after[0]) == 41
    with Catalogue(tmp_path) as catalogue:
        assert catalogue.connection.execute("PRAGMA user_version").fetchone()[0] == VERSION
        assert catalogue.is_sound()


def test_a_file_removed_while_open_is_noticed(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    make_episode(store, 0)
    with Catalogue(tmp_path) as catalogue:
        catalogue.take_away()
    make_episode(store, 60)
    shutil.rmtree(tmp_path / FILE.parent)
    make_episode(store, 120)
    assert len(content(tmp_path)[0]) == 3


def test_the_log_shrinks_after_a_reader_for_whom_it_had_to_grow(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    make_episode(store, 0)
    with long_reader(tmp_path / FILE), Catalogue(tmp_path) as catalogue:
        for number in range(3000):  # as an hour or two of episodes write
            with catalogue.writing():
                catalogue.set_fact("n", number)
        assert log_bytes(tmp_path / FILE) > 2 * KEPT_LOG_BYTES
    make_episode(store, 60)  # the recorder, which has it open all the time
    make_episode(store, 120)
    assert log_bytes(tmp_path / FILE) <= KEPT_LOG_BYTES


def test_the_log_stays_small_beside_readers_that_come_and_go(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    make_episode(store, 0)
    most = 0
    with Catalogue(tmp_path) as catalogue:
        for number in range(4000):
            with catalogue.writing():
                catalogue.set_fact("n", number)
            if number % 100 == 0:
                with Catalogue(tmp_path) as reader:  # as the console does for every page
                    assert len(list(Query(reader, Filter()).all())) == 1
            most = max(most, log_bytes(tmp_path / FILE))
    assert most <= KEPT_LOG_BYTES + 1_000_000
