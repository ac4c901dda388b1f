"""The queue: what arrives, who gets what, leases, and how many at once.

Holds also: floor/centre/database/migrations/0003_review.py.
"""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("alembic")

from dataclasses import replace

from support.reviewing import (
    ALL_BLIND,
    EVERYTHING,
    SITE,
    T0,
    USELESS,
    entry,
    queue,
    review_next,
)

from robot_recorder.floor.centre.database.database import Database, open_database
from robot_recorder.floor.centre.review import queue as review_module
from robot_recorder.floor.centre.review.policy import ReviewPolicy, ReviewStage, ReviewWhy
from robot_recorder.floor.centre.review.queue import QueueFilter, ReviewConflict, Reviews
from robot_recorder.quality.verdict import Verdict

ANY = QueueFilter()


def ids(reviews: Reviews, user: str, count: int = 5, wanted: QueueFilter = ANY) -> list[str]:
    return [item.id for item in reviews.next(user, count, wanted)]


def test_rejects_come_first_and_the_oldest_of_them(db: Database) -> None:
    reviews, _, floor = queue(db)
    floor.arrive(entry("sample", T0))
    floor.arrive(entry("late", T0 + 5, Verdict.REJECT))
    floor.arrive(entry("early", T0 + 2, Verdict.REJECT))
    floor.arrive(entry("look", T0 + 1, Verdict.REVIEW))
    assert ids(reviews, "ann") == ["early", "late", "look", "sample"]


def test_the_first_episodes_of_an_operator_are_all_queued_and_no_more(db: Database) -> None:
    reviews, _, floor = queue(db, ReviewPolicy(sample_share=0.0, newcomer_first=3))
    for number in range(6):
        floor.arrive(entry(f"e{number}", T0 + number, operator="new"))
        floor.arrive(entry(f"e{number}", T0 + number, operator="new"))  # again: nothing changes
        floor.arrive(entry(f"n{number}", T0 + number, operator=""))
    floor.arrive(entry("p", T0, operator="new"), site="paris")  # whose operators are others
    found = [item.id for item in reviews.next("ann", 5, ANY)]
    assert sorted(found) == ["e0", "e1", "e2", "p"]


def test_a_second_server_queues_the_same_sample(db: Database) -> None:
    policy = ReviewPolicy(sample_share=0.2, newcomer_first=0)
    reviews, _, floor = queue(db, policy)
    for number in range(200):
        floor.arrive(entry(f"e{number}", T0 + number))
    before = reviews.counts(ANY).by_why
    again, _, other = queue(db, policy)
    for number in range(200):
        other.arrive(entry(f"e{number}", T0 + number))
    assert again.counts(ANY).by_why == before
    assert 20 < before["sample"] < 60


def test_what_is_checked_again_moves_and_what_is_removed_goes(db: Database) -> None:
    reviews, _, floor = queue(db, ReviewPolicy(sample_share=0.0))
    floor.arrive(entry("a", verdict=Verdict.REVIEW))
    floor.arrive(entry("b", verdict=Verdict.REVIEW))
    floor.arrive(entry("a", verdict=Verdict.ACCEPT))
    floor.arrive(entry("b", verdict=Verdict.REJECT))
    assert reviews.counts(ANY).by_why == {"reject": 1}
    with db.transaction() as tx:
        reviews.on_removed(tx, SITE, "b")
    assert reviews.counts(ANY).by_why == {}


def test_a_new_policy_is_applied_to_what_is_known_once(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review_module, "_FILLED_AT_ONCE", 7)
    reviews, clock, floor = queue(db, ReviewPolicy(sample_share=0.0, newcomer_first=0))
    for number in range(30):
        floor.arrive(entry(f"e{number}", T0 + number))
    while reviews.fill_some():
        pass
    assert reviews.counts(ANY).by_why == {}
    more = Reviews(db, EVERYTHING, clock)
    more.fill_some()
    assert more.counts(ANY).by_why == {"sample": 7}
    again = Reviews(db, EVERYTHING, clock)  # after a crash
    while again.fill_some():
        pass
    assert again.counts(ANY).by_why == {"sample": 30}
    review_next(again, "ann")
    assert not Reviews(db, EVERYTHING, clock).fill_some()
    assert again.counts(ANY).by_why == {"sample": 29}


