"""HDF5: a file per episode as ACT and ALOHA read it, or one dataset as robomimic does.

ACT itself needs episodes of one length, ACT++ does not. Where nothing measured velocities, ``qvel`` is
NaN. robomimic wants actions from -1 to 1, or to normalize them itself: they are not changed here.

Sources of the formats: ACT and ACT++, utils.py and record_episodes.py; AgileX's collect_data.py, which
adds ``images_depth``; robomimic, its overview of datasets and its dataset.py. The rest is ours:
``sync``, windows with their masks, and attributes that say where an episode came from.
"""

from __future__ import annotations

import json
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from robot_recorder.dataset.export_profile import ACTION, STATE
from robot_recorder.dataset.formats.about import source_columns
from robot_recorder.dataset.formats.port import ShardWriter, WriteOptions, chosen_options
from robot_recorder.dataset.frames import DatasetFrames
from robot_recorder.dataset.pictures import ChosenPictures, Picked
from robot_recorder.dataset.schema import (
    DatasetEpisode,
    Feature,
    FeatureKind,
    Schema,
    ShardResult,
    ShardSpec,
)
from robot_recorder.dataset.stills import Stills, millimetres
from robot_recorder.dataset.tables import library
from robot_recorder.model.errors import ConfigError, DecodeError
from robot_recorder.model.labels import Outcome

ROWS = 512  # frames whose numbers are read and written together
DEPTH_UNITS = ("m", "mm")
COMPRESSIONS = ("fast", "small", "none")  # of pictures
_PART = "episodes"
_EPISODE, _SHARD, _ROOT = "episode_{}.hdf5", "data-{:03d}.hdf5", "dataset.hdf5"
_CHUNK_BYTES = 1 << 18
_LEVEL = 4  # of gzip
_ALOHA_NAMES = {
    STATE: "observations/qpos",
    "observation.velocity": "observations/qvel",
    "observation.effort": "observations/effort",
}
_QVEL = "observations/qvel"
_MASKS = {"train": "train", "val": "valid", "test": "test"}  # robomimic's names
_GYM = 2  # robomimic's EnvType of what is no simulation of its own
_ROBOMIMIC_OPTIONS = {"depth": DEPTH_UNITS, "compression": COMPRESSIONS}
_ALOHA_OPTIONS = {"images": ("pixels", "jpeg"), **_ROBOMIMIC_OPTIONS}


class Aloha:
    """The format ``hdf5-aloha``."""

    name = "hdf5-aloha"
    summary = "HDF5 as ACT and ALOHA read it: one file per episode"
    native = False
    renumbers = False

    def parts(self, schema: Schema) -> Sequence[str]:
        """Return one part: a file holds everything of its episode."""
        return (_PART,)

    def writer(
        self, part: str, shard: ShardSpec, folder: Path, options: WriteOptions
    ) -> ShardWriter:
        """Return the writer of the files of a shard."""
        return AlohaWriter(folder, options)

    def renumber(self, part: str, shard: ShardSpec, folder: Path) -> None:
        """Never called: files are named after the numbers of their episodes."""

    def complete(
        self,
        folder: Path,
        shards: Sequence[tuple[ShardSpec, Mapping[str, Any]]],
        options: WriteOptions,
    ) -> Sequence[str]:
        """Write nothing: every file says what it is."""
        return ()


class Robomimic:
    """The format ``hdf5-robomimic``."""

    name = "hdf5-robomimic"
    summary = "HDF5 as robomimic reads it: dataset.hdf5, with one file per shard"
    native = False
    renumbers = True

    def parts(self, schema: Schema) -> Sequence[str]:
        """Return one part: a file holds everything of its shard."""
        return (_PART,)

    def writer(
        self, part: str, shard: ShardSpec, folder: Path, options: WriteOptions
    ) -> ShardWriter:
        """Return the writer of the file of a shard."""
        return RobomimicWriter(shard, folder, options)

    def renumber(self, part: str, shard: ShardSpec, folder: Path) -> None:
        """Change nothing: a shard numbers its episodes for itself."""

    def complete(
        self,
        folder: Path,
        shards: Sequence[tuple[ShardSpec, Mapping[str, Any]]],
        options: WriteOptions,
    ) -> Sequence[str]:
        """Write the file that robomimic opens, which links to those of the shards."""
        masks: dict[str, list[str]] = {}
        with _created(folder / _ROOT) as file:
            data = file.create_group("data")
            for shard, _ in shards:
                for place, episode in enumerate(shard.episodes):
                    name, target = f"demo_{episode.index}", f"/data/demo_{place}"
                    data[name] = h5py().ExternalLink(_SHARD.format(shard.number), target)
                    masks.setdefault(_MASKS[episode.split], []).append(name)
            _describe_all(data, [s for s, _ in shards])
            for name, demos in sorted(masks.items()):
                file.create_dataset(f"mask/{name}", data=np.array(demos, dtype="S"))
        return (_ROOT,)


