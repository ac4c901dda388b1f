"""Read bags with unusable log times in the order of their header stamps.

Such bags come from recorders whose simulated time stood still.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from robot_recorder.bags.columns import Column, Segment, read_columns
from robot_recorder.model.arrays import Int64s
from robot_recorder.model.payloads import Payloads
from robot_recorder.model.streams import NS_PER_MS

# Log times are unusable if they span less than this,
_STANDS_NS = NS_PER_MS
_LEAST = 10  # with at least so many messages,
_MOVES_NS = 100 * NS_PER_MS  # and header stamps that span more than this.


def log_times_stand(duration_ns: int, count: int, times: Mapping[str, Int64s]) -> bool:
    """Tell whether all messages have the same log time, although their stamps differ.

    Args:
        duration_ns: span of the log times.
        count: number of messages.
        times: int64[n] by topic, ns, rising: header stamps, or log times of topics without headers.
    """
    if duration_ns >= _STANDS_NS or count < _LEAST:
        return False
    return any(int(t[-1] - t[0]) > _MOVES_NS for t in times.values() if len(t))


class _Sorted:
    """Message bytes of several parts, in another order."""

    def __init__(self, parts: list[Payloads], order: Int64s) -> None:
        self._parts = parts
        self._ends = np.cumsum([len(part) for part in parts])
        self._order = order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, number: int) -> bytes:
        at = int(self._order[number])
        which = int(np.searchsorted(self._ends, at, "right"))
        return self._parts[which][at - (int(self._ends[which - 1]) if which else 0)]


def read_by_stamp(path: Path, topics: set[str], stamped: set[str]) -> Iterator[Segment]:
    """Read a bag as one segment, with header stamps as receive times.

    Message bytes stay in the file until they are asked for.

    Args:
        path: of the bag.
        topics: names of the topics to read.
        stamped: topics whose messages begin with a header.

    Raises:
        BagError: the bag cannot be read.
    """
    parts: dict[str, list[Column]] = {}
    for segment in read_columns(path, topics):
        for topic, column in segment.columns.items():
            parts.setdefault(topic, []).append(column)
    columns = {topic: _sorted(found, topic in stamped) for topic, found in parts.items()}
    if columns:
        last = max(int(c.receives[-1]) for c in columns.values())
        yield Segment(last + 1, columns, 1.0)


def _sorted(parts: list[Column], stamped: bool) -> Column:
    receives = np.concatenate([part.receives for part in parts])
    headers = np.concatenate([part.headers for part in parts])
    if stamped:
        stamps = np.concatenate([part.stamps() for part in parts])
        receives = np.where(stamps != 0, stamps, receives)
    order = np.argsort(receives, kind="stable")
    payloads = _Sorted([p.payloads for p in parts], order)
    return Column(receives[order], receives[order], headers[order], payloads)
