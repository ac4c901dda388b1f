"""Partitions of the episodes on PostgreSQL: one per month, made when its first episode comes."""

from __future__ import annotations

import time
from datetime import datetime, timezone

from robot_recorder.floor.centre.database.database import Database, Dialect, Transaction
from robot_recorder.model.streams import NS_PER_S

_FIRST_YEAR = 2020
_AHEAD_NS = 40 * 86_400 * NS_PER_S
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class MonthPartitions:
    """Knows which partitions exist. Times before 2020 or in the far future stay in the default one."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._known: set[str] = set()

    def prepare(self, tx: Transaction, start_ns: int) -> None:
        """Make the partition of a time if it is missing, within a transaction that is about to use it.

        Raises:
            DatabaseError: it cannot be made.
        """
        if self._db.dialect is Dialect.SQLITE or start_ns > time.time_ns() + _AHEAD_NS:
            return
        month = datetime.fromtimestamp(start_ns // NS_PER_S, timezone.utc)
        if month.year < _FIRST_YEAR:
            return
        name = f"episodes_{month:%Y_%m}"
        if name in self._known:
            return
        if tx.one("SELECT to_regclass(?)", (name,)) == (None,):
            self._make(tx, name, month.year, month.month)
        tx.afterwards(lambda: self._known.add(name))

    def _make(self, tx: Transaction, name: str, year: int, month: int) -> None:
        """Make a partition, with what the default one holds of it."""
        tx.lock("partitions of episodes")
        if tx.one("SELECT to_regclass(?)", (name,)) != (None,):
            return  # somebody else was faster
        first, after = _ns(year, month), _ns(year + month // 12, month % 12 + 1)
        condition = f"start_ns >= {first} AND start_ns < {after}"
        # No other may put episodes of this month into the default partition meanwhile.
        tx.run("LOCK TABLE episodes_default IN ACCESS EXCLUSIVE MODE")
        tx.run(f"CREATE TABLE {name} (LIKE episodes INCLUDING ALL)")
        tx.run(f"INSERT INTO {name} SELECT * FROM episodes_default WHERE {condition}")
        tx.run(f"DELETE FROM episodes_default WHERE {condition}")
        tx.run(
            f"ALTER TABLE episodes ATTACH PARTITION {name} FOR VALUES FROM ({first}) TO ({after})"
        )


def _ns(year: int, month: int) -> int:
    """Return the time at which a month begins."""
    return (
        round((datetime(year, month, 1, tzinfo=timezone.utc) - _EPOCH).total_seconds()) * NS_PER_S
    )
