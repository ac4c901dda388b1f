"""Decisions of inspectors: blind second opinions, a third where two differ, undo. Only ever appended.

A decision whose episode waits for a second opinion gives no labels yet: else the second inspector
would see them.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from robot_recorder.catalogue.schema import DAY_NS
from robot_recorder.floor.centre.database.database import Database, Transaction
from robot_recorder.floor.centre.review.agreement import (
    RaterAgreement,
    agreement,
    confusion,
    summed,
    transposed,
)
from robot_recorder.floor.centre.review.policy import (
    ADJUDICATION_PRIORITY,
    CLASSES,
    UNUSABLE,
    ReviewStage,
    ReviewWhy,
    decision_class,
)
from robot_recorder.floor.centre.review.queue import ReviewConflict, Reviews
from robot_recorder.floor.centre.review.quotas import count_review
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.labels import Outcome
from robot_recorder.model.streams import NS_PER_S

_DECISION, _UNDO = "decision", "undo"
_MOST_OVERDUE = 200
_COLUMNS = (
    "serial, site, episode, stage, who, at_ns, outcome, cause, usable, reason, note, next_stage"
)
_STANDS = (
    "{0}.kind = 'decision' AND NOT EXISTS "
    "(SELECT 1 FROM review_decisions u WHERE u.undoes = {0}.serial AND u.undoes IS NOT NULL)"
)
_CLASS = f"CASE WHEN {{0}}.usable = 0 THEN '{UNUSABLE}' ELSE {{0}}.outcome END"


@dataclass(frozen=True)
class InspectorJudgement:
    """What an inspector says about an episode.

    Attributes:
        outcome: of the attempt.
        cause: of a failure.
        usable: whether it may be trained on.
        reason: why it is not.
        note: free text.
    """

    outcome: Outcome
    cause: str = ""
    usable: bool = True
    reason: str = ""
    note: str = ""

    @property
    def category(self) -> str:
        """Return its class, one of ``CLASSES``."""
        return decision_class(self.outcome, self.usable)

    @property
    def good(self) -> bool:
        """Return whether it counts for quotas."""
        return self.usable and self.outcome is Outcome.SUCCESS


@dataclass(frozen=True)
class ReviewDecision:
    """A decision as it is kept.

    Attributes:
        serial: its number.
        site, id: of the episode.
        stage: in which it was made.
        by: who made it.
        at_ns: when, ns since the epoch.
        judgement: what was decided.
        next_stage: that followed.
        undone: whether it was undone later.
    """

    serial: int
    site: str
    id: str
    stage: ReviewStage
    by: str
    at_ns: int
    judgement: InspectorJudgement
    next_stage: ReviewStage
    undone: bool = False


@dataclass(frozen=True)
class UndoneDecision:
    """What an undo has done.

    Attributes:
        decision: that is undone.
        claim: of the episode, for who decided again; empty: none.
    """

    decision: ReviewDecision
    claim: str


@dataclass(frozen=True)
class PairAgreement:
    """How two inspectors agree."""

    first: str
    second: str
    agreement: RaterAgreement


@dataclass(frozen=True)
class FloorAgreement:
    """How all inspectors agree.

    Attributes:
        pairs: by the names of those who decided first and second.
        inspectors: of each with all others.
        whole: of all first with all second decisions.
        table: its confusion, by ``CLASSES``.
    """

    pairs: tuple[PairAgreement, ...]
    inspectors: Mapping[str, RaterAgreement]
    whole: RaterAgreement
    table: list[list[int]] = field(default_factory=list)


def decide(
    reviews: Reviews, user: str, site: str, id: str, claim: str, said: InspectorJudgement
) -> ReviewDecision:
    """Decide about a claimed episode; the same request again returns the same decision.

    Raises:
        ReviewConflict: somebody else has the episode, or it is decided.
    """
    now_ns = reviews.clock()

    def work(tx: Transaction) -> ReviewDecision:
        # Locks the row; a lease that ran out counts as long as nobody else took the episode.
        row = tx.one(
            "UPDATE review_items SET claim_until_ns = claim_until_ns WHERE site = ? AND episode = ? "
            "AND claim = ? AND claim <> '' AND claimed_by = ? AND stage <= 3 "
            "RETURNING stage, blind, first_by, task, day",
            (site, id, claim, user),
        )
        if row is None:
            return _repeated(tx, user, site, id, claim)
        stage, blind = ReviewStage(row[0]), bool(row[1])
        first = _standing(tx, site, id) if stage is ReviewStage.SECOND else None
        after = ReviewStage.DONE
        if stage is ReviewStage.FIRST and blind:
            after = ReviewStage.SECOND
        elif first is not None and first.judgement.category != said.category:
            after = ReviewStage.ADJUDICATE
        done = _append(tx, site, id, stage, claim, user, now_ns, said, after)
        winner = 0
        if after is ReviewStage.DONE:
            settled = done if first is None else first
            winner = settled.serial
            _give_labels(tx, settled, undo=False)
            count_review(tx, site, row[3], row[4], settled.judgement.good, 1, now_ns)
        _move(tx, done, winner)
        return done

    return reviews.db.retrying(work)


def _append(
    tx: Transaction, site: str, id: str, stage: ReviewStage, claim: str, user: str, now_ns: int,
    said: InspectorJudgement, after: ReviewStage,
) -> ReviewDecision:  # fmt: skip
    row = tx.one(
        "INSERT INTO review_decisions (site, episode, kind, stage, claim, who, at_ns, outcome, cause, "
        "usable, reason, note, next_stage) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        f"RETURNING {_COLUMNS}",
        (site, id, _DECISION, int(stage), claim, user, now_ns, said.outcome.text, said.cause,
         said.usable, said.reason, said.note, int(after)),
    )  # fmt: skip
    assert row is not None  # an INSERT that succeeds returns its row
    return _decision(row)


def _move(tx: Transaction, done: ReviewDecision, winner: int) -> None:
    """Bring a decided episode to its next stage."""
    who = {ReviewStage.FIRST: "first_by", ReviewStage.SECOND: "second_by"}.get(done.stage)
    by = f", {who} = ?" if who else ""
    rank = (
        f", priority = {ADJUDICATION_PRIORITY}" if done.next_stage is ReviewStage.ADJUDICATE else ""
    )
    tx.run(
        "UPDATE review_items SET stage = ?, claim = '', claimed_by = '', claim_until_ns = 0, "
        f"winner = ?, decided_ns = ?{by}{rank} WHERE site = ? AND episode = ?",
        (
            int(done.next_stage),
            winner,
            done.at_ns,
            *((done.by,) if who else ()),
            done.site,
            done.id,
        ),
    )


def _give_labels(tx: Transaction, decision: ReviewDecision, undo: bool) -> None:
    """Note durably that a decision's labels are to be given, or taken back."""
    tx.run(
        "INSERT INTO review_labels (site, episode, decision, undo, who) VALUES (?, ?, ?, ?, ?)",
        (decision.site, decision.id, decision.serial, undo, decision.by),
    )


