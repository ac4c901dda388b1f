"""An updated catalogue equals a rebuilt one, and no more than needed is read."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.catalogued import change, content, event, from_the_bags
from support.episodes import make_episode

from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.catalogue.entry import Entry, read_entry
from robot_recorder.catalogue.query import Filter, Query
from robot_recorder.catalogue.sync import refresh, sync
from robot_recorder.floor.store import open_store
from robot_recorder.model.errors import BagError
from robot_recorder.model.labels import Outcome
from robot_recorder.quality.verdict import Verdict

MS, SECOND = 1_000_000, 1_000_000_000
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["record", "label", "discard", "restore", "delete", "copy", "change", "late", "sync"]),
        st.integers(0, 10**6),
    ),
    min_size=1,
    max_size=25,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(ACTIONS)
def test_an_updated_catalogue_equals_a_rebuilt_one(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, int]]
) -> None:
    root = tmp_path_factory.mktemp("root")
    elsewhere = open_store(tmp_path_factory.mktemp("elsewhere"))
    store = open_store(root)
    for number, (action, draw) in enumerate(actions):
        paths = store.paths()
        some = paths[draw % len(paths)] if paths else None
        kind = (
            draw % 7000, draw % 90 / 3, f"arm{draw % 2}", f"task{draw % 3}", f"op{draw % 4}", Outcome(draw % 3), "",
            ("", "accept", "review", "reject")[draw % 4], ["gap", "rate"][: draw % 3],
        )  # fmt: skip
        if action == "record":
            make_episode(store, *kind)
        elif action == "copy":
            path = make_episode(elsewhere, *kind)
            path.rename(root / f"{path.name}-copy{number}")
        elif action == "late":  # a directory being copied: its metadata comes last
            (root / f"late{number}").mkdir()
            with Catalogue(root) as catalogue:
                sync(catalogue)
            path = make_episode(elsewhere, *kind)
            (path / "metadata.yaml").rename(root / f"late{number}" / "metadata.yaml")
        elif action == "restore" and store.trashed():
            with contextlib.suppress(BagError):  # a copy may have taken its place
                store.restore("")
        elif action == "sync":
            with Catalogue(root) as catalogue:
                sync(catalogue, thorough=bool(draw % 2))
        elif some is not None and action == "label":
            store.append_label(event(some, Outcome(draw % 3), ("", "slip")[draw % 2]))
        elif some is not None and action == "change":
            change(some, robot=f"arm{draw % 2}", verdict="review")
            with Catalogue(root) as catalogue:
                sync(catalogue, thorough=True)
        elif some is not None and action == "discard":
            store.discard(some)
        elif some is not None and action == "delete":
            shutil.rmtree(some)
    kept = content(root)
    assert kept == from_the_bags(root)
    assert [e.name for e in kept[0]] == [p.name for p in store.paths()]


def test_an_unchanged_root_is_neither_listed_nor_read(tmp_path: Path, monkeypatch) -> None:
    store = open_store(tmp_path)
    path = make_episode(store)
    with Catalogue(tmp_path) as catalogue:
        assert sync(catalogue).read == 0
        old = time.time_ns() - 10 * SECOND  # a folder's stamp is trusted once it is old enough
        os.utime(tmp_path, ns=(old, old))
        assert sync(catalogue).read == 0
        monkeypatch.setattr("os.scandir", None)
        assert sync(catalogue).read == 0
        monkeypatch.undo()
        change(path, verdict="reject")
        assert sync(catalogue).read == 0, "it is not seen in the root"
        entries = list(Query(catalogue, Filter()).all())
        assert refresh(catalogue, entries) and not refresh(
            catalogue, Query(catalogue, Filter()).all()
        )
        change(path, verdict="accept")
        assert sync(catalogue, thorough=True).read == 1
        found = catalogue.find(path.name)
        assert found and found.verdict is Verdict.ACCEPT
    assert [p.name for p in tmp_path.iterdir() if p.name[0] != "."] == [path.name]


def test_many_episodes_are_read_by_many_processes(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    template = make_episode(store)
    for number in range(420):
        shutil.copytree(template, tmp_path / f"copy_{number:03d}")
    told: list[tuple[int, int]] = []
    with Catalogue(tmp_path) as catalogue:
        done = sync(catalogue, told=lambda *now: told.append(now))
        assert (done.read, done.gone, catalogue.episodes()) == (420, 0, 421)
        assert told[-1] == (420, 420)
        for number in range(400):
            shutil.rmtree(tmp_path / f"copy_{number:03d}")
        assert sync(catalogue).gone == 400 and catalogue.episodes() == 21


def test_a_newer_update_is_not_overwritten(tmp_path: Path, monkeypatch) -> None:
    """An episode is labelled between reading its directory and writing its entry."""
    elsewhere, store = open_store(tmp_path / "elsewhere"), open_store(tmp_path / "root")
    (tmp_path / "root").mkdir()
    make_episode(elsewhere).rename(tmp_path / "root" / "copied")

    def read_then_labelled(path: Path) -> Entry:
        entry = read_entry(path)
        store.append_label(event(path, Outcome.SUCCESS))
        return entry

    monkeypatch.setattr("robot_recorder.catalogue.sync.read_entry", read_then_labelled)
    with Catalogue(tmp_path / "root") as catalogue:
        sync(catalogue)
        found = catalogue.find("copied")
        assert found and found.outcome is Outcome.SUCCESS