# -- ALOHA


class AlohaWriter:
    """Writes the episodes of a shard, each to its file."""

    def __init__(self, folder: Path, options: WriteOptions) -> None:
        self._folder, self._codecs = folder, options.codecs
        self._options = chosen_options(Aloha.name, options, _ALOHA_OPTIONS)
        self._files: list[str] = []
        self._counted: dict[str, int] = {}

    def begin(self, schema: Schema) -> None:
        """Check that the dataset has what ACT needs."""
        h5py()
        need(Aloha.name, schema, (STATE, ACTION))
        self._paths = aloha_paths(schema)

    def add(
        self, episode: DatasetEpisode, frames: DatasetFrames, pictures: Mapping[str, ChosenPictures]
    ) -> None:
        """Write the file of an episode."""
        name, schema = _EPISODE.format(episode.index), frames.schema
        jpeg = self._options["images"] == "jpeg"
        with _created(self._folder / name) as file:
            _describe(file, {"sim": False, "compress": jpeg, **facts_of(schema, episode)})
            _write_columns(file, frames, self._paths)
            if _QVEL not in file:
                _write_unknown(file, schema, len(frames))
            packed = [f for f in schema.cameras if jpeg and f.kind is FeatureKind.PICTURE]
            if packed:
                self._write_jpegs(file, packed, pictures)
            for feature in schema.cameras:
                if feature not in packed:
                    path = self._paths[feature.name]
                    array = PictureArray(file, path, feature, len(frames), self._options)
                    array.add(pictures[feature.name], self._counted)
        self._files.append(name)

    def _write_jpegs(
        self, file: Any, cameras: Sequence[Feature], pictures: Mapping[str, ChosenPictures]
    ) -> None:
        """Write pictures as JPEG files, unchanged where they are JPEG already."""
        lengths = []
        for feature in cameras:
            stills = Stills(feature, WriteOptions(self._codecs))
            path = self._paths[feature.name]
            with tempfile.TemporaryFile(dir=self._folder) as spool:
                sizes = []
                for data in stills.files(pictures[feature.name]):
                    sizes.append(spool.write(data))
                _write_padded(file, path, feature, spool, sizes)
            lengths.append(sizes)
            _count(self._counted, stills.counted)
        array = file.create_dataset("compress_len", data=np.array(lengths, dtype=np.int32))
        names = [self._paths[f.name].rsplit("/", 1)[1] for f in cameras]
        _describe(array, {"cameras": names})

    def finish(self) -> ShardResult:
        """Return the files, which are closed already."""
        return ShardResult(tuple(self._files), {}, self._counted)


def aloha_paths(schema: Schema) -> dict[str, str]:
    """Return where ALOHA has each column and camera, by feature name."""
    found, keys = {}, short_names(schema)
    for feature in (*schema.features, *schema.columns):
        name, key = feature.name, keys[feature.name]
        if feature.is_camera:
            depth = feature.kind is FeatureKind.DEPTH
            found[name] = f"observations/{'images_depth' if depth else 'images'}/{key}"
        elif name == ACTION or name.startswith(f"{ACTION}."):
            found[name] = key
        elif name.startswith("sync."):
            found[name] = f"sync/{keys[name].removeprefix('sync_')}"
        else:
            found[name] = _ALOHA_NAMES.get(name, f"observations/{key}")
    return found


def _write_unknown(file: Any, schema: Schema, frames: int) -> None:
    """Write velocities that nobody measured: ACT reads them, and uses them for nothing."""
    width = next(f.shape[0] for f in schema.values if f.name == STATE)
    values = np.full((frames, width), np.nan, dtype=np.float32)
    array = file.create_dataset(_QVEL, data=values, compression="gzip", compression_opts=_LEVEL)
    array.attrs["unknown"] = "nothing measured velocities"


