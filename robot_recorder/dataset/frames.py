"""The frames of one episode of a dataset, as exporters get them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robot_recorder.dataset.aligned import AlignedSource
from robot_recorder.dataset.export_profile import ExportProfile
from robot_recorder.dataset.features import FeatureReader
from robot_recorder.dataset.pictures import CameraSource, ChosenPictures, PictureShape
from robot_recorder.dataset.schema import DatasetEpisode, Runs, Schema
from robot_recorder.model.arrays import Floats, Int64s
from robot_recorder.model.streams import NS_PER_S

BATCH = 4096  # frames read together


@dataclass(frozen=True)
class NativeStream:
    """All samples of a stream around an episode's frames, at its own rate.

    Attributes:
        names: of the values, with units.
        times_s: float64[m], since the episode's start, s.
        values: float64[m, k].
        ends: int64[n], by frame: number of samples up to its tick.
    """

    names: tuple[str, ...]
    times_s: Floats
    values: Floats
    ends: Int64s


class DatasetFrames:
    """The columns of one episode's frames, read batch by batch.

    Attributes:
        schema: of the dataset.
        episode: which it is.
    """

    def __init__(
        self, episode: DatasetEpisode, source: AlignedSource, schema: Schema, profile: ExportProfile
    ) -> None:
        """
        Raises:
            ConfigError: the source lacks something that the dataset has.
        """
        self.schema, self.episode = schema, episode
        self._source, self._profile = source, profile
        self._reader = FeatureReader(schema, profile, source)

    def __len__(self) -> int:
        return self.episode.length

    def read(self, first: int, end: int) -> dict[str, np.ndarray]:
        """Return all columns of frames [first:end] by name, as ``Schema.columns`` describes them."""
        start = self.episode.runs[0][0]
        parts = [self._reader.read(a, b, start) for a, b in _within(self.episode.runs, first, end)]
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def batches(self, size: int = BATCH) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """Yield first frame and columns of some frames at a time."""
        for first in range(0, len(self), size):
            yield first, self.read(first, min(first + size, len(self)))

    def sync(self) -> tuple[np.ndarray, np.ndarray]:
        """Return status, int8[n, streams], and skew, float32[n, streams], s, of all frames."""
        parts = [self._reader.sync(a, b) for a, b in self.episode.runs]
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    def whole(self) -> dict[str, np.ndarray]:
        """Return all columns of all frames, for formats that write an episode at once."""
        return self.read(0, len(self))

    @property
    def native(self) -> dict[str, NativeStream]:
        """Return the samples of every stream with a window, by stream name."""
        found, rows = {}, rows_of_runs(self.episode.runs)
        start_ns = self._source.summary.facts.start_ns
        for stream in self._source.summary.streams:
            if not self._source.has(f"samples/{stream.name}"):
                continue
            splits = self._source.array(f"splits/{stream.name}")
            low, high = int(splits[rows[0]]), int(splits[rows[-1] + 1])
            stamps = self._source.array(f"stamps/{stream.name}")[low:high]
            values = self._source.array(f"samples/{stream.name}")[low:high]
            times = (stamps - start_ns) / NS_PER_S
            found[stream.name] = NativeStream(stream.names, times, values, splits[rows + 1] - low)
        return found


def pictures_of(
    episode: DatasetEpisode, source: AlignedSource, schema: Schema, profile: ExportProfile
) -> Mapping[str, ChosenPictures]:
    """Return the pictures that an episode's frames chose, by feature name."""
    rules, summary = {rule.name: rule for rule in profile.features}, source.summary
    found = {}
    for feature in schema.cameras:
        stream = summary.stream(feature.streams[0])
        assert stream is not None
        rule = rules[feature.name]
        where = CameraSource(
            Path(summary.facts.path), stream.topic, stream.type, stream.topic in summary.stamped
        )
        numbers = source.array(f"numbers/{stream.name}")[rows_of_runs(episode.runs)]
        found[feature.name] = ChosenPictures(
            where, np.asarray(numbers), PictureShape(rule.crop, rule.size)
        )
    return found


def rows_of_runs(runs: Runs) -> Int64s:
    """Return the numbers of all frames of some runs, int64[n]."""
    return np.concatenate([np.arange(first, end) for first, end in runs])


def _within(runs: Runs, first: int, end: int) -> list[tuple[int, int]]:
    """Return the runs of frames [first:end] of an episode; empty ones if it has none."""
    found, before = [], 0
    for a, b in runs:
        low, high = max(first - before, 0), min(end - before, b - a)
        if low < high:
            found.append((a + low, a + high))
        before += b - a
    return found or [(runs[0][0], runs[0][0])]
