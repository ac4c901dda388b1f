"""RLDS: TFRecord files with one record per episode, as TensorFlow Datasets reads them.

It is written without TensorFlow. A record holds a whole episode, so no episode is larger than 2 GB.

Source of the format: tensorflow-datasets 4.9.10, core/features/*.py, example_serializer.py,
naming.py, dataset_info.py; Ramos et al., RLDS, 2021.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from robot_recorder.configuration.version import software_version
from robot_recorder.dataset.formats.about import (
    by_split,
    described,
    dump_json,
    episode_facts,
    subtasks_of,
)
from robot_recorder.dataset.formats.port import ShardWriter, WriteOptions, chosen_options
from robot_recorder.dataset.frames import DatasetFrames
from robot_recorder.dataset.pictures import ChosenPictures
from robot_recorder.dataset.schema import (
    TICK,
    DatasetEpisode,
    Feature,
    FeatureKind,
    Schema,
    ShardResult,
    ShardSpec,
    SourceFacts,
)
from robot_recorder.dataset.stills import KINDS, OPTION, Stills
from robot_recorder.dataset.tfrecord import MOST_BYTES, ExampleFile
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.labels import Outcome

NAME, VERSION = "episodes", "1.0.0"
INFO, FEATURES, METADATA = "dataset_info.json", "features.json", "metadata.json"
_FILE = NAME + "-{0}.tfrecord-{1:05d}"
_TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_INDEX}"
_STEP = ("reward", "discount", "is_first", "is_last", "is_terminal", "language_instruction",
         "language_subtask")  # fmt: skip
_CLASSES = "tensorflow_datasets.core.features."
_NUMBERS = ("frames", "source_start_ns", "source_piece", "source_from_frame")


class Rlds:
    """The format ``rlds``."""

    name = "rlds"
    summary = "RLDS: TFRecord shards for TensorFlow Datasets"
    native = False
    renumbers = True

    def parts(self, schema: Schema) -> Sequence[str]:
        """Return the only part: a record holds everything of an episode."""
        return ("episodes",)

    def writer(
        self, part: str, shard: ShardSpec, folder: Path, options: WriteOptions
    ) -> ShardWriter:
        """Return the writer of a shard."""
        chosen_options(self.name, options, {OPTION: KINDS})
        return RecordWriter(shard, folder, options)

    def renumber(self, part: str, shard: ShardSpec, folder: Path) -> None:
        """Keep the records: they do not hold the episode's number."""

    def complete(
        self,
        folder: Path,
        shards: Sequence[tuple[ShardSpec, Mapping[str, Any]]],
        options: WriteOptions,
    ) -> Sequence[str]:
        """Write what TensorFlow Datasets needs to read the records."""
        specs = [shard for shard, _ in shards]
        schema = specs[0].schema
        dump_json(folder / FEATURES, features(schema, options))
        dump_json(folder / METADATA, described(schema))
        info = {
            "name": NAME, "version": VERSION, "fileFormat": "tfrecord",
            "description": f"Episodes of {schema.robot}, {schema.rate_hz:g} steps a second, "
                           f"exported by robot_recorder {software_version()}",
            "splits": _splits(folder, specs),
        }  # fmt: skip
        dump_json(folder / INFO, info)
        return [FEATURES, METADATA, INFO]


def _splits(folder: Path, shards: Sequence[ShardSpec]) -> list[dict[str, Any]]:
    """Return the lengths of all files by split; one of no length has no file."""
    lengths: dict[str, dict[int, int]] = {}
    for shard in shards:
        for split, episodes in by_split(shard.episodes).items():
            lengths.setdefault(split, {})[shard.number] = len(episodes)
    return [
        {
            "name": split,
            "filepathTemplate": _TEMPLATE,
            "shardLengths": [str(found.get(n, 0)) for n in range(max(found) + 1)],
            "numBytes": str(sum((folder / _FILE.format(split, n)).stat().st_size for n in found)),
        }
        for split, found in lengths.items()
    ]