def test_a_claimed_episode_does_not_vanish_under_its_inspector(db: Database) -> None:
    reviews, _, floor = queue(db, ReviewPolicy(sample_share=0.0, second_share=0.0))
    floor.arrive(entry("a", verdict=Verdict.REVIEW))
    [item] = reviews.next("ann", 1, ANY)
    floor.arrive(entry("a", verdict=Verdict.ACCEPT))
    assert reviews.keep("ann", [item.claim])[1] == []


def test_an_episode_is_queued_again_only_if_the_checks_find_worse(db: Database) -> None:
    reviews, _, floor = queue(db)
    floor.arrive(entry("a", verdict=Verdict.ACCEPT))
    assert review_next(reviews, "ann").next_stage is ReviewStage.DONE
    floor.arrive(entry("a", verdict=Verdict.ACCEPT))
    assert ids(reviews, "ann") == []
    floor.arrive(entry("a", verdict=Verdict.REJECT))
    assert ids(reviews, "ann") == ["a"]


def test_filters_by_site_task_and_why(db: Database) -> None:
    reviews, _, floor = queue(db)
    floor.arrive(entry("a", task="pick"))
    floor.arrive(entry("b", task="fold"))
    floor.arrive(entry("c", task="fold", verdict=Verdict.REJECT))
    floor.arrive(entry("d", task="fold"), site="paris")
    assert ids(reviews, "u1", wanted=QueueFilter(task="pick")) == ["a"]
    assert ids(reviews, "u2", wanted=QueueFilter(site="paris", task="fold")) == ["d"]
    assert ids(reviews, "u3", wanted=QueueFilter(why=ReviewWhy.SAMPLE)) == ["b"]
    assert ids(reviews, "u4", wanted=QueueFilter(site="paris")) == []
    assert ids(reviews, "u4") == ["c"]


def test_a_claim_is_ones_own_until_its_lease_ends(db: Database) -> None:
    reviews, clock, floor = queue(db)
    floor.arrive(entry("a"))
    [first] = reviews.next("ann", 1, ANY)
    assert reviews.next("bob", 1, ANY) == []
    [again] = reviews.next("ann", 1, ANY)
    assert again.claim == first.claim
    clock.pass_s(299)
    assert reviews.keep("ann", [first.claim, "none"])[1] == ["none"]
    clock.pass_s(299)
    assert reviews.next("bob", 1, ANY) == []
    clock.pass_s(2)
    [taken] = reviews.next("bob", 1, ANY)
    assert taken.id == "a"
    assert reviews.keep("ann", [first.claim])[1] == [first.claim]
    with pytest.raises(ReviewConflict):
        reviews.release("ann", first.claim, False)


def test_nobody_extends_the_claim_of_somebody_else(db: Database) -> None:
    reviews, _, floor = queue(db)
    floor.arrive(entry("a"))
    [item] = reviews.next("ann", 1, ANY)
    assert reviews.keep("bob", [item.claim])[1] == [item.claim]
    assert reviews.keep("ann", [""])[1] == [""]


def test_what_is_given_back_comes_again_and_what_is_skipped_later(db: Database) -> None:
    reviews, clock, floor = queue(db)
    floor.arrive(entry("a"))
    [item] = reviews.next("ann", 1, ANY)
    reviews.release("ann", item.claim, False)
    [item] = reviews.next("ann", 1, ANY)
    reviews.release("ann", item.claim, True)
    assert ids(reviews, "ann") == ids(reviews, "bob") == []
    clock.pass_s(601)
    assert ids(reviews, "bob") == ["a"]


