"""Untrusted ids are checked before they become a path."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.episodes import make_episode

from robot_recorder.episodes.labelling import look_up
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.model.errors import BagError
from robot_recorder.model.ids import MAX_ID_BYTES, id_problem
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome

DOORS: list[Callable[[EpisodeStore, str], object]] = [
    EpisodeStore.find,
    EpisodeStore.new_partial,
    EpisodeStore.restore,
    EpisodeStore.discarded,
    EpisodeStore.delete_discarded,
    look_up,
    lambda store, id: store.append_label(
        LabelEvent(1, id, LabelKind.OUTCOME, outcome=Outcome.SUCCESS)
    ),
]
BAD = ["x/../../outside", "x/../.trash/y", "..", ".", ".hidden", "a\nb", "a\x1b[2Jb", "a\0b", "/etc",
       "a\u202eb", "x" * 300, "é" * 101, "x.partial", "a\\b", "\udcff"]  # fmt: skip


@pytest.mark.parametrize("id", BAD)
def test_invalid_ids_are_rejected_everywhere(tmp_path: Path, id: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    store = EpisodeStore(root)
    kept = store.discard(make_episode(store))
    for door in DOORS:
        with pytest.raises(BagError) as refused:
            door(store, id)
        assert str(refused.value).isprintable() and len(str(refused.value)) < 500
    assert store.trashed() == [kept]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["root"]


@settings(max_examples=300, deadline=None)
@given(id=st.text(max_size=250))
def test_a_valid_id_names_a_directory_directly_below_the_root(id: str) -> None:
    if id_problem(id) or id_problem(f"{id}-9999"):  # with a number appended
        return
    root = Path("/nowhere/root")
    partial = EpisodeStore(root).new_partial(id)
    assert partial.parent == root and os.path.normpath(partial) == str(partial)
    longest = f"{partial.stem}-9999.partial_0.mcap.tmp"
    assert len(longest.encode()) <= 255 and len(id.encode()) <= MAX_ID_BYTES
