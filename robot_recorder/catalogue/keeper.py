"""Keep a root's catalogue up to date while episodes are added, changed and removed."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from robot_recorder.bags.files import FILE_MODE, is_real_directory
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.errors import BagError

if TYPE_CHECKING:  # a recorder starts without its catalogue
    from robot_recorder.catalogue.catalogue import Catalogue

_RECORDER_WAIT_S = 0.3


class Keeper:
    """Updates one root's catalogue when episodes change. Any thread may call it.

    It fails open: a problem with the catalogue never costs a take or a label. It is logged, and the
    missed update is repeated at the next change.
    """

    def __init__(self, root: Path, file_mode: int = FILE_MODE) -> None:
        self._root = root
        self._file_mode = file_mode
        self._lock = threading.Lock()
        self._catalogue: Catalogue | None = None
        self._behind: set[str] = set()
        self._last_error = ""

    def changed(self, path: Path, episode: Episode | None = None) -> None:
        """Update the catalogue after an episode was added, changed or removed.

        Args:
            path: a directory under the root.
            episode: the episode in it, which saves reading it; None: read it.
        """
        with self._lock:
            try:
                self._take(path.name, episode)
                self._last_error = ""
            except Exception as error:  # fail open: the update is repeated at the next change
                self._behind.add(path.name)
                if str(error) != self._last_error:
                    logging.getLogger(__name__).warning("the catalogue is behind: %s", error)
                self._last_error = str(error)

    def _take(self, name: str, episode: Episode | None) -> None:
        """Write one directory's entry, and those of earlier failures."""
        import sqlite3

        from robot_recorder.catalogue.catalogue import Catalogue
        from robot_recorder.catalogue.schema import is_broken

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
    """Tell whether a directory's name is valid Unicode, as SQLite needs."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def look_again(catalogue: Catalogue, name: str, episode: Episode | None = None) -> None:
    """Update a catalogue's entry of a directory. Call within ``writing``.

    Args:
        catalogue: to update.
        name: of the directory.
        episode: the episode in it, which saves reading it; None: read it.
    """
    from robot_recorder.catalogue.entry import entry_of, metadata_stamp_ns, read_entry

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
