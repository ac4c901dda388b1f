"""The robot clock: the time of stamps, starts and stops, without jumps during an episode."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from robot_recorder.model.arrays import Int64s
from robot_recorder.model.streams import NS_PER_MS

# Far above the change by NTP's slewing between two readings, far below what spoils an episode.
_JUMP_NS = 10 * NS_PER_MS
_UNSURE_NS = NS_PER_MS  # longest time between the readings of two clocks to compare them
_RECENT_NS = 2_000_000_000  # after this time, all messages stamped before a jump have arrived


@dataclass(frozen=True)
class ClockStep:
    """A jump of the wall clock or the simulated time.

    Attributes:
        at_ns: when it was noticed, robot clock.
        by_ns: size of the jump; negative: backwards.
    """

    at_ns: int
    by_ns: int


def restamp_by(
    jumps: Sequence[tuple[int, int]],
) -> Callable[[Int64s, Int64s], Int64s] | None:
    """Return a function that removes clock jumps from stamps; None: there are no jumps.

    The function takes stamps and receive times, int64[n], ns. Around a jump, stamps of the old and
    the new time arrive mixed, and the correction nearest to the receive time is used. This applies
    for a time that depends on the size of the jump, because a small jump looks like a delay.

    Args:
        jumps: (time by robot clock, size), ns, in order of time.
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
    """The wall clock, without jumps while it is held.

    While held, a jump is removed from all later stamps, so that the times of an episode stay in
    order and its duration is right. Once released, ``follow`` moves it to the new wall time and
    returns the change. With simulated time (``use_sim_time``) the source is ``/clock``, and only
    steps backwards are jumps.

    Attributes:
        jumps: all jumps noticed so far.
        simulated: whether the source is ``/clock``.
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
        """Whether stamps of the system clock are robot time without a call of ``stamp``."""
        recent = self._monotonic_ns() - self._jumped_ns < _RECENT_NS
        return not (self.simulated or self._correction_ns or recent)

    def now_ns(self) -> int:
        """Return the robot time; 0 before the first message of ``/clock`` in simulation."""
        with self._lock:
            if self.simulated:
                return self._sim_ns
            self._look()
            return self._wall_ns() - self._correction_ns

    def hold(self) -> None:
        """Ignore jumps until ``release``; may be called several times."""
        with self._lock:
            self._holders += 1

    def release(self) -> None:
        """Undo one ``hold``."""
        with self._lock:
            self._holders -= 1

    def follow(self) -> int:
        """Move to the wall clock's time if the clock is not held.

        Returns:
            The change in ns, to be added to earlier stamps; 0: no change.
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
        """Convert a stamp of the last moments to robot time.

        Args:
            wall_ns: stamp by the system clock, or by ``/clock`` in simulation.
        """
        with self._lock:
            now = self._sim_ns if self.simulated else self._wall_ns() - self._correction_ns
            # Around a jump, stamps of the old and the new time arrive mixed: use the nearest.
            last = self.jumps[-1].by_ns if self.jumps else 0
            corrections = (self._correction_ns, self._correction_ns - last)
            return min((wall_ns - c for c in corrections), key=lambda t: abs(t - now))

    @property
    def followed(self) -> int:
        """Number of ``jumps`` that the clock has followed; later ones are removed from stamps."""
        return self._followed

    def restamp(self, since: int = -1) -> Callable[[Int64s, Int64s], Int64s] | None:
        """Return a function that removes jumps from stamps, see ``restamp_by``; None: no jumps.

        Args:
            since: number of first jumps to ignore; -1: those that the clock has followed.
        """
        with self._lock:
            since = self._followed if since < 0 else since
            return restamp_by([(j.at_ns, j.by_ns) for j in self.jumps[since:]])

    def simulate(self, sim_ns: int) -> int:
        """Process a message of ``/clock``, and return its robot time, ns."""
        with self._lock:
            now = sim_ns - self._correction_ns
            if self._sim_ns and now < self._sim_ns:
                self._jump(now - self._sim_ns)
                now = sim_ns - self._correction_ns
            self._sim_ns = now
            return now

    def _look(self) -> None:
        """Compare wall clock and monotonic clock, and note a jump."""
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
        """Note a jump and correct for it."""
        self._correction_ns += by_ns
        self._jumped_ns = self._monotonic_ns()
        at_ns = self._sim_ns if self.simulated else self._wall_ns() - self._correction_ns
        self.jumps.append(ClockStep(at_ns, by_ns))
