"""Small LeRobot datasets, written with pyarrow and PyAV alone, to plant defects in."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

av = pytest.importorskip("av")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

FPS, SIZE, CAMERA, IMAGES = 10, (64, 48), "observation.images.top", "observation.images.side"
LENGTHS = (5, 6, 4, 7)
SENTENCES = ["lift the cup", "lower the cup"]
DATA = ("data/chunk-000/file-000.parquet", "data/chunk-000/file-001.parquet")
VIDEOS = (f"videos/{CAMERA}/chunk-000/file-000.mp4", f"videos/{CAMERA}/chunk-000/file-001.mp4")
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
TYPES = {
    "observation.state": pa.list_(pa.float32(), 3), "action": pa.list_(pa.float32(), 2),
    "grid": pa.list_(pa.list_(pa.float64())), "open": pa.bool_(), "timestamp": pa.float32(),
    "frame_index": pa.int64(), "episode_index": pa.int64(), "index": pa.int64(),
    "task_index": pa.int64(),
}  # fmt: skip
_SHAPES = {"observation.state": (3,), "action": (2,), "grid": (2, 2)}
_DTYPES = {"grid": "float64", "open": "bool"}
_QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}

Columns = dict[str, list[Any]]


def stats_of(values: np.ndarray, frames: int | None = None) -> dict[str, Any]:
    """Return what LeRobot stores of values [n, ...]; NaN is left out."""
    with np.errstate(all="ignore"):
        found: dict[str, Any] = {
            "min": np.nanmin(values, axis=0), "max": np.nanmax(values, axis=0),
            "mean": np.nanmean(values, axis=0), "std": np.nanstd(values, axis=0),
            **{k: np.nanquantile(values, q, axis=0) for k, q in _QUANTILES.items()},
        }  # fmt: skip
    return {k: np.atleast_1d(v).tolist() for k, v in found.items()} | {
        "count": [frames or len(values)]
    }


@lru_cache
def video(frames: int, rate: int = FPS, size: tuple[int, int] = SIZE, ahead: int = 0) -> bytes:
    """Return an MP4 file with so many pictures, of which some are sent ahead of their time."""
    held = io.BytesIO()
    with av.open(held, "w", format="mp4") as file:
        gop = "8" if ahead else "2"
        stream = file.add_stream("libx264", rate=rate, options={"g": gop, "bf": str(ahead)})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        noise = np.random.default_rng(1).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
        for number in range(frames):
            picture = np.roll(noise, number * 5, axis=1)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode(None))
    return held.getvalue()


class LeRobotSet:
    """A sound dataset: four episodes in two tables and two videos, to be changed, then written.

    Attributes:
        info, stats: as in the JSON files.
        tables: columns by file.
        types: Arrow types of columns.
        episodes: rows of the list of episodes.
        tasks: its sentences, in their order.
        videos: content by file.
        then: what is done to the written dataset.
    """

    def __init__(self, version: str = "v3.0", pictures_in_tables: bool = False) -> None:
        self.version, self.tasks, self.types = version, list(SENTENCES), dict(TYPES)
        self.then: list[Callable[[Path], object]] = []
        self.tables: dict[str, Columns] = {}
        self.videos: dict[str, bytes] = {}
        self.episodes: list[dict[str, Any]] = []
        self.info: dict[str, Any] = {
            "codebase_version": version, "robot_type": "arm", "fps": FPS, "chunks_size": 1000,
            "total_episodes": len(LENGTHS), "total_frames": sum(LENGTHS),
            "total_tasks": len(SENTENCES),
            "splits": {"train": f"0:{len(LENGTHS)}"}, "features": self._features(),
            "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
            "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
        }  # fmt: skip
        self._fill(pictures_in_tables)
        self.compute_stats()

    def _features(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            name: {
                "dtype": _DTYPES.get(name, "float32" if name not in list(TYPES)[5:] else "int64"),
                "shape": list(_SHAPES.get(name, (1,))),
                "names": None,
            }
            for name in TYPES
        }
        width, height = SIZE
        about = {"video.width": width, "video.height": height, "video.codec": "h264"}
        names = ["height", "width", "channels"]
        found[CAMERA] = {
            "dtype": "video",
            "shape": [height, width, 3],
            "names": names,
            "info": about,
        }
        return found

    def _fill(self, pictures_in_tables: bool) -> None:
        rng, index = np.random.default_rng(5), 0
        for number, length in enumerate(LENGTHS):
            table, clip = number // 2, int(number == 3)
            columns = self.tables.setdefault(DATA[table], {name: [] for name in TYPES})
            columns["observation.state"] += (
                rng.normal(number, 1, (length, 3)).astype(np.float32).tolist()
            )
            columns["action"] += rng.normal(0, 1 + number, (length, 2)).astype(np.float32).tolist()
            columns["grid"] += rng.normal(0, 1, (length, 2, 2)).tolist()
            columns["open"] += (rng.random(length) < 0.5).tolist()
            columns["timestamp"] += (np.arange(length) / FPS).astype(np.float32).tolist()
            columns["frame_index"] += range(length)
            columns["episode_index"] += [number] * length
            columns["index"] += range(index, index + length)
            columns["task_index"] += [number % 2] * length
            start = 0.0 if clip else sum(LENGTHS[:number]) / FPS
            self.episodes.append({
                "episode_index": number, "tasks": [SENTENCES[number % 2]], "length": length,
                "data/chunk_index": 0, "data/file_index": table,
                "dataset_from_index": index, "dataset_to_index": index + length,
                f"videos/{CAMERA}/chunk_index": 0, f"videos/{CAMERA}/file_index": clip,
                f"videos/{CAMERA}/from_timestamp": start,
                f"videos/{CAMERA}/to_timestamp": start + length / FPS,
            })  # fmt: skip
            index += length
        self.videos = dict(zip(VIDEOS, (video(sum(LENGTHS[:3])), video(LENGTHS[3]))))
        if pictures_in_tables:
            self.types[IMAGES] = pa.struct({"bytes": pa.binary(), "path": pa.string()})
            self.info["features"][IMAGES] = self.info["features"][CAMERA] | {"dtype": "image"}
            for columns in self.tables.values():
                columns[IMAGES] = [{"bytes": b"picture", "path": "0.png"}] * len(columns["index"])

    # -- statistics

    def compute_stats(self) -> None:
        """Compute the statistics of the episodes and of the dataset."""
        whole: dict[str, list[Any]] = {}
        of_pictures = {k: [[[0.5]], [[0.5]], [[0.5]]] for k in ("min", "max", "mean", *_QUANTILES)}
        self.stats: dict[str, Any] = {}
        for row in self.episodes:
            for name, values in self.values(row["episode_index"]).items():
                whole.setdefault(name, []).extend(values.tolist())
                row |= {f"stats/{name}/{k}": v for k, v in stats_of(values).items()}
        cameras = [n for n, f in self.info["features"].items() if f["dtype"] in ("video", "image")]
        for name in cameras:
            self.stats[name] = {**of_pictures, "std": [[[0.1]], [[0.1]], [[0.1]]], "count": [12]}
            for row in self.episodes:
                row |= {f"stats/{name}/{k}": v for k, v in self.stats[name].items()}
        self.stats |= {name: stats_of(np.array(values)) for name, values in whole.items()}

    def values(self, episode: int) -> dict[str, np.ndarray]:
        """Return the numbers of an episode by feature, [n, ...]."""
        found: dict[str, Any] = {}
        for columns in self.tables.values():
            rows = [n for n, e in enumerate(columns["episode_index"]) if e == episode]
            if rows:
                found = {
                    name: np.array([columns[name][n] for n in rows], np.float64) for name in TYPES
                }
        return found

    # -- writing

    def write(self, root: Path) -> Path:
        """Write it, and do what has to be done then."""
        for folder in ("meta", "data/chunk-000"):
            (root / folder).mkdir(parents=True)
        if self.version == "v3.0":
            self._write_meta(root)
        else:
            self._write_old_meta(root)
        for name, columns in self.tables.items():
            kinds = [pa.field(n, self.types[n]) for n in columns]
            table = pa.table(
                {n: pa.array(v, self.types[n]) for n, v in columns.items()}, pa.schema(kinds)
            )
            pq.write_table(table, _made(root / name), row_group_size=4)
        for name, content in self.videos.items():
            _made(root / name).write_bytes(content)
        for change in self.then:
            change(root)
        return root

    def _write_meta(self, root: Path) -> None:
        (root / "meta/info.json").write_text(json.dumps(self.info))
        (root / "meta/stats.json").write_text(json.dumps(self.stats))
        write_words(root / "meta/tasks.parquet", "task", self.tasks)
        pq.write_table(pa.Table.from_pylist(self.episodes), _made(root / EPISODES))

    def _write_old_meta(self, root: Path) -> None:
        """Write v2.0 or v2.1, whose tables and videos have one episode each."""
        columns = {n: [v for t in self.tables.values() for v in t[n]] for n in TYPES}
        self.tables, self.videos = {}, {}
        for row in self.episodes:
            number, rows = (
                row["episode_index"],
                slice(row["dataset_from_index"], row["dataset_to_index"]),
            )
            self.tables[f"data/chunk-000/episode_{number:06d}.parquet"] = {
                n: v[rows] for n, v in columns.items()
            }
            self.videos[f"videos/chunk-000/{CAMERA}/episode_{number:06d}.mp4"] = video(
                row["length"]
            )
        self.info |= {
            "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
            "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/"
            "episode_{episode_index:06d}.mp4",
            "total_videos": len(self.videos), "total_chunks": 1,
        }  # fmt: skip
        (root / "meta/info.json").write_text(json.dumps(self.info))
        _write_lines(
            root / "meta/tasks.jsonl",
            [{"task_index": n, "task": t} for n, t in enumerate(self.tasks)],
        )
        listed = ("episode_index", "tasks", "length")
        _write_lines(
            root / "meta/episodes.jsonl", [{k: row[k] for k in listed} for row in self.episodes]
        )
        if self.version == "v2.0":
            (root / "meta/stats.json").write_text(json.dumps(self.stats))
            return
        lines = []
        for row in self.episodes:
            stats: dict[str, dict[str, Any]] = {}
            for key in (k for k in row if k.startswith("stats/")):
                stats.setdefault(key.split("/")[1], {})[key.split("/")[2]] = row[key]
            lines.append({"episode_index": row["episode_index"], "stats": stats})
        _write_lines(root / "meta/episodes_stats.jsonl", lines)


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _write_lines(path: Path, objects: Iterable[Any]) -> None:
    path.write_text("".join(json.dumps(o) + "\n" for o in objects))


def write_words(
    path: Path, word: str, words: list[str], column: str = "__index_level_0__", indexed: bool = True
) -> None:
    """Write a table of sentences as pandas does, or without telling that they are its index."""
    table = pa.table({f"{word}_index": list(range(len(words))), column: words})
    number, text = (
        f"{word}_index",
        {"pandas_type": "unicode", "numpy_type": "object", "metadata": None},
    )
    whole = {"pandas_type": "int64", "numpy_type": "int64", "metadata": None}
    pandas = {
        "index_columns": [column],
        "column_indexes": [{"name": None, "field_name": None, **text}],
        "columns": [
            {"name": number, "field_name": number, **whole},
            {"name": None, "field_name": column, **text},
        ],
        "pandas_version": "2.2.0",
    }
    about = {b"pandas": json.dumps(pandas).encode()} if indexed else None
    pq.write_table(table.replace_schema_metadata(about), path)


def changed_table(path: Path, change: Callable[[dict[str, list[Any]]], None]) -> None:
    """Write a table again with other columns; types are guessed."""
    table = pq.read_table(path)
    columns = table.to_pydict()
    change(columns)
    pq.write_table(pa.table(columns).replace_schema_metadata(table.schema.metadata), path)
