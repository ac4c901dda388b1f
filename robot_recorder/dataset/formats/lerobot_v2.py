"""LeRobot v2.1, a table and a video per episode, with the ``meta/modality.json`` of GR00T.

Depth is in the tables as PNG of 16 bits, which LeRobot reads as they are; of a video it would make
eight bits. ``meta/stats.json`` is there because GR00T's own computation stumbles over windows.

Source of the formats: lerobot 0.3.3, src/lerobot/datasets; NVIDIA/Isaac-GR00T,
its page on data preparation, so100__modality.json in its examples,
lerobot_episode_loader.py and stats.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from robot_recorder.dataset.formats.about import dump_json, source_columns
from robot_recorder.dataset.formats.lerobot import (
    CHUNK,
    INDENT,
    INFO,
    STATS,
    VideoWriter,
    arrow_type,
    channels,
    described,
    frame_numbers,
    plain,
    splits,
)
from robot_recorder.dataset.formats.port import ShardWriter, WriteOptions
from robot_recorder.dataset.frames import BATCH, DatasetFrames
from robot_recorder.dataset.pictures import ChosenPictures
from robot_recorder.dataset.schema import (
    TICK,
    DatasetEpisode,
    Feature,
    FeatureKind,
    Schema,
    ShardResult,
    ShardSpec,
)
from robot_recorder.dataset.stats import FeatureStats, joined
from robot_recorder.dataset.stills import Stills
from robot_recorder.dataset.tables import pyarrow, rows_of
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.value_names import split_name

DATA = "data/chunk-{0:03d}/episode_{1:06d}.parquet"
VIDEO = "videos/chunk-{0:03d}/{2}/episode_{1:06d}.mp4"
_DATA_PATH = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
_VIDEO_PATH = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
TASKS, SUBTASKS, EPISODES, EPISODES_STATS, MODALITY = (
    "meta/tasks.jsonl",
    "meta/subtasks.jsonl",
    "meta/episodes.jsonl",
    "meta/episodes_stats.jsonl",
    "meta/modality.json",
)
_PART_DATA = "data"
_SAMPLED, _WITH_DEPTH = 20, 64  # pictures that statistics are taken from; frames read together
_TASK = ("human.task_description", "human.action.task_description")  # as GR00T's examples name it
_OWN = ("frame_index", "episode_index", "index", "task_index")


class LeRobotV2:
    """The format ``lerobot-v2``."""

    name = "lerobot-v2"
    summary = "LeRobot v2.1 with GR00T's modality.json: Parquet and MP4 files for each episode"
    native = False
    renumbers = False

    def parts(self, schema: Schema) -> Sequence[str]:
        """Return the tables, and the videos of every camera in colour."""
        return (_PART_DATA, *(f.name for f in _videos(schema)))

    def writer(
        self, part: str, shard: ShardSpec, folder: Path, options: WriteOptions
    ) -> ShardWriter:
        """Return the writer of the tables or of a camera's videos."""
        if options.extra:
            raise ConfigError(f"{self.name} has no options; leave out --set")
        if part == _PART_DATA:
            return EpisodeTables(shard, folder, options)
        return EpisodeVideos(part, shard, folder, options.codecs[part])

    def renumber(self, part: str, shard: ShardSpec, folder: Path) -> None:
        """Never called: files are named after the numbers of their episodes."""

    def complete(
        self,
        folder: Path,
        shards: Sequence[tuple[ShardSpec, Mapping[str, Any]]],
        options: WriteOptions,
    ) -> Sequence[str]:
        """Write info, tasks, the lists of episodes and of their statistics, and GR00T's files."""
        shard = shards[0][0]
        episodes = [e for spec, _ in shards for e in spec.episodes]
        stats = {e.index: found[str(e.index)]["stats"] for s, found in shards for e in s.episodes}
        (folder / "meta").mkdir(exist_ok=True)
        dump_json(folder / INFO, _info(shard, episodes, options), INDENT)
        dump_json(folder / MODALITY, modality(shard), INDENT)
        dump_json(folder / STATS, _joined(list(stats.values())), INDENT)
        _write_lines(folder / TASKS, _words("task", shard.sentences))
        _write_lines(folder / EPISODES, map(_row, episodes))
        lines = ({"episode_index": e.index, "stats": stats[e.index]} for e in episodes)
        _write_lines(folder / EPISODES_STATS, lines)
        written = [INFO, MODALITY, STATS, TASKS, EPISODES, EPISODES_STATS]
        if shard.subtasks:
            _write_lines(folder / SUBTASKS, _words("subtask", shard.subtasks))
            written.append(SUBTASKS)
        return written


