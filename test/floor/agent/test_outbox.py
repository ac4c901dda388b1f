"""The outbox.

Holds also: outbox_file.py, priority.py, reserve.py, retries.py, unsent.py.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.write_ahead import log_bytes, long_reader

from robot_recorder.bags.files import KEPT_LOG_BYTES
from robot_recorder.floor.agent.outbox import (
    _TO_OFFER,
    _TO_SEND,
    FILE,
    Outbox,
    SeenEpisode,
    SendState,
    UnfinishedEpisodes,
)
from robot_recorder.floor.agent.priority import SEND_ORDER
from robot_recorder.floor.agent.reserve import RESERVE_BYTES, DiskReserve
from robot_recorder.floor.agent.retries import Retries
from robot_recorder.floor.agent.unsent import unsent_in
from robot_recorder.floor.manifest import FileFact, Manifest
from robot_recorder.model.errors import BagError, ConfigError

S = SendState
MANIFEST = Manifest((FileFact("a.mcap", 5, "0" * 64),))


def seen(start_ns: int = 1, verdict: str = "", metadata: str = "m1") -> SeenEpisode:
    return SeenEpisode(start_ns, start_ns + 10, verdict, 1000, metadata)


@pytest.fixture
def outbox(tmp_path: Path):
    outbox = Outbox(tmp_path)
    yield outbox
    outbox.close()


def advance(outbox: Outbox, name: str, state: SendState) -> None:
    """Take an episode to a state by the steps that lead there."""
    outbox.see(name, seen())
    steps = {
        S.OFFERED: lambda: outbox.offer([(name, "m1")]),
        S.UPLOADING: lambda: outbox.upload(name, MANIFEST, "f1"),
        S.STORED: lambda: outbox.store(name),
        S.ACKNOWLEDGED: lambda: outbox.acknowledge(name, '{"checked_ns": 1}'),
        S.DELETABLE: lambda: outbox.begin_free(name),
        S.FREED: lambda: outbox.free(name),
    }
    for reached, step in steps.items():
        if state is S.RECORDED:
            break
        step()
        if reached is state:
            break
    found = outbox.row(name)
    assert found is not None and found.state is state


def test_an_episode_goes_all_the_way_and_every_step_outlives_the_process(tmp_path: Path) -> None:
    for state in (
        S.RECORDED,
        S.OFFERED,
        S.UPLOADING,
        S.STORED,
        S.ACKNOWLEDGED,
        S.DELETABLE,
        S.FREED,
    ):
        outbox = Outbox(tmp_path)
        advance(outbox, state.value, state)
        outbox.close()
    again = Outbox(tmp_path)
    assert {n: row.state.value for n in (s.value for s in S) if (row := again.row(n))} == {
        s.value: s.value for s in S if s is not S.GONE
    }
    assert again.waiting() == (3, 3000)
    again.close()


@pytest.mark.parametrize("state", [S.RECORDED, S.OFFERED, S.UPLOADING, S.STORED])
def test_nothing_but_a_receipt_leads_to_deleting(outbox: Outbox, state: SendState) -> None:
    advance(outbox, "e", state)
    assert not outbox.begin_free("e") and not outbox.free("e")
    row = outbox.row("e")
    assert row is not None and row.state is state
    assert outbox.lose("e") is S.GONE  # somebody else removed it: not freed


@pytest.mark.parametrize("state", [S.RECORDED, S.OFFERED, S.FREED])
def test_a_receipt_for_what_was_never_sent_changes_nothing(
    outbox: Outbox, state: SendState
) -> None:
    advance(outbox, "e", state)
    assert not outbox.acknowledge("e", "{}")
    row = outbox.row("e")
    assert row is not None and row.state is state


def test_a_crash_between_deleting_and_noting_it_is_seen_as_freed(outbox: Outbox) -> None:
    advance(outbox, "e", S.DELETABLE)
    assert outbox.lose("e") is S.FREED and outbox.untold() == ["e"]
    outbox.tell(["e"])
    assert outbox.untold() == [] and outbox.lose("e") is None


def test_an_episode_whose_copy_is_wrong_is_hashed_and_sent_again(outbox: Outbox) -> None:
    advance(outbox, "e", S.ACKNOWLEDGED)
    assert outbox.send_again("e", "wrong")
    row = outbox.row("e")
    assert row is not None and (row.state, row.receipt, row.manifest) == (S.OFFERED, "", "")
    advance(outbox, "f", S.FREED)
    assert not outbox.send_again("f", "wrong")


def test_a_label_makes_an_episode_wait_to_be_offered_whatever_its_state(outbox: Outbox) -> None:
    for state in (S.OFFERED, S.STORED, S.ACKNOWLEDGED):
        advance(outbox, state.value, state)
        assert outbox.to_offer(9) == []
        outbox.see(state.value, seen(metadata="m2"))
        (row,) = outbox.to_offer(9)
        assert row.name == state.value and row.state is state and not row.is_offered
        outbox.offer([(row.name, row.offer_key)])
    assert outbox.to_offer(9) == []


def test_a_change_while_the_offer_was_on_its_way_is_offered_next(outbox: Outbox) -> None:
    outbox.see("e", seen())
    (sent,) = outbox.to_offer(9)
    outbox.see("e", seen(metadata="m2"))
    outbox.offer([(sent.name, sent.offer_key)])
    assert [row.name for row in outbox.to_offer(9)] == ["e"]


def test_a_discarded_episode_is_told_once_and_its_data_not_sent(outbox: Outbox) -> None:
    advance(outbox, "e", S.OFFERED)
    advance(outbox, "unknown", S.RECORDED)
    outbox.discard("e")
    outbox.discard("unknown")
    # Of the other one, too: that the centre took it may have been said in an answer that was lost.
    assert [row.name for row in outbox.to_offer(9)] == ["e", "unknown"]
    assert outbox.to_send() is None
    outbox.offer([("e", "discarded"), ("unknown", "discarded")])
    assert outbox.to_offer(9) == []
    outbox.see("e", seen())  # restored
    assert [row.name for row in outbox.to_offer(9)] == ["e"]


def test_an_episode_that_comes_back_begins_again(outbox: Outbox) -> None:
    advance(outbox, "freed", S.FREED)
    advance(outbox, "gone", S.ACKNOWLEDGED)
    advance(outbox, "trash", S.ACKNOWLEDGED)
    assert outbox.lose("gone") is S.GONE and outbox.lose("trash") is S.GONE
    outbox.see("freed", seen())
    outbox.see("gone", seen())
    outbox.discard("trash")
    rows = outbox.to_offer(9)
    assert [row.name for row in rows] == ["freed", "gone", "trash"]
    assert {row.state for row in rows} == {S.RECORDED}


def test_an_offer_under_way_does_not_undo_that_it_is_to_be_offered_again(outbox: Outbox) -> None:
    advance(outbox, "e", S.RECORDED)
    for again in (lambda: outbox.offer_again("e"), outbox.begin_again):
        (sent,) = outbox.to_offer(9)
        again()
        outbox.offer([("e", sent.offer_key)], {"e": sent.offered})
        (sent,) = outbox.to_offer(9)
        assert sent.state is S.OFFERED
        outbox.offer([("e", sent.offer_key)], {"e": sent.offered})
        assert outbox.to_offer(9) == []
        outbox.offer_again("e")


def test_another_site_robot_or_centre_begins_again(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    assert not outbox.belong("berlin", "arm", "https://c")
    advance(outbox, "sent", S.ACKNOWLEDGED)
    advance(outbox, "freed", S.FREED)
    advance(outbox, "half", S.DELETABLE)
    (tmp_path / "half").mkdir()
    advance(outbox, "deleted", S.DELETABLE)
    for station in (
        ("rome", "arm", "https://c"),
        ("rome", "leg", "https://c"),
        ("rome", "leg", "d"),
    ):
        assert outbox.belong(*station)
        states = {row.name: row.state for row in outbox.rows(*S)}
        assert states == {
            "sent": S.OFFERED, "freed": S.FREED, "half": S.OFFERED, "deleted": S.DELETABLE,
        }  # fmt: skip
        assert {row.name for row in outbox.to_offer(9)} >= {"sent", "half"}
        assert not outbox.belong(*station)
    outbox.close()


def test_an_outbox_of_the_version_before_is_taken_over(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    advance(outbox, "e", S.ACKNOWLEDGED)
    outbox.close()
    db = sqlite3.connect(tmp_path / FILE)
    db.execute("ALTER TABLE episodes DROP COLUMN first_ns")
    db.execute("PRAGMA user_version = 1")
    db.close()
    outbox = Outbox(tmp_path)
    row = outbox.row("e")
    assert row is not None and row.state is S.ACKNOWLEDGED and row.first_ns == 0
    outbox.close()


def test_asked_for_first_then_by_age_and_rejected_last(outbox: Outbox) -> None:
    for name, start, verdict in (
        ("a", 3, "reject"),
        ("b", 1, "reject"),
        ("c", 5, "accept"),
        ("d", 4, ""),
    ):
        outbox.see(name, seen(start, verdict))
    outbox.see("e", seen(9, "reject"))
    outbox.offer([(n, "m1") for n in "abcde"])
    outbox.ask(["e"])
    order: list[str] = []
    while (row := outbox.to_send(order)) is not None:
        order.append(row.name)
    assert order == ["e", "d", "c", "b", "a"]
    outbox.upload("e", MANIFEST, "f")
    outbox.store("e")
    row = outbox.row("e")
    assert row is not None and not row.is_asked
    outbox.ask(["e"])
    row = outbox.row("e")
    assert row is not None and not row.is_asked  # nothing is left to be sent


@given(
    st.lists(
        st.tuples(
            st.booleans(), st.sampled_from(["", "accept", "review", "reject"]), st.integers(0, 9)
        ),
        max_size=20,
    )
)
def test_no_rejected_episode_comes_before_another_that_nobody_asked_for(
    found: list[tuple[bool, str, int]],
) -> None:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE e (asked INTEGER, verdict TEXT, start_ns INTEGER, name TEXT)")
    db.executemany("INSERT INTO e VALUES (?, ?, ?, ?)", [(*v, str(n)) for n, v in enumerate(found)])
    keys = [
        (0 if asked else 2 if verdict == "reject" else 1, start, name)
        for asked, verdict, start, name in db.execute(f"SELECT * FROM e ORDER BY {SEND_ORDER}")
    ]
    db.close()
    assert keys == sorted(keys) and len(keys) == len(found)


def test_history_is_forgotten_after_a_month_but_not_before_the_centre_knows(outbox: Outbox) -> None:
    advance(outbox, "e", S.FREED)
    month_ns = 31 * 86_400 * 10**9
    outbox.forget_old(time.time_ns() + month_ns)
    assert outbox.row("e") is not None
    outbox.tell(["e"])
    outbox.forget_old(time.time_ns())
    assert outbox.row("e") is not None
    outbox.forget_old(time.time_ns() + month_ns)
    assert outbox.row("e") is None


def test_another_process_may_use_it_at_once(outbox: Outbox, tmp_path: Path) -> None:
    outbox.see("e", seen())
    other = Outbox(tmp_path)
    other.ask(["e"])
    other.close()
    row = outbox.row("e")
    assert row is not None and row.is_asked


def test_an_unreadable_outbox_is_kept_aside_and_made_anew(tmp_path: Path) -> None:
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / FILE).write_bytes(b"this is no database" * 100)
    with pytest.raises(BagError, match="cannot be opened"):
        Outbox(tmp_path)  # of another command, which must not take it from a running agent
    outbox = Outbox(tmp_path, is_owner=True)
    outbox.see("e", seen())
    outbox.close()
    (aside,) = tmp_path.glob(".agent/outbox.unreadable-*")
    assert aside.read_bytes().startswith(b"this is no")


def damage(path: Path) -> None:
    """Overwrite the pages behind the first, as a dying disk does."""
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(b"\x5a" * (path.stat().st_size - 4096))


def full_outbox(folder: Path) -> None:
    outbox = Outbox(folder)
    for number in range(200):
        outbox.see(f"e{number:03}", seen())
    outbox.close()


def test_a_damaged_page_is_found_when_the_outbox_is_opened(tmp_path: Path) -> None:
    full_outbox(tmp_path)
    damage(tmp_path / FILE)
    outbox = Outbox(tmp_path, is_owner=True)
    assert outbox.rows() == []
    outbox.see("e", seen())
    assert "damaged" in outbox.look()
    (aside,) = tmp_path.glob(".agent/outbox.unreadable-*")
    aside.unlink()
    assert outbox.look() == ""
    outbox.close()


def test_a_page_that_is_damaged_while_it_runs_makes_a_new_outbox_at_once(tmp_path: Path) -> None:
    full_outbox(tmp_path)
    outbox = Outbox(tmp_path, is_owner=True)
    made = outbox.made
    damage(tmp_path / FILE)
    with pytest.raises(BagError, match="malformed"):
        outbox.rows()
    assert outbox.made > made and outbox.rows() == [] and "damaged" in outbox.look()
    outbox.see("e", seen())
    assert outbox.trouble_now() == "" and len(outbox.rows()) == 1
    outbox.close()


def test_an_outbox_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    Outbox(tmp_path).close()
    db = sqlite3.connect(tmp_path / FILE)
    db.execute("PRAGMA user_version = 999")
    db.close()
    for is_owner in (False, True):
        with pytest.raises(ConfigError, match="newer"):
            Outbox(tmp_path, is_owner)
    assert not list(tmp_path.glob(".agent/*unreadable*"))


def test_an_outbox_that_was_deleted_is_made_anew_at_the_next_look(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, is_owner=True)
    outbox.see("e", seen())
    made = outbox.made
    assert outbox.look() == "" and outbox.made == made
    shutil.rmtree(tmp_path / ".agent")
    outbox.look()
    assert outbox.made > made and outbox.rows() == []
    outbox.see("e", seen())
    other = Outbox(tmp_path)
    assert [row.name for row in other.rows()] == ["e"]
    other.close()
    outbox.close()


def test_whoever_reads_does_not_wait_for_another_process_that_writes(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, is_owner=True)
    outbox.see("e", seen())
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    def write() -> None:
        with pytest.raises(BagError):
            outbox.discard("e")

    writer = threading.Thread(target=write)
    writer.start()
    slowest_s = 0.0
    while writer.is_alive():
        began_s = time.monotonic()
        assert outbox.note("n") is None and outbox.waiting() == (1, 1000)
        slowest_s = max(slowest_s, time.monotonic() - began_s)
        time.sleep(0.01)
    assert slowest_s < 1.0 and "locked" in outbox.trouble_now()
    other.execute("ROLLBACK")
    other.close()
    assert outbox.trouble_now() == ""
    outbox.close()


def test_the_reserve_is_room_on_a_full_disk_and_made_again_when_there_is_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = Outbox(tmp_path, is_owner=True)
    reserve = tmp_path / ".agent/reserve"
    assert reserve.stat().st_blocks * 512 >= RESERVE_BYTES
    free = [100_000]
    monkeypatch.setattr(DiskReserve, "_free_bytes", lambda _: free[0])
    outbox.see("e", seen())
    assert not reserve.exists()
    assert outbox.trouble_now() == "" and not reserve.exists()
    free[0] = 10**9
    outbox.trouble_now()
    assert reserve.stat().st_size == RESERVE_BYTES
    outbox.close()


def test_a_write_that_fails_for_want_of_room_gives_up_the_reserve(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, is_owner=True)
    reserve = tmp_path / ".agent/reserve"
    with pytest.raises(BagError, match="full"), outbox._writing():
        raise sqlite3.OperationalError("database or disk is full")
    assert not reserve.exists()
    assert outbox.trouble_now() == ""  # there is room: it works, and the alarm is over
    outbox.close()


def test_the_next_episode_of_thousands_is_found_by_an_index(tmp_path: Path) -> None:
    Outbox(tmp_path).close()
    db = sqlite3.connect(tmp_path / FILE)
    for which, index in ((_TO_SEND, "to_send"), (_TO_OFFER, "to_offer")):
        sql = f"EXPLAIN QUERY PLAN SELECT * FROM episodes INDEXED BY {index} WHERE {which} ORDER BY {SEND_ORDER}"
        plan = " ".join(row[-1] for row in db.execute(sql))
        assert index in plan and "TEMP B-TREE" not in plan
    db.close()


def test_what_is_unfinished_is_counted_and_a_reason_given_if_all_have_one(outbox: Outbox) -> None:
    assert outbox.unfinished() == UnfinishedEpisodes(0, False, "")
    advance(outbox, "a", S.OFFERED)
    advance(outbox, "b", S.ACKNOWLEDGED)
    assert outbox.unfinished() == UnfinishedEpisodes(1, True, "")
    outbox.see("b", seen(metadata="m2"))  # a label: to be offered
    assert outbox.unfinished() == UnfinishedEpisodes(2, False, "")
    outbox.trouble("a", "no")
    assert outbox.unfinished().problem == ""
    outbox.trouble("b", "no")
    assert outbox.unfinished() == UnfinishedEpisodes(2, False, "a: no")


KILLED = """
import sys
from pathlib import Path
from robot_recorder.floor.agent.outbox import Outbox, SeenEpisode
from robot_recorder.floor.manifest import FileFact, Manifest
outbox = Outbox(Path(sys.argv[1]))
manifest = Manifest((FileFact("a.mcap", 5, "0" * 64),))
for number in range(10**6):
    name = f"e{number:06}"
    outbox.see(name, SeenEpisode(1, 2, "", 3, "m1"))
    outbox.offer([(name, "m1")]); outbox.upload(name, manifest, "f"); outbox.store(name)
    outbox.acknowledge(name, "{}"); outbox.begin_free(name); outbox.free(name)
    print(name, flush=True)
