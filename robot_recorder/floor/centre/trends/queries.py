"""What the trends' tables say: reject rates by side, lines by day, alarms."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import Enum
from typing import Any

from robot_recorder.floor.centre.database.database import Database, Transaction
from robot_recorder.floor.centre.review.agreement import wilson
from robot_recorder.floor.centre.trends.alarms import (
    UNITS,
    DriftLimit,
    DriftLine,
    RejectCounts,
    TrendAlarm,
    drift_alarms,
    reject_alarms,
)
from robot_recorder.floor.centre.trends.trends import MICRO, REJECTED, PointSum, points_of
from robot_recorder.quality.verdict import Verdict

_EPOCH = date(1970, 1, 1)
_MOST_LINES = 2000


class TrendSide(str, Enum):
    """By what episodes are grouped."""

    ROBOT = "robot"
    OPERATOR = "operator"
    VERSION = "version"
    TASK = "task"
    SITE = "site"
    STREAM = "stream"

    @property
    def of_a_site(self) -> bool:
        """Return whether the same name at two sites is two."""
        return self in (TrendSide.ROBOT, TrendSide.OPERATOR)


@dataclass(frozen=True)
class TrendSpan:
    """Days, both included, as numbers since the epoch; and where: empty: everywhere.

    Attributes:
        first, last: the days.
        site, robot: equal to.
    """

    first: int
    last: int
    site: str = ""
    robot: str = ""

    def where(self) -> tuple[str, list[Any]]:
        """Return conditions, and their values."""
        where: list[str] = ["day >= ?", "day <= ?"]
        values: list[Any] = [self.first, self.last]
        for column, text in (("site", self.site), ("robot", self.robot)):
            if text:
                where.append(f"{column} = ?")
                values.append(text)
        return " AND ".join(where), values


@dataclass
class TrendRow:
    """Episodes of one robot, operator, version, task, site or stream.

    Attributes:
        site: empty: several.
        name: of the robot and so on.
        robot, stream: of a stream.
        verdicts: number of episodes by verdict.
        rejects: number of rejected ones; of a stream those that it was to blame for.
        reasons: number of reviews and rejections by check.
        days: episodes and rejects by day.
    """

    site: str
    name: str
    robot: str = ""
    stream: str = ""
    verdicts: dict[Verdict, int] = field(default_factory=lambda: dict.fromkeys(Verdict, 0))
    rejects: int = 0
    episodes: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    days: dict[int, tuple[int, int]] = field(default_factory=dict)

    @property
    def judged(self) -> int:
        """Return the number of episodes with a verdict."""
        return self.episodes - self.verdicts[Verdict.UNKNOWN]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; None: unknown."""
        bounds = wilson(self.rejects, self.judged)
        plain: dict[str, Any] = {"site": self.site, "name": self.name, "episodes": self.episodes}
        if self.stream:
            plain |= {"robot": self.robot, "stream": self.stream}
        else:
            plain |= {verdict.text: count for verdict, count in self.verdicts.items()}
        plain |= {
            "reject": self.rejects,
            "reject_rate": self.rejects / self.judged if self.judged else None,
            "low": None if bounds is None else bounds[0],
            "high": None if bounds is None else bounds[1],
            "reasons": dict(sorted(self.reasons.items(), key=lambda one: (-one[1], one[0]))),
            "by_day": [
                {"day": day_text(day), "episodes": episodes, "reject": rejects}
                for day, (episodes, rejects) in sorted(self.days.items())
            ],
        }
        return plain


def day_text(day: int) -> str:
    """Return a day as 2026-01-31."""
    return str(_EPOCH + timedelta(days=day))


def rows_of(db: Database, side: TrendSide, span: TrendSpan) -> list[TrendRow]:
    """Return the episodes of some days, grouped; most rejects first."""
    with db.reading() as tx:
        found = _stream_rows(tx, span) if side is TrendSide.STREAM else _rows(tx, side, span)
    return sorted(found, key=lambda row: (-row.rejects, row.site, row.name))


def _rows(tx: Transaction, side: TrendSide, span: TrendSpan) -> list[TrendRow]:
    where, values = span.where()
    site = "site" if side.of_a_site or side is TrendSide.SITE else "''"
    rows: dict[tuple[str, str], TrendRow] = {}
    for at, name, day, verdict, count in tx.run(
        f"SELECT {site}, {side.value}, day, verdict, SUM(n) FROM trend_counts WHERE {where} "
        f"GROUP BY {_group(side)}, day, verdict HAVING SUM(n) > 0",
        values,
    ):
        row = rows.setdefault((at, name), TrendRow(at, name))
        row.verdicts[Verdict(verdict)] += count
        row.episodes += count
        rejects = count if verdict == Verdict.REJECT else 0
        row.rejects += rejects
        episodes, rejected = row.days.get(day, (0, 0))
        row.days[day] = episodes + count, rejected + rejects
    for at, name, check, count in tx.run(
        f"SELECT {site}, {side.value}, check_name, SUM(n) FROM trend_reasons WHERE {where} "
        f"GROUP BY {_group(side)}, check_name HAVING SUM(n) > 0",
        values,
    ):
        if (at, name) in rows:
            rows[at, name].reasons[check] = count
    return list(rows.values())


