"""LeRobot v3.0: Parquet and MP4 shards with metadata of every episode.

Source of the format: lerobot 0.4.4 and 0.6.1, lerobot/datasets.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from robot_recorder.dataset.formats.about import dump_json, source_columns, subtasks_of
from robot_recorder.dataset.formats.port import ShardWriter, WriteOptions, chosen_options
from robot_recorder.dataset.frames import BATCH, DatasetFrames
from robot_recorder.dataset.pictures import ChosenPictures, Picked
from robot_recorder.dataset.schema import (
    TICK,
    DatasetEpisode,
    Feature,
    FeatureKind,
    Schema,
    ShardResult,
    ShardSpec,
)
from robot_recorder.dataset.stats import FeatureStats, PixelStats, joined
from robot_recorder.dataset.tables import pyarrow, rows_of
from robot_recorder.dataset.video import (
    DEPTH_MAX_M,
    DEPTH_MIN_M,
    DEPTH_SHIFT_M,
    VideoFile,
)
from robot_recorder.model.errors import ConfigError

CHUNK = 1000  # files in a folder
DATA = "data/chunk-{0:03d}/file-{1:03d}.parquet"
VIDEO = "videos/{2}/chunk-{0:03d}/file-{1:03d}.mp4"
EPISODES = "meta/episodes/chunk-{0:03d}/file-{1:03d}.parquet"
INFO, STATS, TASKS, SUBTASKS = (
    "meta/info.json",
    "meta/stats.json",
    "meta/tasks.parquet",
    "meta/subtasks.parquet",
)
_DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
_EPISODES_A_FILE = 10_000
SAMPLED = 6  # pictures of an episode that its statistics are taken from
_SEEN = 160  # columns of pixels of each that are looked at
_OWN = ("timestamp", "frame_index", "episode_index", "index", "task_index")
_PART_DATA = "data"
_LANGUAGE = ("language_persistent", "language_events")
_OPTIONS = {"language": ("false", "true")}
INDENT = 4  # of JSON, as LeRobot writes it


class LeRobot:
    """The format ``lerobot``."""

    name = "lerobot"
    summary = "LeRobot v3.0: Parquet and MP4 shards"
    native = False
    renumbers = True

    def parts(self, schema: Schema) -> Sequence[str]:
        """Return the table, and the video of every camera."""
        return (_PART_DATA, *(f.name for f in schema.cameras))

    def writer(
        self, part: str, shard: ShardSpec, folder: Path, options: WriteOptions
    ) -> ShardWriter:
        """Return the writer of the table or of a camera's video."""
        speaks = _speaks(options)
        if part == _PART_DATA:
            return DataWriter(shard, folder, speaks)
        return VideoWriter(part, shard, folder, options.codecs[part])

    def renumber(self, part: str, shard: ShardSpec, folder: Path) -> None:
        """Correct the indices in a table; videos have none."""
        if part != _PART_DATA:
            return
        pa, pq = pyarrow()
        path = folder / DATA.format(*divmod(shard.number, CHUNK))
        groups = pq.ParquetFile(path)
        writer: Any = None
        partial = path.with_suffix(".partial")
        fresh = iter(_numbers(shard))
        for number in range(groups.num_row_groups):
            table = groups.read_row_group(number)
            numbers = next(fresh, None)
            if numbers is None or len(numbers["index"]) != len(table):
                raise ConfigError(f"{path} has other rows than its episodes: export it anew")
            for name, values in numbers.items():
                at = table.schema.get_field_index(name)
                table = table.set_column(at, table.schema.field(at), pa.array(values))
            writer = writer or pq.ParquetWriter(partial, table.schema, compression="snappy")
            writer.write_table(table)
        if writer is not None:
            writer.close()
            partial.replace(path)

    def complete(
        self,
        folder: Path,
        shards: Sequence[tuple[ShardSpec, Mapping[str, Any]]],
        options: WriteOptions,
    ) -> Sequence[str]:
        """Write info, tasks, subtasks, statistics and the list of episodes."""
        (folder / "meta").mkdir(exist_ok=True)
        schema, first = shards[0][0].schema, shards[0][0]
        episodes = [
            (shard, e, found[str(e.index)]) for shard, found in shards for e in shard.episodes
        ]
        dump_json(folder / INFO, _info(schema, first, [e for _, e, _ in episodes], options), INDENT)
        names = episodes[0][2]["stats"]
        together = {n: joined(facts["stats"][n] for _, _, facts in episodes) for n in names}
        stats = {
            n: {k: v.tolist() for k, v in known_to_lerobot(found).items()}
            for n, found in together.items()
        }
        dump_json(folder / STATS, stats, INDENT)
        written = [INFO, STATS, TASKS]
        _write_words(folder / TASKS, "task", first.sentences)
        if first.subtasks:
            _write_words(folder / SUBTASKS, "subtask", first.subtasks)
            written.append(SUBTASKS)
        for number, at in enumerate(range(0, len(episodes), _EPISODES_A_FILE)):
            path = EPISODES.format(*divmod(number, CHUNK))
            _write_episodes(folder / path, number, episodes[at : at + _EPISODES_A_FILE])
            written.append(path)
        return written


