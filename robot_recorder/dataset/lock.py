"""The lock file of a dataset: what it was made of and how, so that the same lock gives the same bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from robot_recorder.configuration.version import software_version
from robot_recorder.dataset.layout import LaidOut
from robot_recorder.dataset.schema import Schema
from robot_recorder.model.errors import ConfigError

LOCK = "export.lock.json"
_VERSION = 1


@dataclass(frozen=True)
class LockedSource:
    """A source in a dataset.

    Attributes:
        laid_out: what of it is exported.
        shard: number of the shard it is in.
        metadata: SHA-256 of its metadata.yaml, which changes with its labels.
        files: size in bytes and SHA-256 of its data files, by name.
    """

    laid_out: LaidOut
    shard: int
    metadata: str
    files: dict[str, tuple[int, str]]

    @property
    def path(self) -> str:
        """Return where it was read from."""
        return self.laid_out.facts.path

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> LockedSource:
        """Read what ``asdict`` made plain."""
        files = {name: (size, digest) for name, (size, digest) in plain["files"].items()}
        return cls(LaidOut.from_dict(plain["laid_out"]), plain["shard"], plain["metadata"], files)


@dataclass(frozen=True)
class DatasetLock:
    """The content of a lock file.

    Attributes:
        settings: of the export, plain.
        selection: which episodes were asked for: roots and filters, plain.
        profile: text of the export profile.
        schema: of the dataset.
        codecs, encodings: by camera feature, how its video is written, and what its pictures were.
        sources: of the dataset, in order.
        left_out: reason by path of the episodes that were not taken.
        counted: numbers of frames left out and pictures repeated, by reason.
        sentences, subtasks: instructions and annotations, in the order of their numbers.
        files: size in bytes and SHA-256 of every file of the dataset, by path.
        version: of the recorder that wrote it.
    """

    settings: dict[str, Any]
    selection: dict[str, Any]
    profile: str
    schema: Schema
    codecs: dict[str, str]
    encodings: dict[str, str]
    sources: tuple[LockedSource, ...]
    left_out: dict[str, str]
    counted: dict[str, int]
    sentences: tuple[str, ...]
    subtasks: tuple[str, ...]
    files: dict[str, tuple[int, str]] = field(default_factory=dict)
    version: str = field(default_factory=software_version)

    def dump(self) -> str:
        """Return the text of the lock file."""
        plain = {"lock_version": _VERSION, **asdict(self), "schema": self.schema.to_dict()}
        return json.dumps(plain, indent=1, ensure_ascii=False) + "\n"


def read_lock(path: Path) -> DatasetLock:
    """Read a lock file, or that of a dataset's folder.

    Raises:
        ConfigError: it does not exist, or is not a lock file of this version.
    """
    path = path / LOCK if path.is_dir() else path
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        if plain.pop("lock_version") != _VERSION:
            raise ConfigError(f"{path} was written by another version ({plain['version']})")
        plain["schema"] = Schema.from_dict(plain["schema"])
        plain["sources"] = tuple(LockedSource.from_dict(s) for s in plain["sources"])
        for name in ("sentences", "subtasks"):
            plain[name] = tuple(plain[name])
        plain["files"] = {name: (size, digest) for name, (size, digest) in plain["files"].items()}
        return DatasetLock(**plain)
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist: it is not a dataset of this exporter") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path} is not a lock file: {error}") from error


@dataclass(frozen=True)
class Difference:
    """What changed from one dataset to another.

    Attributes:
        added, removed: paths of sources; removed ones with the reason, if it is known.
        changed: by path, what of a source changed.
        settings: by name, before and after.
    """

    added: tuple[str, ...]
    removed: Mapping[str, str]
    changed: Mapping[str, str]
    settings: Mapping[str, tuple[Any, Any]]


def difference(old: DatasetLock, new: DatasetLock) -> Difference:
    """Return what changed from one dataset to another."""
    before, after = ({s.path: s for s in lock.sources} for lock in (old, new))
    changed = {}
    for path in before.keys() & after.keys():
        if why := _changed(before[path], after[path]):
            changed[path] = why
    keys = sorted(old.settings.keys() | new.settings.keys())
    settings = {key: (old.settings.get(key), new.settings.get(key)) for key in keys}
    return Difference(
        tuple(sorted(after.keys() - before.keys())),
        {p: new.left_out.get(p, "not selected") for p in sorted(before.keys() - after.keys())},
        dict(sorted(changed.items())),
        {key: pair for key, pair in settings.items() if pair[0] != pair[1]},
    )


def _changed(old: LockedSource, new: LockedSource) -> str:
    if old.files != new.files:
        return "its data"
    before, after = asdict(old.laid_out.facts), asdict(new.laid_out.facts)
    fields = [name for name in before if before[name] != after[name]]
    if fields:
        return "its " + ", ".join(fields)
    return "its frames" if old.laid_out.episodes != new.laid_out.episodes else ""
