"""Episodes of a root: found, named and moved by their store only."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from support.episodes import make_episode

from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.recovery import recover_all
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.model.errors import BagError
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome


def test_newest_returns_only_episodes_of_that_robot(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    assert store.newest("arm") is None
    for name in ("arm_20260101T000000_000_lift", "arm_20260101T000000_500", "arm_2_20260101T000009_000_x",
                 "arm_20260101T000000_500-2.partial", "zoo"):  # fmt: skip
        (tmp_path / name).mkdir()
        (tmp_path / name / "metadata.yaml").touch()
    assert store.newest("arm") == tmp_path / "arm_20260101T000000_500-2.partial"
    assert store.newest("arm_2") == tmp_path / "arm_2_20260101T000009_000_x"
    assert store.newest("ar") is None


def test_restoring_does_not_follow_a_path_in_the_metadata(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    store = EpisodeStore(root)
    for number, id in enumerate(("../../victim", str(tmp_path / "victim"), ".trash/x", "other")):
        path = make_episode(store, 100.0 * number)
        episode = Episode.open(path)
        text = (path / "metadata.yaml").read_text()
        (path / "metadata.yaml").write_text(
            text.replace(f"episode_id: {episode.id}", f"episode_id: {id}")
        )
        assert Episode.open(path).id == id
        gone = store.discard(path)
        assert store.restore(gone.name) == path
    assert sorted(p.name for p in tmp_path.iterdir()) == ["root"]


def test_a_numbered_episode_in_the_trash_gets_its_name_back(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    first = store.discard(make_episode(store))
    second = store.discard(make_episode(store))
    assert second.name == f"{first.name}-2"
    assert store.restore(second.name) == tmp_path / first.name
    with pytest.raises(BagError, match="already exists"):
        store.restore(first.name)


def test_links_are_not_listed_repaired_moved_or_counted(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    root.mkdir()
    elsewhere = EpisodeStore(outside)
    victim = make_episode(elsewhere)
    store = EpisodeStore(root)
    (root / "linked").symlink_to(victim)
    (root / "linked.partial").symlink_to(victim)
    half = root / "half.partial"
    half.mkdir()
    (half / "half_0.mcap").symlink_to(next(victim.glob("*.mcap")))
    hard = root / "hard.partial"
    hard.mkdir()
    os.link(next(victim.glob("*.mcap")), hard / "hard_0.mcap")
    before = {p: p.read_bytes() for p in victim.iterdir()}
    assert store.paths() == [] and store.unfinished() == [half, hard]
    results = recover_all(store)
    assert [r.ok for r in results] == [False, False] and "link" in results[0].message
    assert {p: p.read_bytes() for p in victim.iterdir()} == before
    with pytest.raises(BagError):
        store.find("linked")
    with pytest.raises(BagError, match="not a directory directly below"):
        store.discard(root / "linked")
    with pytest.raises(BagError, match="not a directory directly below"):
        store.discard(victim)


@pytest.mark.parametrize("folder", [".trash", ".quarantine", ".locks"])
def test_a_link_in_place_of_our_folders_is_not_followed(tmp_path: Path, folder: str) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    root.mkdir()
    store = EpisodeStore(root)
    path = make_episode(store)
    outside.mkdir()
    (root / folder).symlink_to(outside)
    (root / "rubbish.partial").mkdir()
    for move in (
        lambda: store.discard(path),
        lambda: store.quarantine(root / "rubbish.partial", "rubbish"),
        lambda: store.append_label(
            LabelEvent(1, path.name, LabelKind.OUTCOME, outcome=Outcome.SUCCESS)
        ),
    ):
        try:
            move()
        except BagError:
            pass  # only the operation that uses this folder fails
    assert list(outside.iterdir()) == []
    assert store.trash.folder.is_symlink() is (folder == ".trash")


def test_a_note_that_is_a_pipe_or_a_link_is_ignored(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    piped = tmp_path / "piped.partial"
    piped.mkdir()
    os.mkfifo(piped / "recording.json")
    assert store.read_note(piped).facts == {}
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps({"facts": {"a": "b"}, "topics": []}))
    linked = tmp_path / "linked.partial"
    linked.mkdir()
    (linked / "recording.json").symlink_to(secret)
    assert store.read_note(linked).facts == {}
    shutil.rmtree(linked)


def test_a_link_in_place_of_a_temporary_file_is_not_written_through(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    path = make_episode(store)
    victim = tmp_path / "victim"
    victim.write_text("whole")
    (path / "metadata.yaml.tmp").symlink_to(victim)
    store.append_label(LabelEvent(1, path.name, LabelKind.OUTCOME, outcome=Outcome.SUCCESS))
    assert victim.read_text() == "whole"
    assert Episode.open(path).labels.outcome is Outcome.SUCCESS


def test_pipes_in_place_of_files_block_nothing(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    for name in ("metadata.yaml", "recording.json", "x_0.mcap"):
        partial = tmp_path / f"{name}.partial"
        partial.mkdir()
        os.mkfifo(partial / name)
    finished = tmp_path / "finished"
    finished.mkdir()
    os.mkfifo(finished / "metadata.yaml")
    gone = store.discard(make_episode(store))
    (gone / "metadata.yaml").unlink()
    os.mkfifo(gone / "metadata.yaml")
    (gone / "discarded.json").unlink()
    os.mkfifo(gone / "discarded.json")
    assert [r.ok for r in recover_all(store)] == [False] * 3
    assert store.paths() == [] and store.trashed() == [gone]
    with pytest.raises(BagError):
        store.restore("", robot="arm")
    with pytest.raises(BagError):
        store.find("finished")
