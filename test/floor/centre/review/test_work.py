"""Labels that decisions and recalls give in the background, and take back, also after a crash.

Holds also: recalls.py, labels.py.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("alembic")

from support.reviewing import (
    ALL_BLIND,
    BAD,
    GOOD,
    SITE,
    T0,
    USELESS,
    PaperFloor,
    entry,
    queue,
    review_next,
)

from robot_recorder.floor.centre.database.database import Database
from robot_recorder.floor.centre.review import recalls as recalls_module
from robot_recorder.floor.centre.review.decisions import undo
from robot_recorder.floor.centre.review.labels import RECALLED, REJECTED
from robot_recorder.floor.centre.review.policy import ReviewPolicy
from robot_recorder.floor.centre.review.queue import QueueFilter
from robot_recorder.floor.centre.review.recalls import (
    BatchRecall,
    RecallFilter,
    all_recalls,
    matching,
    recall,
    undo_recall,
)
from robot_recorder.floor.centre.review.work import ReviewWork, label_problems
from robot_recorder.floor.storage.port import StorageError, StorageTrouble
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome

QUIET = ReviewPolicy(sample_share=0.0, newcomer_first=0)


def work_off(floor: PaperFloor) -> None:
    work = ReviewWork(floor.reviews, floor)
    for _ in range(200):
        if not work.step():
            return
    raise AssertionError("the work never ends")


def one_recall(db: Database) -> BatchRecall:
    [found] = all_recalls(db)
    return found


def test_a_decision_is_a_label_by_the_inspector_that_keeps_the_one_before(db: Database) -> None:
    reviews, _, floor = queue(db)
    floor.arrive(entry("a"))
    review_next(reviews, "ann", BAD)
    work_off(floor)
    last = floor.episode(SITE, "a").events[-1]
    assert (last.by, last.outcome, last.cause, last.previous) == (
        "ann",
        Outcome.FAILURE,
        "slip",
        "success",
    )
    assert not ReviewWork(reviews, floor).step()


def test_a_confirmed_outcome_is_labelled_once_as_well(db: Database) -> None:
    reviews, _, floor = queue(db)
    floor.arrive(entry("a"))
    review_next(reviews, "ann", GOOD)
    work_off(floor)
    assert [e.by for e in floor.episode(SITE, "a").events if e.kind is LabelKind.OUTCOME] == [
        "operator",
        "ann",
    ]


def test_an_unusable_episode_is_annotated_over_its_whole_length_and_undo_retracts_it(
    db: Database,
) -> None:
    reviews, _, floor = queue(db)
    floor.arrive(entry("a"))
    review_next(reviews, "ann", USELESS)
    work_off(floor)
    [note] = floor.labels("a").annotations
    assert (note.name, note.by, note.note) == (REJECTED, "ann", "bad_view: the lens is dirty")
    span = floor.episode(SITE, "a").span
    assert (note.start_ns, note.end_ns) == (span.from_ns, span.to_ns)
    undo(reviews, "ann", False, None)
    work_off(floor)
    assert floor.names("a") == []
    assert floor.episode(SITE, "a").events[-1].kind is LabelKind.RETRACTION
    review_next(reviews, "ann", USELESS)
    work_off(floor)
    assert floor.names("a") == [REJECTED]


def test_an_undo_gives_back_the_outcome_before_unless_somebody_has_changed_it_since(
    db: Database,
) -> None:
    reviews, clock, floor = queue(db)
    for id in ("a", "b"):
        floor.arrive(entry(id))
        review_next(reviews, "ann", BAD)
        work_off(floor)
    b = floor.episode(SITE, "b")
    clock.pass_s(5)
    later = LabelEvent(clock(), "b", LabelKind.OUTCOME, outcome=Outcome.FAILURE, cause="drop")
    floor.relabel(SITE, "b", [later], "robot")
    assert len(floor.episode(SITE, "b").events) == len(b.events) + 1
    for made in (1, 2):
        undo(reviews, "root", True, made)
    work_off(floor)
    assert floor.labels("a").outcome_text == "success"
    assert floor.labels("b").outcome_text == "failure: drop"


def test_an_undo_before_the_labels_were_given_leaves_the_episode_as_it_was(db: Database) -> None:
    reviews, _, floor = queue(db)
    floor.arrive(entry("a"))
    review_next(reviews, "ann", USELESS)
    undo(reviews, "ann", False, None)
    work_off(floor)
    assert floor.names("a") == []
    assert floor.labels("a").outcome is Outcome.SUCCESS


def test_a_usable_decision_takes_back_an_earlier_rejection(db: Database) -> None:
    reviews, clock, floor = queue(db)
    one = entry("a")
    floor.arrive(one)
    review_next(reviews, "ann", USELESS)
    work_off(floor)
    clock.pass_s(60)
    reviews.ask(SITE, [one])
    review_next(reviews, "bob", GOOD)
    work_off(floor)
    assert floor.names("a") == []


def test_a_process_that_ends_between_label_and_note_does_not_label_twice(db: Database) -> None:
    reviews, clock, floor = queue(db)
    floor.arrive(entry("a"))
    review_next(reviews, "ann", USELESS)
    floor.crash_after.set()
    with pytest.raises(KeyboardInterrupt):
        ReviewWork(reviews, floor).step()
    floor.crash_after.clear()
    before = floor.episode(SITE, "a").events
    assert not ReviewWork(reviews, floor).step()  # leased
    clock.pass_s(301)
    work_off(floor)
    assert floor.episode(SITE, "a").events == before
    undo(reviews, "ann", False, None)
    work_off(floor)
    assert floor.names("a") == []


def test_a_storage_that_is_away_is_waited_for_and_a_refusal_is_shown(db: Database) -> None:
    reviews, clock, floor = queue(db)
    floor.arrive(entry("a"))
    floor.broken["a"] = StorageError(StorageTrouble.UNAVAILABLE, "no answer")
    review_next(reviews, "ann", BAD)
    work_off(floor)
    assert [p["problem"] for p in label_problems(reviews)] == ["no answer"]
    floor.broken.clear()
    clock.pass_s(10)
    work_off(floor)
    assert label_problems(reviews) == []
    assert floor.labels("a").outcome_text == "failure: slip"
    floor.arrive(entry("b"))
    floor.broken["b"] = ConfigError("the episode has 1000 labels, the maximum")
    review_next(reviews, "ann", BAD)
    work_off(floor)
    clock.pass_s(10_000)
    work_off(floor)
    assert [p["id"] for p in label_problems(reviews)] == ["b"]
    floor.broken.clear()
    undo(reviews, "ann", False, None)  # which has nothing to take back
    work_off(floor)
    assert floor.labels("b").outcome_text == "success"


def test_the_first_decision_of_a_blind_pair_shows_nowhere_before_the_second(db: Database) -> None:
    reviews, _, floor = queue(db, ALL_BLIND)
    before = floor.arrive(entry("a"))
    review_next(reviews, "ann", BAD)
    work_off(floor)
    assert floor.episode(SITE, "a").metadata == before.metadata
    review_next(reviews, "bob", BAD)
    work_off(floor)
    assert floor.labels("a").outcome is Outcome.FAILURE


def test_the_thread_gives_labels_when_it_is_woken(db: Database) -> None:
    reviews, _, floor = queue(db)
    floor.arrive(entry("a"))
    work = ReviewWork(reviews, floor)
    work.start()
    try:
        review_next(reviews, "ann", BAD)
        reviews.woken.set()
        for _ in range(1000):
            if floor.labels("a").outcome is Outcome.FAILURE:
                break
            work._ended.wait(0.01)
        else:
            raise AssertionError("no label came")
    finally:
        work.close()


# Recalls


def arrive_some(floor: PaperFloor, count: int = 6) -> None:
    for number in range(count):
        robot = "r1" if number % 2 else "r2"
        floor.arrive(entry(f"e{number}", T0 + number, robot=robot), version=f"{number % 3}.0")


def test_a_recall_annotates_what_matches_with_its_reason_and_comes_to_an_end(db: Database) -> None:
    reviews, clock, floor = queue(db, QUIET)
    arrive_some(floor)
    wanted = RecallFilter(robot="r1", since_ns=T0 + 2)
    assert matching(db, wanted) == 2
    assert matching(db, RecallFilter(), 3) == 4  # counting stops
    serial = recall(db, wanted, "the wrist was loose", "ann", clock())
    work_off(floor)
    found = one_recall(db)
    assert (found.state.value, found.found, found.done, found.failed) == ("recalled", 2, 2, 0)
    assert [n for n in range(6) if floor.names(f"e{n}")] == [3, 5]
    [note] = floor.labels("e3").annotations
    assert (note.name, note.by, note.note) == (
        RECALLED,
        "ann",
        f"recall {serial}: the wrist was loose",
    )


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        (RecallFilter(version="1.0"), ["e1", "e4"]),
        (RecallFilter(task="pick", until_ns=T0 + 1), ["e0"]),
        (RecallFilter(site=SITE, robot="r2", version="0.0"), ["e0"]),
        (RecallFilter(site="paris"), []),
        (RecallFilter(operator="ann"), []),
    ],
)
def test_a_recall_takes_what_all_its_conditions_take(
    db: Database, wanted: RecallFilter, taken: list[str]
) -> None:
    reviews, clock, floor = queue(db, QUIET)
    arrive_some(floor)
    recall(db, wanted, "why", "ann", clock())
    work_off(floor)
    assert [f"e{n}" for n in range(6) if floor.names(f"e{n}")] == taken


def test_what_arrives_later_is_recalled_as_well(db: Database) -> None:
    reviews, clock, floor = queue(db, QUIET)
    recall(db, RecallFilter(robot="r1"), "loose", "ann", clock())
    work_off(floor)
    assert one_recall(db).state.value == "recalled"
    arrive_some(floor, 4)
    assert one_recall(db).state.value == "recalling"
    work_off(floor)
    assert (one_recall(db).state.value, one_recall(db).done) == ("recalled", 2)
    assert floor.names("e1") == [RECALLED]


def test_an_undone_recall_takes_its_own_annotations_back_and_only_those(db: Database) -> None:
    reviews, clock, floor = queue(db, QUIET)
    arrive_some(floor)
    one = recall(db, RecallFilter(robot="r1"), "loose", "ann", clock())
    work_off(floor)
    two = recall(db, RecallFilter(version="1.0"), "bug", "bob", clock())
    work_off(floor)
    assert floor.names("e1") == [RECALLED, RECALLED]
    undo_recall(db, one, "it was tight", "cat", clock())
    work_off(floor)
    assert [a.note for a in floor.labels("e1").annotations] == [f"recall {two}: bug"]
    assert floor.names("e3") == floor.names("e5") == []
    assert floor.names("e4") == [RECALLED]
    newer, older = all_recalls(db)
    assert (older.state.value, older.done, older.undone_by) == ("undone", 3, "cat")
    assert newer.state.value == "recalled"
    retracted = floor.episode(SITE, "e3").events[-1]
    assert (retracted.kind, retracted.by) == (LabelKind.RETRACTION, "cat")
    with pytest.raises(ConfigError, match="not undone"):
        undo_recall(db, one, "again", "cat", clock())
    floor.arrive(entry("late", T0 + 99, robot="r1"), version="9.0")
    work_off(floor)
    assert floor.names("late") == []


def test_a_recall_goes_on_where_a_killed_process_was(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recalls_module, "_FOUND_AT_ONCE", 2)
    monkeypatch.setattr(recalls_module, "_LABELLED_AT_ONCE", 2)
    reviews, clock, floor = queue(db, QUIET)
    arrive_some(floor, 9)
    recall(db, RecallFilter(site=SITE), "all", "ann", clock())
    crashes = 0
    for _ in range(100):
        floor.crash_after.set() if crashes < 5 else floor.crash_after.clear()
        try:
            if not ReviewWork(reviews, floor).step() and one_recall(db).state.value == "recalled":
                break
        except KeyboardInterrupt:
            crashes += 1
        clock.pass_s(301)
    assert crashes == 5
    assert one_recall(db).done == 9
    assert [floor.names(f"e{n}") for n in range(9)] == [[RECALLED]] * 9


def test_an_undo_during_a_recall_leaves_nothing(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recalls_module, "_LABELLED_AT_ONCE", 2)
    reviews, clock, floor = queue(db, QUIET)
    arrive_some(floor, 7)
    serial = recall(db, RecallFilter(site=SITE), "all", "ann", clock())
    work = ReviewWork(reviews, floor)
    work.step()
    steps = recalls_module.take_steps(db, clock())  # by another process, which is slow
    undo_recall(db, serial, "no", "ann", clock())
    work_off(floor)
    for step in steps:
        work._recall(step)
    clock.pass_s(301)
    work_off(floor)
    assert one_recall(db).state.value == "undone"
    assert [floor.names(f"e{n}") for n in range(7)] == [[]] * 7


def test_what_cannot_be_recalled_is_counted_with_its_reason(db: Database) -> None:
    reviews, clock, floor = queue(db, QUIET)
    arrive_some(floor, 2)
    floor.broken["e1"] = ConfigError("the episode has 1000 labels, the maximum")
    recall(db, RecallFilter(site=SITE), "all", "ann", clock())
    work_off(floor)
    found = one_recall(db)
    assert (found.state.value, found.done, found.failed) == ("recalled", 1, 1)
    assert found.problem == "e1: the episode has 1000 labels, the maximum"


def test_a_recall_of_everything_or_without_a_reason_is_refused(db: Database) -> None:
    with pytest.raises(ConfigError, match="condition"):
        recall(db, RecallFilter(), "why", "ann", T0)
    with pytest.raises(ConfigError, match="reason"):
        recall(db, RecallFilter(site=SITE), "  ", "ann", T0)


def test_recalled_episodes_stay_in_the_queue_and_can_be_reviewed(db: Database) -> None:
    reviews, clock, floor = queue(db, replace(QUIET, sample_share=1.0, second_share=0.0))
    floor.arrive(entry("a"))
    recall(db, RecallFilter(site=SITE), "all", "ann", clock())
    work_off(floor)
    assert reviews.next("bob", 1, QueueFilter())[0].id == "a"


def test_a_recall_that_the_database_refuses_does_not_stop_the_others(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    reviews, clock, floor = queue(db, QUIET)
    arrive_some(floor)
    recall(db, RecallFilter(robot="x\0"), "odd", "ann", clock())
    whole = RecallFilter.where

    def where(self: RecallFilter) -> tuple[str, list[object]]:
        # What PostgreSQL does with a NUL, SQLite does with what is no text.
        return ("robot = ? AND", []) if "\0" in self.robot else whole(self)

    monkeypatch.setattr(RecallFilter, "where", where)
    recall(db, RecallFilter(robot="r1"), "loose", "ann", clock())
    work_off(floor)
    newer, older = all_recalls(db)
    assert (newer.state.value, newer.done) == ("recalled", 3)
    assert (older.state.value, older.found) == ("recalled", 0)
    assert older.problem == "the database refuses to look for its episodes: see the centre's log"
    assert review_next(reviews, "ann") is None and floor.names("e1") == [RECALLED]


@pytest.mark.parametrize(
    "facts", [{"pre_roll_s": "nan"}, {"pre_roll_s": "1e300"}, {"streams": "[1]"}]
)
def test_an_odd_fact_keeps_no_decision_from_its_labels(db: Database, facts: dict[str, str]) -> None:
    reviews, clock, floor = queue(db)
    floor.arrive(entry("e1"))
    floor.spoil("e1", **facts)
    floor.relabel = lambda *asked, **_: given.append(asked)  # type: ignore[method-assign, assignment]
    given: list[object] = []
    assert review_next(reviews, "ann", BAD) is not None
    clock.pass_s(3600)
    work_off(floor)
    assert given and label_problems(reviews) == []
