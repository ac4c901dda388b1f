"""What an exporter of a dataset format is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from robot_recorder.configuration.yaml_source import did_you_mean
from robot_recorder.dataset.frames import DatasetFrames
from robot_recorder.dataset.pictures import ChosenPictures
from robot_recorder.dataset.schema import DatasetEpisode, Schema, ShardResult, ShardSpec
from robot_recorder.model.errors import ConfigError


@dataclass(frozen=True)
class WriteOptions:
    """How a dataset is written.

    Attributes:
        codecs: by camera feature, how its video is written, as ``VideoFile`` takes it.
        extra: options of one format, as ``--set name=value``.
    """

    codecs: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, str] = field(default_factory=dict)


class ShardWriter(Protocol):
    """Writes one part of one shard. ``begin``, then ``add`` for every episode, then ``finish``."""

    def begin(self, schema: Schema) -> None:
        """Create the files.

        Raises:
            ConfigError: the format cannot hold a feature, or a library is missing.
        """

    def add(
        self, episode: DatasetEpisode, frames: DatasetFrames, pictures: Mapping[str, ChosenPictures]
    ) -> None:
        """Add an episode.

        Args:
            episode: which it is.
            frames: its columns.
            pictures: of its cameras, by feature name.

        Raises:
            DecodeError: a picture cannot be decoded.
            BagError: the bag cannot be read.
            OSError: the disk does not take it.
        """

    def finish(self) -> ShardResult:
        """Close the files.

        Raises:
            OSError: the disk does not take it.
        """


class Format(Protocol):
    """A dataset format: how its shards and its metadata are written.

    Attributes:
        name: as in ``--format``.
        summary: one line for the help.
        native: whether it needs every sample of every stream.
        renumbers: whether ``renumber`` can correct files; else shards whose episodes get other numbers
            are written anew.
    """

    name: str
    summary: str
    native: bool
    renumbers: bool

    def parts(self, schema: Schema) -> Sequence[str]:
        """Return the parts of a shard that are written by separate jobs."""

    def writer(
        self, part: str, shard: ShardSpec, folder: Path, options: WriteOptions
    ) -> ShardWriter:
        """Return the writer of one part of a shard.

        Args:
            part: one of ``parts``.
            shard: what it holds.
            folder: of the dataset.
            options: how it is written.
        """

    def renumber(self, part: str, shard: ShardSpec, folder: Path) -> None:
        """Correct the numbers in the files of a part, which was written with other ones before.

        The files are links: they are replaced, not changed. Called only if ``renumbers``.
        """

    def complete(
        self,
        folder: Path,
        shards: Sequence[tuple[ShardSpec, Mapping[str, Any]]],
        options: WriteOptions,
    ) -> Sequence[str]:
        """Write the metadata of the whole dataset; return paths relative to the folder.

        Args:
            folder: of the dataset.
            shards: in order, each with what its writers returned of its episodes by index.
            options: how it was written.
        """


def chosen_options(
    name: str, options: WriteOptions, known: Mapping[str, tuple[str, ...]]
) -> dict[str, str]:
    """Return a value of every option of a format: the first one unless another is asked for.

    Args:
        name: of the format.
        options: what is asked for.
        known: values by option.

    Raises:
        ConfigError: there is no such option or value.
    """
    for option, value in options.extra.items():
        if option not in known:
            raise ConfigError(f"{name} has no option '{option}'; {did_you_mean(option, known)}")
        if value not in known[option]:
            raise ConfigError(f"{name}: {option} is {' or '.join(known[option])}, not '{value}'")
    return {option: options.extra.get(option, values[0]) for option, values in known.items()}
