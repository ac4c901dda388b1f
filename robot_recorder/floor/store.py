"""Open the episodes under a root so that the catalogue and the station agent learn of every change."""

from __future__ import annotations

from pathlib import Path

from robot_recorder.bags.files import FILE_MODE
from robot_recorder.catalogue.keeper import Keeper
from robot_recorder.episodes.locks import WAIT_S
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.floor.changes import ChangeMarks


def open_store(root: Path, file_mode: int = FILE_MODE, wait_s: float = WAIT_S) -> EpisodeStore:
    """Open the episodes under a root, with listeners for its catalogue and for its agent, if any.

    Args:
        root: directory of the episodes.
        file_mode: mode of new files.
        wait_s: how long to wait for locks, s.
    """
    listeners = [Keeper(root, file_mode).changed, ChangeMarks(root).changed]
    return EpisodeStore(root, file_mode, wait_s, on_change=listeners)
