"""What a check says: the same shape for all of them, so that a summary is a loop."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from typing import Any


class Level(IntEnum):
    """Mirrors QualityResult.LEVEL_*."""

    PASS = 0
    WARN = 1
    FAIL = 2


@dataclass(frozen=True)
class Threshold:
    """Where a figure begins to be worth a warning, and where it makes an episode useless.

    Attributes:
        warn, fail: the last figure that is still fine; None: it never is that bad.
        below: small figures are the bad ones.
        unit: of the figure.
        most: the worst level there is, whatever the figure; None: the check is off.
    """

    warn: float | None = None
    fail: float | None = None
    below: bool = False
    unit: str = ""
    most: Level | None = Level.FAIL

    def judge(self, figure: float) -> Level:
        """How bad a figure is. One that is not a number is as bad as can be."""
        found = Level.PASS
        for level, limit in ((Level.WARN, self.warn), (Level.FAIL, self.fail)):
            beyond = limit is not None and (
                not figure >= limit if self.below else not figure <= limit
            )
            found = level if beyond else found
        return min(found, self.most or Level.PASS)

    def crossed(self, level: Level) -> float | None:
        """The limit that a figure of this level is beyond; of one that passes the one it kept."""
        limits = {Level.FAIL: self.fail, Level.WARN: self.warn}
        found = limits.get(level, self.warn if self.warn is not None else self.fail)
        return found if found is not None else self.fail


def at_most_warn(threshold: Threshold) -> Threshold:
    """The same, but never worse than a warning."""
    most = threshold.most
    return replace(threshold, most=None if most is None else min(most, Level.WARN))


@dataclass(frozen=True)
class Result:
    """One check of one stream, or of the whole episode.

    Attributes:
        check: name of the check.
        stream: name of the stream; empty: the whole episode.
        figure: what was measured, in ``unit``.
        threshold: what it is held against; None: there is no limit.
        sentence: the figure in words, and what to do when it is bad.
    """

    check: str
    stream: str
    level: Level
    figure: float
    threshold: float | None = None
    unit: str = ""
    sentence: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        figure = round(self.figure, 4) if math.isfinite(self.figure) else None
        return {**asdict(self), "level": self.level.name.lower(), "figure": figure}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Result:
        """Inverse of ``to_dict``; unknown keys are ignored so that newer files open.

        Raises:
            KeyError, TypeError, ValueError: it is none.
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
