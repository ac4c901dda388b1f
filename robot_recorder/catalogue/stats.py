"""Statistics of a floor's episodes, from a catalogue's sums: success, yield, causes, reasons.

Definitions:

- success rate: successes divided by successes and failures; unlabelled episodes do not count.
- good: labelled as success, and not rejected by the quality checks.
- hours: a robot is at work from the start of an episode to its stop, and in pauses up to an hour.
  Its hours of a day are divided among its episodes by their durations, so that the hours of tasks,
  operators and robots each add up to those of the floor.
- yield: good episodes per hour.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import Enum
from typing import Any

from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.catalogue.query import Filter
from robot_recorder.catalogue.schema import COUNTERS, DAY_NS, HOUR_NS, PAIRS
from robot_recorder.configuration.tasks import TaskRegistry
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.labels import Outcome
from robot_recorder.quality.verdict import Verdict

_EPOCH = date(1970, 1, 1)
# Hours at work per recorded ms, for each day and robot.
_WORKED = """
CREATE TEMP TABLE worked (day INTEGER, robot INTEGER, hours_per_ms REAL, PRIMARY KEY (day, robot))
WITHOUT ROWID
"""
_WORK = f"""
INSERT INTO worked
WITH seen AS (
    SELECT robot, hour, first_ns, last_ns, MAX(last_ns) OVER (
        PARTITION BY robot ORDER BY hour ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS before_ns FROM hours
), days AS (
    SELECT robot, hour / 24 AS day, SUM(MAX(0, last_ns - CASE
        WHEN before_ns IS NULL OR first_ns - before_ns > {HOUR_NS} THEN first_ns ELSE before_ns
    END)) AS ns FROM seen GROUP BY robot, hour / 24
)
SELECT day, robot, COALESCE(CAST(ns AS REAL) / {HOUR_NS} / NULLIF((
    SELECT SUM(duration_ms) FROM tally WHERE tally.day = days.day AND tally.robot = days.robot
), 0), 0.0) FROM days
"""


class Side(str, Enum):
    """A property by which episodes are grouped."""

    DAY = "day"
    PROGRAMME = "programme"
    TASK = "task"
    OPERATOR = "operator"
    ROBOT = "robot"


@dataclass(frozen=True)
class EpisodeCounts:
    """Totals of some episodes.

    Attributes:
        counts: number of episodes per pair of outcome and verdict, in the order of ``PAIRS``.
        recorded_s: total duration.
        size_bytes: total size of the files.
        hours: hours at work, as defined above.
    """

    counts: tuple[int, ...] = (0,) * len(PAIRS)
    recorded_s: float = 0.0
    size_bytes: int = 0
    hours: float = 0.0

    def __add__(self, other: EpisodeCounts) -> EpisodeCounts:
        return EpisodeCounts(
            tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)),
            self.recorded_s + other.recorded_s,
            self.size_bytes + other.size_bytes,
            self.hours + other.hours,
        )

    @property
    def episodes(self) -> int:
        """Number of episodes."""
        return sum(self.counts)

    def of(self, outcome: Outcome) -> int:
        """Return the number of episodes with an outcome."""
        return sum(n for n, (o, _) in zip(self.counts, PAIRS, strict=True) if o is outcome)

    def judged(self, verdict: Verdict) -> int:
        """Return the number of episodes with a verdict."""
        return sum(n for n, (_, v) in zip(self.counts, PAIRS, strict=True) if v is verdict)

    @property
    def good(self) -> int:
        """Number of successes that were not rejected."""
        rejected = self.counts[PAIRS.index((Outcome.SUCCESS, Verdict.REJECT))]
        return self.of(Outcome.SUCCESS) - rejected

    @property
    def success_rate(self) -> float | None:
        """Successes divided by successes and failures; None: no labelled episodes."""
        success, failure = self.of(Outcome.SUCCESS), self.of(Outcome.FAILURE)
        return success / (success + failure) if success + failure else None

    @property
    def yield_per_hour(self) -> float | None:
        """Good episodes per hour; None: no hours at work."""
        return self.good / self.hours if self.hours > 0 else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; None: unknown."""
        return {
            "episodes": self.episodes,
            **{outcome.text: self.of(outcome) for outcome in Outcome},
            "success_rate": self.success_rate,
            "verdicts": {verdict.text: self.judged(verdict) for verdict in Verdict},
            "good": self.good,
            "hours": self.hours,
            "yield_per_hour": self.yield_per_hour,
            "recorded_s": self.recorded_s,
            "size_bytes": self.size_bytes,
        }


@dataclass(frozen=True)
class TaskTarget:
    """A task's number of good episodes and its target."""

    good: int
    wanted: int

    @property
    def reached(self) -> float:
        """Share of the target reached; more than 1 if exceeded."""
        return self.good / self.wanted


@dataclass(frozen=True)
class Stats:
    """Statistics of some episodes.

    Attributes:
        by: totals by side and name; days as ``2026-01-31``. Programmes only after ``grouped``.
        causes: number of failures by cause; empty name: no cause given.
        reasons: number of episodes in review or rejected, by the deciding check and the verdict.
    """

    by: Mapping[Side, Mapping[str, EpisodeCounts]] = field(default_factory=dict)
    causes: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, Mapping[Verdict, int]] = field(default_factory=dict)

    @property
    def total(self) -> EpisodeCounts:
        """Totals of all episodes."""
        return sum(self.by.get(Side.DAY, {}).values(), EpisodeCounts())

    def grouped(self, tasks: TaskRegistry) -> Stats:
        """Return the statistics with totals by programme; empty for tasks not in the registry."""
        found: dict[str, EpisodeCounts] = defaultdict(EpisodeCounts)
        for name, tally in self.by[Side.TASK].items():
            found[tasks.tasks[name].programme if name in tasks.tasks else ""] += tally
        return Stats({**self.by, Side.PROGRAMME: dict(found)}, self.causes, self.reasons)

    def targets(self, tasks: TaskRegistry, only: str | None = None) -> dict[str, TaskTarget]:
        """Return the progress of tasks with a target in begun programmes. Call after ``grouped``.

        Args:
            tasks: the registry.
            only: id of the only task to return; None: all tasks.
        """
        begun = self.by[Side.PROGRAMME].keys()
        return {
            task.id: TaskTarget(self.by[Side.TASK].get(task.id, EpisodeCounts()).good, task.target)
            for task in tasks.tasks.values()
            if task.target and task.programme in begun and only in (None, task.id)
        }

    def to_dict(self, targets: Mapping[str, TaskTarget]) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "total": self.total.to_dict(),
            "by": {
                side.value: {name: tally.to_dict() for name, tally in tallies.items()}
                for side, tallies in self.by.items()
            },
            "causes": dict(self.causes),
            "reasons": {
                name: {verdict.text: count for verdict, count in counts.items()}
                for name, counts in self.reasons.items()
            },
            "targets": {
                name: {"good": t.good, "wanted": t.wanted, "reached": t.reached}
                for name, t in targets.items()
            },
        }