def _repeated(tx: Transaction, user: str, site: str, id: str, claim: str) -> ReviewDecision:
    """Return the decision that a claim has led to.

    Raises:
        ReviewConflict: the claim has led to no decision of this user.
    """
    row = tx.one(
        f"SELECT {_COLUMNS} FROM review_decisions d WHERE claim = ? AND claim <> '' AND site = ? "
        f"AND episode = ? AND who = ? AND {_STANDS.format('d')} ORDER BY serial DESC LIMIT 1",
        (claim, site, id, user),
    )
    if row is None:
        raise ReviewConflict(f"{id}: somebody else has it now, or it is decided: take the next one")
    return _decision(row)


def _standing(tx: Transaction, site: str, id: str) -> ReviewDecision | None:
    """Return the newest decision about an episode that is not undone; None: no decision stands."""
    row = tx.one(
        f"SELECT {_COLUMNS} FROM review_decisions d WHERE site = ? AND episode = ? "
        f"AND {_STANDS.format('d')} ORDER BY serial DESC LIMIT 1",
        (site, id),
    )
    return None if row is None else _decision(row)


def undo(reviews: Reviews, user: str, of_all: bool, serial: int | None) -> UndoneDecision:
    """Undo a decision by a new entry; its episode waits for that decision again.

    Args:
        reviews: the queue.
        user: who undoes.
        of_all: whether they may undo decisions of others.
        serial: of the decision; None: their own newest one.

    Raises:
        ConfigError: there is no such decision.
        ReviewConflict: somebody has decided about the episode since.
    """
    now_ns = reviews.clock()

    def work(tx: Transaction) -> UndoneDecision:
        old = _to_undo(tx, user, of_all, serial)
        winner, task, day, why = _undoable(tx, old)
        tx.run(
            "INSERT INTO review_decisions (site, episode, kind, undoes, stage, claim, who, at_ns, "
            "outcome, cause, usable, reason, note, next_stage) "
            "VALUES (?, ?, ?, ?, ?, '', ?, ?, '', '', 0, '', '', ?)",
            (old.site, old.id, _UNDO, old.serial, int(old.stage), user, now_ns, int(old.stage)),
        )
        if winner:
            counted = _decision_of(tx, winner)
            _give_labels(tx, counted, undo=True)
            count_review(tx, old.site, task, day, counted.judgement.good, -1, now_ns)
        claim = secrets.token_hex(16) if old.by == user else ""
        _move_back(tx, reviews, old, user if claim else "", claim, why)
        return UndoneDecision(old, claim)

    return reviews.db.retrying(work)


