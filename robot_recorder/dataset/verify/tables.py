"""Check the rows of tables against the list of episodes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from robot_recorder.dataset.verify.columns import check_columns, check_pictures, values_of
from robot_recorder.dataset.verify.episodes import TOLERANCE_S, EpisodeTable, whole_numbers
from robot_recorder.dataset.verify.findings import COPY, LIST, first_line, some
from robot_recorder.dataset.verify.moments import EpisodeRows
from robot_recorder.dataset.verify.reading import OWN, OpenedSet, StoredFeature, damage, open_table
from robot_recorder.dataset.verify.statistics import StatsCheck
from robot_recorder.model.arrays import Bools, Floats, Int64s

_BATCH = 1 << 20  # values that are held at a time


class TableScan:
    """Reads all tables in the order in which LeRobot joins them.

    Attributes:
        rows: number of rows so far.
        unread: files that could not be read, or only in part.
    """

    def __init__(
        self, ds: OpenedSet, episodes: EpisodeTable | None, tasks: list[str] | None
    ) -> None:
        self._ds, self._episodes, self._tasks = ds, episodes, tasks
        self.rows, self.unread = 0, set[str]()
        self._partial: set[str] = set()  # features that a file lacks
        self._stats = StatsCheck(ds, episodes)
        self._places: dict[int, int] = {}
        self._planned = Counter[str]()
        if episodes is not None:
            self._places = {int(n): at for at, n in enumerate(episodes.number)}
            for name, length in zip(episodes.data, episodes.length):
                self._planned[name] += int(length)
        self._missing = any(not (ds.root / name).is_file() for name in self._planned)
        self._seen: dict[int, str] = {}
        self._run: EpisodeRows | None = None
        self._index: int | None = -1  # of the row before; None: unknown

    def read(self, path: Path) -> None:
        """Check a table."""
        name, file = self._ds.name(path), open_table(self._ds, path)
        if file is None:
            self._give_up(name)
            return
        try:
            self._read(name, file)
        except damage() as error:
            self._ds.add(name, "its rows cannot be read", COPY, example=first_line(error))
            self._run = None
            self._give_up(name)
        self._end(name)

    def _read(self, name: str, file: Any) -> None:
        ds, rows, planned = self._ds, file.metadata.num_rows, self._planned[name]
        if self._episodes is not None and rows != planned and "" not in self._planned:
            what = "it has not as many rows as the episodes that name it"
            ds.add(name, what, LIST, example=f"{rows} instead of {planned}")
        readable = check_columns(ds, name, file.schema_arrow)
        names = [f.name for f in readable]
        self._partial |= ds.features.keys() - set(names)
        check_pictures(ds, name, file.metadata)
        if not set(OWN) <= set(names):
            self._give_up(name)
            return
        size = max(1, min(1 << 16, _BATCH // sum(f.width for f in readable)))
        for batch in file.iter_batches(size, columns=names):
            self._add(name, batch, readable)

    def _give_up(self, name: str) -> None:
        self.unread.add(name)
        self._index = None

    def _add(self, name: str, batch: Any, readable: list[StoredFeature]) -> None:
        columns: dict[str, Floats] = {}
        for feature in readable:
            values = values_of(batch.column(feature.name), feature)
            where, fix = f"{feature.name} in {name}", "correct these rows, or delete their episodes"
            if values is None:
                self._ds.add(where, f"rows are not of shape {list(feature.shape)}", fix)
                self._partial.add(feature.name)
                continue
            if not feature.dtype.startswith("float") and np.isnan(values).any():
                self._ds.add(where, "rows are empty", fix)
            columns[feature.name] = values
        if not len(batch):
            return
        if not set(OWN) <= columns.keys():
            self._give_up(name)
            return
        own = {key: whole_numbers(columns[key][:, 0]) for key in OWN[1:]}
        starts = np.append(0, np.flatnonzero(np.diff(own["episode_index"])) + 1)
        ends = np.append(starts[1:], len(batch))
        self._check_rows(name, own, columns["timestamp"][:, 0], starts, ends)
        for start, end in zip(starts.tolist(), ends.tolist()):
            number = int(own["episode_index"][start])
            if self._run is None or self._run.number != number:
                self._end(name)
                self._run = EpisodeRows(number, self.rows + start)
            self._run.rows += end - start
            self._run.tasks.update(np.unique(own["task_index"][start:end]).tolist())
            if number in self._places:
                self._stats.add(self._run, {k: values[start:end] for k, values in columns.items()})
        self.rows += len(batch)
        self._index = int(own["index"][-1])

    def _check_rows(
        self, name: str, own: dict[str, Int64s], time: Floats, starts: Int64s, ends: Int64s
    ) -> None:
        frame, episode, index, task = (own[key] for key in OWN[1:])
        place = np.arange(len(time)) - np.repeat(starts, ends - starts)
        if self._run is not None and self._run.number == episode[0]:
            place[: ends[0]] += self._run.rows

        def note(what: str, wrong: Bools, values: np.ndarray, wanted: np.ndarray | None) -> None:
            def example(at: int) -> str:
                rest = "" if wanted is None else f" instead of {_figure(wanted[at])}"
                return f"row {self.rows + at} has {_figure(values[at])}{rest}"

            self._ds.defects.add_rows(name, what, "number the rows anew", wrong, episode, example)

        what = "frame_index does not count 0, 1, 2 from the start of {}"
        note(what, frame != place, frame, place)
        exact = (frame / self._ds.fps).astype(np.float32)
        near = np.maximum(TOLERANCE_S, 2.0 * np.abs(np.spacing(exact)))
        late = ~(np.abs(time - exact) <= near)
        note(f"timestamp is not frame_index / {self._ds.fps:g} in {{}}", late, time, exact)
        last = index[0] - 1 if self._index is None else self._index
        wanted = np.append(last, index[:-1]) + 1
        what = "index does not count on from the row before in {}"
        note(what, index != wanted, index, wanted)
        if self._tasks is not None:
            unknown = (task < 0) | (task >= len(self._tasks))
            note(f"task_index in {{}} is none of {len(self._tasks)} tasks", unknown, task, None)

    def _end(self, name: str) -> None:
        """Compare an episode whose rows have been read to the list."""
        run, episodes, ds = self._run, self._episodes, self._ds
        self._run = None
        if run is None or episodes is None:
            return
        at, number = self._places.get(run.number), [run.number]
        if at is None:
            what = "it holds rows of {}, which the list of episodes has not"
            ds.add(name, what, "delete these rows, or list the episode", episodes=number)
            return
        if run.number in self._seen:
            what, both = "rows of {} are in two places", f"here and in {self._seen[run.number]}"
            ds.add(name, what, "delete one, or sort the rows", episodes=number, example=both)
            return
        self._seen[run.number] = name
        if episodes.data[at] not in (name, ""):
            what = "{} is not in the table that the list says"
            example = f"{run.number} is in {name}, not in {episodes.data[at]}"
            ds.add(ds.list_name, what, LIST, episodes=number, example=example)
        known = not self.unread and not self._missing
        if known and run.place != episodes.first[at]:
            what = "dataset_from_index of {} is not its first row"
            example = f"{episodes.first[at]}, but it begins in row {run.place}"
            ds.add(ds.list_name, what, LIST, episodes=number, example=example)
        if run.rows != episodes.length[at]:
            what, example = "the length of {} is not its number of rows", f"of {run.number} there"
            example += f" are {run.rows} rows, but the list says {episodes.length[at]}"
            ds.add(name, what, LIST, episodes=number, example=example)
            return
        self._check_tasks(name, run, episodes.tasks[at])
        self._stats.end(run)

    def _check_tasks(self, name: str, run: EpisodeRows, said: frozenset[str] | None) -> None:
        if self._tasks is None or said is None:
            return
        used = {self._tasks[n] for n in run.tasks if 0 <= n < len(self._tasks)}
        if used != said:
            what = "rows of {} have other tasks than the list of episodes says"
            example = f"{some(sorted(used))} instead of {some(sorted(said))}"
            self._ds.add(name, what, LIST, False, [run.number], example)

    def finish(self) -> None:
        """Check what needs all tables."""
        for number, at in self._places.items():
            file = self._episodes.data[at] if self._episodes else ""
            readable = file not in self.unread and (self._ds.root / file).exists()
            if number not in self._seen and readable:
                where = file or self._ds.list_name
                self._ds.add(where, "the rows of {} are in no table", LIST, episodes=[number])
        whole = not self.unread and not self._missing and len(self._seen) == len(self._places)
        self._stats.finish(whole, self._partial)


def _figure(value: Any) -> str:
    return f"{value:g}" if isinstance(value, np.floating) else str(value)
