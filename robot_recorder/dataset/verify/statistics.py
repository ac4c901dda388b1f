"""Compute statistics anew, and compare those that the dataset has to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from robot_recorder.dataset.tables import pyarrow
from robot_recorder.dataset.verify.compare import (
    QUANTILE,
    StatArrays,
    apart,
    difference,
    disorder,
    quantile_difference,
    stat_arrays,
)
from robot_recorder.dataset.verify.episodes import EpisodeTable
from robot_recorder.dataset.verify.findings import first_line, some
from robot_recorder.dataset.verify.moments import EpisodeRows, Moments
from robot_recorder.dataset.verify.reading import (
    BUFFER,
    EPISODES,
    OWN,
    OpenedSet,
    StoredFeature,
    damage,
    is_list,
    json_lines,
    read_json,
)
from robot_recorder.model.arrays import Floats

_STATS, _OLD_STATS = "meta/stats.json", "meta/episodes_stats.jsonl"
# LeRobot's own tools leave the statistics of these as they were; nothing is normalised with them.
_RENUMBERED = {"episode_index", "index", "task_index"}
_RANGE = 0.1  # of the range of values: quantiles of few rows are no better
_SAMPLE = 100  # episodes whose own statistics are computed anew
_RECOMPUTE = "compute them anew: lerobot-edit-dataset --operation.type recompute_stats"
_OfEpisodes = Iterator[tuple[int, dict[str, StatArrays | None]]]


class StatsCheck:
    """Computes statistics anew, and compares those of the dataset and of some episodes to them."""

    def __init__(self, ds: OpenedSet, episodes: EpisodeTable | None) -> None:
        self._ds = ds
        self._longest = 0  # rows of an episode
        self._exact: dict[str, Moments] = {}
        self._weighted: dict[str, Moments] = {}
        numbers = np.unique(episodes.number) if episodes is not None else np.zeros(0, np.int64)
        self._numbers = set(numbers.tolist())
        if not ds.thorough and len(numbers) > _SAMPLE:
            numbers = numbers[np.linspace(0, len(numbers) - 1, _SAMPLE).round().astype(int)]
        self._wanted = set(numbers.tolist()) if ds.version > (2, 0) else set()
        # Lowest and highest of all episodes, by feature and quantile: between them is that of all.
        self._reach: dict[tuple[str, str], tuple[Floats, Floats]] = {}
        self._stored = self._read_lines() if ds.is_old else self._read_tables()
        self._held: tuple[int, dict[str, StatArrays | None]] | None = None

    def add(self, run: EpisodeRows, part: dict[str, Floats]) -> None:
        """Add rows of an episode, by feature [n, width]."""
        for name, values in part.items():
            if name in _RENUMBERED:
                continue
            run.moments.setdefault(name, Moments(values.shape[1])).merge(Moments.of(values))
            if run.number in self._wanted:
                run.values.setdefault(name, []).append(values.copy())

    def end(self, run: EpisodeRows) -> None:
        """Compare an episode of which all rows have come."""
        self._longest = max(self._longest, run.rows)
        for name, found in run.moments.items():
            width = len(found.count)
            self._exact.setdefault(name, Moments(width)).merge(found)
            self._weighted.setdefault(name, Moments(width)).merge(found.by_rows())
        if run.number not in self._wanted:
            return
        while self._held is None or self._held[0] < run.number:
            self._held = next(self._stored, None)
            if self._held is None:
                return
        if self._held[0] == run.number:
            for name, stats in self._held[1].items():
                if name in self._ds.features:
                    self._compare(run, self._ds.features[name], stats)

    def _compare(self, run: EpisodeRows, feature: StoredFeature, stats: StatArrays | None) -> None:
        what, fatal = disorder(self._ds, feature, stats), True
        if stats is not None and not what and feature.name in run.moments:
            count = stats.get("count")
            what, fatal = difference(feature, stats, run.moments[feature.name], run.rows)
            if not what:
                what, fatal = quantile_difference(stats, run.values[feature.name]), True
            if not what and count is not None and count.ravel().tolist() != [run.rows]:
                what = f"count is {some(count.ravel())}, but there are {run.rows} rows"
        if what:
            where = _OLD_STATS if self._ds.is_old else EPISODES
            text = f"statistics of {feature.name} are wrong for {{}}"
            example = f"{what} (episode {run.number})"
            self._ds.add(where, text, _RECOMPUTE, fatal, [run.number], example)

    # -- statistics of episodes as they are stored: numbers and statistics of the wanted ones

    def _read_lines(self) -> _OfEpisodes:
        seen = set()
        for plain in json_lines(self._ds, _OLD_STATS) if self._wanted else ():
            stats, number = plain.get("stats"), plain.get("episode_index")
            if not isinstance(stats, dict) or not isinstance(number, int):
                self._ds.add(_OLD_STATS, "a line has no number or no statistics", _RECOMPUTE)
                continue
            seen.add(number)
            if number in self._wanted:
                yield number, {name: stat_arrays(s) for name, s in stats.items()}
        # LeRobot joins those of all lines.
        for what, numbers in (("lacks", self._numbers - seen), ("still has", seen - self._numbers)):
            if numbers and self._wanted:
                self._ds.add(_OLD_STATS, f"it {what} {{}}", _RECOMPUTE, episodes=numbers)

    def _read_tables(self) -> _OfEpisodes:
        for path in sorted((self._ds.root / EPISODES).glob("*/*.parquet")) if self._wanted else ():
            try:
                yield from self._read_table(pyarrow()[1].ParquetFile(path, buffer_size=BUFFER))
            except damage() as error:
                what, name = "the statistics of episodes cannot be read", self._ds.name(path)
                self._ds.add(name, what, _RECOMPUTE, example=first_line(error))

    def _read_table(self, file: Any) -> _OfEpisodes:
        columns = file.schema_arrow.names
        names = [n for n in columns if n.startswith("stats/") and n.count("/") == 2]
        if "episode_index" not in columns:
            return
        for batch in file.iter_batches(64, columns=["episode_index", *names]):
            self._widen(batch, names)
            for row, number in enumerate(batch.column("episode_index").to_pylist()):
                if number not in self._wanted:
                    continue
                found: dict[str, dict[str, Any]] = {}
                for name in names:
                    value = batch.column(name)[row].as_py()
                    if value is not None:
                        feature, key = name.split("/")[1:]
                        found.setdefault(feature, {})[key] = value
                yield number, {feature: stat_arrays(plain) for feature, plain in found.items()}

    def _widen(self, batch: Any, names: list[str]) -> None:
        types = pyarrow()[0].types
        for name in names:
            feature, key = name.split("/")[1:]
            array, rows = batch.column(name), len(batch) - batch.column(name).null_count
            while is_list(array.type):
                array = array.flatten()
            if not QUANTILE.fullmatch(key) or not types.is_floating(array.type):
                continue
            if not rows or not len(array) or len(array) % rows:
                continue
            values = array.to_numpy(zero_copy_only=False).astype(np.float64).reshape(rows, -1)
            low, high = np.fmin.reduce(values), np.fmax.reduce(values)
            known = self._reach.get((feature, key))
            if known is not None and len(known[0]) == len(low):
                low, high = np.fmin(known[0], low), np.fmax(known[1], high)
            self._reach[feature, key] = low, high

    # -- statistics of the dataset

    def finish(self, whole: bool, partial: set[str]) -> None:
        """Check the statistics of the dataset.

        Args:
            whole: all rows have been read.
            partial: features that have not been read in all rows.
        """
        for _ in self._stored:  # for the reach of quantiles
            pass
        if self._ds.version == (2, 1) and not (self._ds.root / _STATS).exists():
            return  # LeRobot joins those of the episodes
        plain = read_json(self._ds.root, _STATS, self._ds.defects, _RECOMPUTE)
        for feature in self._ds.features.values() if plain is not None else ():
            where = f"{feature.name} in {_STATS}"
            if feature.name in plain:
                compared = whole and feature.name not in partial
                self._check(where, feature, stat_arrays(plain[feature.name]), compared)
            elif (feature.is_number or feature.is_camera) and feature.name not in OWN:
                self._ds.add(where, "there are no statistics", _RECOMPUTE)

    def _check(
        self, where: str, feature: StoredFeature, stats: StatArrays | None, compared: bool
    ) -> None:
        what, fatal = disorder(self._ds, feature, stats), True
        exact = self._exact.get(feature.name)
        if stats is not None and not what and feature.is_camera:
            shape = stats["mean"].shape
            if shape not in ((3, 1, 1), (1, 1, 1)):
                what = f"the shape is {list(shape)}, not [3, 1, 1]"
        elif stats is not None and not what and compared and exact is not None:
            what, fatal = difference(feature, stats, exact, self._longest)
            weighted = self._weighted[feature.name]
            if what and not difference(feature, stats, weighted, self._longest)[0]:
                what = ""
            count = stats.get("count")
            if count is not None and count.ravel().tolist() != [exact.rows]:
                what, fatal = f"count is {some(count.ravel())}, but there are {exact.rows}", True
                what += " frames: they are of other episodes"
            if not what:
                what, fatal = self._unreachable(feature.name, stats), True
        if what:
            self._ds.add(where, what, _RECOMPUTE, fatal)

    def _unreachable(self, name: str, stats: StatArrays) -> str:
        """Return which quantile lies outside those of all episodes; empty: none."""
        for key in (k for k in stats if (name, k) in self._reach):
            low, high = self._reach[name, key]
            value = stats[key].ravel()
            if len(low) != len(value):
                continue
            near = _RANGE * (stats["max"] - stats["min"]).ravel() + 1e-9
            wrong = ~np.isnan(low) & ~((value >= low - near) & (value <= high + near))
            if wrong.any():
                return apart(key, value, wrong, low, high, place="{} in episodes")
        return ""
