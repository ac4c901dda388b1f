"""The sums over the catalogue's episodes, kept right with every change: ``tally``, ``whys``, ``hours``.

``tally`` counts episodes by day, site, robot, operator and task; ``whys`` causes of failures and reasons of
verdicts, by the same; ``hours`` says when each robot was at work.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from robot_recorder.catalogue.schema import COUNTERS, DAY_NS, HOUR_NS, PAIRS
from robot_recorder.floor.centre.database.database import Database, Dialect, Transaction
from robot_recorder.model.labels import Outcome
from robot_recorder.model.streams import NS_PER_MS
from robot_recorder.quality.verdict import Verdict

CELL = ("day", "site", "robot", "operator", "task")
CAUSE = -1  # as ``verdict`` of ``whys``: why is the cause of a failure
_NAMED = ("site", "robot", "operator", "task")
_KEY = ", ".join(CELL)
_SAME = " AND ".join(f"{column} = ?" for column in CELL)
_NOTHING = " AND ".join(f"{counter} = 0" for counter in COUNTERS)
_SPAN = f"MIN(start_ns), MAX(start_ns + duration_ms * {NS_PER_MS})"
_REBUILD = (
    "DELETE FROM tally",
    "DELETE FROM whys",
    "DELETE FROM hours",
    f"INSERT INTO tally ({_KEY}, {', '.join(COUNTERS)}, duration_ms, size_bytes) "
    f"SELECT start_ns / {DAY_NS}, {', '.join(_NAMED)}, "
    + ", ".join(f"COUNT(*) FILTER (WHERE outcome = {o:d} AND verdict = {v:d})" for o, v in PAIRS)
    + ", SUM(duration_ms), SUM(size_bytes) FROM episodes GROUP BY 1, 2, 3, 4, 5",
    f"INSERT INTO whys ({_KEY}, verdict, why, episodes) SELECT start_ns / {DAY_NS}, {', '.join(_NAMED)}, {CAUSE}, "
    f"cause, COUNT(*) FROM episodes WHERE outcome = {Outcome.FAILURE:d} GROUP BY 1, 2, 3, 4, 5, 7",
    f"INSERT INTO whys ({_KEY}, verdict, why, episodes) SELECT start_ns / {DAY_NS}, {', '.join(_NAMED)}, verdict, "
    f"reason, COUNT(*) FROM episodes WHERE verdict >= {Verdict.REVIEW:d} GROUP BY 1, 2, 3, 4, 5, 6, 7",
    f"INSERT INTO hours (site, robot, hour, first_ns, last_ns) SELECT site, robot, start_ns / {HOUR_NS}, {_SPAN} "
    "FROM episodes GROUP BY 1, 2, 3",
)

Row = Mapping[str, Any]


def sum_up(db: Database, tx: Transaction, before: Row | None, after: Row | None) -> None:
    """Update the sums after an episode's row has changed; None: the row did not or does not exist."""
    tally: dict[tuple[int, ...], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    whys: dict[tuple[int, ...], int] = defaultdict(int)
    for row, sign in ((before, -1), (after, 1)):
        if row is None:
            continue
        cell = (row["start_ns"] // DAY_NS, *(row[column] for column in _NAMED))
        tally[cell][f"n{row['outcome']}{row['verdict']}"] += sign
        tally[cell]["duration_ms"] += sign * row["duration_ms"]
        tally[cell]["size_bytes"] += sign * row["size_bytes"]
        if row["outcome"] == Outcome.FAILURE:
            whys[(*cell, CAUSE, row["cause"])] += sign
        if row["verdict"] >= Verdict.REVIEW:
            whys[(*cell, row["verdict"], row["reason"])] += sign
    # In one order for all, so that two transactions never wait for each other.
    for cell, deltas in sorted(tally.items()):
        _add_to_tally(tx, cell, deltas)
    for why, delta in sorted(whys.items()):
        _add_to_whys(tx, why, delta)
    _work(db, tx, before, after)


def rebuild(tx: Transaction) -> None:
    """Compute all sums anew from the episodes."""
    for statement in _REBUILD:
        tx.run(statement)


def _add_to_tally(tx: Transaction, cell: tuple[int, ...], deltas: Mapping[str, int]) -> None:
    changed = {column: delta for column, delta in sorted(deltas.items()) if delta}
    if not changed:
        return
    columns = {"duration_ms": 0, "size_bytes": 0} | changed
    tx.run(
        f"INSERT INTO tally ({_KEY}, {', '.join(columns)}) "
        f"VALUES ({', '.join('?' * (len(CELL) + len(columns)))}) ON CONFLICT ({_KEY}) DO UPDATE SET "
        + ", ".join(f"{column} = tally.{column} + excluded.{column}" for column in changed),
        (*cell, *columns.values()),
    )
    if any(delta < 0 for column, delta in changed.items() if column in COUNTERS):
        tx.run(f"DELETE FROM tally WHERE {_SAME} AND {_NOTHING}", cell)


def _add_to_whys(tx: Transaction, why: tuple[int, ...], delta: int) -> None:
    if not delta:
        return
    tx.run(
        f"INSERT INTO whys ({_KEY}, verdict, why, episodes) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
        f"ON CONFLICT ({_KEY}, verdict, why) DO UPDATE SET episodes = whys.episodes + excluded.episodes",
        (*why, delta),
    )
    if delta < 0:
        tx.run(f"DELETE FROM whys WHERE {_SAME} AND verdict = ? AND why = ? AND episodes = 0", why)


def _work(db: Database, tx: Transaction, before: Row | None, after: Row | None) -> None:
    """Update when robots were at work."""
    hours = [None if row is None else _hour(row) for row in (before, after)]
    if before is not None and after is not None:
        if hours[0] == hours[1] and before["duration_ms"] == after["duration_ms"] and (
            before["start_ns"] == after["start_ns"]
        ):  # fmt: skip
            return
    if before is not None:
        _look_at_hour(db, tx, _hour(before))
    if after is not None and hours[0] != hours[1]:
        stop_ns = after["start_ns"] + after["duration_ms"] * NS_PER_MS
        tx.run(
            "INSERT INTO hours (site, robot, hour, first_ns, last_ns) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (site, robot, hour) DO UPDATE SET "
            f"first_ns = {db.least}(hours.first_ns, excluded.first_ns), "
            f"last_ns = {db.greatest}(hours.last_ns, excluded.last_ns)",
            (*_hour(after), after["start_ns"], stop_ns),
        )


def _hour(row: Row) -> tuple[int, int, int]:
    return row["site"], row["robot"], row["start_ns"] // HOUR_NS


def _look_at_hour(db: Database, tx: Transaction, hour: tuple[int, int, int]) -> None:
    """Compute anew when a robot was at work within an hour."""
    if db.dialect is Dialect.POSTGRESQL:
        # Others that add to this hour have ended, or wait: the next statement sees what they wrote.
        tx.run("SELECT 1 FROM hours WHERE site = ? AND robot = ? AND hour = ? FOR UPDATE", hour)
    site, robot, number = hour
    row = tx.one(
        f"SELECT {_SPAN} FROM episodes WHERE robot = ? AND start_ns >= ? AND start_ns < ? AND site = ?",
        (robot, number * HOUR_NS, (number + 1) * HOUR_NS, site),
    )
    assert row is not None
    if row[0] is None:
        tx.run("DELETE FROM hours WHERE site = ? AND robot = ? AND hour = ?", hour)
    else:
        tx.run(
            "UPDATE hours SET first_ns = ?, last_ns = ? WHERE site = ? AND robot = ? AND hour = ?",
            (*row, *hour),
        )
