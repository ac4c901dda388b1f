"""Zarr, version 2 of the format, for Diffusion Policy and UMI; and at native rates, as UMI-FT has it.

``zarr`` has one array per feature for all episodes. Pictures have a chunk per frame, as UMI's have, so
that every job writes files of its own and nothing is merged; rows of numbers, which share chunks, are
kept per shard below ``.export`` and become arrays at the end. Chunks are written with numcodecs alone:
byte shuffle and Zstandard, which give the same bytes on any number of threads; Blosc does not.

``zarr-native`` is laid out as UMI-FT's ``data/episode_<n>``, with each stream's samples in
``<stream>_0``, their times in ``<stream>_time_stamps_0`` and their numbers in
``meta/episode_<stream>0_len``. UMI-FT names no unit of its times; here they are s since the episode's
start. Some of its names follow no rule (``wrench_time_stamps_left_0``) and are not imitated. Tactile
streams are named as in Open-X-Tactile, ``<side>_tactile_data_<group>`` [m, 1, k]; that dataset itself
has all arrays at one rate, as ``zarr`` has, and codes of areas, which we do not know. Ours are
``frames``, the columns at the rate of the frames, and the maps from frames to samples:
``<stream>_ends_0``, and ``<camera>_index_0`` for the pictures, of which frames chose each.

Sources of the formats: Diffusion Policy, replay_buffer.py; UMI, 07_generate_replay_buffer.py; UMI-FT's
README; loaders of FTP-1, as which Open-X-Tactile is published.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from robot_recorder.configuration.version import software_version
from robot_recorder.dataset.formats.about import source_columns
from robot_recorder.dataset.formats.hdf5 import (
    DEPTH_UNITS,
    ROWS,
    counted_pictures,
    described,
    facts_of,
    picture_type,
    pixels_of,
    short_names,
)
from robot_recorder.dataset.formats.port import ShardWriter, WriteOptions, chosen_options
from robot_recorder.dataset.frames import DatasetFrames, NativeStream
from robot_recorder.dataset.pictures import ChosenPictures
from robot_recorder.dataset.schema import (
    SKEW,
    TICK,
    DatasetEpisode,
    Feature,
    FeatureKind,
    Schema,
    ShardResult,
    ShardSpec,
)
from robot_recorder.dataset.tables import library
from robot_recorder.model.arrays import Floats, Int64s

STORE = "dataset.zarr"
_ROWS = ".export/rows/{:06d}/{}.npy"  # of a column of a shard; not part of the store
_GROUP = "data/episode_{}"
_DATA = "data"
_CHUNK_BYTES = 1 << 20
_LEVEL = 3  # of Zstandard, for numbers
_LEVELS = {"fast": 1, "small": 3}  # for pictures
_OPTIONS = {"depth": DEPTH_UNITS, "compression": tuple(_LEVELS)}


class Zarr:
    """The format ``zarr``."""

    name = "zarr"
    summary = "Zarr as Diffusion Policy and UMI read it: one array per feature"
    native = False
    renumbers = False

    def parts(self, schema: Schema) -> Sequence[str]:
        """Return the numbers, and the pictures of every camera."""
        return (_DATA, *(f.name for f in schema.cameras))

    def writer(
        self, part: str, shard: ShardSpec, folder: Path, options: WriteOptions
    ) -> ShardWriter:
        """Return the writer of the numbers or of a camera's pictures."""
        chosen = chosen_options(self.name, options, _OPTIONS)
        if part == _DATA:
            return RowsWriter(shard, folder)
        return CameraWriter(_camera(shard.schema, part), folder, chosen)

    def renumber(self, part: str, shard: ShardSpec, folder: Path) -> None:
        """Never called: pictures are in files named after their frames."""

    def complete(
        self,
        folder: Path,
        shards: Sequence[tuple[ShardSpec, Mapping[str, Any]]],
        options: WriteOptions,
    ) -> Sequence[str]:
        """Write the arrays of numbers, and what describes all arrays."""
        chosen = chosen_options(self.name, options, _OPTIONS)
        specs = [shard for shard, _ in shards]
        schema, episodes = specs[0].schema, [e for s in specs for e in s.episodes]
        keys, count = short_names(schema), _frames(episodes)
        files = _write_metadata(folder, self.name, specs[0], episodes)
        for column in schema.columns:
            key = keys[column.name]
            array = ChunkedArray(folder, f"data/{key}", column.shape, column.dtype, count)
            for shard in specs:
                rows = np.load(folder / _ROWS.format(shard.number, key), mmap_mode="r")
                for at in range(0, len(rows), ROWS):
                    array.add(rows[at : at + ROWS])
            files += array.close(described(column))
        for camera in schema.cameras:
            pictures = PictureChunks(folder, f"data/{keys[camera.name]}", camera, chosen)
            files += pictures.describe(count)
        return files


