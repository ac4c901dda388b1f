"""Keeps a root's catalogue up to date while episodes come, change and go."""

from __future__ import annotations

import logging
import sqlite3
import threading
from pathlib import Path

from robot_recorder.bags.files import FILE_MODE, is_real_directory
from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.catalogue.entry import entry_of, metadata_stamp_ns, read_entry
from robot_recorder.catalogue.schema import is_broken
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.locks import WAIT_S
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.model.errors import BagError

_RECORDER_WAIT_S = 0.3


def open_store(root: Path, file_mode: int = FILE_MODE, wait_s: float = WAIT_S) -> EpisodeStore:
    """The episodes under a root, every change to which is told to the root's catalogue.

    Args:
        file_mode, wait_s: see EpisodeStore.
    """
    return EpisodeStore(root, file_mode, wait_s, on_change=[Keeper(root, file_mode).changed])


class Keeper:
    """Keeps one root's catalogue up to date while episodes come, change and go.

    It fails open: whatever goes wrong with the catalogue costs neither a take nor a label. It is
    logged, and made up for at the next change. Any thread may call.
    """

    def __init__(self, root: Path, file_mode: int = FILE_MODE) -> None:
        self._root = root
        self._file_mode = file_mode
        self._lock = threading.Lock()
        self._catalogue: Catalogue | None = None
        self._behind: set[str] = set()
        self._last_error = ""

    def changed(self, path: Path, episode: Episode | None = None) -> None:
        """An episode came, went, or changed.

        Args:
            path: a directory under the root.
            episode: the episode in it, where that is at hand.
        """
        with self._lock:
            try:
                self._take(path.name, episode)
                self._last_error = ""
            except Exception as error:  # see above
                self._behind.add(path.name)
                if str(error) != self._last_error:
                    logging.getLogger(__name__).warning("the catalogue is behind: %s", error)
                self._last_error = str(error)

    def _take(self, name: str, episode: Episode | None) -> None:
        if self._catalogue is not None and not self._catalogue.is_current:
            self._catalogue.close()
            self._catalogue = None
        if self._catalogue is None:
            self._catalogue = Catalogue(
                self._root, _RECORDER_WAIT_S, writable=True, file_mode=self._file_mode
            )
        catalogue = self._catalogue
        try:
            with catalogue.writing():
                for behind in sorted(self._behind - {name}):
                    look_again(catalogue, behind)
                look_again(catalogue, name, episode)
        except sqlite3.DatabaseError as error:
            self._catalogue = None
            catalogue.close()
            if is_broken(error):
                catalogue.take_away()
            raise
        self._behind.clear()


def can_be_kept(name: str) -> bool:
    """Whether a directory's name is text; SQLite keeps nothing else."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def look_again(catalogue: Catalogue, name: str, episode: Episode | None = None) -> None:
    """Make a catalogue say of a directory what is there now. Within ``writing``.

    Args:
        episode: the episode in it, where that is at hand.
    """
    path = catalogue.root / name
    stamp_ns = metadata_stamp_ns(path)
    if not can_be_kept(name):
        return
    if not is_real_directory(path):
        catalogue.remove(name)
    elif not stamp_ns:
        catalogue.put_aside(name, "", 0)
    else:
        try:
            entry = read_entry(path) if episode is None else entry_of(episode, stamp_ns)
        except BagError as error:
            catalogue.put_aside(name, str(error), stamp_ns)
        else:
            catalogue.put(entry)
