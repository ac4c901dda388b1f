"""Deleting episodes from the robot's disk: only on a valid receipt, and for nothing less."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("cryptography")
from support.episodes import make_episode
from support.samples import T0

from robot_recorder.bags.metadata import METADATA_FILE
from robot_recorder.episodes.locks import Lock
from robot_recorder.episodes.store import FREED, EpisodeStore, lock_name
from robot_recorder.floor.agent import freeing as freeing_module
from robot_recorder.floor.agent.alarms import AgentAlarms, AlarmKind
from robot_recorder.floor.agent.freeing import ClockEvidence, Freeing, SpaceWatch, kept_because
from robot_recorder.floor.agent.outbox import Outbox, OutboxRow, SeenEpisode, SendState
from robot_recorder.floor.agent.scan import EpisodeScan
from robot_recorder.floor.agent.sender import known_manifest
from robot_recorder.floor.agent.settings import AgentSettings, DeleteWhen
from robot_recorder.floor.manifest import Manifest, data_files, read_manifest
from robot_recorder.floor.receipts import Receipt, Signer, load_signer
from robot_recorder.floor.store import open_store
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome

S = SendState
DAY_NS = 86_400 * 10**9
LATER = ClockEvidence(T0 + 30 * DAY_NS, T0 + 30 * DAY_NS)
CHECKED_NS = T0 + 3600 * 10**9


@dataclass
class Disk:
    """A root whose episodes are acknowledged, without an agent or a centre."""

    store: EpisodeStore
    outbox: Outbox
    settings: AgentSettings
    signer: Signer
    said: list[str]

    def __post_init__(self) -> None:
        self.alarms = AgentAlarms(self.said.append)
        self.scan = EpisodeScan(self.store, self.outbox, self.alarms)

    def acknowledged(
        self, start_s: float = 0.0, signer: Signer | None = None, **changed: object
    ) -> Path:
        """Make an episode that was offered, sent and acknowledged; ``changed``: of its receipt."""
        path = make_episode(self.store, start_s)
        self.scan.all()
        row = self.row(path)
        self.outbox.offer([(path.name, row.offer_key)])
        manifest, files = known_manifest(path, row)
        self.outbox.upload(path.name, manifest, files)
        self.outbox.store(path.name)
        plain = Receipt(
            "berlin", path.name, manifest.sha256, manifest.size_bytes, CHECKED_NS, "c", ""
        )
        receipt = (signer or self.signer).sign(replace(plain, **changed))  # type: ignore[arg-type]
        assert self.outbox.acknowledge(path.name, json.dumps(receipt.to_plain()))
        return path

    def row(self, path: Path) -> OutboxRow:
        row = self.outbox.row(path.name)
        assert row is not None
        return row

    def run(self, clocks: ClockEvidence = LATER, free: int | None = 0) -> int:
        freeing = Freeing(self.settings, self.store, self.outbox, self.alarms, self.said.append)
        return freeing.run(clocks, lambda: free)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    signer = load_signer(tmp_path / "key")
    settings = AgentSettings(
        "https://c", "berlin", "arm", "t", (signer.public,), delete=DeleteWhen.AGED, keep_days=7
    )
    root = tmp_path / "root"
    root.mkdir()
    outbox = Outbox(root)
    yield Disk(open_store(root, wait_s=0.1), outbox, settings, signer, [])
    outbox.close()


def test_an_old_episode_with_a_valid_receipt_is_deleted_and_that_is_said(disk: Disk) -> None:
    path = disk.acknowledged()
    assert disk.run() == 1
    assert not path.exists() and not list((disk.store.root / FREED).iterdir())
    assert disk.row(path).state is S.FREED and disk.outbox.untold() == [path.name]
    assert disk.said == [
        f"freed {path.name}: 0.0 MB; the centre read its copy back on 2023-11-14 23:13 UTC"
    ]
    assert disk.scan.all() is False  # its end is no surprise


def test_a_label_after_the_offer_keeps_it_until_the_centre_has_the_label(disk: Disk) -> None:
    path = disk.acknowledged()
    label = LabelEvent(time.time_ns(), path.name, LabelKind.OUTCOME, outcome=Outcome.FAILURE)
    disk.store.append_label(label)
    assert disk.run() == 0 and path.is_dir()  # the scan has not even seen it
    disk.scan.all()
    assert disk.run() == 0 and path.is_dir()
    disk.outbox.offer([(path.name, disk.row(path).offer_key)])
    assert disk.run() == 1


def test_a_label_that_comes_while_it_is_decided_keeps_it(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = disk.acknowledged()
    begin = disk.outbox.begin_free

    def labelled(name: str) -> bool:
        disk.store.append_label(
            LabelEvent(time.time_ns(), name, LabelKind.OUTCOME, outcome=Outcome.FAILURE)
        )
        return begin(name)

    monkeypatch.setattr(disk.outbox, "begin_free", labelled)
    assert disk.run() == 0 and path.is_dir()
    assert disk.row(path).state is S.ACKNOWLEDGED


def test_a_discarded_episode_is_left_to_the_trash(disk: Disk) -> None:
    path = disk.acknowledged()
    disk.store.discard(path)
    assert disk.run() == 0
    disk.scan.all()
    assert disk.run() == 0 and disk.store.discarded(path.name) is not None
    assert disk.row(path).is_discarded


def test_an_episode_that_somebody_holds_is_left_alone(disk: Disk) -> None:
    path = disk.acknowledged()
    with Lock(path.parent, lock_name(path), 0):
        assert disk.run() == 0
    assert path.is_dir() and disk.row(path).state is S.ACKNOWLEDGED
    assert disk.run() == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"sha256": "0" * 64}, {"size_bytes": 1}, {"site": "rome"}, {"episode": "other"},
    ],
)  # fmt: skip
def test_a_receipt_for_anything_else_deletes_nothing_even_from_the_outbox(
    disk: Disk, changed: dict
) -> None:
    path = disk.acknowledged(**changed)
    assert disk.run() == 0 and path.is_dir()


def test_a_forged_receipt_deletes_nothing_even_from_the_outbox(disk: Disk, tmp_path: Path) -> None:
    path = disk.acknowledged(signer=load_signer(tmp_path / "forged"))
    assert disk.run() == 0 and path.is_dir()


def test_a_key_that_is_no_longer_trusted_deletes_nothing(disk: Disk, tmp_path: Path) -> None:
    path = disk.acknowledged()
    other = load_signer(tmp_path / "other").public
    disk.settings = replace(disk.settings, public_keys=(other,))
    assert disk.run() == 0 and path.is_dir()


def test_touched_files_are_hashed_anew_and_deleted_only_if_they_are_the_same(disk: Disk) -> None:
    same, other = disk.acknowledged(0), disk.acknowledged(60)
    for path in (same, other):
        (data,) = data_files(path)
        data.write_bytes(data.read_bytes() + (b"x" if path is other else b""))
    assert disk.run() == 0 and same.is_dir() and other.is_dir()
    assert disk.run() == 1 and not same.exists() and other.is_dir()
    assert disk.alarms.stands(AlarmKind.CONFLICT)
    assert f"the data of {other.name} on this disk differ" in disk.alarms.sentences()[0]


def test_a_file_that_was_added_keeps_the_episode(disk: Disk) -> None:
    path = disk.acknowledged()
    (path / "notes.txt").write_text("important")
    assert disk.run() == 0 and disk.run() == 0 and path.is_dir()


def test_metadata_replaced_by_another_program_keeps_the_episode(disk: Disk) -> None:
    path = disk.acknowledged()
    text = (path / METADATA_FILE).read_text()
    (path / METADATA_FILE).write_text(text + "# edited\n")
    assert disk.run() == 0 and path.is_dir()


def test_nothing_is_deleted_while_the_clock_is_off(disk: Disk) -> None:
    path = disk.acknowledged()
    disk.alarms.begin(AlarmKind.CLOCK, "off")
    assert disk.run() == 0 and path.is_dir()


def test_when_full_deletes_the_oldest_until_enough_is_free(disk: Disk) -> None:
    disk.settings = replace(disk.settings, delete=DeleteWhen.WHEN_FULL, free_below_bytes=1000)
    paths = [disk.acknowledged(60.0 * n) for n in (2, 0, 1)]
    assert disk.run(free=1000) == 0 and disk.run(free=None) == 0
    free = iter((998, 999, 1000, 1000))
    freeing = Freeing(disk.settings, disk.store, disk.outbox, disk.alarms)
    assert freeing.run(LATER, lambda: next(free)) == 2
    assert [path.is_dir() for path in paths] == [True, False, False]


def test_a_crash_while_deleting_leaves_nothing_and_is_noted(disk: Disk) -> None:
    path = disk.acknowledged()
    disk.outbox.begin_free(path.name)
    names = [file.name for file in data_files(path)]
    disk.store.free(path, lambda _: "", names)  # and then the process ends
    assert disk.run() == 0, "whichever of the two looks first"
    assert disk.scan.all()
    assert disk.row(path).state is S.FREED and disk.outbox.untold() == [path.name]
    assert not disk.alarms.sentences()


def test_what_somebody_else_removes_before_it_is_acknowledged_is_an_alarm(disk: Disk) -> None:
    path = make_episode(disk.store)
    disk.scan.all()
    (path / METADATA_FILE).unlink()
    disk.scan.some([path.name])
    assert disk.alarms.stands(AlarmKind.LOST) and disk.row(path).state is S.GONE


@pytest.mark.parametrize("what", ["images", ".notes.txt", "link", "metadata.yaml.tmp/"])
def test_what_the_centre_never_got_keeps_the_episode_and_is_said(disk: Disk, what: str) -> None:
    path, other = disk.acknowledged(), disk.acknowledged(60.0)
    if what == "link":
        (path / what).symlink_to("/etc/hostname")
    elif what.startswith(".notes"):
        (path / what).write_text("precious")
    else:
        (path / what).mkdir()
        (path / what / "a.png").write_bytes(b"precious")
    before = sorted(path.rglob("*"))
    writes = _writes(disk.outbox)
    assert disk.run() == 1 and not other.exists() and sorted(path.rglob("*")) == before
    (sentence,) = disk.alarms.sentences()
    assert what.rstrip("/") in sentence and "the centre does not have" in sentence
    assert "the centre does not have" in disk.row(path).problem
    writes.clear()
    assert disk.run() == 0 and writes == [], "what cannot be deleted costs nothing each time"
    shutil.rmtree(path / what) if (path / what).is_dir() and what != "link" else (
        path / what
    ).unlink()
    assert disk.run() == 1 and not path.exists() and not disk.alarms.sentences()


def _writes(outbox: Outbox) -> list[str]:
    """Return a list that grows with each transaction."""
    made: list[str] = []
    outbox._file._writer.set_trace_callback(
        lambda sql: made.append(sql) if sql.startswith("BEGIN") else None
    )
    return made


def test_what_a_crash_left_of_a_label_keeps_nothing(disk: Disk) -> None:
    path = disk.acknowledged()
    (path / "metadata.yaml.tmp").write_text("half")
    assert disk.run() == 1 and not path.exists()


def test_content_that_changed_keeps_the_episode_though_size_and_time_are_as_before(
    disk: Disk,
) -> None:
    path = disk.acknowledged()
    (data,) = data_files(path)
    was = data.stat()
    with open(data, "r+b") as file:
        file.write(b"CHANGED")
    os.utime(data, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert disk.run() == 0 and disk.run() == 0 and path.is_dir()
    assert disk.alarms.stands(AlarmKind.CONFLICT)


def test_data_that_differ_are_hashed_once_until_they_change(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = disk.acknowledged()
    (data,) = data_files(path)
    was = data.read_bytes()
    data.write_bytes(was + b"x")
    hashed: list[Path] = []

    def counted(episode: Path) -> Manifest:
        hashed.append(episode)
        return read_manifest(episode)

    monkeypatch.setattr(freeing_module, "read_manifest", counted)
    freeing = Freeing(disk.settings, disk.store, disk.outbox, disk.alarms)
    for _ in range(3):
        assert freeing.run(LATER, lambda: 0) == 0
    assert hashed == [path] and disk.alarms.stands(AlarmKind.CONFLICT)
    data.write_bytes(was)
    freeing.run(LATER, lambda: 0)
    assert len(hashed) == 2 and not disk.alarms.sentences()
    assert freeing.run(LATER, lambda: 0) == 1


def test_a_receipt_that_is_not_valid_any_more_is_said(disk: Disk) -> None:
    path = disk.acknowledged(site="rome")
    assert disk.run() == 0
    assert "its receipt is not valid" in disk.row(path).problem
    assert disk.alarms.stands(AlarmKind.RECEIPT)


def test_a_disk_on_which_deleting_frees_nothing_keeps_most(disk: Disk) -> None:
    disk.settings = replace(disk.settings, delete=DeleteWhen.WHEN_FULL, free_below_bytes=100_000)
    paths = [disk.acknowledged(60.0 * n) for n in range(16)]
    freeing = Freeing(disk.settings, disk.store, disk.outbox, disk.alarms)
    freed = [freeing.run(LATER, lambda: 500) for _ in range(3)]
    assert freed == [10, 0, 0] and sum(path.is_dir() for path in paths) == 6
    assert "no more free space than before" in disk.alarms.sentences()[0]
    free = iter((501, 502, 100_000))  # whatever held the data is gone
    assert freeing.run(LATER, lambda: next(free)) == 2 and not disk.alarms.sentences()


def test_a_recording_at_the_same_time_does_not_stop_the_deleting() -> None:
    free, watch = 10_000, SpaceWatch(1000, lambda: 0.0)
    for number in range(500):
        watch.look(free)
        assert watch.futile() == ""
        watch.deleted(100)
        free += 100
        if not number % 7:
            free -= 300  # what is recorded meanwhile
            watch.look(free)


def test_deleting_is_tried_again_after_an_hour() -> None:
    now_s = [0.0]
    watch = SpaceWatch(1000, lambda: now_s[0])
    for _ in range(10):
        watch.look(5)
        watch.deleted(100)
    watch.look(5)
    assert "10 episodes" in watch.futile()
    now_s[0] = 3601.0
    watch.look(5)
    assert watch.futile() == ""


ROW = OutboxRow(
    "e", S.ACKNOWLEDGED, SeenEpisode(T0, T0, "", 1, "m"), "m", False, False, "[]", "f", "{}", ""
)  # fmt: skip
SETTINGS = AgentSettings("https://c", "berlin", "arm", "t", (), keep_days=7)
HUGE = 1 << 61


@given(own=st.integers(0, HUGE), centre=st.integers(0, HUGE), receipt=st.integers(0, HUGE))
def test_no_clock_alone_makes_an_episode_old(own: int, centre: int, receipt: int) -> None:
    """Only if this clock and the centre's say so, and the receipt is not older than the episode."""
    why = kept_because(SETTINGS, ROW, receipt, ClockEvidence(own, centre))
    if not why:
        assert own >= T0 + 7 * DAY_NS
        assert max(centre, receipt) >= T0 + 7 * DAY_NS
        assert receipt >= T0 - 60 * 10**9