def _undoable(tx: Transaction, old: ReviewDecision) -> tuple[int, str, int, ReviewWhy]:
    """Return which decision counts, and task, day and reason of the episode, whose row is locked.

    Raises:
        ReviewConflict: somebody has decided about it since, or it is queued again.
    """
    item = tx.one(  # locked before the newest decision is looked up
        "UPDATE review_items SET claim_until_ns = claim_until_ns WHERE site = ? AND episode = ? "
        "RETURNING stage, winner, task, day, why",
        (old.site, old.id),
    )
    newest = _standing(tx, old.site, old.id)
    if item is not None and newest is not None and newest.serial == old.serial:
        stage, winner, task, day, why = item
        if winner or stage == old.next_stage:  # else it was queued again
            return winner, task, day, ReviewWhy(why)
    raise ReviewConflict(f"{old.id}: somebody has decided about it since, or it is queued again")


def _to_undo(tx: Transaction, user: str, of_all: bool, serial: int | None) -> ReviewDecision:
    if serial is None:
        row = tx.one(
            f"SELECT {_COLUMNS} FROM review_decisions d WHERE who = ? AND {_STANDS.format('d')} "
            "ORDER BY serial DESC LIMIT 1",
            (user,),
        )
        if row is None:
            raise ConfigError("you have no decision to undo")
        return _decision(row)
    row = tx.one(
        f"SELECT {_COLUMNS} FROM review_decisions d WHERE serial = ? AND {_STANDS.format('d')}",
        (serial,),
    )
    if row is None:
        raise ConfigError(f"there is no decision {serial} that is not undone")
    old = _decision(row)
    if old.by != user and not of_all:
        raise ConfigError(f"decision {serial} is not yours: an admin can undo it")
    return old


def _move_back(
    tx: Transaction, reviews: Reviews, old: ReviewDecision, user: str, claim: str, why: ReviewWhy
) -> None:
    """Let an episode wait for a decision again, for who made it at once."""
    until_ns = reviews.clock() + round(reviews.policy.lease_s * NS_PER_S) if claim else 0
    who = {ReviewStage.FIRST: ", first_by = ''", ReviewStage.SECOND: ", second_by = ''"}
    adjudicates = old.stage is ReviewStage.ADJUDICATE
    tx.run(
        "UPDATE review_items SET stage = ?, priority = ?, claim = ?, claimed_by = ?, claim_until_ns = ?, "
        f"winner = 0{who.get(old.stage, '')} WHERE site = ? AND episode = ?",
        (int(old.stage), ADJUDICATION_PRIORITY if adjudicates else why.priority, claim, user, until_ns,
         old.site, old.id),
    )  # fmt: skip


def settle_overdue(reviews: Reviews) -> int:
    """Let first decisions count whose second opinion did not come in time; return how many."""
    now_ns = reviews.clock()
    before_ns = now_ns - round(reviews.policy.second_days * DAY_NS)

    def work(tx: Transaction) -> int:
        rows = tx.run(
            "SELECT site, episode, task, day FROM review_items WHERE stage = 2 AND decided_ns < ? "
            f"AND claim_until_ns <= ? ORDER BY priority, start_ns LIMIT ? {reviews.db.skip_locked}",
            (before_ns, now_ns, _MOST_OVERDUE),
        )
        for site, id, task, day in rows:
            first = _standing(tx, site, id)
            if first is None:
                continue
            _give_labels(tx, first, undo=False)
            count_review(tx, site, task, day, first.judgement.good, 1, now_ns)
            tx.run(
                f"UPDATE review_items SET stage = {ReviewStage.DONE:d}, winner = ?, decided_ns = ?, "
                "claim = '', claimed_by = '', claim_until_ns = 0 WHERE site = ? AND episode = ?",
                (first.serial, now_ns, site, id),
            )
        return len(rows)

    return reviews.db.retrying(work)


