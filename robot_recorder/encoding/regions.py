"""Parts of a memory that are given out and come back in the same order."""

from __future__ import annotations

from collections import deque


class Regions:
    """Gives out contiguous parts of a memory; the one that was given out first comes back first."""

    def __init__(self, size: int) -> None:
        """Start with all of it free.

        Args:
            size: of the memory, bytes.
        """
        self.size = size
        self._taken: deque[tuple[int, int]] = deque()  # start and end, in the order given out

    def take(self, size: int) -> int | None:
        """Return where a part of ``size`` bytes begins; None: there is no room."""
        start = self._room(max(size, 1))
        if start is not None:
            self._taken.append((start, start + max(size, 1)))
        return start

    def _room(self, size: int) -> int | None:
        if not self._taken:
            return 0 if size <= self.size else None  # the beginning is likely in the cache
        first, last = self._taken[0][0], self._taken[-1][1]
        if self._taken[-1][0] < first:  # wrapped around: free is what lies in between
            return last if last + size <= first else None
        if last + size <= self.size:
            return last
        return 0 if size <= first else None

    def give(self) -> None:
        """Take back the part that was given out first."""
        self._taken.popleft()
