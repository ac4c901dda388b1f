"""Read the list of episodes, and check it against itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from robot_recorder.dataset.tables import pyarrow
from robot_recorder.dataset.verify.findings import COPY, LIST
from robot_recorder.dataset.verify.reading import (
    EPISODES,
    OLD_EPISODES,
    OpenedSet,
    json_lines,
    read_table,
)
from robot_recorder.model.arrays import Floats, Int64s

TOLERANCE_S = 1e-4  # LeRobot's tolerance_s: it refuses a picture that is further from its frame
FRAMES = 0.1  # what the length of an episode's video may differ, in frames
_UNLISTED = "record again and call finalize() at the end, or list the episodes of the tables anew"


@dataclass
class VideoClips:
    """Where the pictures of one camera are, by episode.

    Attributes:
        paths: of the videos, relative to the dataset; empty: none.
        start, end: float64[n], s in the video.
    """

    paths: list[str]
    start: Floats
    end: Floats


@dataclass
class EpisodeTable:
    """The list of episodes, in its order.

    Attributes:
        number: int64[n], episode_index.
        length: int64[n], frames.
        first, last: int64[n], index of its first frame, and one after the last.
        data: files of its rows, relative to the dataset; empty: unknown.
        tasks: its sentences; None: unknown.
        videos: by camera.
    """

    number: Int64s
    length: Int64s
    first: Int64s
    last: Int64s
    data: list[str]
    tasks: list[frozenset[str] | None]
    videos: dict[str, VideoClips] = field(default_factory=dict)

    def extend(self, other: EpisodeTable) -> None:
        """Add those of another file."""
        for name in ("number", "length", "first", "last"):
            setattr(self, name, np.append(getattr(self, name), getattr(other, name)))
        self.data += other.data
        self.tasks += other.tasks
        for camera, clips in other.videos.items():
            mine = self.videos[camera]
            mine.paths += clips.paths
            mine.start, mine.end = (
                np.append(mine.start, clips.start),
                np.append(mine.end, clips.end),
            )


def read_episodes(ds: OpenedSet) -> EpisodeTable | None:
    """Return the list of episodes; None: a part of it cannot be read."""
    if ds.is_old:
        return _old_episodes(ds)
    paths = sorted((ds.root / EPISODES).glob("*/*.parquet"))
    if not paths:
        ds.add(EPISODES, "there is no list of episodes", _UNLISTED)
    parts = []
    for path in paths:
        table = read_table(ds, path, skipped=("stats/",))
        parts.append(None if table is None else _listed(ds, ds.name(path), table))
    whole = [part for part in parts if part is not None]
    if not whole or len(whole) < len(parts):
        return None
    for part in whole[1:]:
        whole[0].extend(part)
    return whole[0]


def _listed(ds: OpenedSet, where: str, table: Any) -> EpisodeTable | None:
    names = ("episode_index", "length", "dataset_from_index", "dataset_to_index",
             "data/chunk_index", "data/file_index")  # fmt: skip
    found = [_column(ds, where, table, name) for name in names]
    columns = [c for c in found if c is not None]
    if len(columns) < len(names):
        return None
    number, length, first, last, chunk, file = columns
    keys = [{"chunk_index": int(c), "file_index": int(f)} for c, f in zip(chunk, file)]
    tasks: list[frozenset[str] | None] = [None] * len(number)
    if "tasks" in table.column_names:
        try:
            tasks = [_sentences(t) for t in table["tasks"].to_pylist()]
        except ValueError:
            ds.add(where, "tasks are no UTF-8", LIST)
    else:
        ds.add(where, "it has no column tasks", LIST)
    part = EpisodeTable(number, length, first, last, ds.paths("data_path", keys), tasks)
    for camera in ds.of("video"):
        part.videos[camera.name] = _clips(ds, where, table, camera.name)
    return part


def _sentences(plain: Any) -> frozenset[str] | None:
    return frozenset(map(str, plain)) if isinstance(plain, list) else None


def _clips(ds: OpenedSet, where: str, table: Any, camera: str) -> VideoClips:
    names = ("chunk_index", "file_index", "from_timestamp", "to_timestamp")
    chunk, file, start, end = (
        _column(ds, where, table, f"videos/{camera}/{n}", n.endswith("index")) for n in names
    )
    if chunk is None or file is None or start is None or end is None:
        none = np.full(len(table), np.nan)
        return VideoClips([""] * len(table), none, none)
    there = (chunk >= 0) & (file >= 0)
    keys = [
        {"video_key": camera, "chunk_index": int(c), "file_index": int(f)}
        for c, f in zip(chunk[there], file[there])
    ]
    filled = iter(ds.paths("video_path", keys))
    return VideoClips([next(filled) if ok else "" for ok in there], start, end)


def _column(ds: OpenedSet, where: str, table: Any, name: str, whole: bool = True) -> Any:
    """Return int64[n], -1 where it is empty, or float64[n], NaN there; None: there is no such."""
    types = pyarrow()[0].types
    if name not in table.column_names:
        ds.add(where, f"it has no column {name}", LIST)
        return None
    column = table[name]
    floating = types.is_floating(column.type)
    if not types.is_integer(column.type) and (whole or not floating):
        ds.add(where, f"{name} holds {column.type}, not {'whole ' if whole else ''}numbers", LIST)
        if not floating:
            return None
    values = column.to_numpy().astype(np.float64)
    empty = np.isnan(values)
    if empty.any():
        known = "episode_index" in table.column_names
        numbers = table["episode_index"].to_pylist() if known else []
        mine = [n for n, lost in zip(numbers, empty) if lost and n is not None]
        fix = "encode its videos, or delete the episode"
        ds.add(where, f"{name} is empty for {{}}", fix, episodes=mine)
    return whole_numbers(values) if whole else values


def whole_numbers(values: Floats) -> Int64s:
    """Return whole numbers, -1 for NaN."""
    return np.nan_to_num(values, nan=-1).clip(-(2.0**53), 2.0**53).astype(np.int64)


def _old_episodes(ds: OpenedSet) -> EpisodeTable | None:
    """Return the list of v2.0 and v2.1, which have files per episode; None: it cannot be read."""
    found = list(json_lines(ds, OLD_EPISODES))
    numbers, lengths = ([f.get(key) for f in found] for key in ("episode_index", "length"))
    if not all(isinstance(n, int) and 0 <= n < 1 << 53 for n in numbers + lengths):
        ds.add(OLD_EPISODES, "episode_index or length of an episode is no number", LIST)
        return None
    if not found:
        return None
    number, length = np.array(numbers, dtype=np.int64), np.array(lengths, dtype=np.int64)
    last, size = np.cumsum(length), ds.info.get("chunks_size")
    size = size if isinstance(size, int) and size > 0 else 1000
    keys = [{"episode_chunk": n // size, "episode_index": n} for n in number.tolist()]
    tasks = [_sentences(f.get("tasks")) for f in found]
    data = ds.paths("data_path", keys)
    table = EpisodeTable(number, length, last - length, last, data, tasks)
    for camera in ds.of("video"):
        paths = ds.paths("video_path", [{**key, "video_key": camera.name} for key in keys])
        table.videos[camera.name] = VideoClips(paths, np.zeros(len(length)), length / ds.fps)
    return table


def check_list(ds: OpenedSet, episodes: EpisodeTable) -> None:
    """Check the list of episodes against itself and the files that it names."""
    number, length, first, last = episodes.number, episodes.length, episodes.first, episodes.last
    where, add = ds.list_name, ds.defects.add_rows
    what = "episode_index is not 0, 1, 2 in the order of rows"
    unlike = number != np.arange(len(number))
    add(where, what, LIST, unlike, number, lambda at: f"row {at} has {number[at]}")
    add(where, "there are no frames of {}", LIST, length < 1, number)
    before = np.append(0, last[:-1])
    what = "dataset_from_index and dataset_to_index of {} do not add up the lengths"
    add(
        where, what, LIST, (first != before) | (last - first != length), number,
        lambda at: f"{first[at]} to {last[at]} for {length[at]} frames after {before[at]}",
    )  # fmt: skip
    unnamed = [n for n, tasks in zip(number, episodes.tasks) if not tasks]
    if unnamed:
        ds.add(where, "there are no tasks of {}", LIST, False, unnamed)
    named = np.array(episodes.data)
    for name in sorted(set(episodes.data) - {""}):
        if not (ds.root / name).is_file():
            add(name, "the table of {} is missing", COPY, named == name, number)
    for camera, clips in episodes.videos.items():
        _check_clips(ds, f"{camera} in {where}", episodes, clips)


def _check_clips(ds: OpenedSet, where: str, episodes: EpisodeTable, clips: VideoClips) -> None:
    """Check what the list says of the videos of a camera against itself."""
    number, length, start, end = episodes.number, episodes.length, clips.start, clips.end
    paths = np.array(clips.paths)
    there = paths != ""
    far = ~(np.abs((end - start) * ds.fps - length) <= FRAMES) | (start < -TOLERANCE_S)
    ds.defects.add_rows(
        where, "from_timestamp and to_timestamp of {} do not fit the length", LIST, there & far,
        number, lambda at: f"{start[at]:.4f} to {end[at]:.4f} s is not {length[at]} frames of "
                           f"1/{ds.fps:g} s",
    )  # fmt: skip
    order = np.lexsort((start, paths))
    one, other = order[:-1], order[1:]
    wrong = there[other] & (paths[one] == paths[other])
    wrong &= start[other] < end[one] - FRAMES / ds.fps
    if wrong.any():
        a, b = one[wrong][0], other[wrong][0]
        example = f"{number[a]} ends at {end[a]:.4f} s, {number[b]} starts at {start[b]:.4f} s"
        both = number[np.append(one[wrong], other[wrong])]
        ds.add(where, "{} share pictures", LIST, episodes=both, example=example)
