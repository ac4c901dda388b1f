"""WebDataset: tar files with one sample per frame, for training that reads from front to back.

A sample ``<episode>_<frame>`` has a ``.json`` with what is known of it, a ``.npy`` for each column
and an image for each camera. Depth ends in ``.png16``: WebDataset's decoders would make ``.png``
eight bits.

Source of the format: webdataset 1.0.2, autodecode.py and tariterators.py;
of the index webdataset/webdataset, test_wids.py.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from robot_recorder.dataset.formats.about import (
    by_split,
    dump_json,
    episode_facts,
    subtasks_of,
    write_about,
)
from robot_recorder.dataset.formats.port import ShardWriter, WriteOptions, chosen_options
from robot_recorder.dataset.frames import DatasetFrames
from robot_recorder.dataset.npy import npy_head
from robot_recorder.dataset.pictures import ChosenPictures
from robot_recorder.dataset.schema import (
    TICK,
    DatasetEpisode,
    FeatureKind,
    Schema,
    ShardResult,
    ShardSpec,
)
from robot_recorder.dataset.stills import KINDS, OPTION, Stills

_SHARD, _INDEX = "{0}/shard-{1:06d}.tar", "{0}/index.json"
_BATCH = 512


class WebDataset:
    """The format ``webdataset``."""

    name = "webdataset"
    summary = "WebDataset: tar shards with a sample for each frame"
    native = False
    renumbers = True

    def parts(self, schema: Schema) -> Sequence[str]:
        """Return the only part: samples hold everything of a frame."""
        return ("samples",)

    def writer(
        self, part: str, shard: ShardSpec, folder: Path, options: WriteOptions
    ) -> ShardWriter:
        """Return the writer of a shard."""
        chosen_options(self.name, options, {OPTION: KINDS})
        return SampleWriter(shard, folder, options)

    def renumber(self, part: str, shard: ShardSpec, folder: Path) -> None:
        """Rename the samples in the tar files, and correct the numbers in their JSON."""
        for split, episodes in by_split(shard.episodes).items():
            path = folder / _SHARD.format(split, shard.number)
            partial = path.with_suffix(".partial")
            with tarfile.open(path) as old, _tar(partial) as new:
                for name, data in _renumbered(old, episodes):
                    _add(new, name, data)
            partial.replace(path)

    def complete(
        self,
        folder: Path,
        shards: Sequence[tuple[ShardSpec, Mapping[str, Any]]],
        options: WriteOptions,
    ) -> Sequence[str]:
        """Write an index of each split with the counts of its shards, and the description."""
        specs = [shard for shard, _ in shards]
        listed: dict[str, list[dict[str, Any]]] = {}
        for shard in specs:
            for split, episodes in by_split(shard.episodes).items():
                path = Path(_SHARD.format(split, shard.number))
                listed.setdefault(split, []).append({
                    "url": path.name, "nsamples": sum(e.length for e in episodes),
                    "filesize": (folder / path).stat().st_size,
                })  # fmt: skip
        for split, found in listed.items():
            index = {"__kind__": "wids-shard-index-v1", "wids_version": 1, "name": split}
            dump_json(folder / _INDEX.format(split), index | {"shardlist": found})
        about = write_about(folder, specs, lambda s, e: _SHARD.format(e.split, s.number))
        return [*(_INDEX.format(split) for split in listed), *about]


class SampleWriter:
    """Writes the samples of a shard, into a tar file for each split."""

    def __init__(self, shard: ShardSpec, folder: Path, options: WriteOptions) -> None:
        self._shard, self._folder, self._options = shard, folder, options
        self._tars: dict[str, tarfile.TarFile] = {}
        self._stills: dict[str, Stills] = {}
        self._heads: dict[str, bytes] = {}
        self._suffixes: dict[str, str] = {}

    def begin(self, schema: Schema) -> None:
        """Create the files."""
        for split in by_split(self._shard.episodes):
            self._tars[split] = _tar(self._folder / _SHARD.format(split, self._shard.number))
        for camera in schema.cameras:
            still = Stills(camera, self._options)
            depth = camera.kind is FeatureKind.DEPTH
            self._stills[camera.name] = still
            self._suffixes[camera.name] = "png16" if depth else still.suffix
        self._heads = {f.name: npy_head(f.shape, f.dtype) for f in schema.columns}

    def add(
        self, episode: DatasetEpisode, frames: DatasetFrames, pictures: Mapping[str, ChosenPictures]
    ) -> None:
        """Add a sample for each frame."""
        tar = self._tars[episode.split]
        seen = {name: still.files(pictures[name]) for name, still in self._stills.items()}
        facts = {"rate_hz": self._shard.schema.rate_hz, **episode_facts(episode)}
        del facts["annotations"]
        for first, columns in frames.batches(_BATCH):
            subtasks = subtasks_of(episode, columns[TICK][:, 0])
            for row, subtask in enumerate(subtasks):
                frame = first + row
                key = _key(episode.index, frame)
                said = _numbers(episode, frame) | facts | {"subtask": subtask}
                _add(tar, f"{key}.json", json.dumps(said, ensure_ascii=False).encode())
                for name, head in self._heads.items():
                    _add(tar, f"{key}.{name}.npy", head + columns[name][row].tobytes())
                for name, files in seen.items():
                    _add(tar, f"{key}.{name}.{self._suffixes[name]}", next(files))

    def finish(self) -> ShardResult:
        """Close the files."""
        for tar in self._tars.values():
            tar.close()
        counted: dict[str, int] = {}
        for still in self._stills.values():
            counted |= still.counted
        names = tuple(_SHARD.format(split, self._shard.number) for split in self._tars)
        return ShardResult(names, {e.index: {} for e in self._shard.episodes}, counted)


def _key(episode: int, frame: int) -> str:
    return f"{episode:06d}_{frame:06d}"


def _numbers(episode: DatasetEpisode, frame: int) -> dict[str, Any]:
    """Return the numbers of a frame: in its episode, and in the dataset."""
    return {"episode": episode.index, "frame": frame, "index": episode.first_frame + frame}


def _tar(path: Path) -> tarfile.TarFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # it may be a link to an earlier dataset's
    return tarfile.open(path, "w", format=tarfile.GNU_FORMAT)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)  # date, owner and group are 0
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))
    tar.members = []  # type: ignore[attr-defined]  # it would remember them all


def _renumbered(
    tar: tarfile.TarFile, episodes: Sequence[DatasetEpisode]
) -> Iterator[tuple[str, bytes]]:
    """Yield the members of a tar file, with the names and numbers that its episodes have now."""
    waiting, before = iter(episodes), ""
    episode = episodes[0]
    for member in tar:
        key, _, suffix = member.name.partition(".")
        number, _, frame = key.partition("_")
        if number != before:
            before, episode = number, next(waiting)
        file = tar.extractfile(member)
        assert file is not None
        data = file.read()
        tar.members = []  # type: ignore[attr-defined]  # it would remember them all
        if suffix == "json":
            said = json.loads(data) | _numbers(episode, int(frame))
            data = json.dumps(said, ensure_ascii=False).encode()
        yield f"{_key(episode.index, int(frame))}.{suffix}", data
