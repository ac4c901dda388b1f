"""The episodes below one root directory: find, finalise, label, discard and restore them.

``<id>.partial/`` is being recorded, or left by a crash. ``.trash/`` holds discarded episodes until
their retention ends; ``.quarantine/`` holds unrepairable ones forever.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    without_repeats,
    write_metadata,
)
from robot_recorder.configuration.yaml_source import did_you_mean
from robot_recorder.episodes.episode import Episode, robot_in
from robot_recorder.episodes.facts import label_facts
from robot_recorder.episodes.label_rules import MOST_MERGED
from robot_recorder.episodes.locks import WAIT_S, HeldError, Lock
from robot_recorder.episodes.trash import OWN_FILES, TRASH, Trash, name_outside
from robot_recorder.model.errors import BagError
from robot_recorder.model.ids import MAX_ID_BYTES, PARTIAL, checked_id, shown_id
from robot_recorder.model.labels import (
    LabelEvent,
    append_text,
    appended,
    dump_plain,
    load_events,
    load_plain,
    merged,
    stamps_problem,
)
from robot_recorder.model.plain_data import load_json
from robot_recorder.quality.verdict import QualityReport

if TYPE_CHECKING:
    from robot_recorder.alignment.certificate import Certificate

QUARANTINE = ".quarantine"
FREED = ".freed"  # what ``free`` is deleting
NOTE_FILE = "recording.json"
REASON_FILE = "reason.txt"
_MOST_NAME_BYTES = 255  # of a file or directory name, on any file system
_MOST_NOTE_BYTES = 100_000_000
# Called with a directory below the root and its episode, None if not at hand; must not raise.
Listener = Callable[[Path, "Episode | None"], None]
_TOPIC_KEYS = {"name", "type", "offered_qos_profiles", "type_description_hash"}


@dataclass(frozen=True)
class Note:
    """The facts and topics of a running episode, stored beside its data for recovery.

    Attributes:
        facts: its custom_data so far.
        topics: for each topic its entry of ``metadata.yaml`` and its ``definition``, in the order
            they were added to the bag.
        problem: why something is missing; empty: the note is complete.
    """

    facts: dict[str, str]
    topics: list[dict[str, Any]]
    problem: str = ""


class EpisodeStore:
    """The episodes below one root. ``floor.store.open_store`` also updates the catalogue."""

    def __init__(
        self,
        root: Path,
        file_mode: int = FILE_MODE,
        wait_s: float = WAIT_S,
        on_change: Iterable[Listener] = (),
    ) -> None:
        """Create the store; nothing is read or created yet.

        Args:
            root: the root directory.
            file_mode: mode of all created files; directories get x wherever files have r.
            wait_s: timeout while another process changes an episode, s.
            on_change: called for every episode that is added, changed or removed.
        """
        self.root = root
        self.file_mode = file_mode
        self._wait_s = wait_s
        self.trash = Trash(root, file_mode)
        self._on_change = tuple(on_change)

    def _notify(self, path: Path, episode: Episode | None = None) -> None:
        for listener in self._on_change:
            listener(path, episode)

    def make_root(self) -> None:
        """Create the root directory unless it exists.

        Raises:
            OSError: it cannot be created.
        """
        make_folder(self.root, self.file_mode)

    def paths(self) -> list[Path]:
        """Return the finished episodes, sorted by name, oldest first."""
        return [p for p in self._folders(self.root) if _is_episode(p)]

    def unfinished(self) -> list[Path]:
        """Return the ``.partial`` directories: being recorded, or left by a crash."""
        return [p for p in self._folders(self.root) if p.suffix == PARTIAL]

    def trashed(self) -> list[Path]:
        """Return the discarded episodes, the one discarded first in front."""
        return self.trash.paths()

    def quarantined(self) -> list[Path]:
        """Return the episodes that could not be repaired."""
        return list(self._folders(self.root / QUARANTINE))

    def all_paths(self) -> list[Path]:
        """Return the finished episodes, as ``paths``, for those who conclude from what is missing.

        Raises:
            BagError: the root cannot be listed.
        """
        try:
            return [p for p in _listed(self.root) if _is_episode(p)]
        except OSError as error:
            raise BagError(f"{self.root} cannot be listed: {error.strerror or error}") from error

    @staticmethod
    def _folders(parent: Path) -> list[Path]:
        try:
            return _listed(parent)
        except OSError:
            return []

    def find(self, id: str) -> Path:
        """Return the directory of a finished episode.

        Raises:
            BagError: it does not exist, is not finished, or is in the trash; the message names the
                nearest ids.
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
        hint = did_you_mean(id, known[-200:]) if known else "it has no episodes"
        return BagError(f"no episode {shown_id(id)} in {folder}; {hint}")

    def newest(self, robot: str) -> Path | None:
        """Return the newest episode of a robot, finished or not; None: there is none."""
        of_robot = [p for p in [*self.paths(), *self.unfinished()] if robot_in(p.name) == robot]
        return max(of_robot, key=lambda p: p.name, default=None)

    def new_partial(self, id: str) -> Path:
        """Return the directory to record an episode into; a used id gets a number appended.

        Raises:
            BagError: the id is not a valid directory name.
        """
        checked_id(checked_id(id) + "-9999")  # leaves room for the number
        path, number = self.root / f"{id}{PARTIAL}", 2
        while os.path.lexists(path) or os.path.lexists(path.with_suffix("")):
            path, number = self.root / f"{id}-{number}{PARTIAL}", number + 1
        return path

    def write_note(self, partial: Path, note: Note) -> None:
        """Write the note of a running episode durably.

        Raises:
            BagError: the disk fails.
        """
        content = {"facts": note.facts, "topics": note.topics}
        try:
            replace_text(partial / NOTE_FILE, json.dumps(content, ensure_ascii=False))
        except OSError as error:
            raise BagError(f"writing {partial} failed: {error.strerror}") from error

    def read_note(self, partial: Path) -> Note:
        """Read the note of an episode; if it is missing or unreadable, ``problem`` says why."""
        try:
            content = load_json(read_regular(partial / NOTE_FILE, _MOST_NOTE_BYTES))
            facts = {str(k): str(v) for k, v in content["facts"].items()}
            topics = [dict(topic) for topic in content["topics"]]
            whole = all(topic.keys() >= _TOPIC_KEYS for topic in topics)
            if whole:
                return Note(facts, topics)
            return Note(facts, [], f"the topics in {NOTE_FILE} cannot be read")
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
        """Turn a closed ``.partial`` bag into an episode: write its facts and rename it.

        Args:
            partial: the directory.
            facts: custom_data to add.
            certificate: the certificate in ``facts``, for listeners; None: not at hand.
            quality: the report in ``facts``, for listeners; None: not at hand.

        Returns:
            The directory of the episode.

        Raises:
            BagError: the disk fails; the ``.partial`` directory is kept.
        """
        final = partial.with_suffix("")
        try:
            metadata = read_metadata(partial)
            _rename_files(partial, final.name, metadata)
            metadata["custom_data"] = {**custom_data_of(metadata), **facts}
            write_metadata(partial, metadata)  # syncs the new names to disk, too
            share(partial, self.file_mode)
            rename_durably(partial, final)
        except OSError as error:
            raise BagError(
                f"finalising {partial} failed: {error}; its data is kept there"
            ) from error
        for name in (NOTE_FILE, REASON_FILE):  # their content is in the metadata now, or outdated
            with suppress(OSError):
                (final / name).unlink(missing_ok=True)
        episode = Episode(final, without_repeats(metadata))
        self._notify(final, episode.knowing(certificate, quality))
        return final

    def adopt(self, folder: Path) -> Path:
        """Let a complete episode from elsewhere appear, durably.

        Args:
            folder: its directory, on the same file system; its name is the episode's.

        Returns:
            The directory of the episode.

        Raises:
            BagError: the disk fails, or the name is taken; the folder stays where it is.
        """
        final = self.root / checked_id(folder.name)
        try:
            rename_durably(folder, final)
        except OSError as error:
            raise BagError(f"{folder} cannot be moved to {final}: {error}") from error
        self._notify(final)
        return final

    def append_label(self, event: LabelEvent) -> Episode:
        """Append a label to a finished episode, as ``append_labels`` does."""
        return self.append_labels(self.find(event.episode_id), lambda _: [event])

    def append_labels(
        self, path: Path, decide: Callable[[Episode], Iterable[LabelEvent]]
    ) -> Episode:
        """Append labels to a finished episode, all or none; only ``metadata.yaml`` changes.

        Args:
            path: the episode's directory.
            decide: returns the labels, given the episode's current state; called under its lock.

        Raises:
            BagError: the log takes no more labels, or the disk fails; nothing has changed.
        """

        def facts(episode: Episode) -> dict[str, str]:
            before, asked = episode.events, list(decide(episode))
            try:
                log = appended(before, *asked)
            except ValueError as error:
                raise BagError(f"a label for {path} is refused: {error}") from error
            text = append_text(episode.facts.get("labels", ""), log[len(before) :])
            return {**label_facts(log), "labels": text}

        return self.amend(path, facts)

    def merge_labels(self, path: Path, events: Sequence[Mapping[str, Any]]) -> Episode:
        """Take label events of another copy of a finished episode into its log.

        Args:
            path: the episode's directory.
            events: in plain form; those that the log holds already change nothing.

        Raises:
            BagError: an event is invalid, the log would be too long, or the disk fails; nothing has
                changed.
        """

        def facts(episode: Episode) -> dict[str, str]:
            try:
                own = load_plain(episode.facts.get("labels", ""))
                if problem := stamps_problem(own, events):
                    raise ValueError(problem)
                log = merged(own, events)
                if len(log) > MOST_MERGED:
                    raise ValueError(f"{len(log)} labels are more than {MOST_MERGED}")
                text = dump_plain(log)
                return {**label_facts(load_events(text)), "labels": text}
            except (ValueError, TypeError) as error:
                raise BagError(f"labels for {path} are refused: {error}") from error

        return self.amend(path, facts)

    def free(self, path: Path, refused: Callable[[Episode], str], stored: Collection[str]) -> str:
        """Delete a finished episode that is stored elsewhere.

        Args:
            path: the episode's directory.
            refused: returns why it must stay, given its current state; empty: delete it. Called
                under its lock, so that no label is lost meanwhile.
            stored: names of the data files that are stored elsewhere; it stays if it holds others.

        Returns:
            Why it was not deleted; empty: it is gone.

        Raises:
            BagError: the disk fails, or another process holds the lock.
        """
        self._must_be_ours(path)
        try:
            with Lock(path.parent, lock_name(path), self._wait_s):
                if reason := refused(Episode.open(path)) or _also_holds(path, stored):
                    return reason
                gone = move_into(path, self.root / FREED, file_mode=self.file_mode)
                # Who writes a file into it takes no lock: here it cannot be reached any more.
                if reason := _also_holds(gone, stored):
                    rename_durably(gone, path)
                    return reason
        except HeldError as error:
            raise BagError(f"{path} is being changed by {error}: try again") from error
        except OSError as error:
            raise BagError(f"{path} cannot be deleted: {error}") from error
        self._notify(path)
        shutil.rmtree(gone, ignore_errors=True)
        return ""

    def clear_freed(self) -> None:
        """Delete what a crash left of freed episodes."""
        shutil.rmtree(self.root / FREED, ignore_errors=True)

    def amend(self, path: Path, facts: Callable[[Episode], dict[str, str]]) -> Episode:
        """Change custom_data of a finished episode under its lock, so that no change is lost.

        Args:
            path: the episode's directory.
            facts: returns the values to set, given the episode's current state.

        Returns:
            The changed episode.

        Raises:
            BagError: the disk fails, or another process holds the lock; nothing has changed.
            Exception: whatever ``facts`` raises; nothing has changed.
        """
        try:
            with Lock(path.parent, lock_name(path), self._wait_s):
                episode = Episode(
                    path, read_metadata(path)
                )  # unfiltered: all of it is written back
                custom = {**episode.facts, **facts(episode)}
                metadata = {**episode.metadata, "custom_data": custom}
                write_metadata(path, metadata)
                changed = Episode(path, without_repeats(metadata))
                self._notify(path, changed)
        except HeldError as error:
            raise BagError(f"{path} is being changed by {error}: try again") from error
        except OSError as error:
            raise BagError(f"changing {path} failed: {error}; it is unchanged") from error
        return changed

    def discard(self, path: Path, days: float = 7.0) -> Path:
        """Move an episode to the trash.

        Args:
            path: its directory.
            days: how long it is kept there at least, days.

        Returns:
            Its directory in the trash.

        Raises:
            BagError: it cannot be moved; it stays in place.
        """
        if path.parent == self.trash.folder:
            raise BagError(f"{path.name} is in the trash already")
        self._must_be_ours(path)
        try:
            target = self.trash.put(path, time.time_ns(), days)
        except OSError as error:
            raise BagError(f"{path} cannot be moved to the trash: {error}") from error
        self._notify(path)
        return target

    def discarded(self, id: str) -> Path | None:
        """Return the directory of an episode in the trash; None: it is not there."""
        return self.trash.find(checked_id(id))

    def delete_discarded(self, id: str) -> Path:
        """Delete an episode in the trash at once, on a person's request.

        Raises:
            BagError: it is not in the trash, or cannot be deleted.
        """
        path = self.trash.find(checked_id(id.removesuffix(PARTIAL)))
        if path is None:
            raise self._unknown(id, self.root / TRASH, self.trashed())
        if not self.trash.delete(path):
            raise BagError(f"{path} cannot be deleted: check its owner and permissions")
        return path

    def restore(self, id: str, robot: str = "") -> Path:
        """Move an episode back from the trash.

        Args:
            id: its id; empty: the one discarded last.
            robot: with an empty id, only this robot's episodes; empty: any robot's.

        Returns:
            Its directory.

        Raises:
            BagError: it is not in the trash, or cannot be moved.
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
            raise BagError(f"{path} cannot be restored: {error}") from error
        self.trash.take(target)
        if target.suffix != PARTIAL:
            self._notify(target)
        return target

    def empty_trash(self, now_ns: int, days: float) -> list[Path]:
        """Delete the episodes in the trash whose promised retention and ``days`` have both passed.

        Only this method, ``delete_discarded`` and ``free`` delete recorded data.

        Args:
            now_ns: current time, ns since the epoch.
            days: the configured retention, days.

        Returns:
            The deleted directories.
        """
        return self.trash.empty(now_ns, days)

    def quarantine(self, path: Path, reason: str) -> Path:
        """Move an unrepairable directory to quarantine.

        The reason is written into it; if the disk is full, it is appended to its name.

        Raises:
            BagError: it cannot be moved; it stays in place.
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
            raise BagError(f"{path} cannot be moved to quarantine: {error}") from error

    def _must_be_ours(self, path: Path) -> None:
        """Make sure that a path may be moved.

        Raises:
            BagError: it is a link, or not directly below the root.
        """
        if path.parent != self.root or not is_real_directory(path):
            raise BagError(f"{path} is not a directory directly below {self.root}")