def _write_padded(file: Any, path: str, feature: Feature, spool: Any, sizes: Sequence[int]) -> None:
    """Write JPEG files to a dataset, uint8[n, bytes of the longest], padded with zeros.

    Args:
        spool: one file after the other.
        sizes: their bytes.
    """
    width = max(sizes)
    array = file.create_dataset(path, (len(sizes), width), np.uint8, chunks=(1, width))
    _describe(array, {**described(feature), "encoding": "jpeg"})
    spool.seek(0)
    for at, size in enumerate(sizes):
        array.id.write_direct_chunk((at, 0), spool.read(size).ljust(width, b"\0"))


# -- robomimic


class RobomimicWriter:
    """Writes the file of a shard, with a group per episode."""

    def __init__(self, shard: ShardSpec, folder: Path, options: WriteOptions) -> None:
        self._shard = shard
        self._name = _SHARD.format(shard.number)
        self._path = folder / self._name
        self._options = chosen_options(Robomimic.name, options, _ROBOMIMIC_OPTIONS)
        self._counted: dict[str, int] = {}
        self._file: Any = None
        self._written = 0

    def begin(self, schema: Schema) -> None:
        """Create the file."""
        need(Robomimic.name, schema, (ACTION,))
        self._paths = robomimic_paths(schema)
        self._file = _new(self._path)
        self._data = self._file.create_group("data")

    def add(
        self, episode: DatasetEpisode, frames: DatasetFrames, pictures: Mapping[str, ChosenPictures]
    ) -> None:
        """Add the group of an episode."""
        demo, count = self._data.create_group(f"demo_{self._written}"), len(frames)
        self._written += 1
        _describe(demo, {"num_samples": count, **facts_of(frames.schema, episode)})
        _write_columns(demo, frames, self._paths)
        for feature in frames.schema.cameras:
            path = self._paths[feature.name]
            array = PictureArray(demo, path, feature, count, self._options, channels=True)
            array.add(pictures[feature.name], self._counted)
        done = np.zeros(count, dtype=np.int64)
        done[-1] = 1
        demo.create_dataset("dones", data=done)
        demo.create_dataset("rewards", data=done * np.float32(self._succeeds(episode)))
        for name, array in demo["obs"].items():
            _link_next(demo, name, array)

    def _succeeds(self, episode: DatasetEpisode) -> bool:
        """Return whether an episode ends with success: it is the last piece of one."""
        same = [e for e in self._shard.episodes if e.facts.path == episode.facts.path]
        return episode.facts.outcome == Outcome.SUCCESS.text and episode.piece == same[-1].piece

    def finish(self) -> ShardResult:
        """Close the file."""
        _describe_all(self._data, [self._shard])
        self._file.close()
        return ShardResult((self._name,), {}, self._counted)


def robomimic_paths(schema: Schema) -> dict[str, str]:
    """Return where a group of robomimic has each column and camera, by feature name."""
    found, keys = {}, short_names(schema)
    for feature in (*schema.features, *schema.columns):
        name = feature.name
        if name == ACTION:
            found[name] = "actions"
        elif name.startswith(f"{ACTION}."):
            found[name] = f"action_dict/{keys[name].removeprefix('action_')}"
        elif name.startswith("sync."):
            found[name] = f"sync/{keys[name].removeprefix('sync_')}"
        else:
            found[name] = f"obs/{keys[name]}"
    return found


def _link_next(demo: Any, name: str, array: Any) -> None:
    """Show the observations of the frames after, the last one twice, without storing them again."""
    hdf5, shape = h5py(), array.shape
    plan = hdf5.h5p.create(hdf5.h5p.DATASET_CREATE)
    plan.set_obj_track_times(False)  # the same episodes give the same bytes
    for first, count, after in ((0, len(array) - 1, 1), (len(array) - 1, 1, len(array) - 1)):
        if count:
            shown, shown_of = (hdf5.h5s.create_simple(shape) for _ in range(2))
            shown.select_hyperslab((first, *(0 for _ in shape[1:])), (count, *shape[1:]))
            shown_of.select_hyperslab((after, *(0 for _ in shape[1:])), (count, *shape[1:]))
            plan.set_virtual(shown, b".", array.name.encode(), shown_of)
    group, whole = demo.require_group("next_obs"), hdf5.h5s.create_simple(shape)
    hdf5.h5d.create(group.id, name.encode(), array.id.get_type(), whole, plan)


