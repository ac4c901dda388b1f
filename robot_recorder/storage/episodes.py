"""Episodes on disk: a root folder of finished bags, unfinished ``.partial`` ones, and a trash folder.

An episode's facts live in its ``metadata.yaml`` under ``custom_data``, as text values:
``robot_recorder`` (version that wrote it), ``episode_id``, ``robot``, ``task``, ``instruction``,
``operator``, ``outcome``, ``cause``, ``start_ns``, ``stop_ns``, and as JSON ``labels`` (the event log
the former are the fold of), ``streams`` (messages written and dropped per topic), ``sync`` and ``profile``.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

from robot_recorder.core.errors import BagError
from robot_recorder.core.labels import LabelEvent, Labels, dump_events, fold, load_events
from robot_recorder.core.streams import NS_PER_S
from robot_recorder.core.yaml_source import did_you_mean
from robot_recorder.storage.files import rename_durably
from robot_recorder.storage.metadata import (
    METADATA_FILE,
    custom_data_of,
    read_metadata,
    write_metadata,
)

PARTIAL = ".partial"
TRASH = ".trash"


def episode_id(robot: str, task: str, start_ns: int) -> str:
    """robot, UTC start to the millisecond, task: unique per robot, and sorts by time."""
    start = datetime.fromtimestamp(start_ns // NS_PER_S, timezone.utc)
    millis = start_ns // 1_000_000 % 1000
    return "_".join(filter(None, (robot, f"{start:%Y%m%dT%H%M%S}", f"{millis:03d}", task)))


def label_facts(events: list[LabelEvent]) -> dict[str, str]:
    """The custom_data entries that follow from an event log."""
    now = fold(events)
    return {
        "task": now.task,
        "instruction": now.instruction,
        "operator": now.operator_name,
        "outcome": now.outcome.text,
        "cause": now.cause,
        "labels": dump_events(events),
    }


@dataclass(frozen=True)
class Episode:
    """A bag directory and what its metadata says. Foreign bags simply have no facts.

    Attributes:
        path: the bag directory.
        metadata: content of ``metadata.yaml``.
    """

    path: Path
    metadata: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> Episode:
        """Read a bag directory's metadata.

        Raises:
            BagError: not a bag.
        """
        return cls(path, read_metadata(path))

    @cached_property
    def facts(self) -> dict[str, str]:
        """custom_data, as text."""
        return custom_data_of(self.metadata)

    @property
    def id(self) -> str:
        """The episode's id; the directory's name for foreign bags."""
        return self.facts.get("episode_id", self.path.name)

    @cached_property
    def events(self) -> list[LabelEvent]:
        """The label event log."""
        return load_events(self.facts.get("labels", ""))

    @property
    def labels(self) -> Labels:
        """What holds now."""
        return fold(self.events)

    @property
    def start_ns(self) -> int:
        """Nominal start; the first message's receive stamp for foreign bags."""
        first = self.metadata["starting_time"]["nanoseconds_since_epoch"]
        return int(self.facts.get("start_ns", first))

    @property
    def duration_s(self) -> float:
        """From start to stop; from first to last message for foreign bags."""
        if "stop_ns" in self.facts:
            return (int(self.facts["stop_ns"]) - self.start_ns) / NS_PER_S
        return float(self.metadata["duration"]["nanoseconds"]) / NS_PER_S

    @cached_property
    def counts(self) -> dict[str, int]:
        """Messages per topic, from the metadata."""
        return {
            t["topic_metadata"]["name"]: int(t["message_count"])
            for t in self.metadata["topics_with_message_count"]
        }

    @property
    def lost(self) -> tuple[int, bool]:
        """Messages known to be lost, dropped here or missed on the way, and whether that is all.

        It is not all where a middleware does not number its messages, or nobody counted.
        """
        streams = json.loads(self.facts.get("streams", "{}")).values()
        known = sum(s["dropped"] + (s.get("missed") or 0) for s in streams)
        return known, bool(streams) and all(
            s.get("missed", 0) is not None for s in streams if s["written"]
        )

    @cached_property
    def sync(self) -> dict[str, Any]:
        """Alignment figures as SyncStats.to_dict gives them; empty for foreign bags."""
        return dict(json.loads(self.facts.get("sync", "{}")))

    @property
    def size_bytes(self) -> int:
        """Bytes of all its files."""
        return sum(f.stat().st_size for f in self.path.iterdir() if f.is_file())


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the directory against other writers of labels, of this process or another."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


