"""Compares episodes of one task on a common time axis that begins at their starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robot_recorder.content.contents import SOUND, Contents
from robot_recorder.content.groups import CurveGroup, groups, observed_joints
from robot_recorder.content.image_files import ImageFile
from robot_recorder.content.series import EpisodeData, Series, load
from robot_recorder.episodes.episode import Episode
from robot_recorder.messages.kinds import Sort
from robot_recorder.model.arrays import Floats
from robot_recorder.model.errors import BagError
from robot_recorder.model.value_names import joint_label
from robot_recorder.report.oddness import Oddness, oddness

# Differences that do not matter, by unit; for touch, of the sum over a pad.
_LEAST = {"rad": 0.05, "m": 0.005, "N": 2.0, "Pa": 10_000.0}
_STEP_S = 0.04
_MOST_STEPS = 15_000
_PICTURES = 24  # pictures per episode, from which those at common times are chosen


@dataclass(frozen=True)
class Quantity:
    """A quantity that repeats can have in common.

    Attributes:
        kind: "joint", "force", "touch", "pose", or "number" for all others.
        stream: name of the stream in the robot profile.
        label: name of the quantity for people.
        unit: empty: none.
    """

    kind: str
    stream: str
    label: str
    unit: str


@dataclass(frozen=True)
class Repeat:
    """One episode of a comparison.

    Attributes:
        episode: the episode.
        curves: by quantity, float64[n], seconds since its start, and float64[n], values.
        pictures: of its first camera, with seconds since its start.
        problems: what could not be read, one sentence each.
    """

    episode: Episode
    curves: dict[Quantity, tuple[Floats, Floats]]
    pictures: list[tuple[float, ImageFile]]
    problems: list[str]

    @property
    def seconds(self) -> float:
        """Return the time from its start to its end, s."""
        return max(self.episode.duration_s, _STEP_S)


@dataclass(frozen=True)
class Comparison:
    """Episodes on a common time axis, the odd ones first.

    Attributes:
        repeats: the episodes.
        times_s: float64[times], since the starts.
        channels: the quantities that at least two repeats have.
        values: float64[repeats, times, channels].
        oddness: one for each repeat.
        problems: what could not be read, one sentence each.
    """

    repeats: list[Repeat]
    times_s: Floats
    channels: list[Quantity]
    values: Floats
    oddness: list[Oddness]
    problems: list[str]

    @property
    def tasks(self) -> list[str]:
        """Return the tasks that were demonstrated; with more than one, these are no repeats."""
        return sorted(
            {r.episode.labels.task or r.episode.facts.get("task", "") for r in self.repeats}
        )


def compare(
    paths: Sequence[Path],
    progress: Callable[[float], None] = lambda share: None,
    streams: Sequence[str] = (),
) -> Comparison:
    """Read episodes one after the other and compare them.

    Args:
        paths: bags of the episodes.
        progress: called with the share that has been read, 0 to 1.
        streams: names of streams or topics to compare; empty: all.

    Raises:
        BagError: fewer than two of them can be read.
        ConfigError: an episode has no such stream.
    """
    repeats, problems = _read(paths, progress, streams)
    step_s = max(_STEP_S, max(r.seconds for r in repeats) / _MOST_STEPS)
    times = np.arange(0.0, max(r.seconds for r in repeats), step_s, dtype=np.float64)
    count: dict[Quantity, int] = {}
    for repeat in repeats:
        for channel in repeat.curves:
            count[channel] = count.get(channel, 0) + 1
    channels = [c for c, n in count.items() if n >= 2]
    values = np.full((len(repeats), len(times), len(channels)), np.nan)
    for i, repeat in enumerate(repeats):
        for j, channel in enumerate(channels):
            curve = repeat.curves.get(channel)
            if curve is not None:
                values[i, :, j] = _on_grid(*curve, times, repeat.seconds)
    least = np.array([_LEAST.get(c.unit, 0.0) for c in channels])
    found = oddness(values, times, least, [c.kind for c in channels])
    # Episodes that cannot be compared come last.
    order = sorted(range(len(repeats)), key=lambda i: -np.nan_to_num(found[i].distance, nan=-1.0))
    return Comparison(
        [repeats[i] for i in order], times, channels, values[order], [found[i] for i in order],
        problems + [f"{r.episode.id}: {p}" for r in repeats for p in r.problems],
    )  # fmt: skip


def _read(
    paths: Sequence[Path], progress: Callable[[float], None], streams: Sequence[str]
) -> tuple[list[Repeat], list[str]]:
    repeats, problems = [], []
    for number, path in enumerate(paths):
        try:
            repeats.append(_repeat(load(Contents.open(path), _PICTURES, streams=streams)))
        except BagError as error:  # one bad episode does not end a comparison of hundreds
            problems.append(str(error))
        progress((number + 1) / len(paths))
    if len(repeats) < 2:
        raise BagError("; ".join(problems))
    return repeats, problems


def _repeat(data: EpisodeData) -> Repeat:
    curves: dict[Quantity, tuple[Floats, Floats]] = {}
    for series in data.series:
        wanted = not data.chosen or series.topic.stream in data.chosen
        for channel, values in _channels(series, data) if wanted else ():
            curves[channel] = series.times_s, values
    pictures = data.pictures[0].chosen if data.pictures else []
    return Repeat(data.episode, curves, pictures, data.problems)


def _channels(series: Series, data: EpisodeData) -> Iterator[tuple[Quantity, Floats]]:
    """Yield what is compared of a stream, named by the stream."""
    stream, sort = series.topic.stream, series.topic.sort
    observed = sort is Sort.JOINTS and any(series is s for s in observed_joints(data))
    for group in groups(series):
        values = series.values[:, group.columns]
        field, _, part = group.name.partition("/")
        if observed and field == "position":
            for i, item in enumerate(group.items):
                label = f"{stream} {joint_label(item)}"
                yield Quantity("joint", stream, label, group.unit), values[:, i]
        elif sort is Sort.WRENCH and field == "force":
            size = np.linalg.norm(values, axis=1)
            yield Quantity("force", stream, stream, group.unit), size
        elif sort is Sort.TACTILE and field == "normal":
            label = f"{stream} {part}".strip()
            yield Quantity("touch", stream, label, group.unit), _sum(values)
        elif sort is Sort.POSE and field == "position":
            for i, item in enumerate(group.items):
                label = " ".join(filter(None, (stream, part, item)))
                yield Quantity("pose", stream, label, group.unit), values[:, i]
        elif sort in (Sort.NUMBERS, Sort.POINTS, Sort.AUDIO) and field != SOUND:
            yield from _numbers(stream, group, values)


def _numbers(stream: str, group: CurveGroup, values: Floats) -> Iterator[tuple[Quantity, Floats]]:
    name = f"{stream} {group.name}".strip()
    if group.is_array:
        yield Quantity("number", stream, f"{name}, sum", group.unit), _sum(values)
        return
    for i, item in enumerate(group.items):
        yield Quantity("number", stream, f"{name} {item}", group.unit), values[:, i]


def _sum(cells: Floats) -> Floats:
    """Return the sum of the cells that are there; NaN: none is."""
    there = np.isfinite(cells).any(axis=1)
    return np.where(there, np.nansum(cells, axis=1), np.nan)


def _on_grid(times: Floats, values: Floats, grid: Floats, seconds: float) -> Floats:
    """Interpolate values at other times.

    NaN before the first value, after the last one, and after the episode's end.
    """
    known = np.isfinite(values)
    if not known.any():
        return np.full(len(grid), np.nan)
    on_grid = np.interp(grid, times[known], values[known], left=np.nan, right=np.nan)
    return np.where(grid < seconds, on_grid, np.nan)