def opinions(db: Database, site: str, id: str) -> list[InspectorJudgement]:
    """Return the two decisions that differ about an episode, oldest first. Only for who adjudicates."""
    with db.reading() as tx:
        rows = tx.run(
            f"SELECT {_COLUMNS} FROM review_decisions d WHERE site = ? AND episode = ? "
            f"AND {_STANDS.format('d')} AND stage <= 2 ORDER BY serial DESC LIMIT 2",
            (site, id),
        )
    return [_decision(row).judgement for row in reversed(rows)]


def decision(db: Database, serial: int) -> ReviewDecision:
    """Return a decision by its number.

    Raises:
        ConfigError: it does not exist.
    """
    with db.reading() as tx:
        return _decision_of(tx, serial)


def history(
    db: Database, by: str | None, site: str = "", id: str = "", limit: int = 50
) -> list[ReviewDecision]:
    """Return decisions, newest first.

    Args:
        db: of the centre.
        by: only theirs; None: of all.
        site, id: of an episode; empty: any.
        limit: most to return.
    """
    where, values = ["kind = 'decision'"], []
    for column, value in (("who", by), ("site", site or None), ("episode", id or None)):
        if value is not None:
            where.append(f"{column} = ?")
            values.append(value)
    with db.reading() as tx:
        rows = tx.run(
            f"SELECT {_COLUMNS}, EXISTS (SELECT 1 FROM review_decisions u WHERE u.undoes = d.serial "
            "AND u.undoes IS NOT NULL) FROM review_decisions d "
            f"WHERE {' AND '.join(where)} ORDER BY serial DESC LIMIT ?",
            [*values, limit],
        )
    return [_decision(row[:-1], bool(row[-1])) for row in rows]


def numbers_of(db: Database, user: str, now_ns: int) -> tuple[int, int]:
    """Return how many decisions somebody made today (UTC) and in all, without those undone."""
    with db.reading() as tx:
        row = tx.one(
            "SELECT COALESCE(SUM(CASE WHEN at_ns >= ? THEN 1 ELSE 0 END), 0), COUNT(*) "
            f"FROM review_decisions d WHERE who = ? AND {_STANDS.format('d')}",
            (now_ns // DAY_NS * DAY_NS, user),
        )
    return (int(row[0]), int(row[1])) if row is not None else (0, 0)


def floor_agreement(db: Database, since_ns: int = 0) -> FloorAgreement:
    """Return how well first and blind second decisions agree.

    Args:
        db: of the centre.
        since_ns: only second decisions made at or after, ns since the epoch.
    """
    with db.reading() as tx:
        rows = tx.run(
            f"SELECT f.who, s.who, {_CLASS.format('f')}, {_CLASS.format('s')}, COUNT(*) "
            "FROM review_decisions s JOIN review_decisions f ON f.serial = ("
            "SELECT MAX(x.serial) FROM review_decisions x WHERE x.site = s.site AND "
            f"x.episode = s.episode AND x.serial < s.serial AND x.stage = 1 AND {_STANDS.format('x')}) "
            f"WHERE s.stage = 2 AND s.at_ns >= ? AND {_STANDS.format('s')} GROUP BY 1, 2, 3, 4",
            (since_ns,),
        )
    by_pair: dict[tuple[str, str], list[tuple[str, str, int]]] = {}
    for first, second, one, other, count in rows:
        by_pair.setdefault((first, second), []).append((one, other, count))
    tables = {pair: confusion(found, CLASSES) for pair, found in sorted(by_pair.items())}
    whole = summed(tables.values(), len(CLASSES))
    names = sorted({name for pair in tables for name in pair})
    inspectors = {}
    for name in names:
        own = [table for (first, _), table in tables.items() if first == name]
        own += [transposed(table) for (_, second), table in tables.items() if second == name]
        inspectors[name] = agreement(summed(own, len(CLASSES)))
    pairs = tuple(PairAgreement(*pair, agreement(table)) for pair, table in tables.items())
    return FloorAgreement(pairs, inspectors, agreement(whole), whole)


def _decision_of(tx: Transaction, serial: int) -> ReviewDecision:
    row = tx.one(
        f"SELECT {_COLUMNS} FROM review_decisions WHERE serial = ? AND kind = 'decision'", (serial,)
    )
    if row is None:
        raise ConfigError(f"there is no decision {serial}")
    return _decision(row)


def _decision(row: tuple[Any, ...], undone: bool = False) -> ReviewDecision:
    serial, site, id, stage, by, at_ns, outcome, cause, usable, reason, note, after = row
    judgement = InspectorJudgement(Outcome[outcome.upper()], cause, bool(usable), reason, note)
    return ReviewDecision(
        serial, site, id, ReviewStage(stage), by, at_ns, judgement, ReviewStage(after), undone
    )
