"""The robot clock: one time for stamps, starts and stops that does not jump while an episode runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from robot_recorder.model.arrays import Int64s
from robot_recorder.model.streams import NS_PER_MS

# Far above what NTP's slewing does between two looks, far below what spoils an episode.
_JUMP_NS = 10 * NS_PER_MS
_UNSURE_NS = NS_PER_MS  # two clocks read this far apart say nothing about each other
_RECENT_NS = 2_000_000_000  # messages stamped before a jump are all taken after this


@dataclass(frozen=True)
class ClockStep:
    """The wall clock (or the simulated time) was set.

    Attributes:
        at_ns: robot clock, when it was noticed.
        by_ns: forward, or negative for back.
    """

    at_ns: int
    by_ns: int


def restamp_by(
    jumps: Sequence[tuple[int, int]],
) -> Callable[[Int64s, Int64s], Int64s] | None:
    """What takes clock jumps out of stamps, given what they stamp was received; None: there are none.

    Around a jump stamps of the old and the new time come together: the one nearest to receipt is right.
    How long such may be on their way depends on how large the jump is: a small one looks like a delay.

    Args:
        jumps: when (robot clock) and by how much, ns, in order.
    """
    if not jumps:
        return None
    at = np.array([a for a, _ in jumps], dtype=np.int64)
    by = np.array([b for _, b in jumps], dtype=np.int64)
    corrections = np.concatenate(([0], np.cumsum(by)))
    around = np.minimum(_RECENT_NS, 2 * np.abs(by))

    def restamp(stamps: Int64s, receives: Int64s) -> Int64s:
        place = np.searchsorted(at, receives, "right")
        best = stamps - corrections[place]
        for number in range(len(at)):
            near = np.abs(receives - at[number]) <= around[number]
            for other in (corrections[number], corrections[number + 1]):
                candidate = stamps - other
                closer = near & (np.abs(candidate - receives) < np.abs(best - receives))
                best = np.where(closer, candidate, best)
        return best

    return restamp


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
        self.jumps: list[ClockStep] = []
        self.simulated = False
        self._wall_ns, self._monotonic_ns = wall_ns, monotonic_ns
        self._lock = threading.Lock()
        self._holders = 0
        self._correction_ns = 0
        self._offset_ns = wall_ns() - monotonic_ns()
        self._sim_ns = 0
        self._jumped_ns = -_RECENT_NS
        self._followed = 0

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
            self._followed = len(self.jumps)
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

    @property
    def followed(self) -> int:
        """How many of ``jumps`` the clock has gone over to: later ones are taken out of stamps."""
        return self._followed

    def restamp(self, since: int = -1) -> Callable[[Int64s, Int64s], Int64s] | None:
        """What takes jumps out of many stamps, see ``restamp_by``; None: there is nothing to be taken out.

        Args:
            since: how many of the first jumps not to look at; -1: those the clock has gone over to.
        """
        with self._lock:
            since = self._followed if since < 0 else since
            return restamp_by([(j.at_ns, j.by_ns) for j in self.jumps[since:]])

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
        self.jumps.append(ClockStep(at_ns, by_ns))
