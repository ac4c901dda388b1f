"""Statistics of all sites, from the centre's sums. What they mean is defined in ``catalogue/stats.py``."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from typing import Any

from robot_recorder.catalogue.entry import LATEST_NS
from robot_recorder.catalogue.schema import COUNTERS, DAY_NS, HOUR_NS, PAIRS
from robot_recorder.catalogue.stats import EpisodeCounts, Side, Stats, check_countable
from robot_recorder.floor.centre.catalogue.rows import NameIds
from robot_recorder.floor.centre.catalogue.search import FloorFilter
from robot_recorder.floor.centre.catalogue.sums import CAUSE
from robot_recorder.floor.centre.database.database import Database, Transaction
from robot_recorder.quality.verdict import Verdict

_EPOCH = date(1970, 1, 1)
_SIDES = (Side.DAY, Side.TASK, Side.OPERATOR, Side.ROBOT)
# The tally's rows with their share of the hours at work: by recorded ms, of each day and robot of a site.
_CELLS = """
WITH seen AS (
    SELECT site, robot, hour, first_ns, last_ns, MAX(last_ns) OVER (
        PARTITION BY site, robot ORDER BY hour ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS before_ns FROM hours WHERE {hours}
), days AS (
    SELECT site, robot, hour / 24 AS day, SUM({greatest}(0, last_ns - CASE
        WHEN before_ns IS NULL OR first_ns - before_ns > {hour_ns} THEN first_ns ELSE before_ns
    END)) AS ns FROM seen GROUP BY site, robot, hour / 24
), recorded AS (
    SELECT day, site, robot, SUM(duration_ms) AS ms FROM tally WHERE {tally} GROUP BY day, site, robot
), worked AS (
    SELECT day, site, robot, CASE WHEN ms = 0 THEN 0.0
        ELSE CAST(ns AS DOUBLE PRECISION) / {hour_ns} / ms END AS hours_per_ms
    FROM days JOIN recorded USING (day, site, robot)
), cells AS MATERIALIZED (
    SELECT day, task, operator, robot, {counters}, duration_ms, size_bytes,
    duration_ms * hours_per_ms AS hours FROM tally JOIN worked USING (day, site, robot) WHERE {where}
)
"""
_SUMS = ", ".join(f"SUM({column})" for column in (*COUNTERS, "duration_ms", "size_bytes", "hours"))


def floor_stats(db: Database, tx: Transaction, names: NameIds, wanted: FloorFilter) -> Stats:
    """Compute the statistics of the episodes that match.

    Raises:
        ConfigError: the filter also selects by outcome, verdict or length, or its dates are not whole UTC days.
        DatabaseError: the database cannot be read.
    """
    check_countable(wanted.filter)
    places, conditions = {}, ["1 = 1"]
    for column in ("site", "robot", "task", "operator"):
        text = wanted.site if column == "site" else getattr(wanted.filter, column)
        if text is not None:
            number = names.find(tx, text)
            conditions.append(f"{column} = ?")
            places[column] = -1 if number is None else number
    robots = [c for c in ("site", "robot") if c in places]  # hours are of robots, whatever they did
    of_robots = " AND ".join(["1 = 1", *(f"{column} = ?" for column in robots)])
    days = (wanted.since_ns // DAY_NS, LATEST_NS // DAY_NS + 1)
    if wanted.filter.until_ns is not None:
        days = (days[0], wanted.filter.until_ns // DAY_NS)
    numbers = [places[column] for column in robots]
    where = " AND ".join([*conditions, "day >= ?", "day < ?"])
    values = (*places.values(), *days)
    cells = _CELLS.format(
        hours=of_robots, tally=of_robots, greatest=db.greatest, hour_ns=HOUR_NS,
        counters=", ".join(COUNTERS), where=where,
    )  # fmt: skip
    each = [
        f"SELECT {i}, {side.value}, {_SUMS} FROM cells GROUP BY {side.value}"
        for i, side in enumerate(_SIDES)
    ]
    rows = tx.run(cells + " UNION ALL ".join(each), (*numbers, *numbers, *values))
    return Stats(_by(tx, names, rows), *_whys(tx, names, where, values))


def _by(
    tx: Transaction, names: NameIds, rows: list[tuple[Any, ...]]
) -> dict[Side, dict[str, EpisodeCounts]]:
    """Return the totals of each side."""
    days = _SIDES.index(Side.DAY)
    texts = names.texts(tx, (row[1] for row in rows if row[0] != days))
    by: dict[Side, dict[str, EpisodeCounts]] = {side: {} for side in _SIDES}
    for side, key, *sums in rows:
        name = str(_EPOCH + timedelta(days=key)) if side == days else texts[key]
        by[_SIDES[side]][name] = EpisodeCounts(
            tuple(sums[: len(PAIRS)]), sums[-3] / 1000, sums[-2], sums[-1]
        )
    return by


def _whys(
    tx: Transaction, names: NameIds, where: str, values: tuple[Any, ...]
) -> tuple[dict[str, int], dict[str, dict[Verdict, int]]]:
    """Return causes of failures and reasons of verdicts."""
    rows = tx.run(
        f"SELECT verdict, why, SUM(episodes) FROM whys WHERE {where} GROUP BY verdict, why",
        values,
    )
    texts = names.texts(tx, (row[1] for row in rows))
    causes: dict[str, int] = {}
    reasons: dict[str, dict[Verdict, int]] = defaultdict(dict)
    for verdict, why, count in rows:
        if verdict == CAUSE:
            causes[texts[why]] = count
        else:
            reasons[texts[why]][Verdict(verdict)] = count
    return causes, dict(reasons)