def test_an_episode_of_a_clock_that_was_behind_is_as_old_as_its_receipt() -> None:
    row = replace(ROW, seen=SeenEpisode(T0, T0, "", 1, "m"))
    receipt_ns = T0 + 400 * DAY_NS
    soon = ClockEvidence(receipt_ns + 10**9, receipt_ns + 10**9)
    assert "younger" in kept_because(SETTINGS, row, receipt_ns, soon)
    later = ClockEvidence(receipt_ns + 8 * DAY_NS, receipt_ns + 8 * DAY_NS)
    assert kept_because(SETTINGS, row, receipt_ns, later) == ""


def test_an_episode_that_was_sent_late_counts_from_when_it_was_first_seen() -> None:
    receipt_ns = T0 + 30 * DAY_NS
    now = ClockEvidence(receipt_ns, receipt_ns)
    seen_at = [replace(ROW, first_ns=T0 + days * DAY_NS) for days in (0, 20, 24, 4000)]
    kept = [bool(kept_because(SETTINGS, row, receipt_ns, now)) for row in seen_at]
    assert kept == [False, False, True, True]
    later = ClockEvidence(receipt_ns + 8 * DAY_NS, receipt_ns + 8 * DAY_NS)
    assert kept_because(SETTINGS, seen_at[3], receipt_ns, later) == "", "a clock that was ahead"


