"""Decisions: once, blind seconds, thirds, undo, agreement; and what quotas rest.

Holds also: quotas.py.
"""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

pytest.importorskip("alembic")

from support.reviewing import (
    ALL_BLIND,
    BAD,
    DAY_NS,
    GOOD,
    SITE,
    T0,
    USELESS,
    entry,
    queue,
    review_next,
)

from robot_recorder.floor.centre.database.database import Database
from robot_recorder.floor.centre.review.decisions import (
    InspectorJudgement,
    decide,
    floor_agreement,
    history,
    numbers_of,
    opinions,
    settle_overdue,
    undo,
)
from robot_recorder.floor.centre.review.policy import ReviewPolicy, ReviewStage
from robot_recorder.floor.centre.review.queue import QueueFilter, ReviewConflict, Reviews
from robot_recorder.floor.centre.review.quotas import QuotaPeriod, QuotaScope, quotas, set_quota
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.labels import Outcome
from robot_recorder.quality.verdict import Verdict

ANY = QueueFilter()


def duties(db: Database) -> list[tuple[int, int]]:
    """Return decision and undo of the labels that are to be given."""
    with db.reading() as tx:
        return tx.run("SELECT decision, undo FROM review_labels ORDER BY serial")


def rows(db: Database) -> int:
    with db.reading() as tx:
        return int(tx.run("SELECT COUNT(*) FROM review_decisions")[0][0])


def good_of(db: Database, now_ns: int = T0) -> list[int]:
    return [one.good for one in quotas(db, now_ns)]


def test_a_decision_settles_an_episode_and_its_labels_are_due(db: Database) -> None:
    reviews, _, floor = queue(db)
    floor.arrive(entry("a"))
    made = review_next(reviews, "ann", BAD)
    assert (made.stage, made.next_stage) == (ReviewStage.FIRST, ReviewStage.DONE)
    assert duties(db) == [(made.serial, 0)]
    assert reviews.next("bob", 1, ANY) == []


def test_the_same_request_again_is_the_same_decision(db: Database) -> None:
    reviews, _, floor = queue(db)
    floor.arrive(entry("a"))
    [item] = reviews.next("ann", 1, ANY)
    made = [decide(reviews, "ann", SITE, "a", item.claim, GOOD) for _ in range(3)]
    assert made[0] == made[1] == made[2]
    assert rows(db) == 1
    with pytest.raises(ReviewConflict):
        decide(reviews, "bob", SITE, "a", item.claim, GOOD)


def test_a_decision_after_the_lease_counts_unless_somebody_took_over(db: Database) -> None:
    reviews, clock, floor = queue(db)
    floor.arrive(entry("a"))
    floor.arrive(entry("b", T0 + 1))
    slow, lost = reviews.next("ann", 2, ANY)
    clock.pass_s(1000)
    decide(reviews, "ann", SITE, slow.id, slow.claim, GOOD)
    [taken] = reviews.next("bob", 1, ANY)
    assert taken.id == lost.id
    with pytest.raises(ReviewConflict):
        decide(reviews, "ann", SITE, lost.id, lost.claim, GOOD)
    decide(reviews, "bob", SITE, taken.id, taken.claim, GOOD)


def test_an_episode_is_never_decided_with_the_claim_of_another(db: Database) -> None:
    reviews, _, floor = queue(db)
    floor.arrive(entry("a"))
    floor.arrive(entry("b", T0 + 1))
    a, b = reviews.next("ann", 2, ANY)
    with pytest.raises(ReviewConflict):
        decide(reviews, "ann", SITE, a.id, b.claim, GOOD)
    with pytest.raises(ReviewConflict):
        decide(reviews, "ann", SITE, a.id, "", GOOD)


def test_a_second_opinion_is_by_another_and_gives_labels_only_when_it_is_there(
    db: Database,
) -> None:
    reviews, _, floor = queue(db, ALL_BLIND)
    floor.arrive(entry("a"))
    first = review_next(reviews, "ann", BAD)
    assert first.next_stage is ReviewStage.SECOND
    assert duties(db) == []
    assert review_next(reviews, "ann") is None
    second = review_next(reviews, "bob", InspectorJudgement(Outcome.FAILURE, "drop"))
    assert second.next_stage is ReviewStage.DONE
    assert duties(db) == [(first.serial, 0)]


def test_two_that_differ_are_judged_by_a_third_first_of_all(db: Database) -> None:
    reviews, _, floor = queue(db, ALL_BLIND)
    floor.arrive(entry("a"))
    review_next(reviews, "ann", BAD)
    assert review_next(reviews, "bob", USELESS).next_stage is ReviewStage.ADJUDICATE
    floor.arrive(entry("reject", T0 - 9, Verdict.REJECT))
    for user in ("ann", "bob"):
        [item] = reviews.next(user, 1, ANY)
        assert item.id == "reject"
        reviews.release(user, item.claim, False)
    [item] = reviews.next("cat", 1, ANY)
    assert (item.id, item.stage) == ("a", ReviewStage.ADJUDICATE)
    assert opinions(db, SITE, "a") == [BAD, USELESS]
    third = decide(reviews, "cat", SITE, "a", item.claim, GOOD)
    assert duties(db) == [(third.serial, 0)]