"""


def test_what_was_noted_is_there_after_kill_9(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    told = [process.stdout.readline().strip() for _ in range(20)]
    os.kill(process.pid, signal.SIGKILL)
    told += process.stdout.read().split()
    process.communicate()
    outbox = Outbox(tmp_path)
    rows = {row.name: row.state for row in outbox.rows(*S)}
    outbox.close()
    assert {rows[name] for name in told} == {S.FREED}
    assert len(rows) in (len(told), len(told) + 1)
    db = sqlite3.connect(tmp_path / FILE)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


def test_the_log_shrinks_after_a_reader_for_whom_it_had_to_grow(
    tmp_path: Path, outbox: Outbox
) -> None:
    advance(outbox, "e", S.STORED)
    with long_reader(tmp_path / FILE):
        outbox.acknowledge("e", "r" * 2 * KEPT_LOG_BYTES)
        assert log_bytes(tmp_path / FILE) > 2 * KEPT_LOG_BYTES
    for number in range(2):
        outbox.set_note("n", number)
    assert log_bytes(tmp_path / FILE) <= KEPT_LOG_BYTES


def test_each_failure_is_waited_for_longer_up_to_a_limit() -> None:
    now_s = [0.0]
    retries = Retries(1.0, 10.0, lambda: now_s[0])
    waits = [retries.failed("e") for _ in range(8)]
    assert all(
        0.75 * wanted <= wait <= wanted for wait, wanted in zip(waits, (1, 2, 4, 8, 10, 10, 10, 10))
    )
    assert retries.waiting() == {"e"}
    now_s[0] += 10.0
    assert retries.waiting() == set()
    retries.worked("e")
    assert retries.failed("e") <= 1.0


def test_an_episode_may_change_until_its_data_is_hashed_to_be_sent(outbox, tmp_path: Path) -> None:
    unsent = unsent_in(tmp_path)
    with unsent("a") as why:
        assert why == "", "unknown yet"
    outbox.see("a", seen())
    outbox.offer([("a", "m1")])
    with unsent("a") as why:
        assert why == "", "only its metadata is there"
    assert outbox.upload("a", MANIFEST, "files")
    with unsent("a") as why:
        assert "begun to send" in why
    outbox.store("a")
    with unsent("a") as why:
        assert "begun to send" in why
    with unsent_in(tmp_path / "no_agent")("a") as why:
        assert why == ""
    (tmp_path / "receipts" / "turin").mkdir(parents=True)
    with unsent_in(tmp_path / "bags" / "turin")("a") as why:
        assert "the storage of a centre" in why


def test_nobody_begins_to_send_an_episode_while_it_may_change(outbox, tmp_path: Path) -> None:
    outbox.see("a", seen())
    outbox.offer([("a", "m1")])
    order: list[str] = []

    def send() -> None:
        assert outbox.upload("a", MANIFEST, "files")
        order.append("sent")

    with unsent_in(tmp_path)("a") as why:
        assert why == ""
        sender = threading.Thread(target=send)
        sender.start()
        time.sleep(0.1)
        order.append("changed")
    sender.join()
    assert order == ["changed", "sent"]