# -- tables


class DataWriter:
    """Writes the table of a shard: one row per frame, one row group per episode or 4,096 frames."""

    def __init__(self, shard: ShardSpec, folder: Path, speaks: bool = False) -> None:
        self._shard, self._speaks = shard, speaks
        self._name = DATA.format(*divmod(shard.number, CHUNK))
        self._path = folder / self._name
        self._episodes: dict[int, dict[str, Any]] = {}
        self._writer: Any = None

    def begin(self, schema: Schema) -> None:
        """Create the file."""
        pa, pq = pyarrow()
        if schema.rate_hz != round(schema.rate_hz):
            raise ConfigError(
                f"LeRobot has whole frames a second, not {schema.rate_hz:g}; give --rate"
            )
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._columns = schema.columns
        fields = [pa.field(f.name, arrow_type(pa, f)) for f in self._columns]
        fields += [pa.field("timestamp", pa.float32())]
        fields += [pa.field(name, pa.int64()) for name in self._indices()]
        if self._speaks:
            fields += [pa.field(name, kind) for name, kind in _language_types(pa).items()]
        self._schema = pa.schema(fields)
        self._writer = pq.ParquetWriter(self._path, self._schema, compression="snappy")

    def _indices(self) -> tuple[str, ...]:
        return (*_OWN[1:], *(("subtask_index",) if self._shard.subtasks else ()))

    def add(
        self, episode: DatasetEpisode, frames: DatasetFrames, pictures: Mapping[str, ChosenPictures]
    ) -> None:
        """Add the rows of an episode."""
        pa, _ = pyarrow()
        stats = {f.name: FeatureStats(channels(f)) for f in self._columns}
        own = {name: FeatureStats(1) for name in ("timestamp", *self._indices())}
        for first, columns in frames.batches():
            numbers = frame_numbers(self._shard, episode, first, columns[TICK][:, 0])
            arrays = {}
            for feature in self._columns:
                values = columns[feature.name]
                arrays[feature.name] = rows_of(pa, feature, values)
                flat = values.reshape(-1, channels(feature))
                stats[feature.name].add(flat.astype(np.float64))
            for name, numbers_ in numbers.items():
                arrays[name] = pa.array(numbers_, type=self._schema.field(name).type)
                own[name].add(numbers_[:, None])
            if self._speaks:
                said = _said(episode, float(frames.read(0, 1)[TICK][0, 0]))
                count = len(columns[TICK])
                for name, row in zip(_LANGUAGE, (said, [])):
                    arrays[name] = pa.array([row] * count, type=self._schema.field(name).type)
            self._writer.write_table(pa.table(arrays, schema=self._schema))
        found = {name: plain(s.result(), len(frames)) for name, s in {**stats, **own}.items()}
        self._episodes[episode.index] = {"stats": found}

    def finish(self) -> ShardResult:
        """Write the footer."""
        self._writer.close()
        return ShardResult((self._name,), self._episodes)