def _describe_all(data: Any, shards: Sequence[ShardSpec]) -> None:
    schema = shards[0].schema
    data.attrs["total"] = sum(e.length for s in shards for e in s.episodes)
    env = {"env_name": schema.robot or "robot", "type": _GYM, "env_kwargs": {}}
    data.attrs["env_args"] = json.dumps(env)


# -- files


def h5py() -> Any:
    """Return h5py, imported when it is needed.

    Raises:
        ConfigError: it is not installed.
    """
    return library("HDF5", "h5py")


def _new(path: Path) -> Any:
    """Create a file that HDF5 1.10 and newer read."""
    path.unlink(missing_ok=True)  # it may be a link to one of the dataset before
    return h5py().File(path, "w", libver=("earliest", "v110"))


@contextmanager
def _created(path: Path) -> Iterator[Any]:
    with _new(path) as file:
        yield file


def _describe(thing: Any, facts: Mapping[str, Any]) -> None:
    """Write attributes; lists as JSON, which may be longer than HDF5's own."""
    for name, value in facts.items():
        plain = json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value
        thing.attrs[name] = plain


def _write_columns(group: Any, frames: DatasetFrames, paths: Mapping[str, str]) -> None:
    """Write all numbers of an episode, some frames at a time."""
    arrays = {f.name: _rows(group, paths[f.name], f, len(frames)) for f in frames.schema.columns}
    for first, columns in frames.batches(ROWS):
        for name, array in arrays.items():
            array[first : first + len(columns[name])] = columns[name]


def _rows(group: Any, path: str, feature: Feature, count: int) -> Any:
    """Create a dataset [n, *shape]; its chunks share out the rows of a batch."""
    kind, rows = np.dtype(feature.dtype), ROWS
    while rows > 1 and rows * kind.itemsize * int(np.prod(feature.shape)) > _CHUNK_BYTES:
        rows //= 2
    array = group.create_dataset(
        path, (count, *feature.shape), kind, chunks=(min(rows, count), *feature.shape),
        compression="gzip", compression_opts=_LEVEL, shuffle=True,
    )  # fmt: skip
    _describe(array, described(feature))
    return array


class PictureArray:
    """A dataset of pictures with a chunk per frame.

    Chunks are deflated here, so that a repeated picture is deflated once, and unless they are to be
    small with run lengths alone: photographs with noise come out as small in a third of the time. Any
    reader of gzip reads both.
    """

    def __init__(
        self, group: Any, path: str, feature: Feature, count: int, options: Mapping[str, str],
        channels: bool = False,
    ) -> None:  # fmt: skip
        """
        Args:
            group: it is created in.
            path: in the group.
            feature: of the camera.
            count: number of frames.
            options: ``depth``, its unit; ``compression``.
            channels: whether distances have a last dimension of 1, as pictures have one of 3.
        """
        self._feature, self._unit = feature, options["depth"]
        kind, facts = picture_type(feature, self._unit)
        grey = channels and feature.kind is FeatureKind.DEPTH
        shape = (*feature.shape, 1) if grey else feature.shape
        self._strategy = zlib.Z_RLE if options["compression"] == "fast" else zlib.Z_DEFAULT_STRATEGY
        self._deflated = options["compression"] != "none"
        self._shuffled = self._deflated and np.dtype(kind).itemsize > 1
        how = {"compression": "gzip", "compression_opts": _LEVEL} if self._deflated else {}
        self._array = group.create_dataset(
            path, (count, *shape), kind, chunks=(1, *shape), shuffle=self._shuffled, **how
        )
        _describe(self._array, {**described(feature), **facts})
        self._rest = (0,) * len(shape)

    def add(self, pictures: ChosenPictures, counted: dict[str, int]) -> None:
        """Write all pictures of an episode."""
        at = 0
        for picked in counted_pictures(self._feature, pictures, counted):
            data = self._packed(pixels_of(self._feature, pictures, picked, self._unit))
            for _ in range(picked.frames):
                self._array.id.write_direct_chunk((at, *self._rest), data)
                at += 1

    def _packed(self, pixels: np.ndarray) -> bytes:
        if self._shuffled:
            pixels = pixels.view(np.uint8).reshape(-1, pixels.itemsize).T
        data = pixels.tobytes()
        if not self._deflated:
            return data
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS, 9, self._strategy)
        return packer.compress(data) + packer.flush()


