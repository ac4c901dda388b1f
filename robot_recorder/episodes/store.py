"""All episodes under one root folder: finished bags, and what is not one.

``<id>.partial/`` is being recorded, or left by a crash. ``.trash/`` holds what was discarded, for as
long as the retention says; ``.quarantine/`` what could not be repaired, for ever.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_recorder.alignment.certificate import Certificate
from robot_recorder.bags.files import (
    FILE_MODE,
    is_real_directory,
    is_regular,
    make_folder,
    move_into,
    read_regular,
    rename_durably,
    replace_text,
    share,
)
from robot_recorder.bags.metadata import (
    METADATA_FILE,
    custom_data_of,
    read_metadata,
    write_metadata,
)
from robot_recorder.configuration.yaml_source import did_you_mean
from robot_recorder.episodes.episode import Episode, robot_in
from robot_recorder.episodes.facts import label_facts
from robot_recorder.episodes.locks import WAIT_S, HeldError, Lock
from robot_recorder.episodes.trash import TRASH, Trash, name_outside
from robot_recorder.model.errors import BagError
from robot_recorder.model.ids import MAX_ID_BYTES, PARTIAL, checked_id, shown_id
from robot_recorder.model.labels import LabelEvent, append_text, appended
from robot_recorder.model.plain_data import load_json
from robot_recorder.quality.report import QualityReport

QUARANTINE = ".quarantine"
NOTE_FILE = "recording.json"
REASON_FILE = "reason.txt"
_MOST_NAME_BYTES = 255  # of a file or directory, on any file system
_MOST_NOTE_BYTES = 100_000_000
# Told of a directory below the root, and of the episode in it where that is at hand; it must not raise.
Listener = Callable[[Path, "Episode | None"], None]
_TOPIC_KEYS = {"name", "type", "offered_qos_profiles", "type_description_hash"}


@dataclass(frozen=True)
class Note:
    """What is known about a running episode beside its data, for whoever has to recover it.

    Attributes:
        facts: its custom_data so far.
        topics: per topic what ``metadata.yaml`` says of it, and its ``definition``; in the order
            they were added to the bag.
        problem: why there is nothing of both; empty: there is.
    """

    facts: dict[str, str]
    topics: list[dict[str, Any]]
    problem: str = ""


class EpisodeStore:
    """The episodes under one root folder. ``catalogue.keeper.open_store`` makes one that keeps the catalogue."""

    def __init__(
        self,
        root: Path,
        file_mode: int = FILE_MODE,
        wait_s: float = WAIT_S,
        on_change: Iterable[Listener] = (),
    ) -> None:
        """
        Args:
            file_mode: of every file made here; directories are open to whom files are.
            wait_s: the longest to wait for whoever else changes an episode.
            on_change: told of every episode that came, went or changed.
        """
        self.root = root
        self.file_mode = file_mode
        self._wait_s = wait_s
        self.trash = Trash(root, file_mode)
        self._on_change = tuple(on_change)

    def _tell(self, path: Path, episode: Episode | None = None) -> None:
        for listener in self._on_change:
            listener(path, episode)

    def make_root(self) -> None:
        """Make the root folder, where there is none.

        Raises:
            OSError: it cannot be made.
        """
        make_folder(self.root, self.file_mode)

    def paths(self) -> list[Path]:
        """Finished episodes, oldest name first."""
        return [p for p in self._folders(self.root) if _is_episode(p)]

    def unfinished(self) -> list[Path]:
        """Being recorded, or left by a crash; empty where the root can not be seen."""
        return [p for p in self._folders(self.root) if p.suffix == PARTIAL]

    def trashed(self) -> list[Path]:
        """Discarded episodes, longest discarded first."""
        return self.trash.paths()

    def quarantined(self) -> list[Path]:
        """What could not be repaired."""
        return list(self._folders(self.root / QUARANTINE))

    @staticmethod
    def _folders(parent: Path) -> list[Path]:
        """Real directories: what a link leads to is not below this root."""
        try:
            with os.scandir(parent) as found:
                names = [
                    e.name for e in found if e.name[0] != "." and e.is_dir(follow_symlinks=False)
                ]
        except OSError:
            return []
        return [parent / name for name in sorted(names)]

    def find(self, id: str) -> Path:
        """Directory of a finished episode.

        Raises:
            BagError: there is none, or it is in the trash; the message holds the nearest ids.
        """
        path = self.root / checked_id(id)
        if _is_episode(path):
            return path
        if self.trash.find(id) is not None:
            raise BagError(f"{id} is in the trash: restore it first")
        if (unfinished := self.root / f"{id}{PARTIAL}") in self.unfinished():
            raise BagError(not_finished(unfinished))
        raise self._unknown(id, self.root, self.paths())

    def _unknown(self, id: str, folder: Path, there: list[Path]) -> BagError:
        known = [p.name for p in there]
        hint = did_you_mean(id, known[-200:]) if known else "there are no episodes there"
        return BagError(f"no episode {shown_id(id)} in {folder}; {hint}")

    def newest(self, robot: str) -> Path | None:
        """What a robot recorded last, finished or not; None: nothing here."""
        of_robot = [p for p in [*self.paths(), *self.unfinished()] if robot_in(p.name) == robot]
        return max(of_robot, key=lambda p: p.name, default=None)

    def new_partial(self, id: str) -> Path:
        """Directory to record an episode into; the id is made unique where a clock repeats itself.

        Raises:
            BagError: it is not fit to be the name of a directory.
        """
        checked_id(checked_id(id) + "-9999")  # a number may follow
        path, number = self.root / f"{id}{PARTIAL}", 2
        while os.path.lexists(path) or os.path.lexists(path.with_suffix("")):
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
        """What was kept about an episode; empty when there is nothing, or nothing readable, and says why."""
        try:
            content = load_json(read_regular(partial / NOTE_FILE, _MOST_NOTE_BYTES))
            facts = {str(k): str(v) for k, v in content["facts"].items()}
            topics = [dict(topic) for topic in content["topics"]]
            whole = all(topic.keys() >= _TOPIC_KEYS for topic in topics)
            if whole:
                return Note(facts, topics)
            return Note(facts, [], f"what describes its topics in {NOTE_FILE} cannot be read")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            why = f"{type(error).__name__}: {error}"
            return Note(
                {}, [], f"task, labels and QoS are lost: {NOTE_FILE} cannot be read ({why})"
            )

    def finalise(
        self,
        partial: Path,
        facts: dict[str, str],
        certificate: Certificate | None = None,
        quality: QualityReport | None = None,
    ) -> Path:
        """Turn a closed ``.partial`` bag into an episode: facts in, files named after it, renamed.

        Args:
            certificate, quality: what the facts were written from, where it is at hand.

        Raises:
            BagError: the disk does not take it; the ``.partial`` is kept.
        """
        final = partial.with_suffix("")
        try:
            metadata = read_metadata(partial)
            _rename_files(partial, final.name, metadata)
            metadata["custom_data"] = {**custom_data_of(metadata), **facts}
            write_metadata(partial, metadata)  # brings the new names to the disk, too
            share(partial, self.file_mode)
            rename_durably(partial, final)
        except OSError as error:
            raise BagError(
                f"finalising {partial} failed: {error}; its data is kept there"
            ) from error
        for name in (NOTE_FILE, REASON_FILE):  # what they said is in the metadata now, or past
            with suppress(OSError):
                (final / name).unlink(missing_ok=True)
        self._tell(final, Episode(final, metadata).knowing(certificate, quality))
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
            with Lock(path.parent, lock_name(path), self._wait_s):
                episode = Episode(path, read_metadata(path))  # as it stands: it is written again
                custom = {**episode.facts, **facts(episode)}
                metadata = {**episode.metadata, "custom_data": custom}
                write_metadata(path, metadata)
                changed = Episode(path, metadata)
                self._tell(path, changed)
        except HeldError as error:
            raise BagError(f"{path} is being changed by {error}: try again") from error
        except OSError as error:
            raise BagError(f"changing {path} failed: {error}; what it said before holds") from error
        return changed

    def discard(self, path: Path, days: float = 7.0) -> Path:
        """Move an episode to the trash folder.

        Args:
            days: for how many it is kept there at least.

        Raises:
            BagError: it can not be moved; it stays where it is.
        """
        if path.parent == self.trash.folder:
            raise BagError(f"{path.name} is in the trash already")
        self._must_be_ours(path)
        try:
            target = self.trash.put(path, time.time_ns(), days)
        except OSError as error:
            raise BagError(f"{path} can not be moved to the trash: {error}") from error
        self._tell(path)
        return target

    def discarded(self, id: str) -> Path | None:
        """Where in the trash an episode of this name is; None: it is not there."""
        return self.trash.find(checked_id(id))

    def delete_discarded(self, id: str) -> Path:
        """Delete an episode in the trash before its time, as a person has asked for.

        Raises:
            BagError: it is not there, or cannot be deleted.
        """
        path = self.trash.find(checked_id(id.removesuffix(PARTIAL)))
        if path is None:
            raise self._unknown(id, self.root / TRASH, self.trashed())
        if not self.trash.delete(path):
            raise BagError(f"{path} cannot be deleted: see who owns it")
        return path

    def restore(self, id: str, robot: str = "") -> Path:
        """Bring an episode back from the trash.

        Args:
            id: empty: the one discarded last.
            robot: then only of this one; empty: of any.

        Raises:
            BagError: it is not there, or can not be moved.
        """
        if not id:
            id = self.trash.last(robot).name
        path = self.trash.find(checked_id(id.removesuffix(PARTIAL)))
        if path is None or not (path.suffix == PARTIAL or _is_episode(path)):
            raise self._unknown(id, self.root / TRASH, self.trashed())
        target = self.root / name_outside(path)
        try:
            rename_durably(path, target)
        except OSError as error:
            raise BagError(f"{path} can not be restored: {error}") from error
        self.trash.take(target)
        if target.suffix != PARTIAL:
            self._tell(target)
        return target

    def empty_trash(self, now_ns: int, days: float) -> list[Path]:
        """Delete what has been in the trash for longer than it was promised to be kept, and than ``days``.

        Nothing else in this package deletes recorded data.

        Args:
            now_ns: time since the epoch.
        """
        return self.trash.empty(now_ns, days)

    def quarantine(self, path: Path, reason: str) -> Path:
        """Put away what can not be repaired, with the reason in it; on a full disk: in its name.

        Raises:
            BagError: it can not be moved; it stays where it is.
        """
        self._must_be_ours(path)
        name = path.name
        try:
            replace_text(path / REASON_FILE, reason + "\n")
        except OSError:
            name = _named_after(path, reason)
        try:
            return move_into(path, self.root / QUARANTINE, name, self.file_mode)
        except OSError as error:
            raise BagError(f"{path} can not be moved to the quarantine: {error}") from error

    def _must_be_ours(self, path: Path) -> None:
        """Only what lies directly below the root is moved.

        Raises:
            BagError: it does not, or is a link.
        """
        if path.parent != self.root or not is_real_directory(path):
            raise BagError(f"{path} is not a directory directly below {self.root}")


def lock_name(path: Path) -> str:
    """The lock of an episode, finished or not."""
    name = path.name.removesuffix(PARTIAL)
    long = len(name.encode("utf-8", "surrogateescape")) > MAX_ID_BYTES  # somebody else's
    return hashlib.sha256(os.fsencode(name)).hexdigest() if long else name


def not_finished(partial: Path) -> str:
    """What to do about a ``.partial``, for people."""
    return (
        f"{partial} is not finished: stop its recording; or if a crash left it behind, "
        f"robot-recorder recover {partial.parent}"
    )


def _is_episode(path: Path) -> bool:
    return path.suffix != PARTIAL and is_real_directory(path) and is_regular(path / METADATA_FILE)


def _rename_files(partial: Path, name: str, metadata: dict[str, Any]) -> None:
    """Name a bag's files after its directory's final name, in the metadata, too."""
    names: list[str] = []
    for old in metadata["relative_file_paths"]:
        if "/" in old:
            raise BagError(f"{partial}: its metadata names a file elsewhere: {shown_id(old)}")
        new = old.replace(partial.name, name, 1)
        if new != old and not os.path.lexists(partial / new):
            os.rename(partial / old, partial / new)
        names.append(new)
    metadata["relative_file_paths"] = names
    for file, new in zip(metadata["files"], names, strict=True):
        file["path"] = new


def _named_after(path: Path, reason: str) -> str:
    """A directory's name with a reason behind it."""
    text = "".join(
        c if c.isprintable() and c != "/" else "_" for c in reason.replace(f"{path}/", "")
    )
    return f"{path.name} ({text}".encode()[: _MOST_NAME_BYTES - 10].decode(errors="ignore") + ")"