def others_in(episode: Path, stored: Collection[str]) -> list[str]:
    """Return what an episode's directory holds besides some data files and the store's own files.

    Folders, links, hidden files: names of all of them, sorted.

    Args:
        episode: its directory.
        stored: names of the data files.

    Raises:
        OSError: the directory cannot be listed.
    """
    with os.scandir(episode) as found:
        return sorted(
            e.name
            for e in found
            if not e.is_file(follow_symlinks=False)
            or (e.name not in stored and e.name not in OWN_FILES)
        )


def _also_holds(episode: Path, stored: Collection[str]) -> str:
    others = others_in(episode, stored)
    return f"it holds {shown_id(others[0])}, which is not stored elsewhere" if others else ""


def _listed(parent: Path) -> list[Path]:
    """Return the directories below ``parent``, without links: those lead out of the root."""
    with os.scandir(parent) as found:
        names = [e.name for e in found if e.name[0] != "." and e.is_dir(follow_symlinks=False)]
    return [parent / name for name in sorted(names)]


def lock_name(path: Path) -> str:
    """Return the name of an episode's lock, finished or not."""
    name = path.name.removesuffix(PARTIAL)
    long = len(name.encode("utf-8", "surrogateescape")) > MAX_ID_BYTES  # made by another program
    return hashlib.sha256(os.fsencode(name)).hexdigest() if long else name