# -- arrays of features, for all formats that store arrays


def need(name: str, schema: Schema, features: Sequence[str]) -> None:
    """Check that a dataset has features.

    Raises:
        ConfigError: it lacks one.
    """
    for feature in features:
        if feature not in {f.name for f in schema.values}:
            raise ConfigError(
                f"{name} needs the feature {feature}, and nothing gives it; say what it is in an "
                "export profile (--write-profile writes one to begin with)"
            )


def short_names(schema: Schema) -> dict[str, str]:
    """Return names of arrays by feature name, without dots, which PyTorch's modules refuse."""
    names = list(dict.fromkeys(f.name for f in (*schema.features, *schema.columns)))
    short = [n.removeprefix("observation.").removeprefix("images.") for n in names]
    short = [n.replace(".", "_") for n in short]
    whole = [n.replace(".", "_") for n in names]
    return {n: s if short.count(s) == 1 else w for n, s, w in zip(names, short, whole)}


def described(feature: Feature) -> dict[str, Any]:
    """Return what an array says of itself, for JSON."""
    return {
        "feature": feature.name,
        "names": list(feature.names),
        "streams": list(feature.streams),
    }


def facts_of(schema: Schema, episode: DatasetEpisode) -> dict[str, Any]:
    """Return what is known of an episode, without what is unknown, for JSON."""
    known = {
        **source_columns(episode),
        "instruction": episode.facts.instruction or None,
        "annotations": [list(a) for a in episode.facts.annotations] or None,
        "robot_type": schema.robot or None,
        "rate_hz": schema.rate_hz,
        "reference": schema.reference or None,
    }
    return {name: value for name, value in known.items() if value is not None}


def picture_type(feature: Feature, unit: str = "m") -> tuple[str, dict[str, Any]]:
    """Return the type of a camera's pixels, and what says what they are.

    Args:
        unit: of distances: ``m``, float32, as exact as they are read; or ``mm``, uint16.
    """
    if feature.kind is FeatureKind.PICTURE:
        return "uint8", {"colours": "red, green, blue"}
    if unit == "mm":
        return "uint16", {"unit": "mm", "unknown": "0", "step_m": 0.001}
    return "float32", {"unit": "m", "unknown": "NaN", "step_m": 0.0}


def pixels_of(
    feature: Feature, pictures: ChosenPictures, picked: Picked, unit: str = "m"
) -> np.ndarray:
    """Return a picture as ``picture_type`` says: red, green, blue [height, width, 3]; or distances.

    No picture: black, or unknown distances. Distances of 65.5 m and more are unknown in mm.

    Raises:
        DecodeError: it cannot be decoded, or has another size than the feature.
    """
    kind, _ = picture_type(feature, unit)
    depth = feature.kind is FeatureKind.DEPTH
    if picked.number < 0:
        found = np.full(feature.shape, np.nan if depth else 0, dtype="float32" if depth else kind)
    else:
        found = pictures.metres(picked) if depth else rgb_of(pictures.bgr(picked))
    if found.shape != feature.shape:
        sizes = [f"{s[1]} x {s[0]}" for s in (found.shape, feature.shape)]
        raise DecodeError(
            f"message {picked.number} of {pictures.source.topic} is {sizes[0]}, not {sizes[1]}"
        )
    return millimetres(found) if kind == "uint16" else np.ascontiguousarray(found)


def rgb_of(bgr: np.ndarray) -> np.ndarray:
    """Return a picture with its channels the other way round."""
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))


def counted_pictures(
    feature: Feature, pictures: ChosenPictures, counted: dict[str, int]
) -> Iterator[Picked]:
    """Yield the pictures of an episode; count those that are repeated or not there.

    Raises:
        BagError: the bag ends before the last of them.
    """
    repeated = placeholders = 0
    for picked in pictures.picked():
        repeated += picked.frames - 1 if picked.number >= 0 else 0
        placeholders += picked.frames if picked.number < 0 else 0
        yield picked
    found = {"repeated": repeated, "placeholders": placeholders}
    _count(counted, {f"{what} pictures of {feature.name}": n for what, n in found.items() if n})


def _count(counted: dict[str, int], more: Mapping[str, int]) -> None:
    for what, number in more.items():
        counted[what] = counted.get(what, 0) + number
