"""Figures of one stream over an episode, counted as its samples pass, without keeping them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from robot_recorder.clocks.clock_model import ClockEstimate, ClockEvent, ClockModel
from robot_recorder.clocks.source_clock import Restamp
from robot_recorder.model.arrays import Int64s
from robot_recorder.model.streams import NS_PER_S, SourceClockKind, StreamConfig

_LEAP_NS = 10 * NS_PER_S  # a larger step between consecutive stamps means that a clock was set


@dataclass(frozen=True)
class StreamFigures:
    """Figures of one stream.

    Attributes:
        count: number of samples received.
        rate_hz: mean rate from the first to the last sample; None with fewer than two.
        longest_gap_ns: longest gap between two samples, or to the beginning or end of the episode.
            A gap has to show in stamps and receive times alike: one broken stamp, or a burst after
            a delay, is not a gap.
        duplicates: number of samples with the stamp of an earlier one.
        out_of_order: number of samples stamped before an earlier one.
        disorder_ns: largest difference by which a sample was stamped before an earlier one, which
            ``disorder_ms`` in the profile would have to allow.
        stamped: whether samples have stamps.
        unstamped: number of samples with a header whose stamp is 0.
        clock: offset and drift of their clock; None: no stamps.
        events: problems of the clock.
    """

    count: int
    rate_hz: float | None
    longest_gap_ns: int
    duplicates: int
    out_of_order: int
    disorder_ns: int
    stamped: bool
    unstamped: int
    clock: ClockEstimate | None
    events: tuple[ClockEvent, ...]


class StreamTally:
    """Counter of the figures of one stream. It needs only the memory of a clock model."""

    def __init__(self, config: StreamConfig, has_header: bool = True) -> None:
        """
        Args:
            config: the stream's profile entry.
            has_header: whether its type begins with a header, so that a stamp of 0 was left unset
                by the driver.
        """
        self._has_header = has_header
        self._unstamped = 0
        self._own_clock = config.clock is SourceClockKind.DEVICE
        self._model = ClockModel(self._own_clock)
        self._count = 0
        self._first_ns = self._last_ns = 0  # receipt
        self._newest_ns: int | None = None  # stamp
        self._last = 0, 0  # stamp and receipt
        self._gap_ns = 0
        self._duplicates = self._out_of_order = 0
        self._disorder_ns = 0
        self._stamped = False

    def push(self, stamps: Int64s, receives: Int64s, restamp: Restamp | None = None) -> None:
        """Add samples in order of receipt.

        Args:
            stamps: int64[n], source stamps, ns; 0: not stamped.
            receives: int64[n], receive times, robot clock, ns.
            restamp: removes jumps of the machine's clock from stamps; unused for device clocks.
        """
        if not len(stamps):
            return
        self._first_ns = self._first_ns if self._count else int(receives[0])
        self._last_ns = int(receives[-1])
        self._count += len(receives)
        known = stamps != 0
        self._unstamped += int(self._has_header) * int(len(stamps) - known.sum())
        if known.any():
            self._stamped = True
            stamps, receives = stamps[known], receives[known]
            if restamp is not None and not self._own_clock:
                stamps = restamp(stamps, receives)
            self._model.push(stamps, np.maximum.accumulate(receives))
        elif self._stamped:
            return  # samples without stamps tell nothing about order
        self._compare(stamps if self._stamped else receives, receives)

    def _compare(self, times: Int64s, receives: Int64s) -> None:
        """Count gaps, duplicates and disorder; across a leap of stamps use receive times only."""
        leaps = np.flatnonzero(np.abs(np.diff(times, prepend=self._last[0])) > _LEAP_NS)
        borders = [0, *leaps.tolist(), len(times)]
        for first, end in itertools.pairwise(borders):
            if first in leaps:
                if self._last[1]:
                    self._gap_ns = max(self._gap_ns, int(receives[first]) - self._last[1])
                self._newest_ns = None
            if first < end:
                self._compare_steady(times[first:end], receives[first:end])
                self._last = int(times[end - 1]), int(receives[end - 1])

    def _compare_steady(self, times: Int64s, receives: Int64s) -> None:
        """Count gaps, duplicates and disorder of samples without a leap."""
        before = times[0] - 1 if self._newest_ns is None else self._newest_ns
        newest = np.maximum.accumulate(np.concatenate(([before], times)))
        steps = times - newest[:-1]
        arrivals = np.diff(receives, prepend=self._last[1] or receives[0])
        if self._newest_ns is None:
            steps, arrivals = steps[1:], arrivals[1:]
        if len(steps):
            self._gap_ns = max(self._gap_ns, int(np.minimum(steps, arrivals).max()))
            self._disorder_ns = max(self._disorder_ns, -int(steps.min()))
            self._duplicates += int((steps == 0).sum())
            self._out_of_order += int((steps < 0).sum())
        self._newest_ns = int(newest[-1])

    def figures(self, from_ns: int, to_ns: int) -> StreamFigures:
        """Return the figures; no more samples can be added afterwards.

        Args:
            from_ns, to_ns: beginning and end of the episode, robot clock.
        """
        self._model.end()
        span = self._last_ns - self._first_ns
        ends = (
            (self._first_ns - from_ns, to_ns - self._last_ns) if self._count else (to_ns - from_ns,)
        )
        return StreamFigures(
            count=self._count,
            rate_hz=(self._count - 1) * NS_PER_S / span if span > 0 else None,
            longest_gap_ns=max(self._gap_ns, *ends, 0),
            duplicates=self._duplicates,
            out_of_order=self._out_of_order,
            disorder_ns=self._disorder_ns,
            stamped=self._stamped,
            unstamped=self._unstamped,
            clock=self._model.estimate if self._stamped else None,
            events=tuple(self._model.events),
        )
