"""What the agent sees on the disk.

Holds also: signatures.py.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.episodes import make_episode

from robot_recorder.bags.metadata import METADATA_FILE
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.floor.agent.alarms import AgentAlarms, AlarmKind
from robot_recorder.floor.agent.beat import CENTRE_NS
from robot_recorder.floor.agent.outbox import Outbox, OutboxRow, SendState
from robot_recorder.floor.agent.scan import EpisodeScan
from robot_recorder.floor.agent.signatures import files_signature, metadata_signature
from robot_recorder.floor.changes import ChangeMarks
from robot_recorder.floor.store import open_store
from robot_recorder.model.errors import BagError
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome


class Seen:
    """A root, its outbox and a scan of it."""

    def __init__(self, root: Path) -> None:
        self.store = open_store(root)
        self.outbox = Outbox(root)
        self.alarms = AgentAlarms()
        self.scan = EpisodeScan(self.store, self.outbox, self.alarms)
        self.marks = ChangeMarks(root)

    def marked(self) -> bool:
        return self.scan.some(self.marks.take())


@pytest.fixture
def seen(tmp_path: Path) -> Iterator[Seen]:
    seen = Seen(tmp_path)
    yield seen
    seen.outbox.close()


def test_a_new_episode_is_noted_once_with_what_decides_its_turn(seen: Seen) -> None:
    path = make_episode(seen.store, verdict="reject")
    assert seen.marked() and not seen.marked() and not seen.scan.all()
    row = seen.outbox.row(path.name)
    assert row is not None and row.seen.verdict == "reject" and row.seen.size_bytes == 1000
    assert row.seen.stop_ns - row.seen.start_ns == 10 * 10**9


def test_without_marks_the_next_look_at_everything_finds_the_same(seen: Seen) -> None:
    path = make_episode(seen.store)
    seen.marks.take()
    assert seen.scan.all() and seen.outbox.row(path.name) is not None


def test_every_label_changes_what_was_seen(seen: Seen) -> None:
    path = make_episode(seen.store)
    seen.scan.all()
    before = set()
    for _ in range(5):
        before.add(metadata_signature(path))
        event = LabelEvent(time.time_ns(), path.name, LabelKind.OUTCOME, outcome=Outcome.SUCCESS)
        seen.store.append_label(event)
        assert metadata_signature(path) not in before
        assert seen.marked()


def test_discarded_restored_and_removed_are_told_apart(seen: Seen) -> None:
    path = make_episode(seen.store)
    seen.scan.all()
    seen.store.discard(path)
    assert seen.marked()
    row = seen.outbox.row(path.name)
    assert row is not None and row.is_discarded and not seen.scan.all()
    seen.store.restore(path.name)
    assert seen.marked()
    row = seen.outbox.row(path.name)
    assert row is not None and not row.is_discarded
    shutil.rmtree(path)
    assert seen.scan.all() and seen.alarms.stands(AlarmKind.LOST)
    row = seen.outbox.row(path.name)
    assert row is not None and row.state is SendState.GONE


def test_an_unreadable_episode_is_a_problem_and_read_again_later(seen: Seen) -> None:
    path = make_episode(seen.store)
    text = (path / METADATA_FILE).read_text()
    (path / METADATA_FILE).write_text("not: [yaml")
    seen.scan.all()
    assert "cannot be read" in seen.outbox.problems()[path.name]
    assert seen.outbox.to_offer(9) == []
    (path / METADATA_FILE).write_text(text)
    assert seen.scan.all()
    assert [row.name for row in seen.outbox.to_offer(9)] == [path.name]


def test_a_name_that_cannot_be_an_id_is_an_alarm_and_others_go_on(seen: Seen) -> None:
    path = make_episode(seen.store)
    shutil.copytree(path, path.with_name("two\nlines"))
    assert seen.scan.all()
    (sentence,) = seen.alarms.sentences()
    assert "rename the directory" in sentence and "\n" not in sentence
    assert seen.outbox.row(path.name) is not None and len(seen.outbox.rows()) == 1


def test_a_running_recording_is_not_seen(seen: Seen) -> None:
    partial = seen.store.new_partial("arm_20260101T000000_000_lift")
    partial.mkdir()
    (partial / METADATA_FILE).write_text("x")
    assert not seen.scan.all() and not seen.scan.some([partial.name])


def test_links_stand_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a.mcap").write_bytes(b"12345")
    (tmp_path / "real" / METADATA_FILE).symlink_to(tmp_path / "elsewhere")
    os.symlink("a.mcap", tmp_path / "real/b.mcap")
    assert metadata_signature(tmp_path / "real") == "" == metadata_signature(tmp_path / "none")
    assert "b.mcap" not in files_signature(tmp_path / "real")


def row_of(seen: Seen, path: Path) -> OutboxRow:
    row = seen.outbox.row(path.name)
    assert row is not None
    return row


def offered(seen: Seen, path: Path) -> None:
    seen.scan.all()
    seen.outbox.offer([(path.name, row_of(seen, path).offer_key)])
    assert seen.outbox.to_offer(9) == []


def test_an_episode_that_goes_away_and_comes_back_is_offered_again(seen: Seen) -> None:
    path = make_episode(seen.store)
    offered(seen, path)
    path.rename(path.with_name(".away"))
    assert seen.scan.all() and seen.alarms.stands(AlarmKind.LOST)
    path.with_name(".away").rename(path)
    assert seen.scan.all() and not seen.alarms.stands(AlarmKind.LOST)
    assert [row.name for row in seen.outbox.to_offer(9)] == [path.name]


def test_a_root_that_cannot_be_listed_for_a_moment_has_lost_nothing(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_episode(seen.store)
    offered(seen, path)

    def fails(_: object) -> object:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr("robot_recorder.episodes.store.os.scandir", fails)
        with pytest.raises(BagError, match="cannot be listed"):
            seen.scan.all()
    assert row_of(seen, path).state is SendState.OFFERED and not seen.alarms.sentences()


@pytest.mark.parametrize("is_readable", [True, False])
def test_an_episode_that_is_missing_from_the_list_is_looked_for_once_more(
    seen: Seen, monkeypatch: pytest.MonkeyPatch, is_readable: bool
) -> None:
    path = make_episode(seen.store)
    offered(seen, path)
    monkeypatch.setattr(seen.store, "all_paths", list)  # it was in the trash just then
    if not is_readable:
        real = os.lstat

        def lstat(place: Path) -> os.stat_result:
            if str(place).startswith(str(path)):
                raise OSError(5, "Input/output error")
            return real(place)

        monkeypatch.setattr("robot_recorder.floor.agent.scan.os.lstat", lstat)
    assert not seen.scan.all() and not seen.alarms.sentences()
    row = row_of(seen, path)
    assert row.state is SendState.OFFERED and ("Input/output" in row.problem) is not is_readable


def test_what_is_in_the_trash_is_noted_though_the_outbox_was_lost(seen: Seen) -> None:
    path, other = make_episode(seen.store), make_episode(seen.store, 100.0)
    again = make_episode(EpisodeStore(seen.store.root / ".elsewhere"))
    seen.store.discard(path)
    seen.store.discard(other)
    again.rename(path)
    seen.store.discard(path)  # the second of that name has a number in the trash
    partial = seen.store.new_partial("arm_20260101T000000_000_lift")
    partial.mkdir()
    seen.store.discard(partial)
    assert seen.scan.all() and not seen.scan.all()
    rows = seen.outbox.to_offer(9)
    assert [row.name for row in rows] == sorted([path.name, other.name])
    assert all(row.is_discarded for row in rows) and seen.outbox.to_send() is None
    seen.outbox.offer([(row.name, row.offer_key) for row in rows])
    assert not seen.scan.all() and seen.outbox.to_offer(9) == []
    seen.store.restore(other.name)
    assert seen.scan.all() and [row.name for row in seen.outbox.to_offer(9)] == [other.name]
    seen.store.delete_discarded(path.name)
    seen.scan.all()
    assert row_of(seen, path).state is SendState.GONE and not seen.alarms.sentences()


def test_what_is_not_sent_is_said_until_it_is_gone(seen: Seen) -> None:
    path = make_episode(seen.store)
    assert seen.marked() and not seen.alarms.sentences()
    (path / ".notes").write_text("x")
    (path / "images").mkdir()
    seen.scan.all()
    (sentence,) = seen.alarms.sentences()
    assert f"{path.name} holds '.notes' and 1 more" in sentence
    again = EpisodeScan(seen.store, seen.outbox, AgentAlarms())
    again.all()
    assert again._alarms.sentences() == [sentence], "also after a restart"
    (path / ".notes").unlink()
    (path / "images").rmdir()
    seen.scan.all()
    assert not seen.alarms.sentences()
    (path / "images").mkdir()
    seen.scan.all()
    assert seen.alarms.sentences()
    seen.store.discard(path)
    seen.scan.all()
    assert not seen.alarms.sentences()


@pytest.mark.parametrize(
    "centre_days, is_known", [(None, False), (-1, True), (0, True), (400, False)]
)
def test_when_an_episode_was_first_seen_is_unknown_to_a_clock_that_is_behind(
    seen: Seen, centre_days: int | None, is_known: bool
) -> None:
    before_ns = time.time_ns()
    if centre_days is not None:
        seen.outbox.set_note(CENTRE_NS, before_ns + centre_days * 86_400 * 10**9)
    path = make_episode(seen.store)
    seen.scan.all()
    first_ns = row_of(seen, path).first_ns
    assert (before_ns <= first_ns <= time.time_ns()) if is_known else first_ns == 0
    event = LabelEvent(time.time_ns(), path.name, LabelKind.OUTCOME, outcome=Outcome.SUCCESS)
    seen.store.append_label(event)
    assert seen.scan.all() and row_of(seen, path).first_ns == first_ns
