"""Parse the ``quality`` mapping of a robot profile, a stream or a task."""

from __future__ import annotations

from dataclasses import replace

from robot_recorder.configuration.yaml_source import YamlMap, did_you_mean
from robot_recorder.model.quality_settings import (
    NO_SETTINGS,
    SEVERITIES,
    Budget,
    Change,
    QualitySettings,
)
from robot_recorder.model.thresholds import thresholds


def parse_quality(top: YamlMap, of_stream: bool = False) -> QualitySettings:
    """Parse the ``quality`` mapping of a profile, a stream or a task, if there is one.

    Args:
        top: the mapping that contains it.
        of_stream: whether it belongs to a stream, which may have a ``range`` and no ``budget``.

    Raises:
        ConfigError: the mapping is invalid; the message names file, line, key and the fix.
    """
    if "quality" not in top:
        return NO_SETTINGS
    entry = top.map("quality")
    changes: dict[str, Change] = {}
    budget = None
    for name in entry:
        if name == ("budget" if of_stream else "range"):
            entry.fail_at(
                name, "belongs in a stream" if name == "range" else "belongs in a profile or task"
            )
        elif name == "budget":
            budget = _parse_budget(entry.map(name))
        elif name == "range":
            continue
        elif name not in thresholds():
            entry.fail_at(name, f"there is no such check; {did_you_mean(name, thresholds())}")
        else:
            changes[name] = _parse_change(entry, name)
    return QualitySettings(changes, budget, entry.number("range", above=0))


def _parse_budget(entry: YamlMap) -> Budget:
    entry.allow(("fail", "warn"))
    values = {}
    for name in entry:
        value = entry.number(name)
        if value is None or value < 0 or value != int(value):
            entry.fail_at(name, "must be a whole number, 0 or more")
        values[name] = int(value)
    return replace(Budget(), **values)


def _parse_change(entry: YamlMap, name: str) -> Change:
    """Parse the severity and limits of one check."""
    if isinstance(entry.value(name), (str, bool)):
        severity: str | None = _severity(entry, name)
        change = Change(severity)
    else:
        limits = entry.map(name)
        limits.allow(("warn", "fail", "severity"))
        severity = _severity(limits, "severity") if "severity" in limits else None
        change = Change(severity, limits.number("warn"), limits.number("fail"))
    default = thresholds()[name]
    found = change.apply(default)
    if severity == "fail" and found.fail is None and not name.startswith("too_"):
        entry.fail_at(
            name,
            f"needs a limit to fail: set {{severity: fail, fail: ...}} in {found.unit}",
        )
    if found.warn is not None and found.fail is not None:
        wrong = found.warn < found.fail if default.below else found.warn > found.fail
        if wrong:
            order = "below" if default.below else "above"
            entry.fail_at(name, f"'warn' {found.warn:g} is {order} 'fail' {found.fail:g}")
    return change


def _severity(entry: YamlMap, name: str) -> str:
    # YAML reads an unquoted off as False.
    return "off" if entry.value(name) is False else entry.choice(name, SEVERITIES)
