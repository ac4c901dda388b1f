"""What a robot profile and a task say about quality: thresholds, severities, and the budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from robot_recorder.core.quality.result import Level, Threshold
from robot_recorder.core.quality.thresholds import THRESHOLDS
from robot_recorder.core.yaml_source import YamlMap, did_you_mean

_SEVERITIES = {"off": None, "warn": Level.WARN, "fail": Level.FAIL}


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
        most = _SEVERITIES[self.severity] if self.severity else to.most
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


def parse_quality(top: YamlMap, of_stream: bool = False) -> QualitySettings:
    """Read the ``quality`` mapping of a profile, a stream or a task, if there is one.

    Args:
        of_stream: it may say the sensor's ``range``, and no budget.

    Raises:
        ConfigError: naming file, line, key and the fix.
    """
    if "quality" not in top:
        return NO_SETTINGS
    entry = top.map("quality")
    changes: dict[str, Change] = {}
    budget = None
    for name in entry:
        if name == ("budget" if of_stream else "range"):
            entry.fail_at(
                name, "stands in a stream" if name == "range" else "stands in a profile or a task"
            )
        elif name == "budget":
            budget = _parse_budget(entry.map(name))
        elif name == "range":
            continue
        elif name not in THRESHOLDS:
            entry.fail_at(name, f"there is no such check; {did_you_mean(name, THRESHOLDS)}")
        else:
            changes[name] = _parse_change(entry, name)
    return QualitySettings(changes, budget, entry.number("range", above=0))


def _parse_budget(entry: YamlMap) -> Budget:
    entry.allow(("fail", "warn"))
    values = {}
    for name in entry:
        value = entry.number(name)
        if value is None or value < 0 or value != int(value):
            entry.fail_at(name, "must be a whole number from 0 on")
        values[name] = int(value)
    return replace(Budget(), **values)


def _parse_change(entry: YamlMap, name: str) -> Change:
    if isinstance(entry.value(name), (str, bool)):
        severity: str | None = _severity(entry, name)
        change = Change(severity)
    else:
        limits = entry.map(name)
        limits.allow(("warn", "fail", "severity"))
        severity = _severity(limits, "severity") if "severity" in limits else None
        change = Change(severity, limits.number("warn"), limits.number("fail"))
    default = THRESHOLDS[name]
    found = change.apply(default)
    if severity == "fail" and found.fail is None and not name.startswith("too_"):
        entry.fail_at(
            name,
            f"there is no figure to fail from; say {{severity: fail, fail: ...}} in {found.unit}",
        )
    if found.warn is not None and found.fail is not None:
        wrong = found.warn < found.fail if default.below else found.warn > found.fail
        if wrong:
            order = "below" if default.below else "above"
            entry.fail_at(name, f"'warn' {found.warn:g} is {order} 'fail' {found.fail:g}")
    return change


def _severity(entry: YamlMap, name: str) -> str:
    # YAML makes False of a bare off.
    return "off" if entry.value(name) is False else entry.choice(name, _SEVERITIES)


def threshold_of(check: str, settings: list[QualitySettings]) -> Threshold:
    """What holds for a check.

    Args:
        settings: of the profile, the stream and the task; later ones win.
    """
    found = THRESHOLDS[check]
    for one in settings:
        if check in one.changes:
            found = one.changes[check].apply(found)
    return found


def budget_of(settings: list[QualitySettings]) -> Budget:
    """The budget that holds; later settings win."""
    given = [s.budget for s in settings if s.budget is not None]
    return given[-1] if given else Budget()