class ZarrNative:
    """The format ``zarr-native``."""

    name = "zarr-native"
    summary = "Zarr with every stream at its own rate, a group per episode as UMI-FT's"
    native = True
    renumbers = False

    def parts(self, schema: Schema) -> Sequence[str]:
        """Return the numbers, and the pictures of every camera."""
        return (_DATA, *(f.name for f in schema.cameras))

    def writer(
        self, part: str, shard: ShardSpec, folder: Path, options: WriteOptions
    ) -> ShardWriter:
        """Return the writer of the numbers or of a camera's pictures."""
        chosen = chosen_options(self.name, options, _OPTIONS)
        if part == _DATA:
            return SamplesWriter(folder)
        return NativeCameraWriter(_camera(shard.schema, part), folder, chosen)

    def renumber(self, part: str, shard: ShardSpec, folder: Path) -> None:
        """Never called: groups are named after the numbers of their episodes."""

    def complete(
        self,
        folder: Path,
        shards: Sequence[tuple[ShardSpec, Mapping[str, Any]]],
        options: WriteOptions,
    ) -> Sequence[str]:
        """Write how many samples every episode has."""
        episodes = [e for shard, _ in shards for e in shard.episodes]
        lengths = [found[str(e.index)]["lengths"] for s, found in shards for e in s.episodes]
        files = _write_metadata(folder, self.name, shards[0][0], episodes)
        for name in dict.fromkeys(name for known in lengths for name in known):
            values = np.array([known.get(name, 0) for known in lengths], dtype=np.int64)
            files += write_array(folder, f"meta/episode_{name}0_len", values)
        return files


# -- one array per feature


class RowsWriter:
    """Writes the numbers of a shard, each column to a file [frames of the shard, *shape]."""

    def __init__(self, shard: ShardSpec, folder: Path) -> None:
        self._shard, self._folder = shard, folder
        self._arrays: dict[str, np.ndarray] = {}
        self._files: list[str] = []
        self._at = 0

    def begin(self, schema: Schema) -> None:
        """Create the files."""
        numcodecs()
        keys, count = short_names(schema), _frames(self._shard.episodes)
        for column in schema.columns:
            name = _ROWS.format(self._shard.number, keys[column.name])
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)  # it may be a link to one of the dataset before
            kind, shape = np.dtype(column.dtype), (count, *column.shape)
            self._arrays[column.name] = np.lib.format.open_memmap(path, "w+", kind, shape)
            self._files.append(name)

    def add(
        self, episode: DatasetEpisode, frames: DatasetFrames, pictures: Mapping[str, ChosenPictures]
    ) -> None:
        """Write the numbers of an episode."""
        for first, columns in frames.batches(ROWS):
            for name, array in self._arrays.items():
                at = self._at + first
                array[at : at + len(columns[name])] = columns[name]
        self._at += len(frames)

    def finish(self) -> ShardResult:
        """Close the files."""
        self._arrays.clear()
        return ShardResult(tuple(self._files), {})


class CameraWriter:
    """Writes the pictures of a camera, a file per frame."""

    def __init__(self, feature: Feature, folder: Path, options: Mapping[str, str]) -> None:
        self._feature, self._folder, self._options = feature, folder, options
        self._files: list[str] = []
        self._counted: dict[str, int] = {}

    def begin(self, schema: Schema) -> None:
        """Create the folder."""
        path = f"data/{short_names(schema)[self._feature.name]}"
        self._chunks = PictureChunks(self._folder, path, self._feature, self._options)

    def add(
        self, episode: DatasetEpisode, frames: DatasetFrames, pictures: Mapping[str, ChosenPictures]
    ) -> None:
        """Write the pictures of an episode."""
        at, mine = episode.first_frame, pictures[self._feature.name]
        for picked in counted_pictures(self._feature, mine, self._counted):
            pixels = pixels_of(self._feature, mine, picked, self._options["depth"])
            self._files += self._chunks.write(pixels, at, picked.frames)
            at += picked.frames

    def finish(self) -> ShardResult:
        """Return the files, which are closed already."""
        return ShardResult(tuple(self._files), {}, self._counted)


