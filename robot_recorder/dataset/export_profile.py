"""Export profiles: the YAML that maps a robot's streams to the features of a dataset.

docs/datasets.md explains the keys. The same file tells a deployed policy which value of which
stream each element of its input and output is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase

import yaml

from robot_recorder.configuration.yaml_source import YamlMap
from robot_recorder.dataset.aligned import SourceStream
from robot_recorder.messages.kinds import Sort
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.streams import Role
from robot_recorder.model.value_names import split_name

_MOST_RATE_HZ = 10_000.0
_MOST_ROWS, _MOST_PIXELS = 10_000, 16_384
STATE, ACTION = "observation.state", "action"


class ActionKind(str, Enum):
    """What the action of a frame is."""

    COMMAND = "command"
    NEXT_OBSERVATION = "next_observation"
    DELTA = "delta"
    END_EFFECTOR = "end_effector"


@dataclass(frozen=True)
class FeatureRule:
    """How one feature is made from streams.

    Attributes:
        name: of the feature.
        values: patterns of value names by stream, as ``position/*``; of a camera or window empty.
        action: how an action is computed from the values; None: the values as they are.
        links: of END_EFFECTOR, links of the URDF whose poses are the action.
        camera: stream with the pictures; empty: none.
        size: width and height to resize pictures to; None: as they are.
        crop: left, top, width and height to cut out before; None: all.
        window: stream whose samples since the frame before are the rows; empty: none.
        rows: of the window; None: follows from the rates.
    """

    name: str
    values: tuple[tuple[str, tuple[str, ...]], ...] = ()
    action: ActionKind | None = None
    links: tuple[str, ...] = ()
    camera: str = ""
    size: tuple[int, int] | None = None
    crop: tuple[int, int, int, int] | None = None
    window: str = ""
    rows: int | None = None

    @property
    def streams(self) -> tuple[str, ...]:
        """Return the streams that it is made from."""
        return tuple(filter(None, (*(s for s, _ in self.values), self.camera, self.window)))

    def to_dict(self) -> dict[str, object]:
        """Return it as it is written in YAML."""
        plain: dict[str, object] = {}
        if self.action is not None:
            plain["action"] = self.action.value
        if self.links:
            plain["links"] = list(self.links)
        if self.values:
            plain["values"] = {stream: list(patterns) for stream, patterns in self.values}
        for key in ("camera", "window", "rows"):
            if getattr(self, key):
                plain[key] = getattr(self, key)
        for key in ("size", "crop"):
            if getattr(self, key):
                plain[key] = list(getattr(self, key))
        return plain


@dataclass(frozen=True)
class ExportProfile:
    """The features of a dataset, and the clock of its frames.

    Attributes:
        features: their rules, in order.
        rate_hz: frames per second; None: the robot profile's.
        reference: stream with a frame at each of its samples; empty: the robot profile's; "none": a
            fixed rate.
    """

    features: tuple[FeatureRule, ...]
    rate_hz: float | None = None
    reference: str = ""

    def dump(self) -> str:
        """Return it as YAML."""
        plain: dict[str, object] = {}
        if self.rate_hz:
            plain["rate_hz"] = self.rate_hz
        if self.reference:
            plain["reference"] = self.reference
        plain["features"] = {rule.name: rule.to_dict() for rule in self.features}
        return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)


def parse_export_profile(text: str, source: str) -> ExportProfile:
    """Parse an export profile.

    Args:
        source: name of the file, for errors.

    Raises:
        ConfigError: it is invalid; names file, line and fix.
    """
    top = YamlMap.parse(text, source)
    top.allow(("rate_hz", "reference", "features"))
    rate = top.number("rate_hz", above=0, most=_MOST_RATE_HZ)
    rules = tuple(_rule(name, entry) for name, entry in top.map("features").items())
    if not rules:
        top.fail("'features' is empty; name one, such as observation.state")
    return ExportProfile(rules, rate, top.text("reference", ""))


def _rule(name: str, entry: YamlMap) -> FeatureRule:
    if "/" in name or not name.strip():
        entry.fail(f"'{name}' cannot be a feature's name; write it with dots, as observation.state")
    entry.allow(("values", "action", "links", "camera", "size", "crop", "window", "rows"))
    sources = [key for key in ("values", "camera", "window") if key in entry]
    if len(sources) != 1:
        entry.fail("give exactly one of 'values', 'camera' and 'window'")
    values = entry.map("values") if "values" in entry else None
    action = entry.choice("action", [k.value for k in ActionKind]) if "action" in entry else None
    links = entry.texts("links")
    if (action == ActionKind.END_EFFECTOR) != bool(links):
        entry.fail("'links' and 'action: end_effector' belong together: name links of the URDF")
    if action and values is None:
        entry.fail("an action is computed from 'values'")
    rows = entry.number("rows", above=0, most=_MOST_ROWS)
    if "rows" in entry and "window" not in entry:
        entry.fail_at("rows", "only a window has rows")
    if ("size" in entry or "crop" in entry) and "camera" not in entry:
        entry.fail("only a camera has 'size' and 'crop'")
    return FeatureRule(
        name,
        tuple((s, values.texts(s) or ("*",)) for s in values) if values is not None else (),
        ActionKind(action) if action else None,
        links,
        entry.text("camera", ""),
        _pixels(entry, "size", 2),  # type: ignore[arg-type]
        _pixels(entry, "crop", 4),  # type: ignore[arg-type]
        entry.text("window", ""),
        int(rows) if rows else None,
    )


def _pixels(entry: YamlMap, key: str, count: int) -> tuple[int, ...] | None:
    value = entry.value(key)
    if value is None:
        return None
    least = 1 if key == "size" else 0
    whole = isinstance(value, list) and all(type(v) is int for v in value) and len(value) == count
    if not whole or not all(least <= v <= _MOST_PIXELS for v in value) or min(value[-2:]) < 1:
        what = "[width, height]" if count == 2 else "[left, top, width, height]"
        entry.fail_at(key, f"expected {what} in pixels, got {value!r}")
    return tuple(value)


def chosen_names(patterns: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the value names that match a pattern, with or without their unit, in their order."""
    return tuple(
        n for n in names
        if any(fnmatchcase(n, p) or fnmatchcase(split_name(n)[0], p) for p in patterns)
    )  # fmt: skip


def default_profile(streams: Sequence[SourceStream], action: ActionKind) -> ExportProfile:
    """Return the features that most policies expect, for any robot.

    Joint positions are ``observation.state`` and ``action``; velocities, efforts and every other
    stream become features of their own; what the operator's devices say is named ``operator.*``.

    Args:
        streams: aligned streams of the robot.
        action: what the action of a frame is.
    """
    joints = [s for s in streams if s.sort == Sort.JOINTS.name and s.names]
    seen = [s for s in joints if s.role is Role.OBSERVATION]
    commanded = [s for s in joints if s.role is Role.ACTION]
    commanded = commanded or [s for s in streams if s.role is Role.ACTION and s.names]
    rules = []
    for feature, field in ((STATE, "position"), ("observation.velocity", "velocity"),
                           ("observation.effort", "effort")):  # fmt: skip
        if parts := _parts(seen, f"{field}/*"):
            rules.append(FeatureRule(feature, parts))
    rule = _action(action, seen, commanded)
    rules += [rule] if rule else []
    used = {s.name for s in seen} | {s for r in rules for s in r.streams}
    for stream in streams:
        if stream.sort == Sort.IMAGE.name:
            if stream.size is not None:
                rules.append(FeatureRule(f"observation.images.{stream.name}", camera=stream.name))
            continue
        if not stream.names:
            continue
        head = "observation" if stream.role is Role.OBSERVATION else "operator"
        if stream.name not in used:
            rules.append(FeatureRule(f"{head}.{stream.name}", ((stream.name, ("*",)),)))
        if stream.window:
            rules.append(FeatureRule(f"{head}.{stream.name}.window", window=stream.name))
    return ExportProfile(tuple(rules))


def _parts(
    streams: Sequence[SourceStream], pattern: str
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((s.name, (pattern,)) for s in streams if chosen_names((pattern,), s.names))


def _action(
    kind: ActionKind, seen: Sequence[SourceStream], commanded: Sequence[SourceStream]
) -> FeatureRule | None:
    """Return the rule of the action; None: nothing says what was done."""
    commands = _parts(commanded, "position/*") or _parts(commanded, "*")
    states = _parts(seen, "position/*")
    if kind is ActionKind.NEXT_OBSERVATION or not commands:
        return FeatureRule(ACTION, states, ActionKind.NEXT_OBSERVATION) if states else None
    if kind is ActionKind.END_EFFECTOR:
        raise ConfigError(
            "the action's links are not known: write an export profile with --write-profile, and give "
            "its action 'action: end_effector' and 'links'"
        )
    return FeatureRule(ACTION, commands, kind)