def frame_numbers(
    shard: ShardSpec, episode: DatasetEpisode, first: int, times_s: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the columns that number frames [first:first + n] of an episode.

    Args:
        times_s: float64[n], ticks since the start of the source, s.
    """
    schema, count = shard.schema, len(times_s)
    frame = np.arange(first, first + count)
    found: dict[str, np.ndarray] = {
        "timestamp": (frame / schema.rate_hz).astype(np.float32),
        "frame_index": frame,
        "episode_index": np.full(count, episode.index),
        "index": frame + episode.first_frame,
        "task_index": np.full(count, shard.sentences.index(episode.facts.sentence)),
    }
    if shard.subtasks:
        places = {name: at for at, name in enumerate(shard.subtasks)}
        found["subtask_index"] = np.array([places[n] for n in subtasks_of(episode, times_s)], "i8")
    return found


def _speaks(options: WriteOptions) -> bool:
    """Return whether annotations become language columns, which LeRobot 0.6 reads and 0.4 refuses.

    Raises:
        ConfigError: an option or its value does not exist.
    """
    return chosen_options(LeRobot.name, options, _OPTIONS)["language"] == "true"


def _language_types(pa: Any) -> dict[str, Any]:
    """Return the Arrow types of the language columns (lerobot 0.6, `lerobot.datasets.language`)."""
    text = pa.string()
    head = [
        pa.field("role", text, nullable=False),
        pa.field("content", text),
        pa.field("style", text),
    ]
    tail = [pa.field("camera", text), pa.field("tool_calls", pa.list_(text))]
    stamp = pa.field("timestamp", pa.float32(), nullable=False)
    rows = (pa.struct([*head, stamp, *tail]), pa.struct([*head, *tail]))
    return {name: pa.list_(row) for name, row in zip(_LANGUAGE, rows)}


def _said(episode: DatasetEpisode, first_s: float) -> list[dict[str, Any]]:
    """Return the subtasks of an episode, each of which holds until the next one.

    Args:
        first_s: tick of its first frame since the start of the source, s.
    """
    row = {"role": "assistant", "style": "subtask", "camera": None, "tool_calls": None}
    notes = sorted(episode.facts.annotations, key=lambda a: a[1])
    rows: dict[float, dict[str, Any]] = {}
    for at in sorted({t for _, start, end in notes for t in (start, end)}):
        active = [name for name, start, end in notes if start <= at < end]
        stamp = max(at - first_s, 0.0)  # of what began before the first frame the last one holds
        rows[stamp] = {**row, "content": active[-1] if active else None, "timestamp": stamp}
    return list(rows.values())


def _numbers(shard: ShardSpec) -> Iterable[dict[str, np.ndarray]]:
    """Yield the columns of each row group that depend on what else the dataset holds."""
    for episode in shard.episodes:
        for first in range(0, episode.length, BATCH):
            count = min(BATCH, episode.length - first)
            found = frame_numbers(shard, episode, first, np.full(count, np.nan))
            yield {name: found[name] for name in ("episode_index", "index", "task_index")}


def channels(feature: Feature) -> int:
    """Return how many channels a feature has statistics of: the last of its dimensions."""
    masks = feature.kind is FeatureKind.WINDOW and len(feature.shape) == 1
    return 1 if masks else feature.shape[-1]


def plain(stats: dict[str, np.ndarray], frames: int) -> dict[str, Any]:
    return {**{key: value.tolist() for key, value in stats.items()}, "count": [frames]}


def arrow_type(pa: Any, feature: Feature) -> Any:
    kind = pa.from_numpy_dtype(np.dtype(feature.dtype))
    if feature.shape == (1,):
        return kind
    if len(feature.shape) == 1:
        return pa.list_(kind, feature.shape[0])
    return pa.list_(pa.list_(kind))


# -- videos


class VideoWriter:
    """Writes the video of one camera for a shard."""

    def __init__(self, feature: str, shard: ShardSpec, folder: Path, codec: str) -> None:
        self._feature, self._shard, self._codec = feature, shard, codec
        self._name = VIDEO.format(*divmod(shard.number, CHUNK), feature)
        self._path = folder / self._name
        self._episodes: dict[int, dict[str, Any]] = {}
        self._video: VideoFile | None = None

    def begin(self, schema: Schema) -> None:
        """Create the file."""
        feature = next(f for f in schema.cameras if f.name == self._feature)
        self._depth = feature.kind is FeatureKind.DEPTH
        self._path.parent.mkdir(parents=True, exist_ok=True)
        size = feature.shape[1], feature.shape[0]
        self._video = VideoFile(self._path, schema.rate_hz, size, self._codec)

    def add(
        self, episode: DatasetEpisode, frames: DatasetFrames, pictures: Mapping[str, ChosenPictures]
    ) -> None:
        """Add the pictures of an episode."""
        assert self._video is not None
        mine, first = pictures[self._feature], self._video.frames
        wanted = np.linspace(0, len(mine) - 1, min(SAMPLED, len(mine))).round().tolist()[::-1]
        stats, at = FeatureStats(1) if self._depth else PixelStats(), 0
        for picked in self._video.add(mine):
            at += picked.frames
            if wanted and wanted[-1] < at:
                wanted = [frame for frame in wanted if frame >= at]
                if picked.number >= 0:
                    stats.add(sample(mine, picked, self._depth))
        rate = self._shard.schema.rate_hz
        times = [first / rate, self._video.frames / rate]
        found = picture_stats(stats.result(), self._depth)
        self._episodes[episode.index] = {
            "video": {self._feature: times}, "stats": {self._feature: found},
        }  # fmt: skip

    def finish(self) -> ShardResult:
        """Write the index of the file."""
        assert self._video is not None
        self._video.close()
        counted = {"repeated": self._video.repeated, "placeholders": self._video.placeholders}
        counted = {f"{what} pictures of {self._feature}": n for what, n in counted.items() if n}
        return ShardResult((self._name,), self._episodes, counted)


def picture_stats(stats: Mapping[str, np.ndarray], depth: bool) -> dict[str, Any]:
    """Return statistics of pictures in LeRobot's shape: (3, 1, 1), of distances (1, 1, 1)."""
    shape = (1, 1, 1) if depth else (3, 1, 1)
    plain = {k: v.reshape(shape).tolist() for k, v in stats.items() if k != "count"}
    return {**plain, "count": stats["count"].tolist()}


def sample(pictures: ChosenPictures, picked: Picked, depth: bool) -> np.ndarray:
    """Return some pixels of a picture: blue, green and red, uint8[m, n, 3]; or m, float32[k, 1]."""
    pixels = pictures.metres(picked) if depth else pictures.bgr(picked)
    step = max(1, pixels.shape[1] // _SEEN)
    pixels = pixels[::step, ::step]
    return pixels.reshape(-1, 1) if depth else pixels


# -- metadata


def _info(
    schema: Schema, shard: ShardSpec, episodes: Sequence[DatasetEpisode], options: WriteOptions
) -> dict[str, Any]:
    features = {f.name: described(f, schema, options) for f in (*schema.features, *schema.columns)}
    for name in _OWN:
        kind = "float32" if name == "timestamp" else "int64"
        features[name] = {"dtype": kind, "shape": [1], "names": None}
    if shard.subtasks:
        features["subtask_index"] = {"dtype": "int64", "shape": [1], "names": None}
    for name in _LANGUAGE if _speaks(options) else ():
        features[name] = {"dtype": "language", "shape": [1], "names": None}
    return {
        "codebase_version": "v3.0",
        "robot_type": schema.robot,
        "total_episodes": len(episodes),
        "total_frames": sum(e.length for e in episodes),
        "total_tasks": len(shard.sentences),
        "chunks_size": CHUNK,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": round(schema.rate_hz),
        "splits": splits(episodes),
        "data_path": _DATA_PATH,
        "video_path": _VIDEO_PATH if schema.cameras else None,
        "features": features,
    }


def described(feature: Feature, schema: Schema, options: WriteOptions) -> dict[str, Any]:
    if not feature.is_camera:
        names = list(feature.names)
        if len(feature.shape) > 1:
            return {"dtype": feature.dtype, "shape": list(feature.shape), "names": names}
        return {"dtype": feature.dtype, "shape": list(feature.shape), "names": names}
    height, width = feature.shape[:2]
    codec, depth = options.codecs[feature.name], feature.kind is FeatureKind.DEPTH
    info: dict[str, Any] = {
        "video.height": height,
        "video.width": width,
        "video.codec": "hevc" if depth else codec.lstrip("+"),
        "video.pix_fmt": "gray12le" if depth else "yuvj420p" if codec == "mjpeg" else "yuv420p",
        "video.is_depth_map": depth,
        "is_depth_map": depth,
        "video.fps": round(schema.rate_hz),
        "video.channels": 1 if depth else 3,
        "has_audio": False,
    }
    if feature.calibration is not None:
        info["camera.calibration"] = asdict(feature.calibration)
    if depth:
        info |= {
            "video.depth_min": DEPTH_MIN_M, "video.depth_max": DEPTH_MAX_M,
            "video.shift": DEPTH_SHIFT_M, "video.use_log": True, "depth_unit": "m",
        }  # fmt: skip
    shape = [height, width, 1 if depth else 3]
    return {
        "dtype": "video", "shape": shape, "names": ["height", "width", "channels"], "info": info,
    }  # fmt: skip


def splits(episodes: Sequence[DatasetEpisode]) -> dict[str, str]:
    """Return ranges of episodes by split; of a split in several places, joined by commas."""
    found: dict[str, list[list[int]]] = {}
    for episode in episodes:
        ranges = found.setdefault(episode.split, [])
        if ranges and ranges[-1][1] == episode.index:
            ranges[-1][1] += 1
        else:
            ranges.append([episode.index, episode.index + 1])
    return {name: ",".join(f"{a}:{b}" for a, b in ranges) for name, ranges in found.items()}


def _write_words(path: Path, name: str, words: Sequence[str]) -> None:
    """Write words and their numbers as pandas writes a table whose index they are."""
    pa, pq = pyarrow()
    number = f"{name}_index"
    text = {"pandas_type": "unicode", "numpy_type": "object", "metadata": None}
    pandas = {
        "index_columns": [name],
        "column_indexes": [{"name": None, "field_name": None, **text}],
        "columns": [
            {"name": number, "field_name": number, "pandas_type": "int64", "numpy_type": "int64",
             "metadata": None},
            {"name": name, "field_name": name, **text},
        ],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.2.0",
    }  # fmt: skip
    table = pa.table(
        {number: pa.array(range(len(words)), pa.int64()), name: pa.array(words, pa.string())}
    )
    pq.write_table(table.replace_schema_metadata({b"pandas": json.dumps(pandas).encode()}), path)


def _write_episodes(
    path: Path, number: int, episodes: Sequence[tuple[ShardSpec, DatasetEpisode, dict[str, Any]]]
) -> None:
    pa, pq = pyarrow()
    rows = [_row(number, *entry) for entry in episodes]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, compression="snappy")


def _row(
    number: int, shard: ShardSpec, episode: DatasetEpisode, facts: dict[str, Any]
) -> dict[str, Any]:
    chunk, file = divmod(shard.number, CHUNK)
    source = episode.facts
    row: dict[str, Any] = {
        "episode_index": episode.index,
        "tasks": [source.sentence],
        "length": episode.length,
        "data/chunk_index": chunk,
        "data/file_index": file,
        "dataset_from_index": episode.first_frame,
        "dataset_to_index": episode.first_frame + episode.length,
    }
    for camera, (start, end) in facts.get("video", {}).items():
        row |= {
            f"videos/{camera}/chunk_index": chunk,
            f"videos/{camera}/file_index": file,
            f"videos/{camera}/from_timestamp": start,
            f"videos/{camera}/to_timestamp": end,
        }
    for name, stats in facts["stats"].items():
        row |= {f"stats/{name}/{key}": value for key, value in known_to_lerobot(stats).items()}
    chunk, file = divmod(number, CHUNK)
    return {
        **row,
        "meta/episodes/chunk_index": chunk,
        "meta/episodes/file_index": file,
        **source_columns(episode),
    }


def known_to_lerobot(stats: Mapping[str, Any]) -> dict[str, Any]:
    """Return the statistics that LeRobot knows."""
    return {key: value for key, value in stats.items() if key != "known"}
