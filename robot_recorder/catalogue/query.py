"""Queries over a catalogue of millions of episodes: which ones, newest first, and how many.

Every query names its index and does not rely on SQLite's planner. The index is read for each pair
of outcome and verdict, and the results are merged by time.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.catalogue.entry import LATEST_NS, Entry
from robot_recorder.model.labels import Outcome
from robot_recorder.quality.verdict import Verdict

COUNTED = 10_000  # counting stops here: exact larger numbers are of no use
_FEW = 50_000  # episodes of a duration that can be sorted by time in one go
_LONGEST_MS = LATEST_NS
# All tasks that occur, with one lookup in the index each.
_TASKS = """
WITH RECURSIVE known(task) AS (
    SELECT MIN(task) FROM episodes INDEXED BY by_task
    UNION ALL
    SELECT (SELECT MIN(task) FROM episodes INDEXED BY by_task WHERE task > known.task)
    FROM known WHERE known.task IS NOT NULL
) SELECT task FROM known WHERE task IS NOT NULL
"""


@dataclass(frozen=True)
class Filter:
    """Conditions on episodes; None: any value.

    Attributes:
        task, robot, operator, outcome, verdict: equal to.
        since_ns, until_ns: the episode started at or after, and before.
        longer_ms, shorter_ms: the episode lasted at least, and less than.
    """

    task: str | None = None
    robot: str | None = None
    operator: str | None = None
    outcome: Outcome | None = None
    verdict: Verdict | None = None
    since_ns: int | None = None
    until_ns: int | None = None
    longer_ms: int | None = None
    shorter_ms: int | None = None

    @property
    def by_length(self) -> bool:
        """Whether there is a condition on the duration."""
        return self.longer_ms is not None or self.shorter_ms is not None


@dataclass(frozen=True)
class _IndexRange:
    """A range of an index: the SQL after ``SELECT ...``, and its parameters."""

    tail: str
    values: tuple[Any, ...]


class Query:
    """A filter applied to one catalogue."""

    def __init__(self, catalogue: Catalogue, filter: Filter) -> None:
        self._catalogue = catalogue
        self._parts = _parts(catalogue, filter)

    def newest(self, limit: int) -> list[Entry]:
        """Return the newest matching episodes, sorted oldest first."""
        keys = [key for _, key in itertools.islice(self._merged("DESC", limit), limit)]
        return sorted(self._catalogue.entries(keys), key=lambda e: (e.start_ns, e.name))

    def all(self) -> Iterator[Entry]:
        """Yield all matching episodes, oldest first, while reading."""
        return self._catalogue.entries(key for _, key in self._merged("ASC", -1))

    def _merged(self, direction: str, limit: int) -> Iterator[tuple[int, int]]:
        """Yield start time and key in order of time, reading each part only as far as needed."""
        rows = [
            self._catalogue.connection.execute(
                f"SELECT start_ns, key {part.tail} ORDER BY start_ns {direction} LIMIT ?",
                (*part.values, limit),
            )
            for part in self._parts
        ]
        return heapq.merge(*rows, key=lambda row: row[0], reverse=direction == "DESC")

    def count(self, most: int = COUNTED) -> int:
        """Return the number of matching episodes, at most ``most`` + 1."""
        total = 0
        for part in self._parts:
            total += _count(self._catalogue, part, most + 1 - total)
            if total > most:
                break
        return total


def _count(catalogue: Catalogue, part: _IndexRange, most: int) -> int:
    """Count the rows of a range, at most ``most``."""
    sql = f"SELECT COUNT(*) FROM (SELECT 1 {part.tail} LIMIT ?)"
    return int(catalogue.connection.execute(sql, (*part.values, most)).fetchone()[0])


def names(catalogue: Catalogue, column: str) -> list[str]:
    """Return all tasks, robots or operators that occur."""
    sql = f"SELECT text FROM names WHERE id IN (SELECT {column} FROM tally) AND text != ''"
    return [text for (text,) in catalogue.connection.execute(sql)]


def _parts(catalogue: Catalogue, filter: Filter) -> list[_IndexRange]:
    """Return the index ranges that together contain all matching episodes."""
    ids: dict[str, int] = {}
    for column in ("robot", "operator", "task"):
        text = getattr(filter, column)
        if text is not None:
            number = catalogue.number(text)
            if number is None:
                return []
            ids[column] = number
    if "robot" in ids or "operator" in ids:  # few enough to filter for the other conditions
        first = "robot" if "robot" in ids else "operator"
        return _by_time(filter, f"by_{first}", first, ids)
    if filter.by_length:
        ever = replace(filter, since_ns=None, until_ns=None)
        if _count(catalogue, _by_length(catalogue, ever, ids), _FEW + 1) <= _FEW:
            return [_by_length(catalogue, filter, ids)]
    first = "task" if "task" in ids else ""
    return _by_time(filter, f"by_{first or 'time'}", first, ids)


def _by_time(filter: Filter, index: str, first: str, ids: dict[str, int]) -> list[_IndexRange]:
    """Return one index range, in order of time, per pair of outcome and verdict."""
    conditions = [f"{first} = ?"] if first else []
    conditions += ["outcome = ?", "verdict = ?", "start_ns >= ?", "start_ns < ?"]
    limits = (filter.since_ns or 0, LATEST_NS if filter.until_ns is None else filter.until_ns)
    rest = [column for column in ids if column != first]
    conditions += [f"{column} = ?" for column in rest]
    values = tuple(ids[column] for column in rest)
    if filter.by_length:
        conditions += ["duration_ms >= ?", "duration_ms < ?"]
        values += _lengths(filter)
    tail = f"FROM episodes INDEXED BY {index} WHERE {' AND '.join(conditions)}"
    head = (ids[first],) if first else ()
    return [
        _IndexRange(tail, (*head, outcome, verdict, *limits, *values))
        for outcome in _outcomes(filter)
        for verdict in _verdicts(filter)
    ]


def _by_length(catalogue: Catalogue, filter: Filter, ids: dict[str, int]) -> _IndexRange:
    """Return the index range of a duration, of one task or all tasks."""
    tasks = [ids["task"]] if ids else [t for (t,) in catalogue.connection.execute(_TASKS)]
    tail = (
        f"FROM episodes INDEXED BY by_length WHERE task IN ({_marks(tasks)}) "
        f"AND outcome IN ({_marks(_outcomes(filter))}) AND verdict IN ({_marks(_verdicts(filter))}) "
        "AND duration_ms >= ? AND duration_ms < ? AND start_ns >= ? AND start_ns < ?"
    )
    limits = (filter.since_ns or 0, LATEST_NS if filter.until_ns is None else filter.until_ns)
    values = (*tasks, *_outcomes(filter), *_verdicts(filter), *_lengths(filter), *limits)
    return _IndexRange(tail, values)


def _outcomes(filter: Filter) -> list[Outcome]:
    return list(Outcome) if filter.outcome is None else [filter.outcome]


def _verdicts(filter: Filter) -> list[Verdict]:
    return list(Verdict) if filter.verdict is None else [filter.verdict]


def _lengths(filter: Filter) -> tuple[int, int]:
    return filter.longer_ms or 0, _LONGEST_MS if filter.shorter_ms is None else filter.shorter_ms


def _marks(values: list[Any]) -> str:
    return ", ".join("?" * len(values))
