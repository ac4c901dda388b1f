"""Remember the last stamps of a stream, to recognise duplicates of samples that are dropped."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import numpy as np

from robot_recorder.alignment.stream_decoder import StreamCounts
from robot_recorder.model.arrays import Bools, Int64s, Places

_REMEMBERED = 4096
_PARTS = 64  # of a sample each, as of a camera, take thirty times the memory of one array
_NEVER = -(2**62)


class SeenStamps:
    """The last stamps of one stream, of kept and dropped samples."""

    def __init__(self, counts: StreamCounts) -> None:
        """
        Args:
            counts: counts duplicates and disorder.
        """
        self._counts = counts
        self._seen: deque[tuple[Int64s, Places]] = deque()
        self._count = 0
        self._small = 0  # parts at the end that were not joined

    def add(self, stamps: Int64s, shapes: Places) -> None:
        """Add the stamps of samples, and the shapes of their messages, see Layouts."""
        self._seen.append((stamps, shapes))
        self._count += len(stamps)
        self._small += 1
        if self._small == _PARTS:
            self._join()

    def _join(self) -> None:
        """Make one part of the small ones at the end."""
        small = [self._seen.pop() for _ in range(min(self._small, len(self._seen)))][::-1]
        self._small = 0
        if sum(len(stamps) for stamps, _ in small) > _REMEMBERED:
            self._seen.extend(small)
            return
        joined = np.concatenate([part for part, _ in small])
        self._seen.append((joined, np.concatenate([part for _, part in small])))

    def forget(self) -> None:
        """Drop the oldest stamps beyond the limit."""
        while self._count - len(self._seen[0][0]) >= _REMEMBERED:
            self._count -= len(self._seen[0][0])
            self._seen.popleft()

    def first_of_each(self, stamps: Int64s, shapes: Places, newest: Mapping[int, int]) -> Bools:
        """Return which of the stamps added last are new, bool[n]; count the duplicates.

        Only messages of one shape are duplicates: drivers that share a topic may use equal stamps.

        Args:
            stamps, shapes: as passed to the last ``add``.
            newest: newest stamp of earlier samples by shape, ns.
        """
        seen = np.concatenate([part for part, _ in self._seen])
        of = np.concatenate([part for _, part in self._seen])
        order = (
            np.lexsort((seen, of))
            if len(newest) > 1 or of.any()
            else np.argsort(seen, kind="stable")
        )
        # A fixed distance, so that the size of batches does not change what counts as a duplicate.
        near = (np.diff(seen[order]) == 0) & (np.diff(order) <= _REMEMBERED)
        repeated = np.zeros(len(seen), dtype=bool)
        repeated[order[1:][near & (np.diff(of[order]) == 0)]] = True
        new = ~repeated[-len(stamps) :]
        self._counts.duplicate += int((~new).sum())
        for shape in np.unique(shapes).tolist():
            mine, fresh = stamps[shapes == shape], new[shapes == shape]
            start = [newest.get(shape, _NEVER)]
            before = np.maximum.accumulate(np.concatenate((start, mine)))[:-1]
            self._counts.out_of_order += int((fresh & (mine < before)).sum())
        return new
