"""Episodes of a root: found, named and moved by their store only."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.episodes import make_episode

from robot_recorder.bags.files import move_into
from robot_recorder.configuration.tasks import TaskRegistry
from robot_recorder.episodes import store as store_module
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.labelling import label_finished
from robot_recorder.episodes.recovery import recover_all
from robot_recorder.episodes.store import FREED, EpisodeStore
from robot_recorder.model.errors import BagError, ConfigError
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


def outcome(stamp_ns: int, by: str, outcome: str) -> dict[str, Any]:
    return {"kind": "outcome", "stamp_ns": stamp_ns, "by": by, "outcome": outcome}


def test_labels_of_another_copy_are_merged_once_and_invalid_ones_change_nothing(
    tmp_path: Path,
) -> None:
    store = EpisodeStore(tmp_path)
    path = make_episode(store, 100.0)
    before = Episode.open(path).events
    late = max(e.stamp_ns for e in before) if before else 0
    theirs = [outcome(late + 10, "ben", "failure"), outcome(late + 20, "eve", "success")]
    assert store.merge_labels(path, theirs).labels.outcome is Outcome.SUCCESS
    text = (path / "metadata.yaml").read_text()
    assert store.merge_labels(path, theirs[::-1]).labels.outcome is Outcome.SUCCESS
    assert (path / "metadata.yaml").read_text() == text
    assert [e.by for e in Episode.open(path).events][-2:] == ["ben", "eve"]
    for bad in ([{"kind": "outcome", "stamp_ns": "x"}], [{"kind": "outcome", "cause": 7}],
                [outcome(n, "eve", "success") for n in range(1, 4100)]):  # fmt: skip
        with pytest.raises(BagError, match="refused"):
            store.merge_labels(path, bad)
        assert (path / "metadata.yaml").read_text() == text


def test_an_episode_is_freed_only_if_nothing_refuses_and_listeners_hear_of_it(
    tmp_path: Path,
) -> None:
    heard: list[str] = []
    store = EpisodeStore(tmp_path, on_change=[lambda path, _: heard.append(path.name)])
    path = make_episode(store, 100.0)
    names = [f"{path.name}_0.mcap"]
    heard.clear()
    assert (
        store.free(path, lambda episode: f"{episode.id} is labelled", names)
        == f"{path.name} is labelled"
    )
    assert path.exists() and heard == []
    assert store.free(path, lambda _: "", names) == ""
    assert not path.exists() and heard == [path.name] and store.paths() == []
    left = store.root / FREED / "half"
    left.mkdir()
    store.clear_freed()
    assert not left.exists()
    elsewhere = make_episode(EpisodeStore(tmp_path / "other"), 100.0)
    with pytest.raises(BagError):
        store.free(elsewhere, lambda _: "", names)
    assert elsewhere.exists()


@pytest.mark.parametrize("what", ["folder", "hidden", "link", "file", "link in place of data"])
@pytest.mark.parametrize("is_late", [False, True])
def test_an_episode_that_holds_what_is_not_stored_elsewhere_is_not_freed(
    tmp_path: Path, what: str, is_late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = EpisodeStore(tmp_path)
    path = make_episode(store, 100.0)
    names = [f"{path.name}_0.mcap"]
    (path / "metadata.yaml.tmp").write_text("left by a crash")

    def add() -> None:
        if what == "folder":
            (path / "images").mkdir()
            (path / "images/a.png").write_bytes(b"precious")
        elif what == "link in place of data":
            (path / names[0]).rename(tmp_path / "aside")
            (path / names[0]).symlink_to(tmp_path / "aside")
        elif what == "link":
            (path / "link").symlink_to("/etc/hostname")
        else:
            (path / {"hidden": ".notes", "file": "notes"}[what]).write_text("precious")

    if is_late:  # somebody who takes no lock writes when all has been looked at

        def moved(*given: Any, **named: Any) -> Path:
            add()
            return move_into(*given, **named)

        monkeypatch.setattr(store_module, "move_into", moved)
    else:
        add()
    before = {p.name for p in path.iterdir()}
    assert "is not stored elsewhere" in store.free(path, lambda _: "", names)
    assert {p.name for p in path.iterdir()} >= before and store.paths() == [path]
    assert not is_late or not list((tmp_path / FREED).iterdir())


def test_a_root_that_cannot_be_listed_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path / "root")
    with pytest.raises(BagError, match="cannot be listed"):
        store.all_paths()
    path = make_episode(store, 100.0)
    assert store.all_paths() == store.paths() == [path]


def test_a_label_of_another_copy_from_beyond_all_clocks_leaves_the_log_usable(
    tmp_path: Path,
) -> None:
    store = EpisodeStore(tmp_path)
    path = make_episode(store, 100.0)
    text = (path / "metadata.yaml").read_text()
    for stamp_ns in (2**63 - 1, 2**62 + 10**7, 2**70):
        with pytest.raises(BagError, match="refused"):
            store.merge_labels(path, [outcome(stamp_ns, "eve", "success")])
        assert (path / "metadata.yaml").read_text() == text
    store.merge_labels(path, [outcome(2**62 - 1, "eve", "success")])
    event = LabelEvent(1, path.name, LabelKind.OUTCOME, outcome=Outcome.FAILURE)
    assert store.append_label(event).events[-1].stamp_ns == 2**62
    later = store.append_label(event).events
    copy = make_episode(EpisodeStore(tmp_path / "copy"), 100.0)
    merged = EpisodeStore(tmp_path / "copy").merge_labels(copy, [e.to_dict() for e in later])
    assert merged.events == later, "what was stamped after it is no less welcome elsewhere"


def test_a_label_that_would_be_stamped_out_of_range_is_refused_and_nothing_written(
    tmp_path: Path,
) -> None:
    store = EpisodeStore(tmp_path)
    path = make_episode(store, 100.0)
    text = (path / "metadata.yaml").read_text()
    last = str(Episode.open(path).events[0].stamp_ns)
    text = text.replace(f'"stamp_ns":{last}', f'"stamp_ns":{2**63 - 1}')
    (path / "metadata.yaml").write_text(text)
    assert Episode.open(path).events[0].stamp_ns == 2**63 - 1
    event = LabelEvent(1, path.name, LabelKind.OUTCOME, outcome=Outcome.FAILURE)
    with pytest.raises(BagError, match="refused"):
        store.append_label(event)
    now_ns = Episode.open(path).stop_ns or 0
    with pytest.raises(ConfigError, match="none can follow"):
        label_finished(store, path, lambda _: [event], TaskRegistry({}), now_ns)
    assert (path / "metadata.yaml").read_text() == text and Episode.open(path).events