# -- native rates


class SamplesWriter:
    """Writes the samples of all streams of a shard's episodes, and the columns of their frames."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: list[str] = []
        self._episodes: dict[int, dict[str, Any]] = {}

    def begin(self, schema: Schema) -> None:
        """Check that numcodecs is installed."""
        numcodecs()

    def add(
        self, episode: DatasetEpisode, frames: DatasetFrames, pictures: Mapping[str, ChosenPictures]
    ) -> None:
        """Write the group of an episode."""
        group = _GROUP.format(episode.index)
        self._files += write_group(self._folder, group, facts_of(frames.schema, episode))
        self._files += write_group(self._folder, f"{group}/frames", {})
        self._write_frames(f"{group}/frames", frames)
        windows = {f.streams[0]: f for f in frames.schema.features if f.kind is FeatureKind.WINDOW}
        lengths = {}
        for name, stream in frames.native.items():
            self._write_stream(group, name, stream, windows.get(name))
            lengths[name] = len(stream.times_s)
        self._episodes[episode.index] = {"lengths": lengths}

    def _write_frames(self, group: str, frames: DatasetFrames) -> None:
        """Write the columns at the rate of the frames; of windows, which are samples, the number."""
        keys, arrays = short_names(frames.schema), {}
        for column in frames.schema.columns:
            if column.kind is FeatureKind.WINDOW and not column.name.endswith(".window_count"):
                continue
            path = f"{group}/{keys[column.name]}"
            arrays[column] = ChunkedArray(
                self._folder, path, column.shape, column.dtype, len(frames)
            )
        for _, columns in frames.batches(ROWS):
            for column, array in arrays.items():
                array.add(columns[column.name])
        for column, array in arrays.items():
            self._files += array.close(described(column))

    def _write_stream(
        self, group: str, name: str, stream: NativeStream, window: Feature | None
    ) -> None:
        """Write samples with their times, and how many there are up to each frame.

        Args:
            window: feature that is cut out of them; None: none.
        """
        data, times, ends = f"{name}_0", f"{name}_time_stamps_0", f"{name}_ends_0"
        values = stream.values
        if tactile := tactile_name(name, stream.names):
            side, part = tactile
            data, times = f"{side}_tactile_data_{part}", f"{side}_tactile_timestamps_{part}"
            values = values[:, None]
        about: dict[str, Any] = {"stream": name}
        facts = {**about, "names": list(stream.names)}
        if window is not None:
            facts |= {"window_feature": window.name, "window_rows": window.shape[0]}
        self._files += write_array(self._folder, f"{group}/{data}", values, facts)
        stamps = stream.times_s[:, None]
        self._files += write_array(self._folder, f"{group}/{times}", stamps, {**about, "unit": "s"})
        self._files += write_array(self._folder, f"{group}/{ends}", stream.ends, about)

    def finish(self) -> ShardResult:
        """Return the files, which are closed already."""
        return ShardResult(tuple(self._files), self._episodes)


class NativeCameraWriter:
    """Writes the pictures of a camera that frames chose, each once, with their times."""

    def __init__(self, feature: Feature, folder: Path, options: Mapping[str, str]) -> None:
        self._feature, self._folder, self._options = feature, folder, options
        self._stream = feature.streams[0]
        self._files: list[str] = []
        self._episodes: dict[int, dict[str, Any]] = {}

    def begin(self, schema: Schema) -> None:
        """Check that numcodecs is installed."""
        numcodecs()

    def add(
        self, episode: DatasetEpisode, frames: DatasetFrames, pictures: Mapping[str, ChosenPictures]
    ) -> None:
        """Write the pictures of an episode, and which of them each frame has; -1: none."""
        group, mine = _GROUP.format(episode.index), pictures[self._feature.name]
        path = f"{group}/{self._stream}_0"
        chunks = PictureChunks(self._folder, path, self._feature, self._options)
        index, at, count = np.full(len(frames), -1, dtype=np.int64), 0, 0
        for picked in mine.picked():
            if picked.number >= 0:
                pixels = pixels_of(self._feature, mine, picked, self._options["depth"])
                self._files += chunks.write(pixels, count, 1)
                index[at : at + picked.frames] = count
                count += 1
            at += picked.frames
        self._files += chunks.describe(count)
        about, head = {"stream": self._stream}, f"{group}/{self._stream}"
        times = self._times(frames, index, count)[:, None]
        facts = {**about, "unit": "s"}
        self._files += write_array(self._folder, f"{head}_time_stamps_0", times, facts)
        self._files += write_array(self._folder, f"{head}_index_0", index, about)
        self._episodes[episode.index] = {"lengths": {self._stream: count}}

    def _times(self, frames: DatasetFrames, index: Int64s, count: int) -> Floats:
        """Return when pictures were taken, s since the episode's start, float64[count]."""
        times, column = np.full(count, np.nan), frames.schema.streams.index(self._stream)
        for first, columns in frames.batches(ROWS):
            own = index[first : first + ROWS]
            taken = columns[TICK][:, 0] + columns[SKEW][:, column]
            times[own[own >= 0]] = taken[own >= 0]
        return times

    def finish(self) -> ShardResult:
        """Return the files, which are closed already."""
        return ShardResult(tuple(self._files), self._episodes)


