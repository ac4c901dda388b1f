"""Bring a dataset up to date: find what changed, and take over the files of shards that did not."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from robot_recorder.dataset.align_source import metadata_hash
from robot_recorder.dataset.formats.port import Format
from robot_recorder.dataset.jobs import WriteTask, file_hash, mark
from robot_recorder.dataset.layout import numbered
from robot_recorder.dataset.lock import DatasetLock, LockedSource
from robot_recorder.dataset.preparation import ExportLosses, Prepared
from robot_recorder.dataset.schema import ShardSpec
from robot_recorder.model.errors import RecorderError


def compared(
    paths: Sequence[Path], old: DatasetLock | None, renumbers: bool
) -> tuple[dict[str, LockedSource], list[Path]]:
    """Return the sources that a dataset keeps, by path, and those that have to be aligned.

    Sources of a shard that loses another one have to be aligned again; without renumbering, those of
    all shards behind it, too.

    Args:
        paths: of all sources.
        old: of the dataset; None: it is new.
        renumbers: whether the format can correct the numbers in files.
    """
    if old is None:
        return {}, list(paths)
    wanted = {str(path): path for path in paths}
    same = {s.path: s for s in old.sources if s.path in wanted and _unchanged(s)}
    whole: set[int] = set()
    for number, group in by_shard(old).items():
        if all(s.path in same for s in group):
            whole.add(number)
        elif not renumbers:
            break
    left = [p for t, p in wanted.items() if t not in same or same[t].shard not in whole]
    return same, left


def again(
    lock: DatasetLock, prepared: Prepared, losses: ExportLosses
) -> dict[int, list[LockedSource]]:
    """Return the sources of a lock by the number of their shard, if they are what they were.

    Raises:
        RecorderError: one has other labels, other data or other frames, or cannot be exported.
    """
    fresh = {s.locked.path: s.locked for s in prepared.sources}
    groups: dict[int, list[LockedSource]] = {}
    for source in lock.sources:
        now = fresh.get(source.path)
        if now is None:
            why = losses.sources.get(source.path, "it is not selected")
            raise RecorderError(f"{source.path}: {why}; the lock's dataset cannot be made again")
        for what, one, other in (
            ("data", source.files, now.files),
            ("labels", source.metadata, now.metadata),
            ("frames", source.laid_out.episodes, now.laid_out.episodes),
        ):
            if one != other:
                raise RecorderError(
                    f"{source.path}: its {what} changed since; make a new dataset of it, with --out "
                    "and without --lock"
                )
        groups.setdefault(source.shard, []).append(source)
    return groups


def by_shard(lock: DatasetLock) -> dict[int, list[LockedSource]]:
    """Return the sources of a dataset by the number of their shard."""
    groups: dict[int, list[LockedSource]] = {}
    for source in lock.sources:
        groups.setdefault(source.shard, []).append(source)
    return groups


def _unchanged(source: LockedSource) -> bool:
    """Return whether a source has the same metadata, and data files of the same size."""
    path = Path(source.path)
    if metadata_hash(path) != source.metadata:
        return False
    folder = path if path.is_dir() else path.parent
    try:
        return all((folder / n).stat().st_size == size for n, (size, _) in source.files.items())
    except OSError:
        return False


def reused(
    tasks: Mapping[int, Sequence[WriteTask]], old: DatasetLock, dataset: Path, format: Format
) -> int:
    """Take over the files of shards that hold the same episodes; return how many shards.

    Args:
        tasks: all tasks that write the new dataset, by number of the shard.
        old: of the dataset before.
        dataset: its folder.
        format: of both.
    """
    before = {n: [s.laid_out for s in group] for n, group in by_shard(old).items()}
    specs = {s.number: s for s in numbered(before, old.schema, old.sentences, old.subtasks)}
    count = 0
    for number, parts in tasks.items():
        same = specs.get(number)
        if same is None or _content(same) != _content(parts[0].shard):
            continue
        count += all(_taken_over(task, same, dataset, format) for task in parts)
    return count


def _content(shard: ShardSpec) -> list[object]:
    return [(e.facts, e.runs, e.split) for e in shard.episodes]


def _taken_over(task: WriteTask, same: ShardSpec, dataset: Path, format: Format) -> bool:
    """Link the files of a part that the dataset before has; return whether it has them."""
    marker = dataset / task.marker.relative_to(task.dataset)
    try:
        found = json.loads(marker.read_text())
    except (FileNotFoundError, ValueError):
        return False
    pairs = list(zip(same.episodes, task.shard.episodes))
    moved = any((a.index, a.first_frame) != (b.index, b.first_frame) for a, b in pairs)
    if moved and not format.renumbers:
        return False
    for name in found["files"]:
        link = task.dataset / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        os.link(dataset / name, link)
    numbers = {str(a.index): str(b.index) for a, b in pairs}
    episodes = {numbers[index]: facts for index, facts in found["episodes"].items()}
    if moved:
        format.renumber(task.part, task.shard, task.dataset)
        found["sizes"] = {name: file_hash(task.dataset / name) for name in found["files"]}
    mark(task.marker, {**found, "digest": task.digest, "episodes": episodes})
    return True
