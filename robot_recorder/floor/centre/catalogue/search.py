"""Which episodes match, newest first, and how many, among millions.

The tally says on which days which robots have episodes that match, so that only those have to be read, by
the index of robots and times. What is common is found sooner among the newest episodes of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from robot_recorder.catalogue.entry import LATEST_NS, Entry
from robot_recorder.catalogue.query import COUNTED, Filter
from robot_recorder.catalogue.schema import DAY_NS, PAIRS
from robot_recorder.floor.centre.catalogue.rows import FROM, SELECTED, NameIds, entries_of
from robot_recorder.floor.centre.database.database import Database, Dialect, Transaction

_NAMED = ("site", "task", "robot", "operator")
_FIRST_LOOK = 2_000  # newest episodes, among which what is common is found
_FEW = 10_000  # episodes of a length that can be sorted by time
_FIRST_DAYS, _MORE = 4, 4  # days of the tally that are read first, and how many times more then
_MOST_CELLS = 400
_PAGE = 2_000
_LAST_DAY = LATEST_NS // DAY_NS
# Both read the index of robots and times once per cell. OFFSET 0 keeps PostgreSQL from other plans.
_CELL = (
    "episodes.robot = cells.robot AND episodes.start_ns >= cells.first_ns "
    "AND episodes.start_ns < cells.after_ns"
)
_OF_CELLS = {
    Dialect.SQLITE: f"cells CROSS JOIN {FROM} AND {_CELL}",
    Dialect.POSTGRESQL: f"cells CROSS JOIN LATERAL (SELECT * FROM episodes WHERE {_CELL} OFFSET 0) AS {FROM}",
}


@dataclass(frozen=True)
class FloorFilter:
    """Conditions on episodes of all sites.

    Attributes:
        filter: as on a robot.
        site: None: any.
    """

    filter: Filter = field(default_factory=Filter)
    site: str | None = None

    @property
    def since_ns(self) -> int:
        """When episodes start at the earliest."""
        return max(self.filter.since_ns or 0, 0)

    @property
    def until_ns(self) -> int:
        """Before when episodes start."""
        return LATEST_NS if self.filter.until_ns is None else min(self.filter.until_ns, LATEST_NS)


@dataclass(frozen=True)
class _DayCell:
    """A robot's day with episodes that match.

    Attributes:
        matches: how many, except for conditions on length and time of day.
    """

    day: int
    robot: int
    matches: int


class Search:
    """A filter applied to the catalogue within one transaction."""

    def __init__(self, tx: Transaction, names: NameIds, wanted: FloorFilter) -> None:
        """
        Args:
            tx: that reads.
            names: texts of the catalogue.
            wanted: what has to match.
        """
        self._tx, self._names, self._wanted = tx, names, wanted
        self._empty = wanted.since_ns >= wanted.until_ns
        self._ids: dict[str, int] = {}
        for column in _NAMED:
            text = wanted.site if column == "site" else getattr(wanted.filter, column)
            if text is not None:
                number = names.find(tx, text)
                self._empty = self._empty or number is None
                self._ids[column] = number or 0
        self._where, self._values = self._conditions()
        self._counted = " + ".join(
            f"n{o:d}{v:d}"
            for o, v in PAIRS
            if wanted.filter.outcome in (None, o) and wanted.filter.verdict in (None, v)
        )

    def newest(self, limit: int) -> list[Entry]:
        """Return the newest matching episodes, sorted oldest first."""
        rows = [] if self._empty or limit < 1 else self._newest(limit)
        entries = entries_of(self._tx, self._names, rows[:limit])
        return sorted(entries, key=_order)

    def days(self, after: int, need: int) -> tuple[list[Entry], int | None]:
        """Return all matching episodes of some days, oldest first, and the last of these days.

        Args:
            after: the days that follow this one.
            need: how many episodes to read, about.

        Returns:
            The episodes, and the day to go on after; None: these are all.
        """
        cells = [] if self._empty else next(self._cells(need, False, after), [])
        if not cells:
            return [], None
        rows = self._of_cells(cells, "ASC", -1)
        return sorted(entries_of(self._tx, self._names, rows), key=_order), cells[-1].day

    def count(self, most: int = COUNTED) -> int:
        """Return the number of matching episodes, at most ``most`` + 1."""
        if self._empty:
            return 0
        since_ns, until_ns = self._wanted.since_ns, self._wanted.until_ns
        first, last = -(-since_ns // DAY_NS), until_ns // DAY_NS  # whole days
        if self._wanted.until_ns == LATEST_NS:
            last += 1
        if self._wanted.filter.by_length or first >= last:
            return self._count(since_ns, until_ns, most + 1)
        where, values = self._tally_conditions()
        row = self._tx.one(
            f"SELECT COALESCE(SUM({self._counted}), 0) FROM tally WHERE day >= ? AND day < ?{where}",
            (first, last, *values),
        )
        assert row is not None
        total = int(row[0])
        for begin, end in ((since_ns, first * DAY_NS), (last * DAY_NS, until_ns)):
            if total <= most and begin < end:
                total += self._count(begin, end, most + 1 - total)
        return min(total, most + 1)

    def _newest(self, limit: int) -> list[tuple[Any, ...]]:
        """Return rows, newest first."""
        if "robot" not in self._ids:
            found = self._among_the_newest(max(_FIRST_LOOK, 2 * limit), limit)
            if len(found) == limit:
                return found
        if self._wanted.filter.by_length and self._few_of_this_length():
            return self._of_this_length(limit)
        rows: list[tuple[Any, ...]] = []
        for cells in self._cells(limit, True, None):
            rows += self._of_cells(cells, "DESC", limit - len(rows))
            if len(rows) >= limit:
                break
        return rows

    def _among_the_newest(self, looked_at: int, limit: int) -> list[tuple[Any, ...]]:
        """Return what matches among the newest episodes of all."""
        sql = (
            f"SELECT {SELECTED} FROM (SELECT * FROM episodes WHERE start_ns >= ? AND start_ns < ? "
            "ORDER BY start_ns DESC LIMIT ?) AS episodes JOIN episode_keys ON episode_keys.key = episodes.key "
            f"WHERE {self._where} ORDER BY episodes.start_ns DESC LIMIT ?"
        )
        span = (self._wanted.since_ns, self._wanted.until_ns)
        return self._tx.run(sql, (*span, looked_at, *self._values, limit))

    def _few_of_this_length(self) -> bool:
        where, values = self._lengths()
        row = self._tx.one(
            f"SELECT COUNT(*) FROM (SELECT 1 FROM episodes WHERE {where} LIMIT ?) AS matching",
            (*values, _FEW + 1),
        )
        return row is not None and row[0] <= _FEW

    def _of_this_length(self, limit: int) -> list[tuple[Any, ...]]:
        """Return what matches among the few episodes of the length."""
        where, values = self._lengths()
        span = (self._wanted.since_ns, self._wanted.until_ns)
        return self._tx.run(
            f"WITH few AS MATERIALIZED (SELECT * FROM episodes WHERE {where}) SELECT {SELECTED} "
            "FROM few AS episodes JOIN episode_keys ON episode_keys.key = episodes.key "
            f"WHERE {self._where} AND episodes.start_ns >= ? AND episodes.start_ns < ? "
            "ORDER BY episodes.start_ns DESC LIMIT ?",
            (*values, *self._values, *span, limit),
        )

    def _of_cells(self, cells: list[_DayCell], direction: str, limit: int) -> list[tuple[Any, ...]]:
        """Return the matching rows of robots' days, in order of time; a negative limit: all of them."""
        days = [cell.day for cell in cells]
        since_ns = max(self._wanted.since_ns, min(days) * DAY_NS)
        until_ns = min(self._wanted.until_ns, (max(days) + 1) * DAY_NS)
        head, source, values = "", FROM, []
        if len(cells) <= _MOST_CELLS:
            marks = ", ".join(["(?, ?, ?)"] * len(cells))
            head = f"WITH cells(robot, first_ns, after_ns) AS (VALUES {marks}) "
            source = _OF_CELLS[self._tx.dialect]
            values = [v for c in cells for v in (c.robot, c.day * DAY_NS, (c.day + 1) * DAY_NS)]
        end, most = ("", ()) if limit < 0 else (" LIMIT ?", (limit,))
        return self._tx.run(
            f"{head}SELECT {SELECTED} FROM {source} WHERE episodes.start_ns >= ? AND "
            f"episodes.start_ns < ? AND {self._where} ORDER BY episodes.start_ns {direction}{end}",
            (*values, since_ns, until_ns, *self._values, *most),
        )

    def _cells(self, need: int, newest: bool, after: int | None) -> Iterator[list[_DayCell]]:
        """Yield robots' days in order of time, whole days with about ``need`` matches at a time.

        Args:
            need: how many; four times as many with every further list.
            newest: newest days first.
            after: only days after this one.
        """
        first = max(self._wanted.since_ns // DAY_NS, -1 if after is None else after + 1)
        last = min((self._wanted.until_ns - 1) // DAY_NS, _LAST_DAY)
        span = _FIRST_DAYS
        pending: list[_DayCell] = []
        while first <= last:
            edge = self._edge(first, last, newest)
            if edge is None:
                break
            begin, end = (
                (max(first, edge - span + 1), edge)
                if newest
                else (edge, min(last, edge + span - 1))
            )
            cells = self._tally_cells(begin, end, newest)
            first, last = (first, begin - 1) if newest else (end + 1, last)
            span *= _MORE
            for _, day in groupby(cells, key=lambda cell: cell.day):
                pending += day
                if sum(cell.matches for cell in pending) >= need:
                    yield pending
                    pending, need = [], need * _MORE
        if pending:
            yield pending

    def _edge(self, first: int, last: int, newest: bool) -> int | None:
        """Return the newest or oldest day with matches; None: nothing matches."""
        where, values = self._tally_conditions()
        direction = "DESC" if newest else "ASC"
        row = self._tx.one(
            f"SELECT day FROM tally WHERE day >= ? AND day <= ?{where} AND {self._counted} > 0 "
            f"ORDER BY day {direction} LIMIT 1", (first, last, *values),
        )  # fmt: skip
        return None if row is None else int(row[0])

    def _tally_cells(self, first: int, last: int, newest: bool) -> list[_DayCell]:
        where, values = self._tally_conditions()
        rows = self._tx.run(
            f"SELECT day, robot, SUM({self._counted}) FROM tally WHERE day >= ? AND day <= ?{where} "
            f"AND {self._counted} > 0 GROUP BY day, robot", (first, last, *values),
        )  # fmt: skip
        return sorted((_DayCell(*row) for row in rows), key=lambda c: c.day, reverse=newest)

    def _count(self, since_ns: int, until_ns: int, most: int) -> int:
        """Count matching episodes of a time one by one, at most ``most``."""
        row = self._tx.one(
            "SELECT COUNT(*) FROM (SELECT 1 FROM episodes WHERE start_ns >= ? AND start_ns < ? AND "
            f"{self._where} LIMIT ?) AS matching", (since_ns, until_ns, *self._values, most),
        )  # fmt: skip
        assert row is not None
        return int(row[0])

    def _tally_conditions(self) -> tuple[str, tuple[int, ...]]:
        return "".join(f" AND {c} = ?" for c in self._ids), tuple(self._ids.values())

    def _conditions(self) -> tuple[str, tuple[int, ...]]:
        """Return all conditions but those on time."""
        asked = self._wanted.filter
        equal = dict(self._ids)
        for column, value in (("outcome", asked.outcome), ("verdict", asked.verdict)):
            if value is not None:
                equal[column] = int(value)
        where = [f"episodes.{column} = ?" for column in equal]
        lengths, values = self._lengths() if asked.by_length else ("1 = 1", ())
        # A sum is in no index: the one of lengths would be used where others are better.
        lengths = lengths.replace("duration_ms", "duration_ms + 0")
        return " AND ".join([*where, lengths]), (*equal.values(), *values)

    def _lengths(self) -> tuple[str, tuple[int, ...]]:
        asked = self._wanted.filter
        where, values = ["episodes.duration_ms >= ?"], [asked.longer_ms or 0]
        if asked.shorter_ms is not None:
            where.append("episodes.duration_ms < ?")
            values.append(asked.shorter_ms)
        return " AND ".join(where), tuple(values)


def every(db: Database, names: NameIds, wanted: FloorFilter) -> Iterator[Entry]:
    """Yield all matching episodes, oldest first, in several short transactions.

    What changes meanwhile is found or not; an episode whose start moves may come twice or not at all.
    """
    after: int | None = -1
    while after is not None:
        with db.reading() as tx:
            entries, after = Search(tx, names, wanted).days(after, _PAGE)
        yield from entries


def _order(entry: Entry) -> tuple[int, str, str]:
    return entry.start_ns, str(entry.root), entry.name
