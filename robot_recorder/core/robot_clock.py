"""The robot clock: one time for stamps, starts and stops that does not jump while an episode runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from robot_recorder.core.streams import NS_PER_MS

Int64s = npt.NDArray[np.int64]

# Far above what NTP's slewing does between two looks, far below what spoils an episode.
_JUMP_NS = 10 * NS_PER_MS
_UNSURE_NS = NS_PER_MS  # two clocks read this far apart say nothing about each other
_RECENT_NS = 2_000_000_000  # messages stamped before a jump are all taken after this


@dataclass(frozen=True)
class ClockJump:
    """The wall clock (or the simulated time) was set.

    Attributes:
        at_ns: robot clock, when it was noticed.
        by_ns: forward, or negative for back.
    """

    at_ns: int
    by_ns: int


def nearest_stamps(stamps: Int64s, receives: Int64s, corrections: Sequence[int]) -> Int64s:
    """Stamps with clock jumps taken out.

    Around a jump stamps of the old and the new time come together: what is nearest to receipt is right.

    Args:
        stamps, receives: int64[n], ns.
        corrections: what may have to be subtracted, ns.
    """
    choices = stamps[:, np.newaxis] - np.asarray(corrections, dtype=np.int64)
    best = np.abs(choices - receives[:, np.newaxis]).argmin(axis=1)
    nearest: Int64s = choices[np.arange(len(stamps)), best]
    return nearest


def restamp_by(jumps: Sequence[tuple[int, int]]) -> Callable[[Int64s, Int64s], Int64s] | None:
    """What takes an episode's recorded jumps out of its stamps; None: there were none.

    Args:
        jumps: when and by how much, ns, in order.
    """
    if not jumps:
        return None
    corrections = np.cumsum([0, *(by for _, by in jumps)]).tolist()
    return lambda stamps, receives: nearest_stamps(stamps, receives, corrections)


class RobotClock:
    """Wall time, carried on by the monotonic clock across jumps for as long as somebody holds it.

    Held, a jump is taken out of all later stamps: an episode's times stay in order and its duration
    right. Released, the clock goes over to the new wall time, and says by how much that moved it.
    With simulated time (``use_sim_time``) the source is ``/clock``, and a jump is what goes back.
    """

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.jumps: list[ClockJump] = []
        self.simulated = False
        self._wall_ns, self._monotonic_ns = wall_ns, monotonic_ns
        self._lock = threading.Lock()
        self._holders = 0
        self._correction_ns = 0
        self._offset_ns = wall_ns() - monotonic_ns()
        self._sim_ns = 0
        self._jumped_ns = -_RECENT_NS

    @property
    def plain(self) -> bool:
        """The system clock's stamps need no ``stamp``: they are robot time as they are."""
        recent = self._monotonic_ns() - self._jumped_ns < _RECENT_NS
        return not (self.simulated or self._correction_ns or recent)

    def now_ns(self) -> int:
        """Robot time; 0 while simulated time has not begun."""
        with self._lock:
            if self.simulated:
                return self._sim_ns
            self._look()
            return self._wall_ns() - self._correction_ns

    def hold(self) -> None:
        """Do not follow jumps until ``release``; may be held several times."""
        with self._lock:
            self._holders += 1

    def release(self) -> None:
        """Undo one ``hold``."""
        with self._lock:
            self._holders -= 1

    def follow(self) -> int:
        """Go over to the wall clock's time when nobody holds the old one.

        Returns:
            What earlier stamps have to be moved by to compare with later ones; 0: nothing happened.
        """
        with self._lock:
            if not self.simulated:
                self._look()
            if self._holders or not self._correction_ns:
                return 0
            shift_ns, self._correction_ns = self._correction_ns, 0
            self._sim_ns += shift_ns if self.simulated else 0
            return shift_ns

    def stamp(self, wall_ns: int) -> int:
        """Robot time of something that was stamped moments ago.

        Args:
            wall_ns: by the system clock, or by ``/clock`` where time is simulated.
        """
        with self._lock:
            now = self._sim_ns if self.simulated else self._wall_ns() - self._correction_ns
            # Around a jump, stamps of the old and the new time come together: the nearest is right.
            last = self.jumps[-1].by_ns if self.jumps else 0
            corrections = (self._correction_ns, self._correction_ns - last)
            return min((wall_ns - c for c in corrections), key=lambda t: abs(t - now))

    def restamp(self, stamps: Int64s, receives: Int64s) -> Int64s:
        """``stamp`` for many.

        Args:
            stamps: int64[n], by the system clock.
            receives: int64[n], robot clock: when what they stamp was received.
        """
        with self._lock:
            last = self.jumps[-1].by_ns if self.jumps else 0
            corrections = (self._correction_ns, self._correction_ns - last)
        return nearest_stamps(stamps, receives, corrections)

    def simulate(self, sim_ns: int) -> int:
        """Take a message of ``/clock``; returns the robot time it means."""
        with self._lock:
            now = sim_ns - self._correction_ns
            if self._sim_ns and now < self._sim_ns:
                self._jump(now - self._sim_ns)
                now = sim_ns - self._correction_ns
            self._sim_ns = now
            return now

    def _look(self) -> None:
        for _ in range(3):
            before = self._monotonic_ns()
            wall = self._wall_ns()
            if self._monotonic_ns() - before <= _UNSURE_NS:
                break
        else:
            return
        offset = wall - before
        change, self._offset_ns = offset - self._offset_ns, offset
        if abs(change) > _JUMP_NS:
            self._jump(change)

    def _jump(self, by_ns: int) -> None:
        self._correction_ns += by_ns
        self._jumped_ns = self._monotonic_ns()
        at_ns = self._sim_ns if self.simulated else self._wall_ns() - self._correction_ns
        self.jumps.append(ClockJump(at_ns, by_ns))
