"""The playhead: bag time as a function of a steady clock, and how precisely messages follow it."""

from __future__ import annotations

import math

from robot_recorder.model.errors import ConfigError
from robot_recorder.model.streams import NS_PER_MS

LEAST_RATE, MOST_RATE = 0.01, 100.0


def checked_rate(rate: float) -> float:
    """Return the rate if it is valid.

    Raises:
        ConfigError: it is outside of the range that can be played.
    """
    if not LEAST_RATE <= rate <= MOST_RATE:
        raise ConfigError(
            f"rate {rate:g} is not between {LEAST_RATE:g} and {MOST_RATE:g}; 1.0 is as recorded"
        )
    return rate


class Playhead:
    """The position in a bag as a function of steady time, at a rate and with pauses.

    It reads no clock. Times are in ns: ``now_ns`` and the result of ``due_ns`` on the steady clock,
    others of the bag.
    """

    def __init__(self, at_ns: int, now_ns: int, rate: float = 1.0, paused: bool = False) -> None:
        self.rate = checked_rate(rate)
        self.paused = paused
        # Bag and steady time of the last change, in one tuple so that threads read both at once.
        self._anchor = at_ns, now_ns

    def position_ns(self, now_ns: int) -> int:
        """Return the bag time that is played now."""
        anchor_ns, since_ns = self._anchor
        return anchor_ns + (0 if self.paused else math.floor((now_ns - since_ns) * self.rate))

    def due_ns(self, at_ns: int) -> int | None:
        """Return when a bag time is or was reached; None while paused."""
        if self.paused:
            return None
        anchor_ns, since_ns = self._anchor
        return since_ns + math.ceil((at_ns - anchor_ns) / self.rate)

    def pause(self, now_ns: int) -> None:
        """Stop at the current position."""
        self.seek(self.position_ns(now_ns), now_ns)
        self.paused = True

    def resume(self, now_ns: int) -> None:
        """Continue from the current position."""
        self.seek(self.position_ns(now_ns), now_ns)
        self.paused = False

    def set_rate(self, rate: float, now_ns: int) -> None:
        """Continue at another rate, limited to the valid range."""
        self.seek(self.position_ns(now_ns), now_ns)
        self.rate = min(max(rate, LEAST_RATE), MOST_RATE)

    def step_to(self, at_ns: int) -> None:
        """Move to a later time while paused; earlier times are ignored."""
        anchor_ns, since_ns = self._anchor
        self._anchor = max(anchor_ns, at_ns), since_ns

    def seek(self, at_ns: int, now_ns: int) -> None:
        """Move to any time."""
        self._anchor = at_ns, now_ns


class TimingErrors:
    """How late messages were published, ms; uses constant memory."""

    _GROWTH = math.log(1.02)  # percentiles are exact to 2 %
    _LEAST_NS = 1000

    def __init__(self) -> None:
        self.count = 0
        self.max_ms = 0.0
        self._counts: dict[int, int] = {}

    def add(self, error_ns: int) -> None:
        """Count a message that was published this long after it was due."""
        step = int(math.log(max(error_ns, self._LEAST_NS)) / self._GROWTH)
        self._counts[step] = self._counts.get(step, 0) + 1
        self.count += 1
        self.max_ms = max(self.max_ms, error_ns / NS_PER_MS)

    def percentile_ms(self, share: float) -> float:
        """Return the error that a share (0 to 1) of messages does not exceed; 0 if none."""
        # Copy first: another thread may call ``add`` meanwhile.
        counts = dict(self._counts)
        wanted, found = share * sum(counts.values()), 0
        for step in sorted(counts):
            found += counts[step]
            if found >= wanted:
                return min(math.exp((step + 1) * self._GROWTH) / NS_PER_MS, self.max_ms)
        return 0.0

    def __str__(self) -> str:
        return (
            f"timing error p50 {self.percentile_ms(0.5):.2f} ms, "
            f"p95 {self.percentile_ms(0.95):.2f} ms, max {self.max_ms:.2f} ms"
        )
