"""Results and thresholds of quality checks."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from typing import Any


class Level(IntEnum):
    """Level of a result, as QualityResult.LEVEL_*."""

    PASS = 0
    WARN = 1
    FAIL = 2


@dataclass(frozen=True)
class Threshold:
    """The figures from which a check warns and fails.

    Attributes:
        warn, fail: last figure that does not warn or fail; None: it never does.
        below: whether small figures are bad; otherwise large ones are.
        unit: unit of the figure.
        most: worst level that the check may report; None: the check is off.
    """

    warn: float | None = None
    fail: float | None = None
    below: bool = False
    unit: str = ""
    most: Level | None = Level.FAIL

    def judge(self, figure: float) -> Level:
        """Return the level of a figure; NaN gives the worst one."""
        found = Level.PASS
        for level, limit in ((Level.WARN, self.warn), (Level.FAIL, self.fail)):
            beyond = limit is not None and (
                not figure >= limit if self.below else not figure <= limit
            )
            found = level if beyond else found
        return min(found, self.most or Level.PASS)

    def crossed(self, level: Level) -> float | None:
        """Return the limit that a figure of this level exceeds; for PASS the one it keeps."""
        limits = {Level.FAIL: self.fail, Level.WARN: self.warn}
        found = limits.get(level, self.warn if self.warn is not None else self.fail)
        return found if found is not None else self.fail


def at_most_warn(threshold: Threshold) -> Threshold:
    """Return a threshold that reports at most a warning."""
    most = threshold.most
    return replace(threshold, most=None if most is None else min(most, Level.WARN))


@dataclass(frozen=True)
class Result:
    """The result of a check of one stream, or of the whole episode.

    Attributes:
        check: name of the check.
        stream: name of the stream; empty: the whole episode.
        level: how bad it is.
        figure: measured value, in ``unit``.
        threshold: limit of the figure; None: there is none.
        unit: unit of figure and threshold.
        sentence: the figure in words, and what to do if it is bad.
    """

    check: str
    stream: str
    level: Level
    figure: float
    threshold: float | None = None
    unit: str = ""
    sentence: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        figure = round(self.figure, 4) if math.isfinite(self.figure) else None
        return {**asdict(self), "level": self.level.name.lower(), "figure": figure}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Result:
        """Build a result from ``to_dict``; unknown keys are ignored, so that newer files open.

        Raises:
            KeyError, TypeError, ValueError: it is not a valid result.
        """
        threshold = plain.get("threshold")
        return cls(
            str(plain["check"]),
            str(plain.get("stream", "")),
            Level[str(plain["level"]).upper()],
            math.nan if plain["figure"] is None else float(plain["figure"]),
            None if threshold is None else float(threshold),
            str(plain.get("unit", "")),
            str(plain.get("sentence", "")),
        )