def test_a_second_opinion_that_does_not_come_does_not_hold_the_labels_for_ever(
    db: Database,
) -> None:
    reviews, clock, floor = queue(db, replace(ALL_BLIND, second_days=7))
    floor.arrive(entry("a"))
    first = review_next(reviews, "ann", BAD)
    clock.pass_s(6 * 86_400)
    assert settle_overdue(reviews) == 0
    clock.pass_s(2 * 86_400)
    assert settle_overdue(reviews) == 1
    assert settle_overdue(reviews) == 0
    assert duties(db) == [(first.serial, 0)]
    assert reviews.next("bob", 1, ANY) == []


def test_an_undo_is_a_new_entry_and_gives_the_episode_back_to_who_decided(db: Database) -> None:
    reviews, _, floor = queue(db)
    floor.arrive(entry("a"))
    floor.arrive(entry("b", T0 + 1))
    made = review_next(reviews, "ann", BAD)
    done = undo(reviews, "ann", False, None)
    assert done.decision.serial == made.serial
    assert rows(db) == 2
    assert duties(db) == [(made.serial, 0), (made.serial, 1)]
    [item] = reviews.next("ann", 1, ANY)
    assert (item.id, item.claim) == ("a", done.claim)
    again = decide(reviews, "ann", SITE, "a", item.claim, GOOD)
    assert [one.undone for one in history(db, "ann")] == [False, True]
    assert numbers_of(db, "ann", reviews.clock()) == (1, 1)
    assert undo(reviews, "ann", False, None).decision.serial == again.serial
    with pytest.raises(ConfigError, match="no decision to undo"):
        undo(reviews, "ann", False, None)


def test_only_an_admin_undoes_what_others_decided(db: Database) -> None:
    reviews, _, floor = queue(db)
    floor.arrive(entry("a"))
    made = review_next(reviews, "ann", BAD)
    with pytest.raises(ConfigError, match="not yours"):
        undo(reviews, "bob", False, made.serial)
    done = undo(reviews, "root", True, made.serial)
    assert done.claim == ""
    assert review_next(reviews, "bob").id == "a"
    with pytest.raises(ConfigError, match=f"no decision {made.serial}"):
        undo(reviews, "root", True, made.serial)


def test_what_somebody_has_judged_since_cannot_be_undone(db: Database) -> None:
    reviews, _, floor = queue(db, ALL_BLIND)
    floor.arrive(entry("a"))
    first = review_next(reviews, "ann", BAD)
    second = review_next(reviews, "bob", GOOD)
    with pytest.raises(ReviewConflict):
        undo(reviews, "ann", False, first.serial)
    undo(reviews, "bob", False, second.serial)
    assert opinions(db, SITE, "a") == [BAD]
    undo(reviews, "ann", False, first.serial)
    assert duties(db) == []
    third = review_next(reviews, "ann", GOOD)
    assert third.next_stage is ReviewStage.SECOND
    # And bob's claim after his undo is gone with the stage.
    assert review_next(reviews, "bob", GOOD).next_stage is ReviewStage.DONE
    assert duties(db) == [(third.serial, 0)]


def test_a_decision_about_an_episode_that_is_asked_for_again_stays(db: Database) -> None:
    reviews, _, floor = queue(db)
    one = entry("a")
    floor.arrive(one)
    made = review_next(reviews, "ann", BAD)
    reviews.ask(SITE, [one])
    with pytest.raises(ReviewConflict):
        undo(reviews, "ann", False, made.serial)
    assert review_next(reviews, "bob", GOOD).next_stage is ReviewStage.DONE


def test_agreement_is_of_first_and_second_decisions_that_stand(db: Database) -> None:
    reviews, _, floor = queue(db, ALL_BLIND)
    for number, (one, other) in enumerate([(GOOD, GOOD), (GOOD, GOOD), (BAD, BAD), (BAD, GOOD)]):
        floor.arrive(entry(f"e{number}", T0 + number))
        review_next(reviews, "ann", one)
        review_next(reviews, "bob", other)
    undo(reviews, "bob", False, None)
    review_next(reviews, "bob", USELESS)
    found = floor_agreement(db)
    [pair] = found.pairs
    assert (pair.first, pair.second, pair.agreement.n) == ("ann", "bob", 4)
    assert pair.agreement.agree == 0.75
    assert found.table[0][0] == 2 and found.table[1][1] == 1 and found.table[1][3] == 1
    assert set(found.inspectors) == {"ann", "bob"}
    assert found.inspectors["ann"].kappa == pytest.approx(found.whole.kappa or 0)
    assert floor_agreement(db, reviews.clock() + 1).whole.kappa is None


