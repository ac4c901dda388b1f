"""One stream inside the aligner: its samples, and the choice of them for ticks.

What a tick gets is a function of this stream's own samples alone: of those received up to the moment
the stream's watermark passed the tick, or until the deadline. It depends neither on when it is asked nor
on how samples were batched, so live and offline runs agree to the last bit.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from robot_recorder.core.decoder import Decoder, Payloads, Rows, StreamCounts
from robot_recorder.core.frames import NO_INTS, Column, Int64s, SampleStatus, Window
from robot_recorder.core.interpolation import Floats, interpolate
from robot_recorder.core.source_clock import SourceClock
from robot_recorder.core.streams import (
    NS_PER_MS,
    NS_PER_S,
    Policy,
    SourceClockKind,
    StreamConfig,
)

# A stamp this far ahead of its own arrival is a broken clock, not a sample to wait for. Without a
# limit one such stamp would pass every watermark and fill the buffer.
MAX_AHEAD_NS = NS_PER_S
# With a device's clock corrected, that is so from where no estimate is off by as much: it was set.
MAX_DEVICE_AHEAD_NS = 20 * NS_PER_MS

MAX_SAMPLES = 20_000  # kept of one stream, whatever happens: seconds at the highest rates there are

_FRESH, _INTERPOLATED, _HELD, _MISSING = (int(s) for s in SampleStatus)
_NONE = -1
_NEVER = 2**62
_REMEMBERED = 4096  # stamps by which a repeated message is known, though the first one is gone
_MANY = 16  # samples that are better decoded together

Bools = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]


@dataclass
class _Choice:
    """Of each tick its status, the sample it got, and of an interpolated one the next; places in the buffer."""

    status: npt.NDArray[np.uint8]
    first: Places
    second: Places


class Lane:
    """Samples go in by ``push``; ``align`` gives their part of frames, ticks strictly rising."""

    def __init__(
        self,
        config: StreamConfig,
        deadline_ns: int,
        clock: SourceClock,
        decoder: Decoder,
        counts: StreamCounts,
    ) -> None:
        """
        Args:
            deadline_ns: how long after a tick a sample still counts for it.
            clock: from this stream's stamps to robot time.
            decoder: from this stream's bytes to numbers.
            counts: the ones that the decoder counts in.
        """
        self.config = config
        self.clock = clock
        self.decoder = decoder
        self.counts = counts
        self.hint_ns: int | None = None  # of the watermark, before what was pushed is looked at
        self.watermark_ns: int | None = None  # no tick up to here changes any more
        self.first_ns: int | None = None  # the earliest corrected stamp there was at the beginning
        self.first_receive_ns: int | None = None
        self.ticks: list[int] | None = None  # of a reference stream: stamps that are new ticks
        self.passed_ns = NO_INTS  # of the ticks aligned last: when the watermark passed them
        device = config.clock is SourceClockKind.DEVICE
        self._ahead_ns = MAX_DEVICE_AHEAD_NS if device else MAX_AHEAD_NS
        self._deadline_ns = deadline_ns
        self._pending: list[tuple[Sequence[int], Sequence[int], Payloads]] = []
        self._payloads: list[tuple[int, Payloads]] = []  # with the first one's number
        # Kept samples in order of arrival; all of one length.
        self._stamps = self._receives = self._numbers = NO_INTS
        self._seen = NO_INTS  # the last stamps, kept or not
        self._used: Bools = np.empty(0, dtype=bool)
        self._homed: Bools = np.empty(0, dtype=bool)  # the tick that its stamp belongs to is over
        self._last_tick_ns = -(2**62)

    # -- in

    def push(self, stamps: Sequence[int], receives: Sequence[int], payloads: Payloads) -> None:
        """Take samples in order of receipt; nothing is looked at before ``absorb``.

        Args:
            stamps: source stamps, ns; 0: there is none, its receipt counts.
            receives: robot clock, ns, not falling.
            payloads: their bytes.
        """
        self._pending.append((stamps, receives, payloads))
        stamp_ns, receive_ns = int(stamps[-1]), int(receives[-1])
        stamp_ns = self.clock.one(stamp_ns, receive_ns)
        if stamp_ns <= receive_ns + self._ahead_ns:
            hint = stamp_ns - self.config.disorder_ns
            self.hint_ns = hint if self.hint_ns is None else max(self.hint_ns, hint)

    @property
    def waiting(self) -> int:
        """Pushed, and not looked at yet: how many pushes."""
        return len(self._pending)

    def absorb(self) -> None:
        """Sort in what has been pushed."""
        if not self._pending:
            return
        first = self.counts.received
        for pushed, _, payloads in self._pending:
            if self.decoder.decode is not None:
                self._payloads.append((self.counts.received, payloads))
            self.counts.received += len(pushed)
        numbers = np.arange(first, self.counts.received)
        stamps, receives = (
            np.concatenate([np.asarray(p[i], dtype=np.int64) for p in self._pending])
            for i in (0, 1)
        )
        self._pending = []
        corrected, known = self.clock.correct(stamps, receives)
        sane = corrected <= receives + self._ahead_ns
        good = known & sane
        if not good.all():
            self.counts.no_clock += int((~known).sum())
            self.counts.ahead += int((known & ~sane).sum())
            corrected, receives, numbers = corrected[good], receives[good], numbers[good]
        if len(corrected):
            self._add(corrected, receives, numbers)

    def _add(self, stamps: Int64s, receives: Int64s, numbers: Int64s) -> None:
        kept = len(self._stamps)
        newest = self._seen.max() if len(self._seen) else stamps[0] - 1
        self._seen = np.concatenate((self._seen, stamps))
        if stamps[0] <= newest or (np.diff(stamps) <= 0).any():
            new = self._first_of_each(len(stamps))
            stamps, receives, numbers = stamps[new], receives[new], numbers[new]
        self._seen = self._seen[-_REMEMBERED:]
        every = np.concatenate((self._stamps, stamps))
        if self.ticks is not None:
            self._add_ticks(every, kept)
        count = len(every) - kept
        self._stamps = every
        # Receipts that go back are none: what is behind another arrived after it.
        self._receives = np.maximum.accumulate(np.concatenate((self._receives, receives)))
        self._numbers = np.concatenate((self._numbers, numbers))
        self._used = np.concatenate((self._used, np.zeros(count, dtype=bool)))
        self._homed = np.concatenate((self._homed, np.zeros(count, dtype=bool)))
        if count:
            self._begin(stamps, self._receives[kept:])
            watermark = int(every.max()) - self.config.disorder_ns
            if self.watermark_ns is None or watermark > self.watermark_ns:
                self.watermark_ns = watermark
        surplus = len(every) - MAX_SAMPLES
        if surplus > 0:
            self.counts.overflow += int(surplus - self._used[:surplus].sum())
            self._keep(np.arange(len(every)) >= surplus)

    def _begin(self, stamps: Int64s, receives: Int64s) -> None:
        if self.first_receive_ns is None:
            self.first_receive_ns = int(receives[0])
        early = stamps[receives <= self.first_receive_ns + self.config.disorder_ns]
        if len(early):
            first_ns = max(int(early.min()), self.first_receive_ns - self._deadline_ns)
            self.first_ns = first_ns if self.first_ns is None else min(self.first_ns, first_ns)

    def _first_of_each(self, count: int) -> Bools:
        """Which of the last ``count`` seen stamps have not been there before; counts the others."""
        _, firsts = np.unique(self._seen, return_index=True)
        new = np.zeros(len(self._seen), dtype=bool)
        new[firsts] = True
        before = np.maximum.accumulate(self._seen)
        self.counts.duplicate += int(count - new[-count:].sum())
        self.counts.out_of_order += int((new & (self._seen < before))[-count:].sum())
        return new[-count:]

    def _add_ticks(self, every: Int64s, kept: int) -> None:
        assert self.ticks is not None
        before = np.maximum.accumulate(np.concatenate(([self._last_tick_ns], every)))[:-1][kept:]
        new = every[kept:]
        self.ticks += new[new > before - self.config.disorder_ns].tolist()

    # -- out

    def align(self, ticks: Int64s) -> Column:
        """This stream's part of frames.

        Args:
            ticks: int64[n], rising, after all earlier ones; each is either passed by the watermark, or
                everything received up to its deadline has been pushed.
        """
        available = self._available(ticks)
        choice = self._choose(ticks, *self._neighbours(ticks, available))
        values = self._values(ticks, available, choice)
        column = self._column(ticks, choice)
        window = self._home(ticks, available)
        chosen = choice.status != _MISSING
        self._use(choice.first[chosen])
        self._use(choice.second[choice.status == _INTERPOLATED])
        self._retire(int(ticks[-1]), int(available[-1]))
        return Column(*column, values, window)

    def _available(self, ticks: Int64s) -> Places:
        """How many of the samples, in order of arrival, each tick may choose from."""
        passed = np.maximum.accumulate(self._stamps) - self.config.disorder_ns
        by_watermark = np.searchsorted(passed, ticks, "left") + 1
        self.passed_ns = np.append(self._receives, _NEVER)[by_watermark - 1]
        by_deadline = np.searchsorted(self._receives, ticks + self._deadline_ns, "left")
        return np.minimum(by_watermark, by_deadline)

    def _neighbours(self, ticks: Int64s, available: Places) -> tuple[Places, Places]:
        """Of each tick the last sample at or before it and the first at or after it."""
        stamps = self._stamps
        if (np.diff(stamps) > 0).all():
            after = np.searchsorted(stamps, ticks, "left")
            exact = (after < len(stamps)) & (
                stamps[np.minimum(after, len(stamps) - 1)] == ticks if len(stamps) else False
            )
            before = np.minimum(np.where(exact, after, after - 1), available - 1)
            return before, np.where(after < available, after, _NONE)
        pairs = [
            self._around(tick, np.arange(count))
            for tick, count in zip(ticks.tolist(), available.tolist())
        ]
        return np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])

    def _around(self, tick_ns: int, places: Places) -> tuple[int, int]:
        """The same for one tick, of samples in any order."""
        stamps = self._stamps[places]
        before, after = places[stamps <= tick_ns], places[stamps >= tick_ns]
        return (
            int(before[self._stamps[before].argmax()]) if len(before) else _NONE,
            int(after[self._stamps[after].argmin()]) if len(after) else _NONE,
        )

    def _choose(self, ticks: Int64s, before: Places, after: Places) -> _Choice:
        policy, tolerance = self.config.policy, self.config.tolerance_ns
        has_before, has_after = before != _NONE, after != _NONE
        # Where there is none, any place will do: the masks leave it out.
        since = ticks - self._stamps[before] if len(self._stamps) else ticks
        until = self._stamps[after] - ticks if len(self._stamps) else ticks
        first, second = before.copy(), after
        status = np.where(has_before, _HELD, _MISSING).astype(np.uint8)
        exact = has_before & (since == 0)
        status[exact] = _FRESH
        if policy in (Policy.NEAREST, Policy.PREVIOUS):
            status[has_before & (since <= tolerance)] = _FRESH
        if policy is Policy.NEAREST:
            # Of two equally near ones the earlier: it can not leak the future.
            later = has_after & ~exact & (until <= tolerance) & (~has_before | (until < since))
            status[later], first[later] = _FRESH, after[later]
        elif policy in (Policy.LINEAR, Policy.SLERP):
            between = has_before & has_after & ~exact & (since + until <= tolerance)
            status[between] = _INTERPOLATED
        return _Choice(status, first, second)

    def _values(self, ticks: Int64s, available: Places, choice: _Choice) -> Floats:
        """float64[n, k]. A sample that can not be read counts as not there, and the next best is taken."""
        count = len(ticks)
        if self.decoder.decode is None:
            return np.empty((count, 0))
        self._prefetch(choice)
        firsts: list[Floats | None] = [None] * count
        seconds: list[Floats | None] = [None] * count
        for row in np.flatnonzero(choice.status != _MISSING).tolist():
            while choice.status[row] != _MISSING:
                firsts[row] = self._read(choice.first[row])
                if choice.status[row] == _INTERPOLATED:
                    seconds[row] = self._read(choice.second[row])
                    if seconds[row] is not None and firsts[row] is not None:
                        break
                elif firsts[row] is not None:
                    break
                self._choose_again(row, int(ticks[row]), int(available[row]), choice)
        width = len(self.decoder.names or ())
        values = np.full((count, width), np.nan)
        rows = np.flatnonzero(choice.status != _MISSING)
        if len(rows):
            values[rows] = [firsts[row] for row in rows.tolist()]
        rows = np.flatnonzero(choice.status == _INTERPOLATED)
        if len(rows):
            t0, t1 = self._stamps[choice.first[rows]], self._stamps[choice.second[rows]]
            shares = (ticks[rows] - t0) / (t1 - t0)
            second = np.array([seconds[row] for row in rows.tolist()])
            values[rows] = interpolate(values[rows], second, shares, self.decoder.quaternions)
        return values

    def _prefetch(self, choice: _Choice) -> None:
        places = choice.first[choice.status != _MISSING]
        places = np.concatenate((places, choice.second[choice.status == _INTERPOLATED]))
        if len(places) < _MANY:
            return
        self._read(places[0])  # the others are laid out like it
        numbers = np.unique(self._numbers[places])
        starts = [first for first, _ in self._payloads]
        parts = np.split(numbers, np.searchsorted(numbers, starts[1:], "left"))
        for (first, payloads), part in zip(self._payloads, parts):
            if len(part) and isinstance(payloads, Rows):
                self.decoder.prefetch(payloads, first, part)

    def _choose_again(self, row: int, tick_ns: int, available: int, choice: _Choice) -> None:
        """After a sample could not be read: among those within tolerance that have not failed, too."""
        near = self._stamps[:available] >= tick_ns - self.config.tolerance_ns
        places = [
            place
            for place in np.flatnonzero(near).tolist()
            if not self.decoder.failed(int(self._numbers[place]))
        ]
        before, after = self._around(tick_ns, np.array(places, dtype=np.intp))
        again = self._choose(np.array([tick_ns]), np.array([before]), np.array([after]))
        choice.status[row] = again.status[0]
        choice.first[row], choice.second[row] = again.first[0], again.second[0]

    def _read(self, place: np.intp) -> Floats | None:
        return self.decoder.values(int(self._numbers[place]), self._payload)

    def _payload(self, number: int) -> bytes:
        first, payloads = self._payloads[
            bisect_right(self._payloads, number, key=itemgetter(0)) - 1
        ]
        return payloads[number - first]

    def _column(
        self, ticks: Int64s, choice: _Choice
    ) -> tuple[npt.NDArray[np.uint8], Int64s, Int64s, Int64s]:
        chosen = choice.first
        if len(self._stamps):
            both = choice.status == _INTERPOLATED
            since = ticks - self._stamps[choice.first]
            until = self._stamps[choice.second] - ticks
            chosen = np.where(both & (until < since), choice.second, choice.first)
        found = choice.status != _MISSING
        stamps, numbers = np.zeros(len(ticks), dtype=np.int64), np.full(len(ticks), -1)
        stamps[found], numbers[found] = self._stamps[chosen[found]], self._numbers[chosen[found]]
        return choice.status, stamps, np.where(found, stamps - ticks, 0), numbers

    def _home(self, ticks: Int64s, available: Places) -> Window | None:
        """Give every sample to the tick its stamp belongs to, or to the next one if it came too late."""
        places = np.flatnonzero(~self._homed & (self._stamps <= ticks[-1]))
        own = np.searchsorted(ticks, self._stamps[places], "left")
        reached = np.searchsorted(available, places, "right")
        home = np.maximum(own, reached)
        now = home < len(ticks)
        late = now & ((reached > own) | (self._stamps[places] <= self._last_tick_ns))
        self.counts.late += int(late.sum())
        places, home = places[now], home[now]
        self._homed[places] = True
        self._last_tick_ns = int(ticks[-1])
        if not self.config.window:
            return None
        order = np.lexsort((self._stamps[places], home))
        places, home = places[order], home[order]
        rows = []
        if self.decoder.decode is not None:
            read = [self._read(place) for place in places]
            good = np.array([r is not None for r in read], dtype=bool)
            rows = [r for r in read if r is not None]
            places, home = places[good], home[good]
        self._use(places)
        values = np.array(rows).reshape(len(places), -1) if rows else np.empty((len(places), 0))
        splits = np.searchsorted(home, np.arange(len(ticks) + 1), "left")
        return Window(splits, self._stamps[places], self._numbers[places], values)

    def _use(self, places: Places) -> None:
        places = np.unique(places)
        self.counts.used += int(len(places) - self._used[places].sum())
        self._used[places] = True

    def _retire(self, tick_ns: int, available: int) -> None:
        """Forget what no later tick can want: older than the newest before it, and than the tolerance."""
        stamps = self._stamps
        arrived = np.arange(len(stamps)) < available
        before = stamps[arrived & (stamps <= tick_ns)]
        if not len(before):
            return
        oldest = min(int(before.max()), tick_ns - self.config.tolerance_ns)
        gone = arrived & (stamps < oldest)
        if gone.any():
            self.counts.superseded += int((gone & ~self._used).sum())
            self._keep(~gone)

    def _keep(self, which: Bools) -> None:
        self._stamps, self._receives = self._stamps[which], self._receives[which]
        self._numbers = self._numbers[which]
        self._used, self._homed = self._used[which], self._homed[which]
        oldest = int(self._numbers.min()) if len(self._numbers) else self.counts.received
        while len(self._payloads) > 1 and self._payloads[1][0] <= oldest:
            del self._payloads[0]
        self.decoder.forget_before(oldest)

    @property
    def unused(self) -> int:
        """Kept, and wanted by no tick so far."""
        return int((~self._used).sum())