def test_asked_episodes_come_first_decided_ones_as_well(db: Database) -> None:
    reviews, _, floor = queue(db)
    old, bad = entry("old"), entry("bad", verdict=Verdict.REJECT)
    floor.arrive(old)
    review_next(reviews, "ann")
    floor.arrive(bad)
    reviews.ask(SITE, [old, entry("unsampled", T0 + 9)])
    assert ids(reviews, "bob") == ["old", "unsampled", "bad"]
    floor.arrive(old)  # a later label changes nothing about that
    assert reviews.counts(ANY).by_why == {"asked": 2, "reject": 1}


def test_counts_say_what_waits(db: Database) -> None:
    reviews, _, floor = queue(db, ALL_BLIND)
    for number in range(3):
        floor.arrive(entry(f"e{number}", T0 + number))
    floor.arrive(entry("p", T0 - 5, task="fold"), site="paris")
    reviews.next("ann", 2, QueueFilter(site=SITE))
    review_next(reviews, "ann", USELESS, QueueFilter(site=SITE))
    counts = reviews.counts(ANY)
    assert counts.by_stage[ReviewStage.SECOND] == 1
    assert counts.by_stage[ReviewStage.FIRST] == 3
    assert counts.by_site == {SITE: 3, "paris": 1}
    assert counts.by_task == {"pick": 3, "fold": 1}
    assert (counts.claimed, counts.oldest_ns) == (1, T0 - 5)
    assert reviews.counts(QueueFilter(task="fold")).by_site == {"paris": 1}


def test_twenty_inspectors_at_once_never_get_the_same_episode(db: Database) -> None:
    reviews, _, floor = queue(db)
    for number in range(60):
        floor.arrive(entry(f"e{number}", T0 + number))
    got: Counter[str] = Counter()
    together, begin = threading.Lock(), threading.Barrier(20)
    failures: list[BaseException] = []

    def work(user: str) -> None:
        try:
            begin.wait(30)
            found = ids(reviews, user, 3)
            with together:
                got.update(found)
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=(f"u{n}",)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert set(got.values()) == {1}
    assert len(got) == 60


STEPS = st.lists(
    st.tuples(st.sampled_from(["next", "decide", "release", "keep", "wait", "arrive"]),
              st.sampled_from(["ann", "bob", "cat"]), st.integers(0, 5)),
    max_size=40,
)  # fmt: skip


@given(STEPS)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_happens_nobody_has_an_episode_that_another_has(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, int]]
) -> None:
    url = f"sqlite:///{tmp_path_factory.mktemp('queue')}/centre.sqlite"
    with open_database(url) as database:
        reviews, clock, floor = queue(database, replace(EVERYTHING, second_share=0.5))
        held: dict[str, tuple[str, int]] = {}  # by claim: user, until when
        for step, user, number in steps:
            if step == "arrive":
                floor.arrive(entry(f"e{number}", T0 + number, Verdict(1 + number % 3)))
            elif step == "wait":
                clock.pass_s(100 * number)
            elif step == "next":
                for item in reviews.next(user, number, ANY):
                    live = {
                        claim for claim, (other, until) in held.items()
                        if other != user and until > clock()
                    }  # fmt: skip
                    assert item.claim not in live
                    held[item.claim] = user, item.until_ns
            elif step == "decide":
                review_next(reviews, user)
            else:
                own = [claim for claim, (other, _) in held.items() if other == user]
                if step == "keep":
                    reviews.keep(user, own)
                elif own:
                    try:
                        reviews.release(user, own[0], bool(number % 2))
                    except ReviewConflict:
                        pass
        with database.reading() as tx:
            rows = tx.run("SELECT claim FROM review_items WHERE claim <> '' AND stage <= 3")
        assert len({claim for (claim,) in rows}) == len(rows)