def test_many_that_decide_at_once_lose_and_double_nothing(db: Database) -> None:
    reviews, _, floor = queue(db, replace(ALL_BLIND, second_share=0.5))
    for number in range(40):
        floor.arrive(entry(f"e{number}", T0 + number))
    set_quota(db, QuotaScope("", "pick", QuotaPeriod.ALL), 1_000, "root", T0)
    failures: list[BaseException] = []

    def work(user: str) -> None:
        try:
            while review_next(reviews, user) is not None:
                pass
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=(f"u{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not failures
    while review_next(reviews, "last") is not None:  # the seconds of who came last
        pass
    due = duties(db)
    assert len(due) == len(set(due)) == 40
    assert good_of(db) == [40]


# Quotas


def quota_queue(db: Database, second: float = 0.0) -> tuple[Reviews, object]:
    reviews, _, floor = queue(
        db, ReviewPolicy(sample_share=1.0, second_share=second, newcomer_first=0)
    )
    return reviews, floor


def test_a_full_quota_rests_the_samples_of_its_task_and_nothing_else(db: Database) -> None:
    reviews, _, floor = queue(db)
    set_quota(db, QuotaScope("", "pick", QuotaPeriod.ALL), 2, "root", T0)
    for number in range(5):
        floor.arrive(entry(f"e{number}", T0 + number))
    floor.arrive(entry("bad", T0 + 9, Verdict.REJECT))
    floor.arrive(entry("other", T0 + 10, task="fold"))
    wanted = QueueFilter(task="pick")
    review_next(reviews, "ann", GOOD, wanted)  # the reject, which is a success
    review_next(reviews, "ann", BAD, wanted)
    assert reviews.counts(ANY).by_stage[ReviewStage.RESTED] == 0
    review_next(reviews, "ann", GOOD, wanted)
    counts = reviews.counts(ANY)
    assert counts.by_stage[ReviewStage.RESTED] == 3
    assert counts.by_task == {"fold": 1}
    floor.arrive(entry("later", T0 + 20))
    floor.arrive(entry("later bad", T0 + 21, Verdict.REJECT))
    assert reviews.counts(ANY).by_why == {"sample": 1, "reject": 1}
    undo(reviews, "ann", False, None)
    assert reviews.counts(ANY).by_stage[ReviewStage.RESTED] == 0
    assert good_of(db) == [1]


def test_raising_or_removing_a_quota_wakes_what_rested(db: Database) -> None:
    reviews, _, floor = queue(db)
    scope = QuotaScope("", "pick", QuotaPeriod.ALL)
    number = set_quota(db, scope, 1, "root", T0)
    for at in range(3):
        floor.arrive(entry(f"e{at}", T0 + at))
    review_next(reviews, "ann")
    assert reviews.counts(ANY).by_stage[ReviewStage.RESTED] == 2
    assert set_quota(db, scope, 5, "root", T0) == number
    assert reviews.counts(ANY).by_stage[ReviewStage.RESTED] == 0
    set_quota(db, scope, 1, "root", T0)
    assert reviews.counts(ANY).by_stage[ReviewStage.RESTED] == 2
    set_quota(db, scope, 0, "root", T0)
    assert reviews.counts(ANY).by_stage[ReviewStage.RESTED] == 0
    assert quotas(db, T0) == []


def test_quotas_of_sites_and_days_rest_only_theirs(db: Database) -> None:
    reviews, _, floor = queue(db)
    set_quota(db, QuotaScope("paris", "pick", QuotaPeriod.DAY), 1, "root", T0)
    for at in range(2):
        floor.arrive(entry(f"b{at}", T0 + at))
        floor.arrive(entry(f"p{at}", T0 + at), site="paris")
        floor.arrive(entry(f"q{at}", T0 + DAY_NS + at), site="paris")
    review_next(reviews, "ann", GOOD, QueueFilter(site="paris"))
    counts = reviews.counts(ANY)
    assert counts.by_site == {SITE: 2, "paris": 2}
    assert counts.by_stage[ReviewStage.RESTED] == 1
    [today] = quotas(db, T0)
    [tomorrow] = quotas(db, T0 + DAY_NS)
    assert (today.good, tomorrow.good) == (1, 0)
    assert today.to_dict()["full"] and not tomorrow.to_dict()["full"]


def test_an_episode_that_is_reviewed_again_counts_once(db: Database) -> None:
    reviews, _, floor = queue(db)
    set_quota(db, QuotaScope("", "pick", QuotaPeriod.ALL), 9, "root", T0)
    one = entry("a")
    floor.arrive(one)
    review_next(reviews, "ann", GOOD)
    reviews.ask(SITE, [one])
    assert good_of(db) == [0]
    review_next(reviews, "bob", USELESS)
    assert [(q.good, q.bad) for q in quotas(db, T0)] == [(0, 1)]


def test_wrong_quotas_are_refused(db: Database) -> None:
    for scope, target in (
        (QuotaScope("", "", QuotaPeriod.ALL), 5),
        (QuotaScope("", "pick", QuotaPeriod.ALL), -1),
        (QuotaScope("", "pick", QuotaPeriod.ALL), 0),
    ):
        with pytest.raises(ConfigError):
            set_quota(db, scope, target, "root", T0)