class EpisodeStore:
    """All episodes under one root folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def paths(self) -> list[Path]:
        """Finished episodes, oldest name first."""
        if not self.root.is_dir():
            return []
        return sorted(
            p for p in self.root.iterdir()
            if (p / METADATA_FILE).is_file() and p.suffix != PARTIAL and p.name[0] != "."
        )  # fmt: skip

    def unfinished(self) -> list[Path]:
        """Leftovers of a crash; empty where the root can not be seen."""
        try:
            return sorted(p for p in self.root.iterdir() if p.suffix == PARTIAL)
        except OSError:
            return []

    def find(self, id: str) -> Path:
        """Directory of a finished episode.

        Raises:
            BagError: there is none; the message holds the nearest id.
        """
        path = self.root / id
        if not id or "/" in id or not (path / METADATA_FILE).is_file():
            known = [p.name for p in self.paths()]
            hint = did_you_mean(id, known[-200:]) if known else "there are no episodes there"
            raise BagError(f"no episode '{id}' in {self.root}; {hint}")
        return path

    def new_partial(self, id: str) -> Path:
        """Directory to record an episode into; the id is made unique where a clock repeats itself."""
        path, number = self.root / f"{id}{PARTIAL}", 2
        while path.exists() or path.with_suffix("").exists():
            path, number = self.root / f"{id}-{number}{PARTIAL}", number + 1
        return path

    def finalise(self, partial: Path, facts: dict[str, str]) -> Path:
        """Turn a closed ``.partial`` bag into an episode: facts in, files named after it, renamed.

        Raises:
            BagError: the disk does not take it; the ``.partial`` is kept.
        """
        final = partial.with_suffix("")
        try:
            metadata = read_metadata(partial)
            names: list[str] = []
            for name in metadata["relative_file_paths"]:
                new = name.replace(partial.name, final.name, 1)
                rename_durably(partial / name, partial / new)
                names.append(new)
            metadata["relative_file_paths"] = names
            for file, name in zip(metadata["files"], names, strict=True):
                file["path"] = name
            metadata["custom_data"] = {**custom_data_of(metadata), **facts}
            write_metadata(partial, metadata)
            rename_durably(partial, final)
        except OSError as error:
            raise BagError(
                f"finalising {partial} failed: {error}; its data is kept there"
            ) from error
        return final

    def append_label(self, event: LabelEvent) -> Episode:
        """Add a label to a finished episode; only ``metadata.yaml`` changes.

        Raises:
            BagError: no such episode, or the disk does not take it.
        """
        path = self.find(event.episode_id)
        try:
            with _locked(path):
                episode = Episode.open(path)
                facts = label_facts([*episode.events, event])
                custom = {**episode.facts, **facts}
                write_metadata(path, {**episode.metadata, "custom_data": custom})
        except OSError as error:
            raise BagError(f"labelling {path} failed: {error}; the old labels hold") from error
        return Episode.open(path)

    def discard(self, path: Path) -> Path:
        """Move an episode to the trash folder.

        Raises:
            BagError: it can not be moved; it stays where it is.
        """
        trash = self.root / TRASH
        try:
            trash.mkdir(exist_ok=True)
            target, number = trash / path.name, 2
            while target.exists():
                target, number = trash / f"{path.name}-{number}", number + 1
            rename_durably(path, target)
        except OSError as error:
            raise BagError(f"{path} can not be moved to {trash}: {error}") from error
        return target