def _group(side: TrendSide) -> str:
    return f"site, {side.value}" if side.of_a_site else side.value


def _stream_rows(tx: Transaction, span: TrendSpan) -> list[TrendRow]:
    where, values = span.where()
    rows: dict[tuple[str, str, str], TrendRow] = {}
    for site, robot, stream, day, one, _ in _points(tx, {REJECTED}, span):
        key = site, robot, stream
        row = rows.setdefault(key, TrendRow(site, f"{robot} {stream}".strip(), robot, stream))
        rejects = one.total // MICRO
        row.episodes += one.n
        row.rejects += rejects
        row.days[day] = one.n, rejects
    for site, robot, stream, check, count in tx.run(
        f"SELECT site, robot, stream, check_name, SUM(n) FROM trend_reasons WHERE {where} "
        "GROUP BY site, robot, stream, check_name HAVING SUM(n) > 0",
        values,
    ):
        if (site, robot, stream) in rows:
            rows[site, robot, stream].reasons[check] = count
    return list(rows.values())


def _points(
    tx: Transaction, kinds: Collection[str], span: TrendSpan
) -> Iterator[tuple[str, str, str, int, PointSum, str]]:
    """Yield site, robot, stream, day, sums and kind of figures, by day."""
    where, values = span.where()
    rows = tx.run(
        f"SELECT site, robot, day, data FROM trend_points WHERE {where} ORDER BY day", values
    )
    for site, robot, day, text in rows:
        for (kind, stream), one in points_of(text).items():
            if kind in kinds and one.n > 0:
                yield site, robot, stream, day, one, kind


@dataclass(frozen=True)
class DriftPoints:
    """A line with the sums of its days."""

    line: DriftLine
    sums: tuple[PointSum, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; None: unknown."""
        slope = self.line.slope
        return {
            "site": self.line.site,
            "robot": self.line.robot,
            "stream": self.line.stream,
            "kind": self.line.kind,
            "unit": UNITS.get(self.line.kind, ""),
            "points": [
                {"day": day_text(day), "n": one.n, "mean": one.mean, "std": one.std}
                for day, one in zip(self.line.days, self.sums, strict=True)
            ],
            "slope_per_day": None if slope is None else slope.per_day,
            "low": None if slope is None else slope.low,
            "high": None if slope is None else slope.high,
            "level": self.line.level,
        }


def lines_of(
    db: Database, kinds: list[str], span: TrendSpan, stream: str = "", most: int = _MOST_LINES
) -> list[DriftPoints]:
    """Return the lines of kinds, by day.

    Args:
        db: of the centre.
        kinds: of the trends.
        span: days and place.
        stream: only this one; empty: all.
        most: lines to return.
    """
    found: dict[tuple[str, str, str, str], list[tuple[int, PointSum]]] = {}
    with db.reading() as tx:
        for site, robot, name, day, one, kind in _points(tx, set(kinds), span):
            if stream in ("", name):
                found.setdefault((site, robot, name, kind), []).append((day, one))
    lines = []
    for (site, robot, name, kind), points in sorted(found.items())[:most]:
        days, sums_of = zip(*points, strict=True)
        means = tuple(one.total / MICRO / one.n for one in sums_of)
        lines.append(DriftPoints(DriftLine(site, robot, name, kind, days, means), sums_of))
    return lines


def alarms_of(db: Database, limits: Mapping[str, DriftLimit], span: TrendSpan) -> list[TrendAlarm]:
    """Return what somebody should look after, the largest excess first."""
    found: list[TrendAlarm] = []
    for points in lines_of(db, list(limits), span, most=1_000_000):
        found += drift_alarms(points.line, limits[points.line.kind])
    for side in (TrendSide.ROBOT, TrendSide.OPERATOR, TrendSide.VERSION):
        counts = [
            RejectCounts(row.site, side.value, row.name, "", row.judged, row.rejects)
            for row in rows_of(db, side, span)
            if row.name
        ]
        found += reject_alarms(counts, span.first)
    by_stream: dict[str, list[RejectCounts]] = {}
    for row in rows_of(db, TrendSide.STREAM, span):
        one = RejectCounts(row.site, "stream", row.robot, row.stream, row.judged, row.rejects)
        by_stream.setdefault(row.stream, []).append(one)
    for counts in by_stream.values():  # the same sensor on different robots
        found += reject_alarms(counts, span.first)
    return sorted(found, key=lambda a: (-abs(a.value) / max(abs(a.limit), 1e-9), a.site, a.name))
