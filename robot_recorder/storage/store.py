"""All episodes under one root folder: finished bags, and what is not one.

``<id>.partial/`` is being recorded, or left by a crash. ``.trash/`` holds what was discarded, for as
long as the retention says; ``.quarantine/`` what could not be repaired, for ever.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_recorder.core.errors import BagError
from robot_recorder.core.labels import LabelEvent, append_text, appended
from robot_recorder.core.yaml_source import did_you_mean
from robot_recorder.storage.catalogue import Keeper
from robot_recorder.storage.episodes import Episode, label_facts
from robot_recorder.storage.files import (
    folder_bytes,
    locked,
    move_into,
    rename_durably,
    replace_text,
)
from robot_recorder.storage.metadata import (
    METADATA_FILE,
    custom_data_of,
    read_metadata,
    write_metadata,
)

PARTIAL = ".partial"
TRASH = ".trash"
QUARANTINE = ".quarantine"
NOTE_FILE = "recording.json"
REASON_FILE = "reason.txt"
_ID = re.compile(r"(?P<robot>.+)_\d{8}T\d{6}_\d{3}(_|-|\.|$)")  # as ``episode_id`` makes it
_TOPIC_KEYS = {"name", "type", "offered_qos_profiles", "type_description_hash"}


@dataclass(frozen=True)
class Note:
    """What is known about a running episode beside its data, for whoever has to recover it.

    Attributes:
        facts: its custom_data so far.
        topics: per topic what ``metadata.yaml`` says of it, and its ``definition``; in the order
            they were added to the bag.
    """

    facts: dict[str, str]
    topics: list[dict[str, Any]]


class EpisodeStore:
    """The episodes under one root folder. Every change to them is told to its catalogue."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._catalogue = Keeper(root)

    def paths(self) -> list[Path]:
        """Finished episodes, oldest name first."""
        return [p for p in self._folders(self.root) if _is_episode(p)]

    def unfinished(self) -> list[Path]:
        """Being recorded, or left by a crash; empty where the root can not be seen."""
        return [p for p in self._folders(self.root) if p.suffix == PARTIAL]

    def trashed(self) -> list[Path]:
        """Discarded episodes, longest discarded first."""
        return sorted(self._folders(self.root / TRASH), key=lambda p: p.stat().st_mtime)

    def quarantined(self) -> list[Path]:
        """What could not be repaired."""
        return list(self._folders(self.root / QUARANTINE))

    @staticmethod
    def _folders(parent: Path) -> list[Path]:
        try:
            return sorted(p for p in parent.iterdir() if p.is_dir() and p.name[0] != ".")
        except OSError:
            return []

    def find(self, id: str) -> Path:
        """Directory of a finished episode.

        Raises:
            BagError: there is none, or it is in the trash; the message holds the nearest ids.
        """
        return self._find(id, self.root, self.paths)

    def _find(self, id: str, folder: Path, candidates: Callable[[], list[Path]]) -> Path:
        path = folder / id
        if not id or "/" in id or not _is_episode(path):
            if folder == self.root and id in {p.name for p in self.trashed()}:
                raise BagError(f"{id} is in the trash: restore it first")
            if (unfinished := folder / f"{id}{PARTIAL}") in self.unfinished():
                raise BagError(not_finished(unfinished))
            known = [p.name for p in candidates()]
            hint = did_you_mean(id, known[-200:]) if known else "there are no episodes there"
            raise BagError(f"no episode '{id}' in {folder}; {hint}")
        return path

    def newest(self, robot: str) -> Path | None:
        """What a robot recorded last, finished or not; None: nothing here."""
        of_robot = [p for p in [*self.paths(), *self.unfinished()] if _robot(p) == robot]
        return max(of_robot, key=lambda p: p.name, default=None)

    def new_partial(self, id: str) -> Path:
        """Directory to record an episode into; the id is made unique where a clock repeats itself."""
        path, number = self.root / f"{id}{PARTIAL}", 2
        while path.exists() or path.with_suffix("").exists():
            path, number = self.root / f"{id}-{number}{PARTIAL}", number + 1
        return path

    def write_note(self, partial: Path, note: Note) -> None:
        """Keep what is known about a running episode, durably.

        Raises:
            BagError: the disk does not take it.
        """
        content = {"facts": note.facts, "topics": note.topics}
        try:
            replace_text(partial / NOTE_FILE, json.dumps(content, ensure_ascii=False))
        except OSError as error:
            raise BagError(f"writing {partial} failed: {error.strerror}") from error

    def read_note(self, partial: Path) -> Note:
        """What was kept about an episode; empty when there is nothing, or nothing readable."""
        try:
            content = json.loads((partial / NOTE_FILE).read_text(encoding="utf-8"))
            facts = {str(k): str(v) for k, v in content["facts"].items()}
            topics = [dict(topic) for topic in content["topics"]]
            whole = all(topic.keys() >= _TOPIC_KEYS for topic in topics)
            return Note(facts, topics if whole else [])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return Note({}, [])

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
                if new != name and not (partial / new).exists():
                    os.rename(partial / name, partial / new)
                names.append(new)
            metadata["relative_file_paths"] = names
            for file, name in zip(metadata["files"], names, strict=True):
                file["path"] = name
            metadata["custom_data"] = {**custom_data_of(metadata), **facts}
            write_metadata(partial, metadata)  # brings the new names to the disk, too
            rename_durably(partial, final)
            (final / NOTE_FILE).unlink(missing_ok=True)  # its content is in the metadata now
        except OSError as error:
            raise BagError(
                f"finalising {partial} failed: {error}; its data is kept there"
            ) from error
        self._catalogue.changed(final, metadata)
        return final

    def append_label(self, event: LabelEvent) -> Episode:
        """Add a label to a finished episode; see ``append_labels``."""
        return self.append_labels(self.find(event.episode_id), lambda _: [event])

    def append_labels(
        self, path: Path, decide: Callable[[Episode], Iterable[LabelEvent]]
    ) -> Episode:
        """Add labels to a finished episode, all or none; only ``metadata.yaml`` changes.

        Args:
            decide: the labels for the episode as it stands, which nobody changes meanwhile.

        Raises:
            BagError: the disk does not take it.
        """

        def facts(episode: Episode) -> dict[str, str]:
            before = episode.events
            log = appended(before, *decide(episode))
            text = append_text(episode.facts.get("labels", ""), log[len(before) :])
            return {**label_facts(log), "labels": text}

        return self.amend(path, facts)

    def amend(self, path: Path, facts: Callable[[Episode], dict[str, str]]) -> Episode:
        """Change custom_data of a finished episode so that nothing that others change is lost.

        Args:
            facts: what to set, for the episode as it stands.

        Returns:
            The episode as it stands now.

        Raises:
            BagError: the disk does not take it; or what ``facts`` raises. Nothing has changed then.
        """
        try:
            with locked(path):
                episode = Episode.open(path)
                custom = {**episode.facts, **facts(episode)}
                metadata = {**episode.metadata, "custom_data": custom}
                write_metadata(path, metadata)
                self._catalogue.changed(path, metadata)
        except OSError as error:
            raise BagError(f"changing {path} failed: {error}; what it said before holds") from error
        return Episode(path, {**episode.metadata, "custom_data": custom})

    def discard(self, path: Path) -> Path:
        """Move an episode to the trash folder.

        Raises:
            BagError: it can not be moved; it stays where it is.
        """
        try:
            target = move_into(path, self.root / TRASH)
            os.utime(target)  # how long it has been there
        except OSError as error:
            raise BagError(f"{path} can not be moved to the trash: {error}") from error
        self._catalogue.changed(path)
        return target

    def restore(self, id: str) -> Path:
        """Bring an episode back from the trash; empty id: the one discarded last.

        Raises:
            BagError: it is not there, or can not be moved.
        """
        trash = self.trashed()
        if not id and trash:
            id = trash[-1].name
        unfinished = self.root / TRASH / f"{id.removesuffix(PARTIAL)}{PARTIAL}"
        if id and "/" not in id and unfinished.is_dir():  # discarded before it could be finalised
            path, target = unfinished, self.root / unfinished.name
        else:
            path = self._find(id, self.root / TRASH, self.trashed)
            target = self.root / Episode.open(path).id
        try:
            rename_durably(path, target)
        except OSError as error:
            raise BagError(f"{path} can not be restored: {error}") from error
        if target.suffix != PARTIAL:
            self._catalogue.changed(target)
        return target

    def empty_trash(self, now_s: float, max_days: float, max_bytes: float) -> list[Path]:
        """Delete what has been in the trash for too long, and then the oldest until the rest is small.

        Nothing else in this package deletes recorded data.

        Args:
            now_s: time since the epoch.
        """
        gone: list[Path] = []
        trash = [(p, p.stat().st_mtime, folder_bytes(p)) for p in self.trashed()]
        total = sum(size for *_, size in trash)
        for path, since, size in trash:
            if now_s - since > max_days * 86400 or total > max_bytes:
                shutil.rmtree(path, ignore_errors=True)
                total -= size
                gone.append(path)
        return gone

    def keep_trash(self) -> None:
        """Begin the retention of everything in the trash anew."""
        for path in self.trashed():
            os.utime(path)

    def quarantine(self, path: Path, reason: str) -> Path:
        """Put away what can not be repaired, with the reason beside it.

        Raises:
            BagError: it can not be moved; it stays where it is.
        """
        try:
            target = move_into(path, self.root / QUARANTINE)
            replace_text(target / REASON_FILE, reason + "\n")
        except OSError as error:
            raise BagError(f"{path} can not be moved to the quarantine: {error}") from error
        return target


def not_finished(partial: Path) -> str:
    """What to do about a ``.partial``, for people."""
    return (
        f"{partial} is not finished: stop its recording; or if a crash left it behind, "
        f"robot-recorder recover {partial.parent}"
    )


def _is_episode(path: Path) -> bool:
    return (path / METADATA_FILE).is_file() and path.suffix != PARTIAL


def _robot(path: Path) -> str:
    """Of the episode's id, which begins with it."""
    match = _ID.match(path.name)
    return match["robot"] if match else ""
