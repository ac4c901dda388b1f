"""Recover leftovers of crashes, free shared memory of killed processes, and empty the trash, in the background."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.episodes.trash import TrashLimits
from robot_recorder.model.errors import RecorderError
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.nodes.dds_leftovers import remove_leftovers

if TYPE_CHECKING:
    from robot_recorder.episodes.recovery import RecoveryResult

_PERIOD_S = 600.0
_JUMP_NS = 60 * NS_PER_S
_OFF_NS = 86_400 * NS_PER_S  # a longer time without a recorder counts as a changed clock


class Housekeeping:
    """Runs the housekeeping in its own thread, so that a start never waits for it."""

    def __init__(self, store: EpisodeStore, trash: TrashLimits, say: Callable[[str], None]) -> None:
        """Start the thread.

        Args:
            store: the store to keep.
            trash: limits of the trash.
            say: called in the thread with what was done.
        """
        self._store = store
        self._trash = trash
        self._say = say
        self._recovered = 0
        self._looked: tuple[int, int] | None = None  # wall and monotonic clock, ns
        self._reported: set[Path] = set()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)
        self._thread.start()

    def counts(self) -> tuple[int, int]:
        """Return the number of leftovers recovered since the start and of those in quarantine."""
        return self._recovered, len(self._store.quarantined())

    def close(self) -> None:
        """Finish the current work and end the thread."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                # Repeated, because a full disk may have room later.
                self._recover()
                self._empty_trash()
                if freed := remove_leftovers():
                    self._say(
                        f"{freed / 1e6:.1f} MB of shared memory of killed processes were freed"
                    )
            except (RecorderError, OSError) as error:
                self._say(f"housekeeping: {error}; trying again in {_PERIOD_S / 60:.0f} min")
            if self._closing.wait(_PERIOD_S):
                return

    def _recover(self) -> None:
        if self._store.unfinished():  # seldom; else what repairs files is not even imported
            from robot_recorder.episodes.recovery import recover_all

            recover_all(self._store, self._report)

    def _empty_trash(self) -> None:
        trash, now_ns = self._store.trash, time.time_ns()
        if jump_ns := self._jump_ns(now_ns):  # setting the clock must not age episodes
            trash.shift(jump_ns)
        gone = self._store.empty_trash(now_ns, self._trash.days)
        trash.see(now_ns)
        trash.measure()
        if gone:
            self._say(f"{len(gone)} discarded episodes were deleted from the trash")

    def _jump_ns(self, now_ns: int) -> int:
        """Return by how much the wall clock was set since the last call, by any recorder, ns."""
        monotonic_ns = time.monotonic_ns()
        before, self._looked = self._looked, (now_ns, monotonic_ns)
        if before is not None:
            jump_ns = (now_ns - before[0]) - (monotonic_ns - before[1])
            return jump_ns if abs(jump_ns) > _JUMP_NS else 0
        seen_ns = self._store.trash.seen()
        if seen_ns is None or 0 <= now_ns - seen_ns <= _OFF_NS:
            return 0
        # Off for long, or clock set while off: treated as a set clock, to keep episodes longer.
        return now_ns - seen_ns

    def _report(self, result: RecoveryResult) -> None:
        self._recovered += result.ok
        if result.ok or result.path not in self._reported:
            self._say(result.message)
        self._reported.add(result.path)
