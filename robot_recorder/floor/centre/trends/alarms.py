"""When a trend is an alarm: lines that drift over weeks, and reject rates above the floor's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from robot_recorder.floor.centre.review.agreement import CONFIDENT, wilson

LEAST_DAYS = 7  # with values, from which on a slope is told
RECENT_DAYS = 7  # of which the level is the median
_SURE = 2.58  # standard deviations: many rates are compared, and each alarm costs somebody's time
_LEAST_EPISODES = 20
_LEAST_EXCESS = 0.02  # of a reject rate over the others'


@dataclass(frozen=True)
class DriftLimit:
    """From which drift on a kind of trend is an alarm; None: never.

    Attributes:
        week: change per week, up or down.
        level: of the last days, in size.
    """

    week: float | None = None
    level: float | None = None


DRIFT_LIMITS: Mapping[str, DriftLimit] = {
    "clock_offset_ms": DriftLimit(5.0, 30.0),
    "clock_drift_ppm": DriftLimit(20.0, 100.0),
    "skew_p95_ms": DriftLimit(5.0),
    "force_bias": DriftLimit(2.0, 8.0),
    "taxels_dead": DriftLimit(1.0, 3.0),
    "taxels_stuck": DriftLimit(1.0, 3.0),
}
UNITS = {
    "clock_offset_ms": "ms",
    "clock_drift_ppm": "ppm",
    "skew_p95_ms": "ms",
    "force_bias": "N",
    "taxels_dead": "taxels",
    "taxels_stuck": "taxels",
}
_CALLED = {
    "clock_offset_ms": "the offset of its clock",
    "clock_drift_ppm": "the drift of its clock",
    "skew_p95_ms": "its skew (p95)",
    "force_bias": "the force that it shows with nothing touched",
    "taxels_dead": "the number of its dead taxels",
    "taxels_stuck": "the number of its stuck taxels",
}


@dataclass(frozen=True)
class TrendSlope:
    """A line through a trend.

    Attributes:
        per_day: median of the slopes between all pairs of days (Theil and Sen).
        low, high: 95 % interval (Sen, by Kendall's statistic).
    """

    per_day: float
    low: float
    high: float


def theil_sen(days: Sequence[int], values: Sequence[float]) -> TrendSlope | None:
    """Return a robust slope; None: fewer than ``LEAST_DAYS`` days.

    Args:
        days: numbers of the days, all different.
        values: one for each day.
    """
    n = len(days)
    if n < LEAST_DAYS:
        return None
    slopes = sorted(
        (values[j] - values[i]) / (days[j] - days[i]) for j in range(n) for i in range(j)
    )
    spread = CONFIDENT * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    low = max(0, math.floor((len(slopes) - spread) / 2))
    return TrendSlope(median(slopes), slopes[low], slopes[-1 - low])


@dataclass(frozen=True)
class TrendAlarm:
    """Something that somebody should look after.

    Attributes:
        kind: of the trend, or ``reject_rate``.
        site, side, name: whose: ``robot`` g1, ``operator`` ann, ``version`` 1.2, ``stream`` left_wrist.
        stream: of a robot; empty: the whole.
        sentence: for people.
        value, limit: what was found, and what is allowed.
        since: first day of what was looked at; as number of days since the epoch.
    """

    kind: str
    site: str
    side: str
    name: str
    stream: str
    sentence: str
    value: float
    limit: float
    since: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, without ``since``."""
        plain = dict(self.__dict__)
        del plain["since"]
        return plain


@dataclass(frozen=True)
class DriftLine:
    """Means of a kind of one robot's stream by day.

    Attributes:
        site, robot, stream, kind: what it is of.
        days: numbers of days since the epoch, rising.
        means: of the episodes of each day.
    """

    site: str
    robot: str
    stream: str
    kind: str
    days: tuple[int, ...]
    means: tuple[float, ...]

    @property
    def slope(self) -> TrendSlope | None:
        """Return its slope; None: too few days."""
        return theil_sen(self.days, self.means)

    @property
    def level(self) -> float | None:
        """Return the median of its last ``RECENT_DAYS`` calendar days; None: it is empty."""
        recent = [m for d, m in zip(self.days, self.means) if d > self.days[-1] - RECENT_DAYS]
        return median(recent) if recent else None


def drift_alarms(line: DriftLine, limit: DriftLimit) -> list[TrendAlarm]:
    """Return the alarms of a line: at most one of its slope and one of its level."""
    found, unit = [], UNITS.get(line.kind, "")
    where = f"{line.stream} of {line.robot}"
    called = _CALLED.get(line.kind, line.kind)

    def alarm(sentence: str, value: float, allowed: float, since: int) -> None:
        found.append(
            TrendAlarm(
                line.kind, line.site, "robot", line.robot, line.stream,
                f"{where}: {called} {sentence}", value, allowed, since,
            )
        )  # fmt: skip

    slope = line.slope
    sure = slope is not None and (slope.low > 0 or slope.high < 0)
    if limit.week is not None and slope is not None and sure:
        week = 7 * slope.per_day
        if abs(week) > limit.week:
            text = f"changes by {week:+.3g} {unit} a week, more than {limit.week:g}: look after it"
            alarm(text, week, limit.week, line.days[0])
    level = line.level
    enough = len(line.days) >= 2  # one day may be one bad take
    if limit.level is not None and level is not None and enough and abs(level) > limit.level:
        text = f"is {level:.3g} {unit}, more than {limit.level:g}: repair or calibrate it"
        alarm(text, level, limit.level, max(line.days[0], line.days[-1] - RECENT_DAYS + 1))
    return found


@dataclass(frozen=True)
class RejectCounts:
    """How many episodes of one robot, operator, version or stream the checks rejected.

    Attributes:
        site, side, name, stream: whose, as in ``TrendAlarm``.
        episodes, rejects: numbers of episodes.
    """

    site: str
    side: str
    name: str
    stream: str
    episodes: int
    rejects: int


def reject_alarms(
    counts: Sequence[RejectCounts], since: int, floor: tuple[int, int] | None = None
) -> list[TrendAlarm]:
    """Return alarms of those that are rejected significantly more often than all others together.

    Args:
        counts: of one side, such as all robots.
        since: first day of what was counted.
        floor: episodes and rejects of the whole floor; None: the sums of ``counts``.
    """
    episodes = sum(c.episodes for c in counts) if floor is None else floor[0]
    rejects = sum(c.rejects for c in counts) if floor is None else floor[1]
    found = []
    for one in counts:
        others, rejected = episodes - one.episodes, rejects - one.rejects
        bounds = wilson(one.rejects, one.episodes, _SURE)
        if bounds is None or one.episodes < _LEAST_EPISODES or others < _LEAST_EPISODES:
            continue
        usual, rate = rejected / others, one.rejects / one.episodes
        if bounds[0] <= usual or rate - usual < _LEAST_EXCESS:
            continue
        who = f"{one.stream} of {one.name}" if one.stream else f"{one.side} {one.name}"
        sentence = (
            f"{who}: {one.rejects} of {one.episodes} episodes are rejected ({rate:.0%}); "
            f"of the others {usual:.0%}"
        )
        found.append(
            TrendAlarm(
                "reject_rate",
                one.site,
                one.side,
                one.name,
                one.stream,
                sentence,
                rate,
                usual,
                since,
            )
        )
    return found
