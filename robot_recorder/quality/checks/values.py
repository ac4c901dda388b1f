"""The values of a stream as checks see them, and the 50 Hz trace that is kept of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from robot_recorder.alignment.stream_decoder import widened
from robot_recorder.model.arrays import Bools, Floats, Int64s
from robot_recorder.model.streams import NS_PER_MS, NS_PER_S

TRACE_PERIOD_NS = 20 * NS_PER_MS
MOST_SPANS = 500  # kept per episode: the longest
_FAR_NS = NS_PER_S

_Span = TypeVar("_Span", bound=tuple[Any, ...])


@dataclass(frozen=True)
class Values:
    """Samples of one stream, in order of receipt.

    Attributes:
        times: int64[n], ns, robot clock: the stamp, or the receipt if the stamp is of another
            clock.
        receives: int64[n], times of receipt, ns, robot clock.
        rows: float64[n, len(names)].
        names: names with units; later samples may have more of them, appended.
        absent: bool[n, len(names)], True where the message has no such value (NaN in ``rows``);
            None: every message has every value.
    """

    times: Int64s
    receives: Int64s
    rows: Floats
    names: tuple[str, ...]
    absent: Bools | None = None

    def columns(self, prefix: str) -> npt.NDArray[np.intp]:
        """Return the indices of the values whose names begin with a prefix."""
        return _columns(self.names, prefix)


@lru_cache(maxsize=64)
def _columns(names: tuple[str, ...], prefix: str) -> npt.NDArray[np.intp]:
    return np.array([i for i, name in enumerate(names) if name.startswith(prefix)], dtype=np.intp)


def robot_times(stamps: Int64s, receives: Int64s) -> Int64s:
    """Return stamps where plausible on the robot's clock, else times of receipt; int64[n], ns."""
    near = (stamps != 0) & (np.abs(receives - stamps) < _FAR_NS)
    return np.where(near, stamps, receives)


def bits(rows: Floats) -> Int64s:
    """Return the bit patterns of numbers; compared as integers, NaN equals NaN."""
    return rows.view(np.int64)


@dataclass
class Trace:
    """A stream thinned out to at most 50 Hz, kept until ``cut``.

    Attributes:
        names: names of the columns.
        scales: unit, and what one rad is in it, of columns that are neither angles nor lengths;
            their rows are in rad all the same.
    """

    names: tuple[str, ...] = ()
    _times: list[Int64s] = field(default_factory=list)
    _rows: list[Floats] = field(default_factory=list)
    _slot: int = -1
    scales: dict[str, tuple[str, float]] = field(default_factory=dict)

    def add(self, times: Int64s, rows: Floats) -> None:
        """Take samples, keeping the first of each period of 20 ms."""
        slots = times // TRACE_PERIOD_NS
        newest = np.maximum.accumulate(np.concatenate(([self._slot], slots)))
        kept = slots > newest[:-1]
        if not kept.any():
            return
        self._slot = int(newest[-1])
        self._times.append(times[kept])
        self._rows.append(rows[kept])

    def __len__(self) -> int:
        return sum(map(len, self._times))

    @property
    def times(self) -> Int64s:
        """Return the times of the samples: int64[n], ns, robot clock, rising."""
        if len(self._times) > 1:
            self._times = [np.concatenate(self._times)]
        return self._times[0] if self._times else np.empty(0, dtype=np.int64)

    @property
    def rows(self) -> Floats:
        """Return the samples: float64[n, k], NaN where a column did not exist yet."""
        if len(self._rows) > 1:
            width = max(part.shape[1] for part in self._rows)
            self._rows = [np.concatenate([widened(part, width) for part in self._rows])]
        return self._rows[0] if self._rows else np.empty((0, len(self.names)))

    def before(self, time_ns: int) -> Trace:
        """Return the part before a time, as a view without a copy."""
        end = int(self.times.searchsorted(time_ns))
        rows = self.rows[:end]
        return Trace(self.names, [self.times[:end]], [rows], self._slot, self.scales)

    def without(self, names: Collection[str]) -> Trace:
        """Return the trace without some of its columns."""
        if not names:
            return self
        kept = [at for at, name in enumerate(self.names) if name not in names]
        left = tuple(self.names[at] for at in kept)
        return Trace(left, [self.times], [self.rows[:, kept]], self._slot, self.scales)

    def cut(self, time_ns: int) -> None:
        """Drop the samples before a time."""
        if not self._times:
            return
        first = int(self.times.searchsorted(time_ns))
        self._times, self._rows = [self.times[first:].copy()], [self.rows[first:].copy()]

    def at(self, times: Int64s) -> Floats:
        """Interpolate at other times; the first and last sample are held.

        Args:
            times: int64[m], ns, robot clock.

        Returns:
            float64[m, k].
        """
        own, rows = self.times, self.rows
        place, grid = (own - own[0]).astype(np.float64), (times - own[0]).astype(np.float64)
        return np.stack([np.interp(grid, place, column) for column in rows.T], axis=1)


def longest(spans: list[_Span]) -> list[_Span]:
    """Return the ``MOST_SPANS`` longest spans in their original order.

    Args:
        spans: tuples that begin with a start and an end, ns.
    """
    if len(spans) <= MOST_SPANS:
        return spans
    kept = sorted(range(len(spans)), key=lambda n: spans[n][0] - spans[n][1])[:MOST_SPANS]
    return [spans[n] for n in sorted(kept)]


def joined(traces: Sequence[Trace]) -> Trace:
    """Merge traces of different joints, interpolated to the times of the densest one."""
    if len(traces) == 1:
        return traces[0]
    densest = max(traces, key=len)
    rows = [densest.rows, *(t.at(densest.times) for t in traces if t is not densest)]
    names = [densest.names, *(t.names for t in traces if t is not densest)]
    whole = Trace(tuple(name for part in names for name in part))
    for trace in traces:
        whole.scales |= trace.scales
    whole.add(densest.times, np.concatenate(rows, axis=1))
    return whole


class ConstantRuns:
    """The spans in which nothing changed; of many, the ``MOST_SPANS`` longest."""

    LEAST_NS = 200 * NS_PER_MS

    def __init__(self) -> None:
        self._spans: list[tuple[int, int]] = []
        self._since_ns = self._last_ns = 0
        self.samples = self.repeats = 0

    def add(self, times: Int64s, same: Bools) -> list[tuple[tuple[int, int], int]]:
        """Take samples.

        Args:
            times: int64[n], ns.
            same: bool[n], True where a sample equals the one before.

        Returns:
            The spans that ended, each with the index of the sample that ended it.
        """
        self.samples += len(same)
        self.repeats += int(same.sum())
        changes = np.flatnonzero(~same)
        starts = times[changes]
        ends = np.concatenate(([self._last_ns], times))[changes]  # ends of the previous runs
        begins = np.concatenate(([self._since_ns], starts[:-1])) if len(starts) else starts
        long = ends - begins >= self.LEAST_NS
        ended = [
            ((int(a), int(b)), int(c))
            for a, b, c in zip(begins[long], ends[long], changes[long])
            if a
        ]
        self._spans += [span for span, _ in ended]
        if len(self._spans) > 2 * MOST_SPANS:
            self._spans = longest(self._spans)
        if len(starts):
            self._since_ns = int(starts[-1])
        self._last_ns = int(times[-1])
        return ended

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Return start and end, ns, of the spans of at least ``LEAST_NS``."""
        running = self._since_ns, self._last_ns
        if running[0] and running[1] - running[0] >= self.LEAST_NS:
            return longest([*self._spans, running])
        return longest(self._spans)
