"""Episodes of one task on one time axis, from their starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robot_recorder.core.arrays import Floats
from robot_recorder.core.repeats import Oddness, oddness
from robot_recorder.playback.contents import Contents, Sort
from robot_recorder.playback.images import Picture
from robot_recorder.report.columns import groups, joint_label, observed_joints, short_name
from robot_recorder.report.episode_data import EpisodeData, Series, load
from robot_recorder.storage.episodes import Episode

# Differences that nobody minds, by unit; of touch the sum over a pad.
_LEAST = {"rad": 0.05, "m": 0.005, "N": 2.0, "Pa": 10_000.0}
_STEP_S = 0.04
_LONGEST_S = 600.0
_PICTURES = 24  # of each, from which those of common times are taken


@dataclass(frozen=True)
class Channel:
    """One quantity that repeats have in common.

    Attributes:
        kind: "joint", "force", "touch", or "number" for messages of unknown types.
        stream: the stream's name in the robot profile.
    """

    kind: str
    stream: str
    label: str
    unit: str


@dataclass(frozen=True)
class Repeat:
    """One episode.

    Attributes:
        curves: float64[times] per channel, every 0.04 s from its start; NaN where it has nothing.
        pictures: of its first camera, with seconds since its start.
    """

    episode: Episode
    curves: dict[Channel, Floats]
    pictures: list[tuple[float, Picture]]
    problems: list[str]


@dataclass(frozen=True)
class Comparison:
    """Repeats, the odd ones first.

    Attributes:
        times_s: float64[times], since the starts.
        channels: those that at least two repeats have.
        values: float64[repeats, times, channels].
        oddness: of each repeat.
    """

    repeats: list[Repeat]
    times_s: Floats
    channels: list[Channel]
    values: Floats
    oddness: list[Oddness]

    @property
    def tasks(self) -> list[str]:
        """What was demonstrated; more than one: they are no repeats."""
        return sorted(
            {r.episode.labels.task or r.episode.facts.get("task", "") for r in self.repeats}
        )


def compare(
    paths: Sequence[Path], progress: Callable[[float], None] = lambda share: None
) -> Comparison:
    """Read episodes one after the other, and lay them over each other.

    Args:
        progress: told the share that has been read, 0 to 1.

    Raises:
        BagError: one of them can not be read.
    """
    repeats = []
    for number, path in enumerate(paths):
        repeats.append(_repeat(load(Contents.open(path), _PICTURES)))
        progress((number + 1) / len(paths))
    count: dict[Channel, int] = {}
    for repeat in repeats:
        for channel in repeat.curves:
            count[channel] = count.get(channel, 0) + 1
    channels = [c for c, n in count.items() if n >= 2]
    length = max((len(c) for r in repeats for c in r.curves.values()), default=0)
    values = np.full((len(repeats), length, len(channels)), np.nan)
    for i, repeat in enumerate(repeats):
        for j, channel in enumerate(channels):
            curve = repeat.curves.get(channel)
            if curve is not None:
                values[i, : len(curve), j] = curve
    times = np.arange(length, dtype=np.float64) * _STEP_S
    least = np.array([_LEAST.get(c.unit, 0.0) for c in channels])
    found = oddness(values, times, least, [c.kind for c in channels])
    order = sorted(
        range(len(repeats)), key=lambda i: (not found[i].odd, -np.nan_to_num(found[i].distance))
    )
    return Comparison(
        [repeats[i] for i in order], times, channels, values[order], [found[i] for i in order]
    )


def _repeat(data: EpisodeData) -> Repeat:
    curves: dict[Channel, Floats] = {}
    seconds = min(data.episode.duration_s, _LONGEST_S)
    for series in data.series:
        for channel, values in _channels(series, data):
            curves[channel] = _on_grid(series.times_s, values, seconds)
    pictures = data.pictures[0].chosen if data.pictures else []
    return Repeat(data.episode, curves, pictures, data.problems)


def _channels(series: Series, data: EpisodeData) -> list[tuple[Channel, Floats]]:
    stream, sort = series.topic.stream, series.topic.sort
    found = []
    for group in groups(series):
        values = series.values[:, group.columns]
        if sort is Sort.JOINTS and group.name == "position" and series in observed_joints(data):
            found += [
                (Channel("joint", stream, joint_label(item), group.unit), values[:, i])
                for i, item in enumerate(group.items)
            ]
        elif sort is Sort.WRENCH and group.name == "force":
            size = np.linalg.norm(values, axis=1)
            found.append((Channel("force", stream, short_name(series.topic), group.unit), size))
        elif sort is Sort.TACTILE and group.name == "normal":
            found.append(
                (Channel("touch", stream, short_name(series.topic), group.unit), values.sum(axis=1))
            )
        elif sort is Sort.NUMBERS:
            name = f"{short_name(series.topic)} {group.name}".strip()
            if group.is_array:
                found.append(
                    (Channel("number", stream, f"{name}, sum", group.unit), values.sum(axis=1))
                )
            else:
                found += [
                    (Channel("number", stream, f"{name} {item}", group.unit), values[:, i])
                    for i, item in enumerate(group.items)
                ]
    return found


def _on_grid(times: Floats, values: Floats, seconds: float) -> Floats:
    """From the start on, every 0.04 s; NaN before the first and after the last value."""
    grid = np.arange(0.0, seconds, _STEP_S)
    known = np.isfinite(values)
    if not known.any():
        return np.full(len(grid), np.nan)
    on_grid = np.interp(grid, times[known], values[known], left=np.nan, right=np.nan)
    return np.asarray(on_grid, dtype=np.float64)
