"""Questions to a catalogue of millions: which episodes, newest first, and how many.

No question is left to SQLite's planner: each names its index. The newest of every pair of outcome
and verdict are sought, and merged.
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
from robot_recorder.quality.report import Verdict

COUNTED = 10_000  # further on, nobody wants to know
_FEW = 50_000  # by length: so many can be sorted by time at once
_LONGEST_MS = LATEST_NS
# All tasks that occur, one step of the index each.
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
    """What is asked for; None: anything.

    Attributes:
        since_ns, until_ns: when it started, from and before.
        longer_ms, shorter_ms: how long it lasted, at least and less than.
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
        """Whether it asks for how long they lasted."""
        return self.longer_ms is not None or self.shorter_ms is not None


@dataclass(frozen=True)
class _IndexRange:
    """A range of an index: what follows ``SELECT ...``, and its values."""

    tail: str
    values: tuple[Any, ...]


class Query:
    """One question to one catalogue."""

    def __init__(self, catalogue: Catalogue, filter: Filter) -> None:
        self._catalogue = catalogue
        self._parts = _parts(catalogue, filter)

    def newest(self, limit: int) -> list[Entry]:
        """The newest that match, oldest of them first."""
        keys = [key for _, key in itertools.islice(self._merged("DESC", limit), limit)]
        return sorted(self._catalogue.entries(keys), key=lambda e: (e.start_ns, e.name))

    def all(self) -> Iterator[Entry]:
        """All that match, oldest first, as they are read."""
        return self._catalogue.entries(key for _, key in self._merged("ASC", -1))

    def _merged(self, direction: str, limit: int) -> Iterator[tuple[int, int]]:
        """Start and key in order of time; each part is read no further than its turn comes."""
        rows = [
            self._catalogue.connection.execute(
                f"SELECT start_ns, key {part.tail} ORDER BY start_ns {direction} LIMIT ?",
                (*part.values, limit),
            )
            for part in self._parts
        ]
        return heapq.merge(*rows, key=lambda row: row[0], reverse=direction == "DESC")

    def count(self, most: int = COUNTED) -> int:
        """How many match; ``most`` + 1 when they are more than ``most``."""
        total = 0
        for part in self._parts:
            total += _count(self._catalogue, part, most + 1 - total)
            if total > most:
                break
        return total


def _count(catalogue: Catalogue, part: _IndexRange, most: int) -> int:
    sql = f"SELECT COUNT(*) FROM (SELECT 1 {part.tail} LIMIT ?)"
    return int(catalogue.connection.execute(sql, (*part.values, most)).fetchone()[0])


def names(catalogue: Catalogue, column: str) -> list[str]:
    """All tasks, robots or operators that occur."""
    sql = f"SELECT text FROM names WHERE id IN (SELECT {column} FROM tally) AND text != ''"
    return [text for (text,) in catalogue.connection.execute(sql)]


def _parts(catalogue: Catalogue, filter: Filter) -> list[_IndexRange]:
    """The ranges that together hold what matches."""
    ids: dict[str, int] = {}
    for column in ("robot", "operator", "task"):
        text = getattr(filter, column)
        if text is not None:
            number = catalogue.number(text)
            if number is None:
                return []
            ids[column] = number
    if "robot" in ids or "operator" in ids:  # few enough to be looked through for the rest
        first = "robot" if "robot" in ids else "operator"
        return _by_time(filter, f"by_{first}", first, ids)
    if filter.by_length:
        ever = replace(filter, since_ns=None, until_ns=None)
        if _count(catalogue, _by_length(catalogue, ever, ids), _FEW + 1) <= _FEW:
            return [_by_length(catalogue, filter, ids)]
    first = "task" if "task" in ids else ""
    return _by_time(filter, f"by_{first or 'time'}", first, ids)


def _by_time(filter: Filter, index: str, first: str, ids: dict[str, int]) -> list[_IndexRange]:
    """A range per pair of outcome and verdict, in order of time."""
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
    """Everything that lasted so long, of one task or of all."""
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