def _videos(schema: Schema) -> list[Feature]:
    return [f for f in schema.cameras if f.kind is FeatureKind.PICTURE]


def _depths(schema: Schema) -> list[Feature]:
    return [f for f in schema.cameras if f.kind is FeatureKind.DEPTH]


def _fresh(path: Path) -> Path:
    """Return a path at which a new file can be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # it may be a link to an earlier dataset's
    return path


# -- tables


class EpisodeTables:
    """Writes a table for each episode of a shard: one row per frame."""

    def __init__(self, shard: ShardSpec, folder: Path, options: WriteOptions) -> None:
        self._shard, self._folder, self._options = shard, folder, options
        self._files: list[str] = []
        self._episodes: dict[int, dict[str, Any]] = {}

    def begin(self, schema: Schema) -> None:
        """Describe the tables."""
        pa, _ = pyarrow()
        if schema.rate_hz != round(schema.rate_hz):
            raise ConfigError(
                f"LeRobot has whole frames a second, not {schema.rate_hz:g}; give --rate"
            )
        self._columns = schema.columns
        self._stills = {f.name: Stills(f, self._options) for f in _depths(schema)}
        fields = [pa.field(f.name, arrow_type(pa, f)) for f in self._columns]
        image = pa.struct({"bytes": pa.binary(), "path": pa.string()})
        fields += [pa.field(name, image) for name in self._stills]
        fields += [pa.field("timestamp", pa.float32())]
        fields += [pa.field(name, pa.int64()) for name in _numbers(self._shard)]
        self._schema = pa.schema(fields, _huggingface(self._shard) if self._stills else None)

    def add(
        self, episode: DatasetEpisode, frames: DatasetFrames, pictures: Mapping[str, ChosenPictures]
    ) -> None:
        """Write the table of an episode."""
        pa, pq = pyarrow()
        name = DATA.format(episode.index // CHUNK, episode.index)
        own = ("timestamp", *_numbers(self._shard))
        widths = {f.name: channels(f) for f in self._columns} | dict.fromkeys(own, 1)
        stats = {key: FeatureStats(count) for key, count in widths.items()}
        depths = {
            key: _Depths(still.files(pictures[key]), len(frames))
            for key, still in self._stills.items()
        }
        writer = pq.ParquetWriter(_fresh(self._folder / name), self._schema, compression="snappy")
        for first, columns in frames.batches(_WITH_DEPTH if depths else BATCH):
            values = columns | frame_numbers(self._shard, episode, first, columns[TICK][:, 0])
            arrays = {f.name: rows_of(pa, f, columns[f.name]) for f in self._columns}
            arrays |= {key: pa.array(values[key], self._schema.field(key).type) for key in own}
            arrays |= {key: depth.rows(pa, len(columns[TICK])) for key, depth in depths.items()}
            writer.write_table(pa.table(arrays, schema=self._schema))
            for key, found in stats.items():
                found.add(values[key].reshape(-1, widths[key]).astype(np.float64))
        writer.close()
        self._files.append(name)
        results = {key: plain(found.result(), len(frames)) for key, found in stats.items()}
        results |= {key: depth.stats() for key, depth in depths.items()}
        self._episodes[episode.index] = {"stats": results}

    def finish(self) -> ShardResult:
        """Return what was written."""
        counted: dict[str, int] = {}
        for still in self._stills.values():
            counted |= still.counted
        return ShardResult(tuple(self._files), self._episodes, counted)


class _Depths:
    """The pictures of a depth camera for an episode's table, and their statistics."""

    def __init__(self, files: Iterator[bytes], count: int) -> None:
        self._files, self._at, self._stats = files, 0, FeatureStats(1)
        wanted = np.linspace(0, count - 1, min(_SAMPLED, count)).round()
        self._wanted = set(wanted.astype(int).tolist())

    def rows(self, pa: Any, count: int) -> Any:
        """Return the next pictures as LeRobot stores them in a table."""
        files = list(islice(self._files, count))
        for data in files:
            if self._at in self._wanted:
                self._sample(data)
            self._at += 1
        return pa.StructArray.from_arrays(
            [pa.array(files, pa.binary()), pa.nulls(len(files), pa.string())], ["bytes", "path"]
        )

    def _sample(self, data: bytes) -> None:
        pixels = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED))
        step = max(1, pixels.shape[1] // 160)
        values = pixels[::step, ::step].reshape(-1, 1).astype(np.float64)
        self._stats.add(np.where(values > 0, values, np.nan))

    def stats(self) -> dict[str, Any]:
        """Return statistics in mm; LeRobot wants those of pictures to have three channels."""
        found = {k: v for k, v in self._stats.result().items() if k != "count"}
        three = {k: np.repeat(v, 3).reshape(3, 1, 1).tolist() for k, v in found.items()}
        return {**three, "count": [len(self._wanted)]}


def _numbers(shard: ShardSpec) -> tuple[str, ...]:
    """Return LeRobot's own columns of whole numbers."""
    return (*_OWN, *(("subtask_index",) if shard.subtasks else ()))


def _huggingface(shard: ShardSpec) -> dict[bytes, bytes]:
    """Return the metadata that tells Hugging Face's ``datasets`` which columns are pictures."""
    found: dict[str, Any] = {f.name: _hf_type(f) for f in shard.schema.columns}
    found |= {f.name: {"_type": "Image"} for f in _depths(shard.schema)}
    found["timestamp"] = {"dtype": "float32", "_type": "Value"}
    found |= {name: {"dtype": "int64", "_type": "Value"} for name in _numbers(shard)}
    return {b"huggingface": json.dumps({"info": {"features": found}}).encode()}


def _hf_type(feature: Feature) -> dict[str, Any]:
    found: dict[str, Any] = {"dtype": feature.dtype, "_type": "Value"}
    if feature.shape == (1,):
        return found
    length = feature.shape[0] if len(feature.shape) == 1 else -1
    for _ in feature.shape:
        found = {"feature": found, "length": length, "_type": "Sequence"}
    return found


# -- videos


class EpisodeVideos:
    """Writes a video of one camera for each episode of a shard."""

    def __init__(self, feature: str, shard: ShardSpec, folder: Path, codec: str) -> None:
        self._feature, self._shard, self._folder, self._codec = feature, shard, folder, codec
        self._files: list[str] = []
        self._episodes: dict[int, dict[str, Any]] = {}
        self._counted: dict[str, int] = {}

    def begin(self, schema: Schema) -> None:
        """Keep the schema."""
        self._schema = schema

    def add(
        self, episode: DatasetEpisode, frames: DatasetFrames, pictures: Mapping[str, ChosenPictures]
    ) -> None:
        """Write the video of an episode."""
        name = VIDEO.format(episode.index // CHUNK, episode.index, self._feature)
        writer = _EpisodeVideo(self._feature, self._shard, self._folder, self._codec, name)
        writer.begin(self._schema)
        writer.add(episode, frames, pictures)
        written = writer.finish()
        self._files += written.files
        stats = written.episodes[episode.index]["stats"]
        self._episodes[episode.index] = {"stats": stats}
        for what, number in written.counted.items():
            self._counted[what] = self._counted.get(what, 0) + number

    def finish(self) -> ShardResult:
        """Return what was written."""
        return ShardResult(tuple(self._files), self._episodes, self._counted)


class _EpisodeVideo(VideoWriter):
    """Writes the video of one episode to a file of its own."""

    def __init__(self, feature: str, shard: ShardSpec, folder: Path, codec: str, name: str) -> None:
        super().__init__(feature, shard, folder, codec)
        self._name, self._path = name, _fresh(folder / name)


# -- metadata


def _info(
    shard: ShardSpec, episodes: Sequence[DatasetEpisode], options: WriteOptions
) -> dict[str, Any]:
    schema = shard.schema
    videos, depths = _videos(schema), _depths(schema)
    features = {f.name: described(f, schema, options) for f in (*videos, *schema.columns)}
    for feature in depths:
        features[feature.name] = {
            "dtype": "image", "shape": [*feature.shape, 1],
            "names": ["height", "width", "channels"],
            "info": {"is_depth_map": True, "depth_unit": "mm", "bits": 16},
        }  # fmt: skip
    features["timestamp"] = {"dtype": "float32", "shape": [1], "names": None}
    features |= {n: {"dtype": "int64", "shape": [1], "names": None} for n in _numbers(shard)}
    return {
        "codebase_version": "v2.1",
        "robot_type": schema.robot,
        "total_episodes": len(episodes),
        "total_frames": sum(e.length for e in episodes),
        "total_tasks": len(shard.sentences),
        "total_videos": len(videos) * len(episodes),
        "total_chunks": -(-len(episodes) // CHUNK),
        "chunks_size": CHUNK,
        "fps": round(schema.rate_hz),
        "splits": splits(episodes),
        "data_path": _DATA_PATH,
        "video_path": _VIDEO_PATH if videos else None,
        "features": features,
    }


def modality(shard: ShardSpec) -> dict[str, Any]:
    """Return GR00T's ``modality.json``: which values of state and action belong together."""
    found: dict[str, dict[str, Any]] = {"state": {}, "action": {}, "video": {}}
    for feature in shard.schema.values:
        head = feature.name.partition(".")[0]
        if kind := {"observation": "state", "action": "action"}.get(head):
            for key, start, end in value_groups(feature):
                entry = {"start": start, "end": end, "original_key": feature.name}
                found[kind][_free(key, found[kind])] = entry
    for feature in _videos(shard.schema):
        key = _word(feature.name.rpartition("images.")[2])
        found["video"][_free(key, found["video"])] = {"original_key": feature.name}
    return {**found, "annotation": {name: {"original_key": "task_index"} for name in _TASK}}


def value_groups(feature: Feature) -> list[tuple[str, int, int]]:
    """Return runs of values of one stream and one field: name, first, last + 1.

    The name is ``<stream>_<field>``, as ``joints_position``; of poses ``<stream>_<link>``.
    """
    found: list[tuple[str, int, int]] = []
    for at, name in enumerate(feature.names):
        stream, _, path = name.partition("/")
        if len(feature.streams) < 2 or stream not in feature.streams:
            stream, path = feature.streams[0], name
        key = _word(f"{stream}_{split_name(path)[0].partition('/')[0]}")
        if found and found[-1][0] == key:
            found[-1] = key, found[-1][1], at + 1
        else:
            found.append((key, at, at + 1))
    return found


def _word(text: str) -> str:
    return re.sub(r"\W+", "_", text)


def _free(key: str, taken: Mapping[str, Any]) -> str:
    """Return a name that is not taken: with a number behind it if it must be."""
    number, found = 1, key
    while found in taken:
        number += 1
        found = f"{key}_{number}"
    return found


def _words(name: str, words: Sequence[str]) -> Iterator[dict[str, Any]]:
    return ({f"{name}_index": number, name: word} for number, word in enumerate(words))


def _row(episode: DatasetEpisode) -> dict[str, Any]:
    return {
        "episode_index": episode.index,
        "tasks": [episode.facts.sentence],
        "length": episode.length,
        **source_columns(episode),
        "annotations": [list(a) for a in episode.facts.annotations],
    }


def _joined(episodes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        name: {k: v.tolist() for k, v in joined(e[name] for e in episodes).items()}
        for name in episodes[0]
    }


def _write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