@pytest.mark.parametrize("ahead_days", [8, 3650])
def test_a_clock_that_jumps_ahead_deletes_nothing(ahead_days: int) -> None:
    clocks = ClockEvidence(T0 + ahead_days * DAY_NS, CHECKED_NS)
    assert "younger than 7 days" in kept_because(SETTINGS, ROW, CHECKED_NS, clocks)


def test_an_episode_of_1970_is_as_old_as_its_receipt() -> None:
    row = replace(ROW, seen=SeenEpisode(5, 10, "", 1, "m"))
    young = ClockEvidence(CHECKED_NS + DAY_NS, CHECKED_NS + DAY_NS)
    assert "younger" in kept_because(SETTINGS, row, CHECKED_NS, young)
    old = ClockEvidence(CHECKED_NS + 8 * DAY_NS, CHECKED_NS + 8 * DAY_NS)
    assert kept_because(SETTINGS, row, CHECKED_NS, old) == ""


@pytest.mark.parametrize(
    "row, settings, clocks, says",
    [
        (replace(ROW, state=S.STORED), SETTINGS, LATER, "not acknowledged"),
        (replace(ROW, is_discarded=True), SETTINGS, LATER, "discarded"),
        (replace(ROW, offered="older"), SETTINGS, LATER, "does not know that yet"),
        (ROW, replace(SETTINGS, keep_days=None), LATER, "keep_days is never"),
        (ROW, SETTINGS, ClockEvidence(LATER.own_ns, None), "centre's time is unknown"),
        (ROW, SETTINGS, LATER, ""),
    ],
)
def test_each_reason_to_keep_an_episode_is_said(
    row: OutboxRow, settings: AgentSettings, clocks: ClockEvidence, says: str
) -> None:
    why = kept_because(settings, row, CHECKED_NS, clocks)
    assert says in why and bool(says) == bool(why)
