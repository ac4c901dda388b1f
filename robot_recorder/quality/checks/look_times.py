"""Chooses when a camera's pictures are worth a look: seldom, unless something happens."""

from __future__ import annotations

from robot_recorder.model.streams import NS_PER_S

# Time between two looks when nothing happens; it grows, as a long take resembles its beginning.
_PERIOD_NS, _LONGEST_NS, _GROWTH = 2 * NS_PER_S, 10 * NS_PER_S, 0.7
_LEAST_NS = NS_PER_S // 4  # least time between two looks; grows by itself after every ...
_MANY = 200  # ... so many looks: an hour of ever changing pictures takes about 2,000 looks


class LookTimes:
    """The times of the looks at one camera."""

    def __init__(self) -> None:
        self._first_ns = self._looked_ns = 0
        self.count = 0

    def is_due(self, time_ns: int, is_odd: bool) -> bool:
        """Return whether a picture is worth a look, which is then counted.

        Args:
            time_ns: its time, ns, robot clock.
            is_odd: whether it differs from those before.
        """
        since_ns = time_ns - self._looked_ns
        self._first_ns = self._first_ns or time_ns
        period_ns = min(max(_GROWTH * (time_ns - self._first_ns), _PERIOD_NS), _LONGEST_NS)
        due = abs(since_ns) >= period_ns
        if is_odd:
            due |= since_ns >= _LEAST_NS * (1 + self.count // _MANY)
        if due:
            self._looked_ns = time_ns
            self.count += 1
        return due
