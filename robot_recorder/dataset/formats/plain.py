"""Plain files, one for each episode with all of its columns: ``npz`` for numpy, or ``parquet``.

Pictures are left out, unless ``--set pictures=true`` puts them in as image files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from robot_recorder.dataset.formats.about import described, episode_facts, write_about
from robot_recorder.dataset.formats.port import ShardWriter, WriteOptions, chosen_options
from robot_recorder.dataset.frames import BATCH, DatasetFrames
from robot_recorder.dataset.npy import NpzFile
from robot_recorder.dataset.pictures import ChosenPictures
from robot_recorder.dataset.schema import DatasetEpisode, Schema, ShardResult, ShardSpec
from robot_recorder.dataset.spools import Spools
from robot_recorder.dataset.stills import KINDS, OPTION, Stills
from robot_recorder.dataset.tables import pyarrow, rows_of

_PICTURES = 64  # frames read together where they have pictures
_NONE, _TRUE = "false", "true"
_OPTIONS = {OPTION: (_NONE, _TRUE, *KINDS)}


class Npz:
    """The format ``npz``."""

    name = "npz"
    summary = "NumPy: an npz file for each episode"
    native = False
    renumbers = True

    def parts(self, schema: Schema) -> Sequence[str]:
        """Return the only part."""
        return ("episodes",)

    def writer(
        self, part: str, shard: ShardSpec, folder: Path, options: WriteOptions
    ) -> ShardWriter:
        """Return the writer of a shard's episodes."""
        chosen_options(self.name, options, _OPTIONS)
        return NpzEpisodes(shard, folder, options, self.name)

    def renumber(self, part: str, shard: ShardSpec, folder: Path) -> None:
        """Keep the files: they are named after their places in the shard, and hold no numbers."""

    def complete(
        self,
        folder: Path,
        shards: Sequence[tuple[ShardSpec, Mapping[str, Any]]],
        options: WriteOptions,
    ) -> Sequence[str]:
        """Write the description, and which file each episode is in."""
        specs = [shard for shard, _ in shards]
        return write_about(folder, specs, lambda s, e: _path(s, e, self.name))


class Parquet(Npz):
    """The format ``parquet``."""

    name = "parquet"
    summary = "Parquet: a table for each episode"

    def writer(
        self, part: str, shard: ShardSpec, folder: Path, options: WriteOptions
    ) -> ShardWriter:
        """Return the writer of a shard's episodes."""
        chosen_options(self.name, options, _OPTIONS)
        return ParquetEpisodes(shard, folder, options, self.name)


def _path(shard: ShardSpec, episode: DatasetEpisode, suffix: str) -> str:
    place = episode.index - shard.episodes[0].index
    return f"data/shard-{shard.number:06d}/episode-{place:04d}.{suffix}"


class NpzEpisodes:
    """Writes the episodes of a shard as npz: an array for each column, ``facts`` as JSON text.

    The image files of a camera are one after another in ``<camera>.files``, uint8; the file of
    frame i is ``files[splits[i]:splits[i + 1]]`` with ``<camera>.splits``, int64[n + 1].
    """

    def __init__(self, shard: ShardSpec, folder: Path, options: WriteOptions, suffix: str) -> None:
        self._shard, self._folder, self._options, self._suffix = shard, folder, options, suffix
        self._stills: dict[str, Stills] = {}

    def begin(self, schema: Schema) -> None:
        """Create the folder."""
        self._schema = schema
        if self._options.extra.get(OPTION, _NONE) != _NONE:
            self._stills = {f.name: Stills(f, self._options) for f in schema.cameras}
        path = self._folder / _path(self._shard, self._shard.episodes[0], self._suffix)
        path.parent.mkdir(parents=True, exist_ok=True)

    def add(
        self, episode: DatasetEpisode, frames: DatasetFrames, pictures: Mapping[str, ChosenPictures]
    ) -> None:
        """Write the file of an episode."""
        path = self._folder / _path(self._shard, episode, self._suffix)
        splits: dict[str, list[int]] = {name: [0] for name in self._stills}
        with Spools(path.parent) as spools, NpzFile(path) as file:
            for columns, seen in self._batches(frames, pictures):
                for feature in self._schema.columns:
                    spools.add(feature.name, np.ascontiguousarray(columns[feature.name]).tobytes())
                for name, files in seen.items():
                    for data in files:
                        spools.add(f"{name}.files", data)
                        splits[name].append(splits[name][-1] + len(data))
            for feature in self._schema.columns:
                shape = (len(frames), *feature.shape)
                file.add(feature.name, shape, feature.dtype, spools.blocks(feature.name))
            for name, ends in splits.items():
                file.add(f"{name}.files", (ends[-1],), "uint8", spools.blocks(f"{name}.files"))
                file.add(f"{name}.splits", (len(ends),), "int64", [np.array(ends).tobytes()])
            text = np.array(json.dumps(self._facts(episode)))
            file.add("facts", (), text.dtype.str, [text.tobytes()])

    def _batches(
        self, frames: DatasetFrames, pictures: Mapping[str, ChosenPictures]
    ) -> Iterator[tuple[dict[str, np.ndarray], dict[str, list[bytes]]]]:
        """Yield the columns of some frames at a time, with their image files by camera."""
        seen = {name: still.files(pictures[name]) for name, still in self._stills.items()}
        size = _PICTURES if seen else BATCH
        for _, columns in frames.batches(size):
            yield columns, {name: list(islice(files, size)) for name, files in seen.items()}

    def _facts(self, episode: DatasetEpisode) -> dict[str, Any]:
        return {**described(self._schema), **episode_facts(episode)}

    def finish(self) -> ShardResult:
        """Return what was written."""
        counted: dict[str, int] = {}
        for still in self._stills.values():
            counted |= still.counted
        names = tuple(_path(self._shard, e, self._suffix) for e in self._shard.episodes)
        return ShardResult(names, {e.index: {} for e in self._shard.episodes}, counted)


class ParquetEpisodes(NpzEpisodes):
    """Writes the episodes of a shard as Parquet: a row for each frame, facts as metadata.

    The image files of a camera are a column of bytes.
    """

    def add(
        self, episode: DatasetEpisode, frames: DatasetFrames, pictures: Mapping[str, ChosenPictures]
    ) -> None:
        """Write the file of an episode."""
        pa, pq = pyarrow()
        path = self._folder / _path(self._shard, episode, self._suffix)
        path.unlink(missing_ok=True)  # it may be a link to an earlier dataset's
        facts = {b"robot_recorder": json.dumps(self._facts(episode)).encode()}
        writer: Any = None
        for columns, seen in self._batches(frames, pictures):
            arrays = {f.name: rows_of(pa, f, columns[f.name]) for f in self._schema.columns}
            arrays |= {name: pa.array(files, pa.binary()) for name, files in seen.items()}
            table = pa.table(arrays).replace_schema_metadata(facts)
            writer = writer or pq.ParquetWriter(path, table.schema, compression="snappy")
            writer.write_table(table)
        writer.close()