def not_finished(partial: Path) -> str:
    """Return a sentence that says what to do about a ``.partial`` directory."""
    return (
        f"{partial} is not finished: stop its recording; or if a crash left it behind, "
        f"robot-recorder recover {partial.parent}"
    )


def _is_episode(path: Path) -> bool:
    return path.suffix != PARTIAL and is_real_directory(path) and is_regular(path / METADATA_FILE)


def _rename_files(partial: Path, name: str, metadata: dict[str, Any]) -> None:
    """Rename a bag's files after the final name of its directory, in the metadata, too."""
    names: list[str] = []
    for old in metadata["relative_file_paths"]:
        if "/" in old:
            raise BagError(
                f"{partial}: its metadata names a file in another directory: {shown_id(old)}"
            )
        new = old.replace(partial.name, name, 1)
        if new != old and not os.path.lexists(partial / new):
            os.rename(partial / old, partial / new)
        names.append(new)
    metadata["relative_file_paths"] = names
    for file, new in zip(metadata["files"], names, strict=True):
        file["path"] = new


def _named_after(path: Path, reason: str) -> str:
    """Return a directory's name with a reason appended."""
    text = "".join(
        c if c.isprintable() and c != "/" else "_" for c in reason.replace(f"{path}/", "")
    )
    return f"{path.name} ({text}".encode()[: _MOST_NAME_BYTES - 10].decode(errors="ignore") + ")"
