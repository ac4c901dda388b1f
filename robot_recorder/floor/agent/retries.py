"""Wait longer after each failure of the same thing."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable


class Retries:
    """When what failed is tried again, by name. Any thread may use it."""

    def __init__(
        self, first_s: float, most_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Create it.

        Args:
            first_s: to wait after the first failure, s; doubled with each further one.
            most_s: longest wait, s.
            clock: monotonic, s.
        """
        self._first_s = first_s
        self._most_s = most_s
        self._clock = clock
        self._lock = threading.Lock()
        self._failed: dict[str, tuple[int, float]] = {}  # how often, and until when to wait

    def failed(self, name: str) -> float:
        """Note a failure; return how long to wait, s. A hundred robots do not come back at once."""
        with self._lock:
            times = self._failed.get(name, (0, 0.0))[0]
            wait_s = min(self._first_s * float(2 ** min(times, 30)), self._most_s)
            wait_s *= random.uniform(0.75, 1.0)
            self._failed[name] = (times + 1, self._clock() + wait_s)
            return wait_s

    def worked(self, name: str) -> None:
        """Forget the failures of a name."""
        with self._lock:
            self._failed.pop(name, None)

    def waiting(self) -> set[str]:
        """Return the names that are not to be tried now."""
        now_s = self._clock()
        with self._lock:
            return {name for name, (_, until_s) in self._failed.items() if now_s < until_s}