# -- records


class RecordWriter:
    """Writes the episodes of a shard, into a file for each split."""

    def __init__(self, shard: ShardSpec, folder: Path, options: WriteOptions) -> None:
        self._shard, self._folder, self._options = shard, folder, options
        self._files: dict[str, IO[bytes]] = {}
        self._stills: dict[str, Stills] = {}

    def begin(self, schema: Schema) -> None:
        """Create the files."""
        self._schema, self._places = schema, places(schema)
        self._stills = {f.name: Stills(f, self._options) for f in schema.cameras}
        for split in by_split(self._shard.episodes):
            path = self._folder / _FILE.format(split, self._shard.number)
            path.unlink(missing_ok=True)  # it may be a link to an earlier dataset's
            self._files[split] = open(path, "wb")

    def add(
        self, episode: DatasetEpisode, frames: DatasetFrames, pictures: Mapping[str, ChosenPictures]
    ) -> None:
        """Add the record of an episode.

        Raises:
            ConfigError: it is larger than 2 GB.
        """
        with ExampleFile(self._folder) as record:
            for first, columns in frames.batches():
                for feature in self._schema.columns:
                    values = columns[feature.name]
                    raw = _raw(feature)
                    record.add(
                        self._name(feature), [v.tobytes() for v in values] if raw else values
                    )
                for name, step in self._steps(episode, first, columns[TICK][:, 0]).items():
                    if name not in self._places.values():
                        record.add(f"steps/{name}", step)
            for camera in self._schema.cameras:
                files = self._stills[camera.name].files(pictures[camera.name])
                record.add(self._name(camera), files)
            for name, fact in _metadata(episode).items():
                value = [fact.encode()] if isinstance(fact, str) else np.array([fact])
                record.add(f"episode_metadata/{name}", value)
            self._write(episode, record)

    def _write(self, episode: DatasetEpisode, record: ExampleFile) -> None:
        size = record.size()
        if size > MOST_BYTES:
            raise ConfigError(
                f"{episode.facts.id} has {size / 1e9:.1f} GB, and a record of RLDS at most "
                f"{MOST_BYTES / 1e9:.1f}; make pictures smaller with 'size', or give a lower --rate"
            )
        record.write(self._files[episode.split])

    def _name(self, feature: Feature) -> str:
        return f"steps/{self._places[feature.name]}"

    def _steps(self, episode: DatasetEpisode, first: int, times_s: np.ndarray) -> dict[str, Any]:
        """Return what RLDS has of frames [first:first + n], by name."""
        count = len(times_s)
        last = np.arange(first, first + count) == episode.length - 1
        ended = last & _ends(self._shard, episode)
        success = episode.facts.outcome == Outcome.SUCCESS.text
        return {
            "reward": (ended & success).astype(np.float32),
            "discount": np.ones(count, dtype=np.float32),
            "is_first": np.arange(first, first + count) == 0,
            "is_last": last,
            "is_terminal": ended,
            "language_instruction": [episode.facts.sentence.encode()] * count,
            "language_subtask": [s.encode() for s in subtasks_of(episode, times_s)],
        }

    def finish(self) -> ShardResult:
        """Close the files."""
        for file in self._files.values():
            file.close()
        counted: dict[str, int] = {}
        for still in self._stills.values():
            counted |= still.counted
        names = tuple(_FILE.format(split, self._shard.number) for split in self._files)
        return ShardResult(names, {e.index: {} for e in self._shard.episodes}, counted)


def _ends(shard: ShardSpec, episode: DatasetEpisode) -> bool:
    """Return whether a source ends with an episode: frames were not cut out after it."""
    after = episode.index + 1 - shard.episodes[0].index
    return after == len(shard.episodes) or shard.episodes[after].piece == 0


