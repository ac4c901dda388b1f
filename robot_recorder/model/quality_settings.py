"""What a robot profile and a task say about quality: thresholds, severities, and the budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from robot_recorder.model.quality_result import Level, Threshold
from robot_recorder.model.thresholds import thresholds

SEVERITIES = {"off": None, "warn": Level.WARN, "fail": Level.FAIL}


@dataclass(frozen=True)
class Budget:
    """How much may be wrong with an episode.

    Attributes:
        fail: more failed checks than this: rejected. Any at all: to be reviewed.
        warn: more warnings than this: to be reviewed.
    """

    fail: int = 0
    warn: int = 0


@dataclass(frozen=True)
class Change:
    """What a configuration changes about one check; None: nothing.

    Attributes:
        severity: ``off``, or the worst level it may report.
    """

    severity: str | None = None
    warn: float | None = None
    fail: float | None = None

    def apply(self, to: Threshold) -> Threshold:
        """The threshold that holds then."""
        most = SEVERITIES[self.severity] if self.severity else to.most
        warn = to.warn if self.warn is None else self.warn
        return replace(to, most=most, warn=warn, fail=to.fail if self.fail is None else self.fail)


@dataclass(frozen=True)
class QualitySettings:
    """One ``quality`` mapping of a profile, a stream or a task.

    Attributes:
        changes: by check.
        budget: None: as it is.
        range: of a stream: the largest reading its sensor can give, in the stream's unit.
    """

    changes: Mapping[str, Change] = field(default_factory=dict)
    budget: Budget | None = None
    range: float | None = None


NO_SETTINGS = QualitySettings()


def threshold_of(check: str, settings: list[QualitySettings]) -> Threshold:
    """What holds for a check.

    Args:
        settings: of the profile, the stream and the task; later ones win.
    """
    found = thresholds()[check]
    for one in settings:
        if check in one.changes:
            found = one.changes[check].apply(found)
    return found


def budget_of(settings: list[QualitySettings]) -> Budget:
    """The budget that holds; later settings win."""
    given = [s.budget for s in settings if s.budget is not None]
    return given[-1] if given else Budget()
