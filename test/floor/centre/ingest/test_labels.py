"""Unions of label events in the database, on both engines."""

from __future__ import annotations

import random
import secrets
import threading
import time
from typing import Any

import pytest

for needed in ("alembic", "psycopg"):
    pytest.importorskip(needed)

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robot_recorder.episodes.label_rules import MOST_LABELS
from robot_recorder.floor.centre.database.database import open_database
from robot_recorder.floor.centre.ingest.labels import (
    MOST_TOLD,
    EpisodeKey,
    LabelVia,
    brought_via,
    event_problem,
    events_since,
    log_of,
    union,
    whole_text,
)
from robot_recorder.floor.centre.tokens import Station, add_robot
from robot_recorder.model.errors import BagError
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome, event_id, merged

STATION = Station("berlin", "arm")
NOW_NS = 1_800_000_000_000_000_000


def plain(stamp_ns: int, by: str = "ann", outcome: Outcome = Outcome.SUCCESS) -> dict[str, Any]:
    return LabelEvent(stamp_ns, "x", LabelKind.OUTCOME, by=by, outcome=outcome).to_dict()


@pytest.fixture
def db(engine_url: str) -> Any:
    with open_database(engine_url) as opened:
        with opened.transaction() as tx:
            add_robot(tx, STATION)
        yield opened


def take(
    db: Any, events: list[dict[str, Any]], id: str = "x", via: LabelVia = LabelVia.COPY
) -> list[dict[str, Any]]:
    with db.transaction() as tx:
        return union(tx, EpisodeKey(STATION, id), events, NOW_NS, via)


def log(db: Any, id: str = "x") -> list[dict[str, Any]]:
    with db.reading() as tx:
        return log_of(tx, "berlin", id)


def since(db: Any, cursor: int) -> tuple[int, dict[str, Any]]:
    with db.reading() as tx:
        return events_since(tx, STATION, cursor)


def test_an_event_is_taken_once_whoever_sends_it(db: Any) -> None:
    first, second = plain(1), plain(2, "bob")
    assert take(db, [first]) == [first]
    assert take(db, [first, second, first]) == [second]
    assert take(db, [second, {**first, "previous": "other"}]) == [], (
        "what it replaced does not count"
    )
    assert log(db) == merged([first, second])


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_copies_that_exchange_in_any_order_end_with_the_same_log(db: Any, data: Any) -> None:
    stamps = st.integers(1, 30)
    names = st.sampled_from(["ann", "bob"])
    events = data.draw(
        st.lists(st.builds(plain, stamps, names, st.sampled_from(Outcome)), max_size=12)
    )
    id = secrets.token_hex(8)  # one database serves all examples
    at = data.draw(st.integers(0, len(events)))
    for part in (events[at:], events[:at], events[:at]):
        take(db, part, id)
    assert log(db, id) == merged(events)
    cursor, told = 0, []
    while (found := since(db, cursor))[1]:
        cursor = found[0]
        told += found[1].get(id, [])
    assert merged(told) == merged(events), "and the robot hears of all"


@pytest.mark.parametrize("odd", [
    None, 3, [], {"kind": "outcome", "stamp_ns": "1"}, {"kind": "outcome", "stamp_ns": 1 << 70},
    {"kind": "newer", "stamp_ns": None}, {"kind": "newer", "stamp_ns": 1 << 63},
    {"kind": "outcome", "by": "a\ud800"}, {"kind": "outcome", "by": "a\0b"}, {"kind": "outcome", "by": 3},
    {"kind": "outcome", "note": "x" * 40_000}, {"kind": "newer", "more": float("nan")},
])  # fmt: skip
def test_what_is_no_event_is_refused_and_nothing_kept(db: Any, odd: Any) -> None:
    assert event_problem(odd)
    with pytest.raises(BagError, match="refused"):
        take(db, [plain(1), odd])
    assert log(db) == []


def test_events_of_newer_versions_are_kept(db: Any) -> None:
    newer = {"kind": "weather", "stamp_ns": 3, "rain": [1, 2]}
    take(db, [newer, plain(1)])
    assert newer in log(db)


def alarms(db: Any) -> list[tuple[Any, ...]]:
    with db.reading() as tx:
        return list(tx.run("SELECT kind, sentence FROM floor_alarms"))


def test_a_log_has_an_end(db: Any) -> None:
    take(db, [plain(n) for n in range(1, 4001)])
    with pytest.raises(BagError, match="more than 4000"):
        take(db, [plain(5000)])
    take(db, [plain(7)])
    with pytest.raises(BagError, match="more than 4000"):
        take(db, [plain(n) for n in range(1, 4002)], "y")


