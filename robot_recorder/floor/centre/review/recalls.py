"""Recalls of many episodes with a reason: found and labelled in the background, undone alike.

A recall also takes episodes that match and arrive later, from a robot that was away.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from robot_recorder.catalogue.entry import Entry
from robot_recorder.floor.centre.database.database import (
    Database,
    DatabaseError,
    Dialect,
    Transaction,
)
from robot_recorder.floor.centre.json_log import log_event
from robot_recorder.floor.centre.review.policy import retry_pause_ns
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.model.text import storable

_LOGGER = logging.getLogger(__name__)
COUNTED = 100_000
_LOCK = "recalls"
_FOUND_AT_ONCE = 1000
_LABELLED_AT_ONCE = 50
_LEASE_NS = 300 * NS_PER_S
_MOST_TRIES = 20
_MOST_STANDING = 500
_MOST_SHOWN = 200


class RecallState(str, Enum):
    """How far a recall is."""

    FINDING = "finding"
    RECALLING = "recalling"
    RECALLED = "recalled"
    UNDOING = "undoing"
    UNDONE = "undone"


@dataclass(frozen=True)
class RecallFilter:
    """Which episodes are recalled; empty, None: any.

    Attributes:
        site, robot, operator, task, version: equal to; the version is that of the recording software.
        since_ns, until_ns: the episode started at or after, and before.
    """

    site: str = ""
    robot: str = ""
    operator: str = ""
    task: str = ""
    version: str = ""
    since_ns: int | None = None
    until_ns: int | None = None

    @property
    def is_empty(self) -> bool:
        """Return whether it matches everything."""
        return self == RecallFilter()

    def where(self) -> tuple[str, list[Any]]:
        """Return conditions on ``trend_episodes``, and their values."""
        where, values = ["1 = 1"], []
        for column in ("site", "robot", "operator", "task", "version"):
            if text := getattr(self, column):
                where.append(f"{column} = ?")
                values.append(text)
        for limit, sign in ((self.since_ns, ">="), (self.until_ns, "<")):
            if limit is not None:
                where.append(f"start_ns {sign} ?")
                values.append(limit)
        return " AND ".join(where), values

    def matches(self, site: str, entry: Entry, version: str) -> bool:
        """Tell whether it takes an episode."""
        found = {
            "site": site, "robot": entry.robot, "operator": entry.operator, "task": entry.task,
            "version": version,
        }  # fmt: skip
        return (
            all(getattr(self, name) in ("", text) for name, text in found.items())
            and (self.since_ns is None or entry.start_ns >= self.since_ns)
            and (self.until_ns is None or entry.start_ns < self.until_ns)
        )


@dataclass(frozen=True)
class BatchRecall:
    """A recall and its progress.

    Attributes:
        serial: its number.
        reason: why.
        filter: what it takes.
        by: who recalled.
        at_ns: when, ns since the epoch.
        state: how far it is.
        found, done, failed: episodes that match, are labelled as the state asks, and cannot be.
        problem: of the last that failed.
        undone_by, undone_reason: who undid it and why; empty: nobody.
    """

    serial: int
    reason: str
    filter: RecallFilter
    by: str
    at_ns: int
    state: RecallState
    found: int = 0
    done: int = 0
    failed: int = 0
    problem: str = ""
    undone_by: str = ""
    undone_reason: str = ""


@dataclass(frozen=True)
class RecallStep:
    """An episode that a recall labels, or takes its label back from.

    Attributes:
        recall: which.
        site, id: of the episode.
        returns: whether the label is taken back.
    """

    recall: BatchRecall
    site: str
    id: str
    returns: bool


def matching(db: Database, filter: RecallFilter, most: int = COUNTED) -> int:
    """Count the episodes that a filter takes, at most ``most`` + 1."""
    where, values = filter.where()
    with db.reading() as tx:
        row = tx.one(
            "SELECT COUNT(*) FROM "
            f"(SELECT 1 AS one FROM trend_episodes WHERE {where} LIMIT ?) AS found",
            [*values, most + 1],
        )
    return int(row[0]) if row is not None else 0


def recall(db: Database, filter: RecallFilter, reason: str, by: str, now_ns: int) -> int:
    """Begin a recall; return its number.

    Raises:
        ConfigError: it has no condition or no reason.
    """
    if filter.is_empty:
        raise ConfigError("a recall without a condition would take everything: give one")
    if not reason.strip():
        raise ConfigError("a recall needs a reason: say why")
    with db.transaction() as tx:
        # Episodes that arrive meanwhile see the recall, or are seen by it.
        tx.lock(_LOCK)
        row = tx.one(
            "INSERT INTO recalls (reason, filter, who, at_ns, state) VALUES (?, ?, ?, ?, ?) RETURNING serial",
            (reason, json.dumps(asdict(filter)), by, now_ns, RecallState.FINDING),
        )  # fmt: skip
    assert row is not None  # an INSERT that succeeds returns its row
    return int(row[0])


def undo_recall(db: Database, serial: int, reason: str, by: str, now_ns: int) -> None:
    """Begin to take a recall back.

    Raises:
        ConfigError: it does not exist, or is undone already.
    """
    with db.transaction() as tx:
        done = tx.run(
            "UPDATE recalls SET state = 'undoing', undone_by = ?, undone_reason = ?, undone_ns = ? "
            "WHERE serial = ? AND state NOT IN ('undoing', 'undone') RETURNING serial",
            (by, reason, now_ns, serial),
        )
        if not done:
            raise ConfigError(f"there is no recall {serial} that is not undone")
        tx.run(
            # Not before the lease of a step that is under way: its label would come after the retraction.
            "UPDATE recall_episodes SET state = 'returning', tries = 0, problem = '' WHERE recall = ?",
            (serial,),
        )


def all_recalls(db: Database) -> list[BatchRecall]:
    """Return the newest recalls with their progress, newest first."""
    with db.reading() as tx:
        rows = tx.run(f"{_SELECT} ORDER BY serial DESC LIMIT ?", (_MOST_SHOWN,))
        counts = tx.run(
            "SELECT recall, state, COUNT(*) FROM recall_episodes WHERE recall >= ? GROUP BY recall, state",
            (min((row[0] for row in rows), default=0),),
        )  # fmt: skip
    by_recall: dict[int, dict[str, int]] = {}
    for serial, state, count in counts:
        by_recall.setdefault(serial, {})[state] = count
    return [_recall(row, by_recall.get(row[0], {})) for row in rows]


_SELECT = "SELECT serial, reason, filter, who, at_ns, state, problem, undone_by, undone_reason FROM recalls"


def _recall(row: tuple[Any, ...], counts: dict[str, int]) -> BatchRecall:
    serial, reason, filter, by, at_ns, state, problem, undone_by, undone_reason = row
    state = RecallState(state)
    back = state in (RecallState.UNDOING, RecallState.UNDONE)
    return BatchRecall(
        serial, reason, RecallFilter(**json.loads(filter)), by, at_ns, state, sum(counts.values()),
        counts.get("returned" if back else "recalled", 0), counts.get("failed", 0), problem,
        undone_by, undone_reason,
    )  # fmt: skip


def on_episode(tx: Transaction, site: str, entry: Entry, version: str) -> None:
    """Recall an episode that arrives if a standing recall takes it.

    Args:
        tx: the transaction in which its entry is put into the catalogue.
        site: where it was recorded.
        entry: of the catalogue.
        version: of the software that recorded it.
    """
    if tx.dialect is Dialect.POSTGRESQL:
        # A recall begins before this transaction looks or after it has ended.
        tx.run("SELECT pg_advisory_xact_lock_shared(hashtextextended(?, 0))", (_LOCK,))
    standing = tx.run(
        "SELECT serial, filter, state FROM recalls WHERE state IN ('finding', 'recalling', 'recalled') "
        "ORDER BY serial DESC LIMIT ?",
        (_MOST_STANDING,),
    )
    for serial, filter, state in standing:
        if not RecallFilter(**json.loads(filter)).matches(site, entry, version):
            continue
        tx.run(
            "INSERT INTO recall_episodes (recall, site, episode, state) VALUES (?, ?, ?, 'due') "
            "ON CONFLICT DO NOTHING",
            (serial, site, entry.id),
        )
        if state == RecallState.RECALLED.value:
            tx.run(
                "UPDATE recalls SET state = 'recalling' WHERE serial = ? AND state = 'recalled' "
                "AND EXISTS (SELECT 1 FROM recall_episodes WHERE recall = ? AND state = 'due')",
                (serial, serial),
            )


def find_some(db: Database) -> bool:
    """Find the next episodes of the oldest recall that is still looking; tell whether there was one.

    A recall that the database refuses to look for ends with that as its problem: the others go on.
    """
    looked: list[int] = []

    def work(tx: Transaction) -> bool:
        row = tx.one(
            "SELECT serial, filter, cursor_site, cursor_episode FROM recalls WHERE state = 'finding' "
            f"ORDER BY serial LIMIT 1 {db.skip_locked}"
        )
        if row is None:
            return False
        serial, filter, *cursor = row
        looked[:] = [serial]
        where, values = RecallFilter(**json.loads(filter)).where()
        found = tx.run(
            f"SELECT site, episode FROM trend_episodes WHERE (site, episode) > (?, ?) AND {where} "
            "ORDER BY site, episode LIMIT ?",
            [*cursor, *values, _FOUND_AT_ONCE],
        )
        tx.many(
            "INSERT INTO recall_episodes (recall, site, episode, state) VALUES (?, ?, ?, 'due') "
            "ON CONFLICT DO NOTHING",
            [(serial, site, id) for site, id in found],
        )
        ends = len(found) < _FOUND_AT_ONCE
        tx.run(
            "UPDATE recalls SET cursor_site = ?, cursor_episode = ?, state = ? "
            "WHERE serial = ? AND state = 'finding'",
            (*(found[-1] if found else cursor),
             RecallState.RECALLING if ends else RecallState.FINDING, serial),
        )  # fmt: skip
        return True

    try:
        return db.retrying(work)
    except DatabaseError as error:
        if error.retry or not looked:
            raise
        log_event(
            _LOGGER, "a recall cannot look", logging.WARNING, recall=looked[0], why=str(error)
        )
        problem = "the database refuses to look for its episodes: see the centre's log"
        with db.transaction() as tx:
            tx.run(
                "UPDATE recalls SET state = ?, problem = ? WHERE serial = ? AND state = 'finding'",
                (RecallState.RECALLING, problem, *looked),
            )
        return True


def take_steps(db: Database, now_ns: int) -> list[RecallStep]:
    """Take the next episodes to be labelled; they come again after five minutes unless noted.

    An episode whose earlier recalls are not labelled yet waits for nothing: each recall has a note of its
    own.
    """

    def work(tx: Transaction) -> list[RecallStep]:
        for row in tx.run(
            f"{_SELECT} WHERE state IN ('finding', 'recalling', 'undoing') ORDER BY serial"
        ):
            one = _recall(row, {})
            states = ("returning",) if one.state is RecallState.UNDOING else ("due",)
            taken = tx.run(
                "SELECT site, episode FROM recall_episodes WHERE recall = ? AND not_before_ns <= ? "
                f"AND state IN ('due', 'returning') AND state = '{states[0]}' "
                f"ORDER BY not_before_ns LIMIT ? {db.skip_locked}",
                (one.serial, now_ns, _LABELLED_AT_ONCE),
            )
            if taken:
                tx.many(
                    "UPDATE recall_episodes SET not_before_ns = ?, tries = tries + 1 "
                    "WHERE recall = ? AND site = ? AND episode = ?",
                    [(now_ns + _LEASE_NS, one.serial, site, id) for site, id in taken],
                )
                back = one.state is RecallState.UNDOING
                return [RecallStep(one, site, id, back) for site, id in taken]
            _end(tx, one)
        return []

    return db.retrying(work)


def _end(tx: Transaction, one: BatchRecall) -> None:
    """Note that a recall has nothing left to label, if so."""
    ends = {RecallState.RECALLING: RecallState.RECALLED, RecallState.UNDOING: RecallState.UNDONE}
    if one.state in ends:
        tx.run(
            "UPDATE recalls SET state = ? WHERE serial = ? AND state = ? AND NOT EXISTS ("
            "SELECT 1 FROM recall_episodes WHERE recall = ? AND state IN ('due', 'returning'))",
            (ends[one.state], one.serial, one.state, one.serial),
        )


def note_step(db: Database, step: RecallStep, problem: str, for_good: bool, now_ns: int) -> None:
    """Note how a step went.

    Args:
        db: of the centre.
        step: as ``take_steps`` returned it.
        problem: why it failed; empty: it is done.
        for_good: whether it makes no sense to try again.
        now_ns: ns since the epoch.
    """

    def work(tx: Transaction) -> None:
        key = (step.recall.serial, step.site, step.id)
        ours = "returning" if step.returns else "due"
        if not problem:
            tx.run(
                "UPDATE recall_episodes SET state = ?, problem = '', not_before_ns = 0 "
                "WHERE recall = ? AND site = ? AND episode = ? AND state = ?",
                ("returned" if step.returns else "recalled", *key, ours),
            )
            return
        told = storable(problem)
        row = tx.one(
            "SELECT tries FROM recall_episodes WHERE recall = ? AND site = ? AND episode = ?", key
        )
        tries = row[0] if row is not None else 0
        state = "failed" if for_good or tries >= _MOST_TRIES else ours
        tx.run(
            "UPDATE recall_episodes SET state = ?, problem = ?, not_before_ns = ? "
            "WHERE recall = ? AND site = ? AND episode = ? AND state = ?",
            (state, told, now_ns + retry_pause_ns(tries), *key, ours),
        )
        tx.run("UPDATE recalls SET problem = ? WHERE serial = ?", (f"{step.id}: {told}", key[0]))

    db.retrying(work)