def together(all_stats: Iterable[Stats]) -> Stats:
    """Merge the statistics of several roots."""
    by: dict[Side, dict[str, EpisodeCounts]] = {
        side: defaultdict(EpisodeCounts) for side in Side if side is not Side.PROGRAMME
    }
    causes: dict[str, int] = defaultdict(int)
    reasons: dict[str, dict[Verdict, int]] = defaultdict(lambda: defaultdict(int))
    for stats in all_stats:
        for side, tallies in stats.by.items():
            for name, tally in tallies.items():
                by[side][name] += tally
        for name, count in stats.causes.items():
            causes[name] += count
        for name, counts in stats.reasons.items():
            for verdict, count in counts.items():
                reasons[name][verdict] += count
    return Stats(by, causes, reasons)


def check_countable(filter: Filter) -> None:
    """Check that sums by whole days can answer a filter.

    Raises:
        ConfigError: it selects by outcome, verdict or length, or its dates are not whole UTC days.
    """
    if filter.outcome is not None or filter.verdict is not None or filter.by_length:
        raise ConfigError(
            "statistics cannot be filtered by outcome, verdict or length: leave these out"
        )
    days = (filter.since_ns or 0, filter.until_ns or 0)
    if any(ns % DAY_NS for ns in days):
        raise ConfigError("statistics are by whole days (UTC); leave the time of day out")