def tactile_name(stream: str, values: Sequence[str]) -> tuple[str, str] | None:
    """Return side and group of a tactile stream; None for other streams, and if its name says no side.

    Args:
        stream: its name, such as ``left_fingertips_tactile``.
        values: names of its values, ``normal/<taxel> (<unit>)``.
    """
    words = stream.split("_")
    side = next((word for word in words if word in ("left", "right")), "")
    if not side or not any(name.startswith("normal/") for name in values):
        return None
    words.remove(side)
    group = "_".join(word for word in words if word not in ("tactile", "touch"))
    return side, re.sub(r"\W", "_", group) or "hand"


# -- the store


def numcodecs() -> Any:
    """Return numcodecs, imported when it is needed.

    Raises:
        ConfigError: it is not installed.
    """
    return library("Zarr", "numcodecs")


class ChunkedArray:
    """An array [n, *shape] of a store that grows row by row; whole chunks are written at once."""

    def __init__(
        self, folder: Path, path: str, shape: tuple[int, ...], kind: str, most: int,
        level: int = _LEVEL,
    ) -> None:  # fmt: skip
        """
        Args:
            folder: of the dataset.
            path: of the array in the store.
            shape: of one row.
            kind: numpy name of the type.
            most: rows of a chunk; fewer if they are more than 1 MB.
            level: of Zstandard.

        Raises:
            ConfigError: numcodecs is not installed.
        """
        library = numcodecs()
        self._folder, self._name, self._shape = folder, f"{STORE}/{path}", shape
        self._kind = np.dtype(kind)
        width = self._kind.itemsize * max(1, int(np.prod(shape)))
        self._rows = max(1, min(most, _CHUNK_BYTES // width))
        numbers = self._kind.kind in "fiu" and self._kind.itemsize > 1
        self._filters = [library.Shuffle(self._kind.itemsize)] if numbers else []
        self._level, self._compressor = level, library.Zstd(level)
        self._held: list[np.ndarray] = []
        self._count = self._waiting = 0
        self._files: list[str] = []
        (folder / self._name).mkdir(parents=True, exist_ok=True)

    def add(self, rows: np.ndarray) -> None:
        """Append rows [m, *shape]."""
        at = 0
        while at < len(rows):
            taken = np.array(rows[at : at + self._rows - self._waiting], dtype=self._kind)
            self._held.append(taken)
            at, self._waiting = at + len(taken), self._waiting + len(taken)
            self._count += len(taken)
            if self._waiting == self._rows:
                self._flush()

    def _flush(self) -> None:
        chunk = np.zeros((self._rows, *self._shape), dtype=self._kind)
        np.concatenate(self._held, out=chunk[: self._waiting])
        number = (self._count - 1) // self._rows
        self._files += self.write(number, self.packed(chunk))
        self._held, self._waiting = [], 0

    def packed(self, chunk: np.ndarray) -> bytes:
        """Return the bytes of a chunk [rows, *shape]."""
        data: Any = np.ascontiguousarray(chunk).view(np.uint8)
        for one in self._filters:
            data = one.encode(data)
        return bytes(self._compressor.encode(data))

    def write(self, number: int, data: bytes) -> list[str]:
        """Write the bytes of a chunk; return its file, relative to the dataset."""
        name = f"{self._name}/{'.'.join(map(str, (number, *(0 for _ in self._shape))))}"
        _replace(self._folder / name, data)
        return [name]

    def close(self, facts: Mapping[str, Any]) -> list[str]:
        """Write what is left, and what describes the array; return all files."""
        if self._waiting:
            self._flush()
        return self._files + self.describe(self._count, facts)

    def describe(self, count: int, facts: Mapping[str, Any]) -> list[str]:
        """Write what describes an array of ``count`` rows; return the files."""
        chunks = [self._rows, *self._shape]
        empty: Any = {"b": False, "U": ""}.get(self._kind.kind, 0)
        plain = {
            "zarr_format": 2, "shape": [count, *self._shape], "chunks": chunks,
            "dtype": self._kind.str, "fill_value": empty, "order": "C",
            "filters": [f.get_config() for f in self._filters] or None,
            "compressor": {"id": "zstd", "level": self._level},  # all that old numcodecs understand
            "dimension_separator": ".",
        }  # fmt: skip
        files = {f"{self._name}/.zarray": plain, f"{self._name}/.zattrs": facts}
        return _write_json(self._folder, files)


class PictureChunks:
    """The pictures of a camera in a store, a chunk each."""

    def __init__(
        self, folder: Path, path: str, feature: Feature, options: Mapping[str, str]
    ) -> None:
        """
        Args:
            folder: of the dataset.
            path: of the array in the store.
            feature: of the camera.
            options: ``depth``, the unit of distances; ``compression``.
        """
        kind, self._facts = picture_type(feature, options["depth"])
        level = _LEVELS[options["compression"]]
        self._feature = feature
        self._array = ChunkedArray(folder, path, feature.shape, kind, 1, level)

    def write(self, pixels: np.ndarray, at: int, frames: int) -> list[str]:
        """Write a picture of frames [at:at + frames]; return the files, relative to the dataset."""
        data = self._array.packed(pixels[None])
        return [name for n in range(at, at + frames) for name in self._array.write(n, data)]

    def describe(self, count: int) -> list[str]:
        """Write what describes an array of ``count`` pictures; return the files."""
        return self._array.describe(count, {**described(self._feature), **self._facts})


def write_array(
    folder: Path, path: str, values: np.ndarray, facts: Mapping[str, Any] | None = None
) -> list[str]:
    """Write an array [n, ...] to a store; return the files."""
    array = ChunkedArray(folder, path, values.shape[1:], values.dtype.str, len(values))
    for at in range(0, len(values), ROWS):
        array.add(values[at : at + ROWS])
    return array.close(facts or {})


def write_group(folder: Path, path: str, facts: Mapping[str, Any]) -> list[str]:
    """Write what describes a group of a store; return the files."""
    name = f"{STORE}/{path}" if path else STORE
    (folder / name).mkdir(parents=True, exist_ok=True)
    return _write_json(folder, {f"{name}/.zgroup": {"zarr_format": 2}, f"{name}/.zattrs": facts})


def _write_metadata(
    folder: Path, name: str, shard: ShardSpec, episodes: Sequence[DatasetEpisode]
) -> list[str]:
    """Write the groups of a store, and what is known of its episodes; return the files."""
    schema = shard.schema
    facts = {
        "format": name, "exporter_version": software_version(), "robot_type": schema.robot,
        "rate_hz": schema.rate_hz, "reference": schema.reference, "streams": list(schema.streams),
        "instructions": list(shard.sentences), "subtasks": list(shard.subtasks),
    }  # fmt: skip
    files = write_group(folder, "", facts)
    files += write_group(folder, "data", {}) + write_group(folder, "meta", {})
    ends = np.array(list(accumulate(e.length for e in episodes)), dtype=np.int64)
    files += write_array(folder, "meta/episode_ends", ends)
    known = [
        {**source_columns(e), "instruction": e.facts.instruction,
         "annotations": json.dumps(e.facts.annotations, ensure_ascii=False)}
        for e in episodes
    ]  # fmt: skip
    for fact in known[0]:
        values = [row[fact] for row in known]
        unknown: Any = 0 if any(isinstance(value, int) for value in values) else ""
        column = np.array([unknown if value is None else value for value in values])
        files += write_array(folder, f"meta/{fact}", column)
    return files


def _camera(schema: Schema, name: str) -> Feature:
    return next(f for f in schema.cameras if f.name == name)


def _frames(episodes: Sequence[DatasetEpisode]) -> int:
    return sum(e.length for e in episodes)


def _write_json(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> list[str]:
    for name, plain in files.items():
        text = json.dumps(plain, indent=1, ensure_ascii=False, sort_keys=True)
        _replace(folder / name, f"{text}\n".encode())
    return list(files)


def _replace(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)  # it may be a link to one of the dataset before
    path.write_bytes(data)
