"""Make a dataset from episodes: align, lay out, write, check, and put it in place when it is whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from robot_recorder.dataset.card.card import write_card
from robot_recorder.dataset.card.sync import SyncSummary
from robot_recorder.dataset.formats.port import WriteOptions
from robot_recorder.dataset.formats.table import format_of
from robot_recorder.dataset.frames import pictures_of
from robot_recorder.dataset.jobs import WriteTask, file_hash, write_job
from robot_recorder.dataset.layout import grouped, numbered
from robot_recorder.dataset.lock import DatasetLock, LockedSource
from robot_recorder.dataset.pictures import ChosenPictures
from robot_recorder.dataset.pool import ExportJob, JobProgress, Pool
from robot_recorder.dataset.preparation import ExportLosses, Preparation, Prepared
from robot_recorder.dataset.schema import DatasetEpisode, ShardSpec
from robot_recorder.dataset.selection import split
from robot_recorder.dataset.settings import ExportReport, ExportSettings
from robot_recorder.dataset.update import again, compared, reused
from robot_recorder.dataset.workspace import Workspace
from robot_recorder.model.errors import ConfigError, RecorderError

Told = Callable[[str, JobProgress], None]
Groups = dict[int, list[LockedSource]]


class ExportRun:
    """One export of some episodes to a folder."""

    def __init__(
        self,
        target: Path,
        settings: ExportSettings,
        pool: Pool,
        told: Told = lambda what, progress: None,
        renamed: Callable[[str], str] = lambda operator: operator,
    ) -> None:
        """
        Args:
            target: folder of the dataset, which appears when it is whole.
            settings: how it is made.
            pool: where jobs run.
            told: called with what is being done and how far it is.
            renamed: operator's name to the name in the dataset.
        """
        self._settings, self._pool, self._told = settings, pool, told
        self._renamed = renamed
        self._format = format_of(settings.format)
        self._losses = ExportLosses()
        self._summaries: dict[int, SyncSummary] = {}
        self.work = Workspace(target)

    def run(
        self,
        paths: Sequence[Path],
        left_out: Mapping[str, str],
        selection: Mapping[str, Any],
        old: DatasetLock | None = None,
        exact: DatasetLock | None = None,
    ) -> ExportReport:
        """Export episodes.

        Args:
            paths: of the sources, in order.
            left_out: reason by path of those that were not selected.
            selection: how they were selected, for the lock.
            old: of the dataset at the target, which is brought up to date; None: it is new.
            exact: of the dataset that is to be made again, byte by byte.

        Raises:
            RecorderError: it cannot be exported; what is done is kept for the next try.
        """
        self._losses.sources.update(left_out)
        with self.work.alone():
            anew = self.work.begin(self._settings.to_dict(), old)
            kept, fresh = compared(paths, old, self._format.renumbers)
            preparation = Preparation(self.work, self._settings, self._losses, self._renamed)
            align = self._settings.align
            align = replace(align, native=self._format.native or align.native)
            preparation.align(fresh, align, self._pool, partial(self._told, "aligning"))
            prepared = preparation.prepare(old or exact)
            if exact is not None:
                groups = again(exact, prepared, self._losses)
            else:
                groups = self._grouped(kept, prepared, old)
            shards = self._numbered(groups, prepared, old or exact)
            tasks = self._tasks(shards, preparation.keys, prepared)
            count = reused(tasks, old, self.work.target, self._format) if old else 0
            results = self._written(tasks, groups)
            files = self._completed(tasks, results)
            lock = self._lock(selection, prepared, groups, shards, files)
            lock = self._carded(lock, shards, preparation.keys, prepared, old)
            self.work.finish(lock)
        episodes = [e for s in shards for e in s.episodes]
        frames = sum(e.length for e in episodes)
        seconds = frames / prepared.schema.rate_hz
        return ExportReport(self.work.target, lock, len(episodes), frames, seconds, count, anew)

    # -- layout

    def _grouped(
        self, kept: Mapping[str, LockedSource], prepared: Prepared, old: DatasetLock | None
    ) -> Groups:
        """Share out all sources to shards, by number; those before keep their shard and split."""
        fresh = {s.locked.path: s.locked for s in prepared.sources}
        groups: Groups = {}
        for source in old.sources if old is not None else ():
            if source.path in kept and source.path not in self._losses.sources:
                now = fresh.pop(source.path, source)
                laid = replace(now.laid_out, split=source.laid_out.split)
                group = groups.setdefault(source.shard, [])
                group.append(replace(now, laid_out=laid, shard=source.shard))
        known = {s.laid_out.facts.id: s.laid_out.split for g in groups.values() for s in g}
        ids = [*known, *(s.laid_out.facts.id for s in fresh.values())]
        splits = split(ids, self._settings.shares, self._settings.seed, known)
        new = [replace(s.laid_out, split=splits[s.laid_out.facts.id]) for s in fresh.values()]
        first = max((s.shard for s in old.sources), default=-1) + 1 if old is not None else 0
        shared = grouped(new, self._settings.shard_bytes) if new else []
        for number, sources in enumerate(shared, first):
            groups[number] = [
                replace(fresh[laid.facts.path], laid_out=laid, shard=number) for laid in sources
            ]
        if not groups:
            raise ConfigError(f"no episode is left; {self._losses.reasons}")
        return groups

    def _numbered(
        self, groups: Groups, prepared: Prepared, old: DatasetLock | None
    ) -> list[ShardSpec]:
        laid = {number: [s.laid_out for s in group] for number, group in groups.items()}
        words = (old.sentences, old.subtasks) if old is not None else ((), ())
        return numbered(laid, prepared.schema, *words)

    def _tasks(
        self, shards: Sequence[ShardSpec], keys: Mapping[str, str], prepared: Prepared
    ) -> dict[int, list[WriteTask]]:
        """Return the tasks that write all shards, by number of the shard."""
        options = WriteOptions(prepared.codecs, self._settings.extra)
        found = {}
        for shard in shards:
            mine = {e.facts.path: keys.get(e.facts.path, "") for e in shard.episodes}
            found[shard.number] = [
                WriteTask(
                    self.work.path, self._settings.format, part, shard, mine, prepared.profile,
                    options,
                )
                for part in self._format.parts(shard.schema)
            ]  # fmt: skip
        return found

    # -- writing

    def _written(
        self, tasks: Mapping[int, Sequence[WriteTask]], groups: Groups
    ) -> dict[int, list[dict[str, Any]]]:
        """Write all parts of all shards; return their results by number of the shard."""
        jobs = []
        for number, parts in tasks.items():
            weight = float(sum(s.laid_out.bytes for s in groups[number]))
            for task in parts:
                heavy = weight if task.part != "data" else weight / 10
                jobs.append(ExportJob(f"shard {number} {task.part}", heavy, write_job, (task,)))
        jobs.sort(key=lambda job: -job.weight)
        found: dict[int, list[dict[str, Any]]] = {}
        problems = []
        for job, result in self._pool.run(jobs, partial(self._told, "writing")):
            if isinstance(result, RecorderError):
                problems.append(str(result))
            else:
                found.setdefault(job.arguments[0].shard.number, []).append(result)
        if problems:
            raise RecorderError("; ".join(dict.fromkeys(problems)))
        return found

    def _completed(
        self,
        tasks: Mapping[int, Sequence[WriteTask]],
        results: Mapping[int, list[dict[str, Any]]],
    ) -> dict[str, tuple[int, str]]:
        """Write the dataset's metadata; return size and SHA-256 of all files by path."""
        files: dict[str, tuple[int, str]] = {}
        merged = []
        for number, parts in tasks.items():
            episodes: dict[str, Any] = {}
            for result in sorted(results[number], key=lambda r: r["files"]):
                files |= {name: (size, digest) for name, (size, digest) in result["sizes"].items()}
                merge(episodes, result["episodes"])
                for what, count in result["counted"].items():
                    self._losses.count(what, count)
            merged.append((parts[0].shard, episodes))
            for index, facts in episodes.items():
                self._summaries[int(index)] = SyncSummary.from_dict(facts.pop("sync"))
        options = next(iter(tasks.values()))[0].options
        for name in self._format.complete(self.work.path, merged, options):
            files[name] = file_hash(self.work.path / name)
        return dict(sorted(files.items()))

    def _lock(
        self,
        selection: Mapping[str, Any],
        prepared: Prepared,
        groups: Groups,
        shards: Sequence[ShardSpec],
        files: dict[str, tuple[int, str]],
    ) -> DatasetLock:
        sources = tuple(s for group in groups.values() for s in group)
        for source in sources:
            for what, count in source.laid_out.counted.items():
                self._losses.count(what, count)
        return DatasetLock(
            self._settings.to_dict(), dict(selection), prepared.profile.dump(), prepared.schema,
            prepared.codecs, prepared.encodings,
            sources,
            dict(sorted(self._losses.sources.items())), dict(sorted(self._losses.counted.items())),
            shards[0].sentences, shards[0].subtasks, files,
        )  # fmt: skip

    def _carded(
        self,
        lock: DatasetLock,
        shards: Sequence[ShardSpec],
        keys: Mapping[str, str],
        prepared: Prepared,
        old: DatasetLock | None,
    ) -> DatasetLock:
        """Write the dataset's card; return the lock with its files."""

        def pictures(episode: DatasetEpisode) -> Mapping[str, ChosenPictures]:
            key = keys.get(episode.facts.path)
            if key is None:  # its shard was taken over
                return {}
            return pictures_of(episode, self.work.aligned(key), lock.schema, prepared.profile)

        names = write_card(
            self.work.path, lock, shards, self._summaries, pictures, self._settings.card,
            self._pool, self.work.target if old is not None else None,
        )  # fmt: skip
        files = lock.files | {name: file_hash(self.work.path / name) for name in names}
        return replace(lock, files=dict(sorted(files.items())))


def merge(into: dict[str, Any], facts: Mapping[str, Any]) -> None:
    """Merge mappings, and the mappings in them."""
    for key, value in facts.items():
        if isinstance(value, Mapping):
            merge(into.setdefault(key, {}), value)
        else:
            into[key] = value
