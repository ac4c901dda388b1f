"""Quality settings of robot profiles and tasks: thresholds, severities, and the budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from robot_recorder.model.check_result import Level, Threshold
from robot_recorder.model.thresholds import thresholds

SEVERITIES = {"off": None, "warn": Level.WARN, "fail": Level.FAIL}


@dataclass(frozen=True)
class Budget:
    """How many failures and warnings an episode may have.

    Attributes:
        fail: more failed checks than this: reject. Any failed check: review.
        warn: more warnings than this: review.
    """

    fail: int = 0
    warn: int = 0


@dataclass(frozen=True)
class Change:
    """Changes of a check's threshold by a configuration; None: unchanged.

    Attributes:
        severity: ``off``, or the worst level it may report.
        warn, fail: limits, in the unit of the check.
    """

    severity: str | None = None
    warn: float | None = None
    fail: float | None = None

    def apply(self, to: Threshold) -> Threshold:
        """Return the changed threshold."""
        most = SEVERITIES[self.severity] if self.severity else to.most
        warn = to.warn if self.warn is None else self.warn
        return replace(to, most=most, warn=warn, fail=to.fail if self.fail is None else self.fail)


@dataclass(frozen=True)
class QualitySettings:
    """The ``quality`` mapping of a profile, a stream or a task.

    Attributes:
        changes: changed thresholds, by check.
        budget: None: unchanged.
        range: largest possible reading of a stream's sensor, in the stream's unit; None: unknown.
    """

    changes: Mapping[str, Change] = field(default_factory=dict)
    budget: Budget | None = None
    range: float | None = None


NO_SETTINGS = QualitySettings()


def threshold_of(check: str, settings: list[QualitySettings]) -> Threshold:
    """Return the threshold of a check.

    Args:
        check: name of the check.
        settings: settings of profile, stream and task; later ones take precedence.
    """
    found = thresholds()[check]
    for one in settings:
        if check in one.changes:
            found = one.changes[check].apply(found)
    return found


def budget_of(settings: list[QualitySettings]) -> Budget:
    """Return the budget; later settings take precedence."""
    given = [s.budget for s in settings if s.budget is not None]
    return given[-1] if given else Budget()