def test_a_robot_fills_only_its_part_of_a_log_and_its_episode_is_taken_all_the_same(
    db: Any,
) -> None:
    brought = [plain(n) for n in range(MOST_LABELS + 100, 0, -1)]
    taken = take(db, brought, via=LabelVia.ROBOT)
    assert sorted(event["stamp_ns"] for event in taken) == list(range(1, MOST_LABELS + 1)), (
        "the oldest"
    )
    ((kind, sentence),) = alarms(db)
    assert kind == "refused" and "100 labels of x were left out" in sentence
    assert take(db, [plain(MOST_LABELS + 900)], via=LabelVia.ROBOT) == []
    bob = plain(3000, "bob", Outcome.FAILURE)
    assert take(db, [bob], via=LabelVia.CENTRE) == [bob], "people have room"
    assert take(db, brought[100:], via=LabelVia.ROBOT) == [], "and what is known stays known"


def test_long_notes_of_a_robot_leave_room_for_people(db: Any) -> None:
    notes = [{**plain(n), "note": "x" * 10_000} for n in range(1, 200)]
    assert 0 < len(take(db, notes, via=LabelVia.ROBOT)) < 100
    assert take(db, [plain(500, "bob")], via=LabelVia.CENTRE)
    with pytest.raises(BagError, match="bytes"):
        take(db, notes, via=LabelVia.COPY)


def test_two_copies_with_many_labels_meet(db: Any) -> None:
    take(db, [plain(n, "ann") for n in range(1, 601)], via=LabelVia.ROBOT)
    assert len(take(db, [plain(n, "bob") for n in range(1, 601)], via=LabelVia.COPY)) == 600


def test_no_stamp_keeps_later_labels_away(db: Any) -> None:
    for odd in ((1 << 63) - 1, (1 << 62) + 10**9):
        with pytest.raises(BagError, match="2116"):
            take(db, [plain(odd)], via=LabelVia.ROBOT)
    assert take(db, [plain(1 << 62)], via=LabelVia.ROBOT)
    for after in range(1, 50):  # each is stamped after what its log holds
        assert take(db, [plain((1 << 62) + after, "bob")], via=LabelVia.CENTRE)


def test_who_brought_a_label_is_known_whatever_it_says_itself(db: Any) -> None:
    forged, real = plain(1, "bob"), plain(2, "bob")
    take(db, [forged], via=LabelVia.ROBOT)
    take(db, [forged, real], via=LabelVia.CENTRE)
    with db.reading() as tx:
        assert brought_via(tx, "berlin", "x") == {
            event_id(forged): "robot",
            event_id(real): "centre",
        }


def test_half_a_character_becomes_a_question_mark() -> None:
    odd = {"note": "a\ud800b", "more": ["\udfff", 1, None, {"\ud800": "\U0001f600"}]}
    assert whole_text(odd) == {"note": "a?b", "more": ["?", 1, None, {"?": "\U0001f600"}]}


def test_a_robot_hears_in_pieces_and_misses_nothing(db: Any) -> None:
    for number in range(3):
        take(db, [plain(n) for n in range(1, 401)], f"e{number}")
    cursor, heard = 0, 0
    for _ in range(3):
        cursor, told = since(db, cursor)
        count = sum(map(len, told.values()))
        assert count <= MOST_TOLD
        heard += count
    assert heard == 1200 and since(db, cursor) == (cursor, {})


def test_numbers_are_above_all_that_a_lost_database_gave(db: Any) -> None:
    take(db, [plain(1)])
    cursor, _ = since(db, 0)
    assert cursor >= NOW_NS // 1000


def test_a_cursor_passes_no_event_that_is_written_at_the_same_time(db: Any) -> None:
    """Numbers become visible in their order, although several transactions write at once."""
    ended, seen, cursor = threading.Event(), set(), 0

    def write(number: int) -> None:
        for n in range(25):
            with db.transaction() as tx:
                union(tx, EpisodeKey(STATION, f"e{number}"), [plain(n + 1, f"by{number}")], NOW_NS,
                      LabelVia.COPY)  # fmt: skip
                time.sleep(random.random() / 500)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    while not ended.is_set():
        if not any(writer.is_alive() for writer in writers):
            ended.set()
        cursor, told = since(db, cursor)
        seen |= {event_id(event) for events in told.values() for event in events}
    assert len(seen) == 100