def _metadata(episode: DatasetEpisode) -> dict[str, str | int]:
    """Return what is known of an episode; '' and 0: unknown."""
    facts = episode_facts(episode)
    facts["annotations"] = json.dumps(facts["annotations"])
    return {k: int(v or 0) if k in _NUMBERS else str(v or "") for k, v in facts.items()}


def _raw(feature: Feature) -> bool:
    """Return whether values are stored as bytes: an Example has no float64."""
    return feature.dtype == "float64"


# -- features


def places(schema: Schema) -> dict[str, str]:
    """Return where each feature is in a step, by name: ``observation.state`` is observation/state.

    One whose first part is itself a feature, or what RLDS has in every step, keeps its whole name.
    """
    names = [f.name for f in (*schema.cameras, *schema.columns)]
    taken = {*names, *_STEP}
    found = {}
    for name in names:
        head, _, rest = name.partition(".")
        found[name] = f"{head}/{rest}" if rest and head not in taken else name
    return found


def features(schema: Schema, options: WriteOptions) -> dict[str, Any]:
    """Return ``features.json``: the types of everything in a record."""
    float32, truth = _tensor((), "float32"), _tensor((), "bool")
    steps: dict[str, Any] = {
        "reward": float32 | {"description": "1 at the end of a success"},
        "discount": float32, "is_first": truth, "is_last": truth, "is_terminal": truth,
        "language_instruction": _text(), "language_subtask": _text(),
    }  # fmt: skip
    where = places(schema)
    for feature in (*schema.cameras, *schema.columns):
        head, _, rest = where[feature.name].partition("/")
        entry = _image(feature, options) if feature.is_camera else _column(feature)
        if rest:
            steps.setdefault(head, {})[rest] = entry
        else:
            steps[head] = entry
    nested = {n: e if "pythonClassName" in e else _dict(e) for n, e in steps.items()}
    sequence = {"feature": _dict(nested), "length": "-1"}
    about = {
        name: _tensor((), "int64") if name in _NUMBERS else _text()
        for name in _metadata(DatasetEpisode(0, 0, SourceFacts("", ""), "", "", 0, ((0, 0),)))
    }
    dataset = {"pythonClassName": f"{_CLASSES}dataset_feature.Dataset", "sequence": sequence}
    return _dict({"steps": dataset, "episode_metadata": _dict(about)})


def _dict(entries: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "pythonClassName": f"{_CLASSES}features_dict.FeaturesDict",
        "featuresDict": {"features": dict(entries)},
    }


def _tensor(shape: tuple[int, ...], dtype: str, encoding: str = "none") -> dict[str, Any]:
    kind = "tensor_feature.Tensor" if shape else "scalar.Scalar"
    tensor = {"shape": _shape(shape), "dtype": dtype, "encoding": encoding}
    return {"pythonClassName": _CLASSES + kind, "tensor": tensor}


def _shape(shape: tuple[int, ...]) -> dict[str, Any]:
    return {"dimensions": [str(n) for n in shape]} if shape else {}


def _text() -> dict[str, Any]:
    return {"pythonClassName": f"{_CLASSES}text_feature.Text", "text": {}}


def _column(feature: Feature) -> dict[str, Any]:
    entry = _tensor(feature.shape, feature.dtype, "bytes" if _raw(feature) else "none")
    return entry | {"description": ", ".join(feature.names)}


def _image(feature: Feature, options: WriteOptions) -> dict[str, Any]:
    depth = feature.kind is FeatureKind.DEPTH
    suffix = Stills(feature, options).suffix
    image = {
        "shape": _shape((*feature.shape[:2], 1 if depth else 3)),
        "dtype": "uint16" if depth else "uint8",
        "encodingFormat": "jpeg" if suffix == "jpg" else "png",
    }
    entry = {"pythonClassName": f"{_CLASSES}image_feature.Image", "image": image}
    return entry | ({"description": "mm, 0: unknown"} if depth else {})
