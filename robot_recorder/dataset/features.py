"""Compute a dataset's features from aligned frames. Pure numpy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from robot_recorder.alignment.frames import SampleStatus
from robot_recorder.configuration.yaml_source import did_you_mean
from robot_recorder.dataset.aligned import AlignedSource, SourceStream, SourceSummary
from robot_recorder.dataset.export_profile import (
    ActionKind,
    ExportProfile,
    FeatureRule,
    chosen_names,
)
from robot_recorder.dataset.schema import (
    MISSING,
    SKEW,
    STATUS,
    TICK,
    Feature,
    FeatureKind,
    Schema,
    window_columns,
)
from robot_recorder.messages.urdf import RobotModel, parse_urdf, quaternions
from robot_recorder.model.arrays import Floats, Int64s
from robot_recorder.model.errors import ConfigError, DecodeError
from robot_recorder.model.streams import NS_PER_S, Role
from robot_recorder.model.value_names import split_name

_SPARE = 1.5  # rows of a window for each sample that is expected between two frames
_POSE = tuple(f"position/{a} (m)" for a in "xyz") + tuple(f"orientation/{a} (1)" for a in "xyzw")


def resolved(profile: ExportProfile, source: SourceSummary, robot: str) -> Schema:
    """Return the features that a profile gives with the streams of a source.

    Args:
        profile: the rules.
        source: an aligned episode.
        robot: name of the dataset's robot.

    Raises:
        ConfigError: a rule does not fit the source; names rule and stream.
    """
    if source.rate_hz is None:
        raise ConfigError(
            f"the rate of {source.reference} is unknown; give it in the robot profile, or --rate"
        )
    features = tuple(_feature(rule, source, source.rate_hz) for rule in profile.features)
    names = tuple(s.name for s in source.streams)
    return Schema(robot, source.rate_hz, source.reference, features, names)


def _feature(rule: FeatureRule, source: SourceSummary, rate_hz: float) -> Feature:
    if rule.camera:
        return _camera(rule, _stream(rule, rule.camera, source))
    if rule.window:
        stream = _stream(rule, rule.window, source)
        if f"splits/{stream.name}" not in source.arrays:
            raise ConfigError(
                f"{rule.name}: {stream.name} has no window; say 'window: true' in the robot profile"
            )
        rows = rule.rows or _rows(rule, stream, rate_hz)
        return Feature(
            rule.name, FeatureKind.WINDOW, (rows, len(stream.names)), stream.names, (stream.name,)
        )
    columns = _columns(rule, source)
    if rule.action is ActionKind.END_EFFECTOR:
        names = tuple(f"{link}/{value}" for link in rule.links for value in _POSE)
    elif len(rule.values) > 1:
        names = tuple(f"{stream}/{name}" for stream, name in columns)
    else:
        names = tuple(name for _, name in columns)
    streams = tuple(s for s, _ in rule.values)
    return Feature(rule.name, FeatureKind.VALUES, (len(names),), names, streams)


def _stream(rule: FeatureRule, name: str, source: SourceSummary) -> SourceStream:
    found = source.stream(name)
    if found is None:
        known = ", ".join(s.name for s in source.streams)
        raise ConfigError(f"{rule.name}: there is no aligned stream '{name}'; there are {known}")
    return found


def _camera(rule: FeatureRule, stream: SourceStream) -> Feature:
    if stream.size is None:
        raise ConfigError(f"{rule.name}: {stream.name} has no readable pictures")
    width, height = rule_size(rule, stream.size)
    calibration = stream.calibration
    if calibration is not None:
        left, top, *cut = rule.crop or (0, 0, *stream.size)
        calibration = calibration.cut(left, top).scaled(width / cut[0], height / cut[1])
    own = (stream.name,)
    if stream.encoding == "depth":
        return Feature(
            rule.name, FeatureKind.DEPTH, (height, width), ("height", "width"), own,
            calibration=calibration,
        )  # fmt: skip
    return Feature(
        rule.name, FeatureKind.PICTURE, (height, width, 3), ("height", "width", "channels"), own,
        "uint8", calibration,
    )  # fmt: skip


def rule_size(rule: FeatureRule, size: tuple[int, int]) -> tuple[int, int]:
    """Return width and height of a feature's pictures.

    Args:
        rule: the feature's.
        size: width and height as recorded.

    Raises:
        ConfigError: there is less to cut out of.
    """
    if rule.crop is not None:
        left, top, width, height = rule.crop
        if left + width > size[0] or top + height > size[1]:
            raise ConfigError(
                f"{rule.name}: pictures of {size[0]} x {size[1]} are too small for crop {list(rule.crop)}"
            )
        size = width, height
    return rule.size or size


def _rows(rule: FeatureRule, stream: SourceStream, rate_hz: float) -> int:
    if stream.rate_hz is None:
        raise ConfigError(
            f"{rule.name}: the rate of {stream.name} is unknown; give 'rows', or its rate_hz"
        )
    return math.ceil(_SPARE * stream.rate_hz / rate_hz) + 1


def _columns(rule: FeatureRule, source: SourceSummary) -> list[tuple[str, str]]:
    """Return stream and name of every value that a rule reads."""
    found: list[tuple[str, str]] = []
    for name, patterns in rule.values:
        stream = _stream(rule, name, source)
        chosen = chosen_names(patterns, stream.names)
        if not chosen:
            raise ConfigError(
                f"{rule.name}: no value of {name} matches {' or '.join(patterns)}; it has "
                + (", ".join(stream.names) or "no values")
            )
        found += [(name, value) for value in chosen]
    return found


@dataclass(frozen=True)
class _ValueReading:
    """How a VALUES feature is read from a source.

    Attributes:
        streams: of each value.
        places: column of each value in its stream's values.
        partners: stream and column of what is subtracted for DELTA; None: the value itself, of
            which the next frame's is taken.
    """

    streams: tuple[str, ...]
    places: tuple[int, ...]
    partners: tuple[tuple[str, int] | None, ...] = ()


class FeatureReader:
    """Reads the features of a dataset from one aligned source."""

    def __init__(self, schema: Schema, profile: ExportProfile, source: AlignedSource) -> None:
        """
        Args:
            schema: of the dataset.
            profile: the rules of its features.
            source: aligned frames.

        Raises:
            ConfigError: the source lacks something that the dataset has; says what.
        """
        self.schema, self._source = schema, source
        self._rules = {rule.name: rule for rule in profile.features}
        _same(schema, resolved(profile, source.summary, schema.robot))
        self._model: RobotModel | None = None
        self._readings = {
            f.name: _reading(f, self._rules[f.name], source.summary) for f in schema.values
        }
        if any(rule.links for rule in profile.features):
            self._model = _model(profile, source.summary)
        order = {s.name: i for i, s in enumerate(source.summary.streams)}
        self._order = [order[name] for name in schema.streams]

    @property
    def looks_ahead(self) -> bool:
        """Return whether a frame's features need the frame after it."""
        return any(
            rule.action is ActionKind.NEXT_OBSERVATION or None in self._readings[rule.name].partners
            for rule in self._rules.values()
            if rule.values
        )

    def incomplete(self, first: int, end: int) -> npt.NDArray[np.bool_]:
        """Return in which of the frames [first:end] a stream of a feature is held or missing."""
        used = {stream for feature in self.schema.features for stream in feature.streams}
        places = [i for i, s in enumerate(self._source.summary.streams) if s.name in used]
        status = self._source.array("status")[first:end][:, places]
        return np.asarray((status > SampleStatus.INTERPOLATED).any(axis=1))

    def overflow(self, first: int, end: int) -> str:
        """Return which window has too few rows for frames [first:end], and how many it needs.

        Empty: none.
        """
        for feature in self.schema.features:
            if feature.kind is not FeatureKind.WINDOW:
                continue
            starts, ends = self._bounds(feature.streams[0], first, end, first)
            most = int((ends - starts).max(initial=0))
            if most > feature.shape[0]:
                return (
                    f"{feature.name} has {feature.shape[0]} rows, and a frame has {most} samples; "
                    f"give the feature 'rows: {most}' in the export profile"
                )
        return ""

    def read(self, first: int, end: int, start: int) -> dict[str, np.ndarray]:
        """Return all columns of ``schema.columns`` for some frames, by name.

        Args:
            first, end: the frames [first:end] of the source.
            start: the first frame of their episode.
        """
        found: dict[str, np.ndarray] = {}
        missing = []
        for feature in self.schema.features:
            if feature.kind is FeatureKind.VALUES:
                values = self._values(feature.name, first, end)
                missing.append(np.isnan(values).any(axis=1))
                found[feature.name] = values.astype(feature.dtype)
            elif feature.kind is FeatureKind.WINDOW:
                found |= self._window(feature, first, end, start)
        source = self._source
        found[STATUS], found[SKEW] = self.sync(first, end)
        ticks = source.array("ticks")[first:end] - source.summary.facts.start_ns
        found[TICK] = (ticks / NS_PER_S)[:, None]
        if missing:
            found[MISSING] = np.stack(missing, axis=1)
        return found

    def sync(self, first: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        """Return status, int8, and skew, float32, s, of all streams for frames [first:end]."""
        source = self._source
        status = np.asarray(source.array("status")[first:end][:, self._order], dtype=np.int8)
        skews = source.array("skews")[first:end][:, self._order] / NS_PER_S
        skews[status == SampleStatus.MISSING] = np.nan
        return status, skews.astype(np.float32)

    # -- values

    def _raw(self, name: str, first: int, end: int) -> Floats:
        reading = self._readings[name]
        table = {s: self._source.array(f"values/{s}")[first:end] for s in set(reading.streams)}
        columns = [table[s][:, at] for s, at in zip(reading.streams, reading.places)]
        return np.stack(columns, axis=1) if columns else np.empty((end - first, 0))

    def _values(self, name: str, first: int, end: int) -> Floats:
        rule = self._rules[name]
        if rule.action is ActionKind.NEXT_OBSERVATION:
            return self._raw(name, first + 1, end + 1)
        values = self._raw(name, first, end)
        if rule.action is ActionKind.END_EFFECTOR:
            return self._poses(name, values)
        if rule.action is ActionKind.DELTA:
            return self._delta(name, values, first, end)
        return values

    def _delta(self, name: str, values: Floats, first: int, end: int) -> Floats:
        partners = self._readings[name].partners
        after = self._raw(name, first + 1, end + 1) if None in partners else values
        found = np.empty_like(values)
        for column, partner in enumerate(partners):
            if partner is None:
                found[:, column] = after[:, column] - values[:, column]
            else:
                stream, at = partner
                there = self._source.array(f"values/{stream}")[first:end, at]
                found[:, column] = values[:, column] - there
        return found

    def _poses(self, name: str, values: Floats) -> Floats:
        """Return x, y, z, m, and a quaternion x, y, z, w with w >= 0 of every link."""
        assert self._model is not None
        names = [split_name(n)[0].removeprefix("position/") for n in self._inputs(name)]
        poses = self._model.link_poses({joint: values[:, i] for i, joint in enumerate(names)})
        unknown = np.asarray(np.isnan(values).any(axis=1))
        found = []
        for link in self._rules[name].links:
            whole = np.where(unknown[:, None, None], np.eye(4), poses[link])
            turn = quaternions(whole)
            turn = np.where(turn[:, 3:] < 0, -turn, turn)
            pose = np.concatenate([whole[:, :3, 3], turn], axis=1)
            pose[unknown] = np.nan
            found.append(pose)
        return np.concatenate(found, axis=1)

    def _inputs(self, name: str) -> list[str]:
        return [value for _, value in _columns(self._rules[name], self._source.summary)]

    # -- windows

    def _bounds(self, stream: str, first: int, end: int, start: int) -> tuple[Int64s, Int64s]:
        """Return first and last + 1 sample of the windows of frames [first:end].

        The window of an episode's first frame begins one period of the frames before its tick.
        """
        splits = self._source.array(f"splits/{stream}")[first : end + 1]
        starts, ends = np.array(splits[:-1]), np.array(splits[1:])
        if first == start and len(starts):
            stamps = self._source.array(f"stamps/{stream}")[starts[0] : ends[0]]
            period_ns = round(NS_PER_S / self.schema.rate_hz)
            since_ns = int(self._source.array("ticks")[first]) - period_ns
            starts[0] += int(np.count_nonzero(stamps <= since_ns))
        return starts, ends

    def _window(self, feature: Feature, first: int, end: int, start: int) -> dict[str, np.ndarray]:
        stream, (rows, width) = feature.streams[0], feature.shape
        starts, ends = self._bounds(stream, first, end, start)
        counts = ends - starts
        values = np.full((end - first, rows, width), np.nan, dtype=feature.dtype)
        times = np.full((end - first, rows), np.nan, dtype=np.float32)
        places = np.arange(rows)
        mask = places < counts[:, None]
        numbers = (starts[:, None] + places)[mask]
        samples = self._source.array(f"samples/{stream}")
        own = self._places(feature)
        values[mask] = samples[numbers][:, own]
        ticks = self._source.array("ticks")[first:end]
        skews = self._source.array(f"stamps/{stream}")[numbers] - np.repeat(ticks, counts)
        times[mask] = skews / NS_PER_S
        found = (values, mask, counts.astype(np.int32)[:, None], times)
        names = (feature.name, *(c.name for c in window_columns(feature)))
        return dict(zip(names, found, strict=True))

    def _places(self, feature: Feature) -> list[int]:
        stream = self._source.summary.stream(feature.streams[0])
        assert stream is not None
        return [stream.names.index(name) for name in feature.names]


def _reading(feature: Feature, rule: FeatureRule, source: SourceSummary) -> _ValueReading:
    columns = _columns(rule, source)
    if rule.action is ActionKind.END_EFFECTOR:
        wanted = columns
    else:
        several = len(rule.values) > 1
        by_name = {f"{s}/{n}" if several else n: (s, n) for s, n in columns}
        wanted = [by_name[name] for name in feature.names]
    streams = {s.name: s for s in source.streams}
    places = tuple(streams[s].names.index(n) for s, n in wanted)
    partners: tuple[tuple[str, int] | None, ...] = ()
    if rule.action is ActionKind.DELTA:
        partners = tuple(_partner(rule, streams[s], n, source) for s, n in wanted)
    return _ValueReading(tuple(s for s, _ in wanted), places, partners)


def _partner(
    rule: FeatureRule, stream: SourceStream, name: str, source: SourceSummary
) -> tuple[str, int] | None:
    """Return the observed value that a command is compared with; None: it is observed itself.

    Raises:
        ConfigError: nothing of its name is observed.
    """
    if stream.role is Role.OBSERVATION:
        return None
    for other in source.streams:
        if other.role is Role.OBSERVATION and name in other.names:
            return other.name, other.names.index(name)
    raise ConfigError(f"{rule.name}: no observed stream has {stream.name}'s {name}: no difference")


def _model(profile: ExportProfile, source: SourceSummary) -> RobotModel:
    """Return the robot whose links' poses are asked for.

    Raises:
        ConfigError: the source has no usable URDF, or the URDF lacks a link.
    """
    if not source.description:
        raise ConfigError("action: end_effector needs the robot's URDF, and the bag has none")
    try:
        model = parse_urdf(source.description)
    except DecodeError as error:
        raise ConfigError(str(error)) from error
    for link in (link for rule in profile.features for link in rule.links):
        if link not in model.links:
            raise ConfigError(f"the URDF has no link '{link}'; {did_you_mean(link, model.links)}")
    return model


def _same(schema: Schema, own: Schema) -> None:
    """Check that a source gives the features of a dataset.

    Raises:
        ConfigError: it does not; says in what they differ.
    """
    if own.rate_hz != schema.rate_hz:
        raise ConfigError(
            f"it has {own.rate_hz:g} frames a second, the dataset {schema.rate_hz:g}; give --rate"
        )
    if lacking := set(schema.streams) - set(own.streams):
        raise ConfigError(f"it lacks the streams {', '.join(sorted(lacking))}")
    for feature, mine in zip(schema.features, own.features, strict=True):
        if feature.is_camera:
            if feature.shape != mine.shape or feature.kind != mine.kind:
                sizes = [f"{f.shape[1]} x {f.shape[0]} {f.kind.value}" for f in (mine, feature)]
                raise ConfigError(f"its {feature.name} is {sizes[0]}, the dataset's {sizes[1]}")
        elif lacking := set(feature.names) - set(mine.names):
            raise ConfigError(f"its {feature.name} lacks {', '.join(sorted(lacking))}")
        elif more := set(mine.names) - set(feature.names):
            raise ConfigError(f"its {feature.name} has more: {', '.join(sorted(more))}")
