"""The recorder keeps the catalogue, which never stands in the way of a take."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest
from support.catalogued import content, event
from support.episodes import make_episode

from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.catalogue.query import Filter, Query
from robot_recorder.catalogue.schema import FILE
from robot_recorder.episodes.trash import TRASH
from robot_recorder.floor.store import open_store
from robot_recorder.model.errors import BagError
from robot_recorder.model.labels import Outcome


def test_the_recorder_updates_it_without_listing_the_root(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    path = make_episode(store)

    def known() -> list[tuple[str, Outcome]]:
        with Catalogue(tmp_path) as catalogue:
            return [(e.name, e.outcome) for e in Query(catalogue, Filter()).all()]

    assert known() == [(path.name, Outcome.UNLABELLED)]
    store.append_label(event(path, Outcome.SUCCESS))
    assert known() == [(path.name, Outcome.SUCCESS)]
    store.discard(path)
    assert known() == [] and (tmp_path / TRASH / path.name).is_dir()
    store.restore("")
    assert known() == [(path.name, Outcome.SUCCESS)]


def test_an_episode_discarded_while_unfinished_has_no_entry(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    partial = store.new_partial("arm_20260101T000000_000_lift")
    partial.mkdir()
    store.discard(partial)
    assert store.restore("arm_20260101T000000_000_lift") == partial
    assert content(tmp_path) == ([], [], [], [])


def test_takes_and_labels_are_saved_if_the_catalogue_cannot_be_written(
    tmp_path: Path, caplog, capsys
) -> None:
    (tmp_path / FILE.parent).write_text("in the way")
    store = open_store(tmp_path)
    with caplog.at_level(logging.WARNING):
        paths = [make_episode(store, 60.0 * i) for i in range(3)]
        episode = store.append_label(event(paths[0], Outcome.SUCCESS))
    assert episode.labels.outcome is Outcome.SUCCESS and len(store.paths()) == 3
    assert len(caplog.records) == 1 and "catalogue" in caplog.text, "logged once"
    with pytest.raises(BagError, match=r"\.catalogue.* cannot be written"):
        Catalogue(tmp_path, writable=True)
    assert len(content(tmp_path)[0]) == 3, "made in memory"
    (tmp_path / FILE.parent).unlink()
    store.append_label(event(paths[1], Outcome.FAILURE))
    with Catalogue(tmp_path) as catalogue:  # the missed updates have been repeated
        assert {e.name: e.outcome for e in Query(catalogue, Filter()).all()} == {
            paths[0].name: Outcome.SUCCESS, paths[1].name: Outcome.FAILURE, paths[2].name: Outcome.UNLABELLED,
        }  # fmt: skip


def test_a_busy_catalogue_does_not_delay_a_take(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    make_episode(store)
    with Catalogue(tmp_path) as catalogue, catalogue.writing():
        began = time.monotonic()
        path = make_episode(store, 60)
        assert path.is_dir() and time.monotonic() - began < 3
    make_episode(store, 120)
    assert len(content(tmp_path)[0]) == 3
