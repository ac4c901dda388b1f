"""Look at the episodes of a root and note in the outbox what is new, changed, discarded or gone."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from robot_recorder.bags.files import is_regular
from robot_recorder.bags.metadata import METADATA_FILE, read_metadata
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.store import EpisodeStore, others_in
from robot_recorder.episodes.trash import name_outside
from robot_recorder.floor.agent.alarms import AgentAlarms, AlarmKind
from robot_recorder.floor.agent.beat import CENTRE_NS, CLOCK_OFF_S
from robot_recorder.floor.agent.outbox import Outbox, OutboxRow, SeenEpisode, SendState
from robot_recorder.floor.agent.signatures import metadata_signature
from robot_recorder.floor.manifest import data_files
from robot_recorder.model.errors import BagError
from robot_recorder.model.ids import PARTIAL, id_problem, shown_id

_S = SendState


class EpisodeScan:
    """Compares a root with its outbox. One thread uses it."""

    def __init__(
        self,
        store: EpisodeStore,
        outbox: Outbox,
        alarms: AgentAlarms,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Create it; nothing is read yet."""
        self._store = store
        self._outbox = outbox
        self._alarms = alarms
        self._say = say
        self._listed_ns: dict[str, int] = {}  # when the directory of each changed that was listed

    def all(self) -> bool:
        """Look at every episode; return whether anything is new.

        Raises:
            BagError: the root cannot be listed, so nobody knows what is gone; or the outbox cannot be
                used.
        """
        seen = self._outbox.seen()
        paths = {path.name: path for path in self._store.all_paths()}
        bad = [name for name in paths if id_problem(name)]
        self._alarms.set(AlarmKind.NAMES, _bad_names(bad))
        found = [
            self._look_at(path, seen.get(name))
            for name, path in paths.items()
            if not id_problem(name)
        ]
        rows = {row.name: row for row in self._outbox.rows()}
        missing = [self._missing(row) for name, row in rows.items() if name not in paths]
        trashed = [
            self._note_trashed(path)
            for path in self._store.trashed()
            if path.name not in paths and path.name not in rows
        ]
        for name in self._listed_ns.keys() - paths.keys():
            del self._listed_ns[name]
            self._alarms.end(AlarmKind.UNSENT, name)
        return any(found) or any(missing) or any(trashed)

    def some(self, names: Iterable[str]) -> bool:
        """Look at episodes that were marked as changed; return whether anything is new."""
        found = []
        for name in names:
            if id_problem(name):
                continue
            row, path = self._outbox.row(name), self._store.root / name
            if metadata_signature(path):
                known = row is not None and not row.is_discarded
                found.append(self._look_at(path, row.seen.metadata if row and known else None))
            elif row is not None:
                found.append(self._missing(row))
        return any(found)

    def _look_at(self, path: Path, known: str | None) -> bool:
        self._look_inside(path)
        signature = metadata_signature(path)  # before reading: a change meanwhile is seen next time
        if not signature or signature == known:
            return False
        problem = ""
        try:
            seen = _seen(path, signature)
        except (BagError, OSError) as error:
            problem = f"it cannot be read: {error}"
            seen = SeenEpisode(0, 0, "", 0, "")  # looked at again next time, and not sent
        self._outbox.see(path.name, seen, self._first_ns())
        self._alarms.end(AlarmKind.LOST, path.name)
        if problem:
            self._outbox.trouble(path.name, problem)
        return not problem

    def _first_ns(self) -> int:
        """Return what time it is; 0: this machine's clock is behind, or nobody knows."""
        own_ns, centre_ns = time.time_ns(), self._outbox.note(CENTRE_NS)
        is_right = centre_ns is not None and own_ns > centre_ns - CLOCK_OFF_S * 1e9
        return own_ns if is_right else 0

    def _look_inside(self, path: Path) -> None:
        """Say that an episode holds what is not sent, which is why it is never deleted."""
        try:
            changed_ns = os.lstat(path).st_mtime_ns
            if self._listed_ns.get(path.name) == changed_ns:
                return
            others = others_in(path, {file.name for file in data_files(path)})
        except OSError:  # gone, or said when it is read
            return
        self._listed_ns[path.name] = changed_ns
        self._alarms.set(AlarmKind.UNSENT, _unsent(path.name, others), path.name)

    def _note_trashed(self, path: Path) -> bool:
        """Note a discarded episode that the outbox does not know; return whether it is one."""
        is_one = (
            not id_problem(path.name)
            and path.suffix != PARTIAL
            and is_regular(path / METADATA_FILE)
            and name_outside(path) == path.name  # else it has another one's place in the trash
        )
        if is_one:
            self._outbox.discard(path.name)
        return is_one

    def _missing(self, row: OutboxRow) -> bool:
        """Note what happened to an episode that is no longer on the disk."""
        if row.state in (_S.FREED, _S.GONE):
            return False
        for _ in range(2):  # it may be discarded or restored between two looks
            if self._store.discarded(row.name) is not None:
                if not row.is_discarded:
                    self._outbox.discard(row.name)
                return not row.is_discarded
            try:
                if _is_there(self._store.root / row.name):
                    return False
            except OSError as error:  # a disk that fails has not lost it
                if (problem := f"it cannot be read: {error}") != row.problem:
                    self._outbox.trouble(row.name, problem)
                return False
        became = self._outbox.lose(row.name)
        if became is _S.GONE and not row.is_discarded and row.state is not _S.ACKNOWLEDGED:
            self._alarms.begin(
                AlarmKind.LOST,
                f"{row.name} went away from this disk before the centre had acknowledged it: who deleted it?",
                row.name,
            )
        elif became is _S.GONE:
            self._say(
                f"{row.name} is no longer on this disk; it was not this agent that deleted it"
            )
        return True


def _seen(path: Path, signature: str) -> SeenEpisode:
    episode = Episode(path, read_metadata(path))
    size = sum(file.stat().st_size for file in data_files(path))
    stop_ns = episode.stop_ns or episode.start_ns
    return SeenEpisode(episode.start_ns, stop_ns, episode.facts.get("verdict", ""), size, signature)


def _is_there(episode: Path) -> bool:
    """Return whether an episode is on the disk.

    Raises:
        OSError: the disk does not say.
    """
    try:
        folder, metadata = os.lstat(episode), os.lstat(episode / METADATA_FILE)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISDIR(folder.st_mode) and stat.S_ISREG(metadata.st_mode)


def _unsent(name: str, others: list[str]) -> str:
    if not others:
        return ""
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    return (
        f"{name} holds {shown_id(others[0])}{more}: only plain visible files are sent, so it is never "
        "deleted here; move that elsewhere"
    )


def _bad_names(names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{shown_id(names[0])}{more} cannot be sent, as the name cannot be an id: rename the directory"
