"""What a recorder does beside recording: mend what a crash left behind, empty the trash."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from robot_recorder.core.errors import RecorderError
from robot_recorder.storage.recovery import Recovered, recover_all
from robot_recorder.storage.store import EpisodeStore

_PERIOD_S = 600.0
_JUMP_S = 60.0


class Housekeeping:
    """Works in a thread of its own, so that a start never waits for it."""

    def __init__(
        self, store: EpisodeStore, trash_days: float, trash_bytes: float, say: Callable[[str], None]
    ) -> None:
        """
        Args:
            say: told what was done; called in the thread.
        """
        self._store = store
        self._trash = trash_days, trash_bytes
        self._say = say
        self._recovered = 0
        self._offset = time.time() - time.monotonic()
        self._told: set[Path] = set()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)
        self._thread.start()

    def counts(self) -> tuple[int, int]:
        """Leftovers made whole since the start, and what is in quarantine."""
        return self._recovered, len(self._store.quarantined())

    def close(self) -> None:
        """End after what is being done now."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                # Again and again: what had no room on the disk may have it later.
                recover_all(self._store, self._tell)
                self._empty_trash()
            except (RecorderError, OSError) as error:
                self._say(f"housekeeping: {error}; it is tried again")
            if self._closing.wait(_PERIOD_S):
                return

    def _empty_trash(self) -> None:
        offset = time.time() - time.monotonic()
        if abs(offset - self._offset) > _JUMP_S:  # by a clock that was set nobody's age is known
            self._store.keep_trash()
        self._offset = offset
        gone = self._store.empty_trash(time.time(), *self._trash)
        if gone:
            self._say(f"{len(gone)} discarded episodes were deleted from the trash")

    def _tell(self, result: Recovered) -> None:
        self._recovered += result.ok
        if result.ok or result.path not in self._told:
            self._say(result.message)
        self._told.add(result.path)
