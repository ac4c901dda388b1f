"""The two kinds of jobs of an export: align a source, and write one part of a shard.

Both leave a finished result on the disk that appears whole or not at all, so that an export that was
interrupted goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from robot_recorder.dataset.align_source import AlignOptions, align_source
from robot_recorder.dataset.aligned import AlignedSource
from robot_recorder.dataset.card.sync import summarise
from robot_recorder.dataset.export_profile import ExportProfile
from robot_recorder.dataset.formats.port import WriteOptions
from robot_recorder.dataset.formats.table import format_of
from robot_recorder.dataset.frames import DatasetFrames, pictures_of
from robot_recorder.dataset.schema import ShardResult, ShardSpec
from robot_recorder.model.errors import BagError, DecodeError, RecorderError

HIDDEN = ".export"  # folder in a dataset for what its next update needs
ALIGNED, DONE, TRIES = f"{HIDDEN}/aligned", f"{HIDDEN}/shards", f"{HIDDEN}/tries"


def align_job(path: Path, dataset: Path, key: str, options: AlignOptions) -> None:
    """Align a source into the dataset's folder of aligned frames, unless it is there.

    Raises:
        RecorderError: it cannot be aligned.
    """
    folder = dataset / ALIGNED / key
    if folder.exists():
        return
    try:
        align_source(path, folder, options)
    except OSError as error:
        raise RecorderError(f"{folder} cannot be written: {error.strerror or error}") from error


@dataclass(frozen=True)
class WriteTask:
    """One part of one shard to be written.

    Attributes:
        dataset: folder of the dataset.
        format: name of the format.
        part: of the shard.
        shard: what it holds.
        keys: names of the folders of aligned frames, by path of the source.
        profile: rules of the features.
        options: how it is written.
    """

    dataset: Path
    format: str
    part: str
    shard: ShardSpec
    keys: Mapping[str, str]
    profile: ExportProfile
    options: WriteOptions

    @property
    def marker(self) -> Path:
        """Return the file that says that it is written."""
        part = self.part.replace("/", "_")
        return self.dataset / DONE / f"{self.shard.number:06d}.{part}.json"

    @property
    def digest(self) -> str:
        """Return a hash of everything that its files depend on."""
        plain = asdict(self)
        for key in ("dataset", "keys"):
            plain.pop(key)
        return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()


def written(task: WriteTask) -> dict[str, Any] | None:
    """Return the result of a part that is written already; None: it is not, or with other content."""
    try:
        found = json.loads(task.marker.read_text())
    except (FileNotFoundError, ValueError):
        return None
    if found["digest"] != task.digest:
        return None
    whole = all((task.dataset / name).exists() for name in found["files"])
    return dict(found) if whole else None


def write_job(task: WriteTask) -> dict[str, Any]:
    """Write a part of a shard, unless it is written; return its result as plain values.

    Raises:
        RecorderError: it cannot be written; names the episode.
    """
    done = written(task)
    if done is not None:
        return done
    try:
        result = _write(task)
        found = {"digest": task.digest, **asdict(result), "sizes": _hashed(task.dataset, result)}
        found["episodes"] = {str(index): facts for index, facts in result.episodes.items()}
        found = dict(json.loads(json.dumps(found)))  # as the next try will read it
        mark(task.marker, found)
    except OSError as error:
        raise RecorderError(
            f"{task.dataset} cannot be written: {error.strerror or error}"
        ) from error
    return found


def mark(path: Path, plain: Mapping[str, Any]) -> None:
    """Write a marker that is seen whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{uuid4().hex}.partial")
    partial.write_text(json.dumps(plain))
    os.replace(partial, path)


def _write(task: WriteTask) -> ShardResult:
    """Write the files in a folder of this try, then move them into place.

    A job may run twice at once, when a cluster lost its connection: neither sees the other's files.
    """
    folder = task.dataset / TRIES / uuid4().hex
    folder.mkdir(parents=True)
    writer = format_of(task.format).writer(task.part, task.shard, folder, task.options)
    schema, summaries = task.shard.schema, {}
    writer.begin(schema)
    for episode in task.shard.episodes:
        source = AlignedSource(task.dataset / ALIGNED / task.keys[episode.facts.path])
        try:
            frames = DatasetFrames(episode, source, schema, task.profile)
            writer.add(episode, frames, pictures_of(episode, source, schema, task.profile))
            if task.part == format_of(task.format).parts(schema)[0]:
                summaries[episode.index] = asdict(summarise(frames, source.summary.streams))
        except (BagError, DecodeError) as error:
            raise type(error)(
                f"{episode.facts.id}: {error}; leave it out with --exclude"
            ) from error
    result = writer.finish()
    for index, summary in summaries.items():
        result.episodes.setdefault(index, {})["sync"] = summary
    for name in result.files:
        place = task.dataset / name
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(folder / name, place)
    shutil.rmtree(folder)
    return result


def _hashed(dataset: Path, result: ShardResult) -> dict[str, tuple[int, str]]:
    """Return size and SHA-256 of the files of a result, by path."""
    return {name: file_hash(dataset / name) for name in result.files}


def file_hash(path: Path) -> tuple[int, str]:
    """Return size and SHA-256 of a file."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256") if hasattr(hashlib, "file_digest") else None
        if digest is None:  # Python 3.10
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
    return path.stat().st_size, digest.hexdigest()