def count_up(catalogue: Catalogue, filter: Filter = Filter()) -> Stats:  # noqa: B008, it is frozen
    """Compute the statistics of a root's episodes.

    Args:
        catalogue: of the root.
        filter: conditions on task, robot, operator, and whole days (UTC).

    Raises:
        ConfigError: the filter also selects by outcome, verdict or length, or its dates are not whole UTC days.
    """
    check_countable(filter)
    where, values = ["1"], []
    for column in ("task", "robot", "operator"):
        text = getattr(filter, column)
        if text is not None:
            where.append(f"{column} = ?")
            values.append(catalogue.number(text))
    catalogue.connection.execute("DROP TABLE IF EXISTS temp.worked")
    catalogue.connection.execute(_WORKED)
    catalogue.connection.execute(_WORK)
    by: dict[Side, dict[str, EpisodeCounts]] = {
        side: _by(catalogue, side, where, values, filter)
        for side in Side
        if side is not Side.PROGRAMME
    }
    return Stats(by, *_named(catalogue, where, values, filter))


def _by(
    catalogue: Catalogue, side: Side, where: list[str], values: list[Any], filter: Filter
) -> dict[str, EpisodeCounts]:
    """Return the totals by one side."""
    limits = [(filter.since_ns or 0) // DAY_NS, (filter.until_ns or 2**62) // DAY_NS]
    sums = ", ".join(f"SUM({counter})" for counter in COUNTERS)
    name = "day" if side is Side.DAY else f"(SELECT text FROM names WHERE id = {side.value})"
    rows = catalogue.connection.execute(
        f"SELECT {name}, {sums}, SUM(duration_ms), SUM(size_bytes), SUM(duration_ms * hours_per_ms) "
        f"FROM tally CROSS JOIN worked USING (day, robot) WHERE {' AND '.join(where)} "
        f"AND day >= ? AND day < ? GROUP BY {side.value}", [*values, *limits],
    )  # fmt: skip
    return {
        str(_EPOCH + timedelta(days=row[0])) if side is Side.DAY else row[0]: EpisodeCounts(
            tuple(row[1 : 1 + len(PAIRS)]), row[-3] / 1000, row[-2], row[-1]
        )
        for row in rows
    }


def _named(
    catalogue: Catalogue, where: list[str], values: list[Any], filter: Filter
) -> tuple[dict[str, int], dict[str, dict[Verdict, int]]]:
    """Return causes of failures and reasons of verdicts, from their own partial indexes."""
    limits = [filter.since_ns or 0, filter.until_ns or 2**62]
    rest = f"{' AND '.join(where)} AND start_ns >= ? AND start_ns < ?"
    name = "(SELECT text FROM names WHERE id = {})"
    rows = catalogue.connection.execute(
        f"SELECT {name.format('cause')}, COUNT(*) FROM episodes INDEXED BY by_cause "
        f"WHERE outcome = {Outcome.FAILURE:d} AND {rest} GROUP BY cause", [*values, *limits],
    )  # fmt: skip
    causes = dict(rows.fetchall())
    rows = catalogue.connection.execute(
        f"SELECT {name.format('reason')}, verdict, COUNT(*) FROM episodes INDEXED BY by_reason "
        f"WHERE verdict >= {Verdict.REVIEW:d} AND {rest} GROUP BY reason, verdict",
        [*values, *limits],
    )
    reasons: dict[str, dict[Verdict, int]] = defaultdict(dict)
    for text, verdict, count in rows:
        reasons[text][Verdict(verdict)] = count
    return causes, dict(reasons)
