"""How many good reviewed episodes a task needs, and what the queue rests when it has them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from robot_recorder.catalogue.schema import DAY_NS
from robot_recorder.floor.centre.database.database import Database, Transaction
from robot_recorder.floor.centre.review.policy import ReviewStage, ReviewWhy
from robot_recorder.model.errors import ConfigError

MOST_TARGET = 100_000_000
_MOST_QUOTAS = 10_000


class QuotaPeriod(str, Enum):
    """What a quota counts."""

    DAY = "day"  # the episodes of each day, UTC
    ALL = "all"


@dataclass(frozen=True)
class QuotaScope:
    """What a quota is for.

    Attributes:
        site: empty: all sites together.
        task: id of the task.
        per: each day, or all days together.
    """

    site: str
    task: str
    per: QuotaPeriod


@dataclass(frozen=True)
class QuotaProgress:
    """A quota and how far it is reached; of a quota per day, today.

    Attributes:
        serial: its number.
        scope: what it is for.
        target: good episodes wanted: reviewed as success and usable.
        good, bad: reviewed so far.
        by: who set it.
    """

    serial: int
    scope: QuotaScope
    target: int
    good: int
    bad: int
    by: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "quota": self.serial,
            "site": self.scope.site,
            "task": self.scope.task,
            "per": self.scope.per.value,
            "target": self.target,
            "good": self.good,
            "bad": self.bad,
            "reached": self.good / self.target,
            "full": self.good >= self.target,
            "by": self.by,
        }


def set_quota(db: Database, scope: QuotaScope, target: int, by: str, now_ns: int) -> int:
    """Set a quota in place of an older one of the same scope, or remove it; return its number.

    Args:
        db: of the centre.
        scope: what it is for.
        target: good episodes wanted; 0: remove it.
        by: who sets it.
        now_ns: ns since the epoch.

    Raises:
        ConfigError: it is invalid.
    """
    if not scope.task:
        raise ConfigError("a quota is for a task: name it")
    if not 0 <= target <= MOST_TARGET:
        raise ConfigError(f"a target is from 0 to {MOST_TARGET:,}, got {target:,}")
    key = (scope.site, scope.task, scope.per)
    with db.transaction() as tx:
        tx.lock(f"quota {scope.task}")
        if target:
            count = tx.one("SELECT COUNT(*) FROM review_quotas")
            if count is not None and count[0] >= _MOST_QUOTAS:
                raise ConfigError(f"there are {count[0]:,} quotas: remove some")
            row = tx.one(
                "INSERT INTO review_quotas (site, task, per, target, who, at_ns) VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (site, task, per) DO UPDATE SET target = excluded.target, "
                "who = excluded.who, at_ns = excluded.at_ns RETURNING serial",
                (*key, target, by, now_ns),
            )  # fmt: skip
        else:
            row = tx.one(
                "DELETE FROM review_quotas WHERE site = ? AND task = ? AND per = ? RETURNING serial",
                key,
            )
            if row is None:
                raise ConfigError(f"there is no such quota of {scope.task}")
        _rest_again(tx, scope.task, now_ns)
    return int(row[0]) if row is not None else 0


def quotas(db: Database, now_ns: int) -> list[QuotaProgress]:
    """Return all quotas with their progress, by task and site."""
    with db.reading() as tx:
        rows = tx.run(
            "SELECT serial, site, task, per, target, who FROM review_quotas ORDER BY task, site, per"
        )
        found = []
        for serial, site, task, per, target, by in rows:
            scope = QuotaScope(site, task, QuotaPeriod(per))
            good, bad = _reviewed(tx, scope, now_ns // DAY_NS)
            found.append(QuotaProgress(serial, scope, target, good, bad, by))
        return found


def is_full(tx: Transaction, site: str, task: str, day: int) -> bool:
    """Tell whether any quota of an episode's task is full, on its day."""
    return any(
        _reviewed(tx, scope, day)[0] >= target
        for scope, target in _of_task(tx, task)
        if scope.site in ("", site)
    )


def count_review(
    tx: Transaction, site: str, task: str, day: int, good: bool, change: int, now_ns: int
) -> None:
    """Count a decided episode, or take it off again, and rest or wake the samples of its task.

    Args:
        tx: transaction of the decision.
        site, task, day: of the episode.
        good: whether it is a usable success.
        change: 1, or -1 to take it off.
        now_ns: ns since the epoch.
    """
    tx.run(
        "INSERT INTO review_tally (task, site, day, good, bad) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (task, site, day) DO UPDATE SET good = review_tally.good + excluded.good, "
        "bad = review_tally.bad + excluded.bad",
        (task, site, day, change if good else 0, 0 if good else change),
    )
    if not good:
        return
    for scope, target in _of_task(tx, task):
        if scope.site not in ("", site):
            continue
        now = _reviewed(tx, scope, day)[0]
        if (now >= target) != (now - change >= target):
            _rest_again(tx, task, now_ns)
            return


def _of_task(tx: Transaction, task: str) -> list[tuple[QuotaScope, int]]:
    rows = tx.run("SELECT site, per, target FROM review_quotas WHERE task = ?", (task,))
    return [(QuotaScope(site, task, QuotaPeriod(per)), target) for site, per, target in rows]


def _where(scope: QuotaScope, day: int) -> tuple[str, list[Any]]:
    """Return the conditions of a scope on tables with site, task and day."""
    where: list[str] = ["task = ?"]
    values: list[Any] = [scope.task]
    if scope.site:
        where.append("site = ?")
        values.append(scope.site)
    if scope.per is QuotaPeriod.DAY:
        where.append("day = ?")
        values.append(day)
    return " AND ".join(where), values


def _reviewed(tx: Transaction, scope: QuotaScope, day: int) -> tuple[int, int]:
    """Return the numbers of good and bad episodes of a scope, on a day if it is per day."""
    where, values = _where(scope, day)
    row = tx.one(
        f"SELECT COALESCE(SUM(good), 0), COALESCE(SUM(bad), 0) FROM review_tally WHERE {where}",
        values,
    )
    return (int(row[0]), int(row[1])) if row is not None else (0, 0)


def _rest_again(tx: Transaction, task: str, now_ns: int) -> None:
    """Rest the samples of a task whose quotas are full, and wake all others."""
    tx.run(
        f"UPDATE review_items SET stage = {ReviewStage.FIRST:d} WHERE task = ? "
        f"AND why = '{ReviewWhy.SAMPLE.value}' AND stage = {ReviewStage.RESTED:d}",
        (task,),
    )
    for scope, target in _of_task(tx, task):
        if scope.per is QuotaPeriod.ALL:
            days = [0] if _reviewed(tx, scope, 0)[0] >= target else []
        else:
            where, values = _where(QuotaScope(scope.site, task, QuotaPeriod.ALL), 0)
            days = [
                day
                for (day,) in tx.run(
                    f"SELECT day FROM review_tally WHERE {where} GROUP BY day HAVING SUM(good) >= ?",
                    [*values, target],
                )
            ]
        for day in days:
            where, values = _where(scope, day)
            tx.run(
                f"UPDATE review_items SET stage = {ReviewStage.RESTED:d} WHERE {where} "
                f"AND why = '{ReviewWhy.SAMPLE.value}' AND stage = {ReviewStage.FIRST:d} "
                "AND claim_until_ns <= ?",
                [*values, now_ns],
            )
