"""One stream inside the aligner: keeps its samples, and chooses samples for ticks.

The choice for a tick depends only on the samples of this stream that were received until its
watermark passed the tick, or until the deadline. It does not depend on when ``align`` is called or
how samples were batched, so that live and offline runs agree to the last bit.

The watermark is the newest stamp minus the wait for late samples: when it passes a tick, no later
sample can change the tick's choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, pairwise

import numpy as np

from robot_recorder.alignment.by_name import ByName
from robot_recorder.alignment.frames import NO_INTS, FrameColumn, Window
from robot_recorder.alignment.layouts import NO_SHAPE
from robot_recorder.alignment.sample_buffer import SampleBuffer
from robot_recorder.alignment.sample_choice import (
    INTERPOLATED,
    MISSING,
    NEVER,
    NONE,
    SampleChoice,
    available,
    choose_from,
    neighbours,
)
from robot_recorder.alignment.seen_stamps import SeenStamps
from robot_recorder.alignment.stream_decoder import Decoder, StreamCounts
from robot_recorder.alignment.value_reader import ValueReader
from robot_recorder.clocks.source_clock import SourceClock
from robot_recorder.messages.stamps import LazyStamps
from robot_recorder.model.arrays import Bools, Int64s, Places
from robot_recorder.model.payloads import Payloads
from robot_recorder.model.streams import (
    NS_PER_MS,
    NS_PER_S,
    Policy,
    SourceClockKind,
    StreamConfig,
)

try:  # part of the package that is compiled where it can be: a tenth of the cost
    from robot_recorder.alignment._choice import settle as _settle
except ImportError:
    _settle = None

# A sample stamped further ahead of its receive time has a broken clock. Without a limit, one such
# stamp would move the watermark past all ticks and fill the buffer.
MAX_AHEAD_NS = NS_PER_S
# With a device clock, no estimate is off by this much: the clock was set.
MAX_DEVICE_AHEAD_NS = 20 * NS_PER_MS

# A tick is skipped if no stream has a newer sample than this: all of them pause (a suspended
# machine, sensors switched off), and frames with only old values are of no use.
MAX_PAUSE_NS = 10 * NS_PER_S

MAX_SAMPLES = 20_000  # limit of kept samples of one stream: seconds at the highest rates

# A sample at most this share of a period before the tick is the nearest one, unless the next sample
# is a fifth of a period early. Frames do not wait for that.
_ENOUGH_SHARE = 0.4

Stamps = Sequence[int] | LazyStamps  # one kind for all calls of a stream


class Lane:
    """One stream: ``push`` adds samples, ``align`` returns its part of frames, for rising ticks.

    Attributes:
        config: the stream's profile entry.
        clock: converts this stream's stamps to robot time.
        decoder: converts this stream's bytes to values.
        counts: what became of the samples.
        hint_ns: estimate of the watermark that includes samples not yet absorbed; None: no samples.
        watermark_ns: no tick up to here changes any more; None: no samples.
        first_ns: earliest corrected stamp at the beginning; None: no samples.
        first_receive_ns: receive time of the first sample; None: no samples.
        ticks: of the reference stream, stamps that are new ticks; None: not the reference.
        passed_ns: int64[n], receive times at which the watermark passed the ticks aligned last.
        heard: bool[n], whether a recent sample existed for the ticks aligned last.
    """

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
            config: the stream's profile entry.
            deadline_ns: how long after a tick a sample still counts for it.
            clock: converts this stream's stamps to robot time.
            decoder: converts this stream's bytes to values.
            counts: the counts that the decoder also updates.
        """
        self.config = config
        self.clock = clock
        self.decoder = decoder
        self.counts = counts
        self.hint_ns: int | None = None
        self.watermark_ns: int | None = None
        self.first_ns: int | None = None
        self.first_receive_ns: int | None = None
        self.ticks: list[int] | None = None
        self.passed_ns = NO_INTS
        device = config.clock is SourceClockKind.DEVICE
        self._ahead_ns = MAX_DEVICE_AHEAD_NS if device else MAX_AHEAD_NS
        self._deadline_ns = deadline_ns
        self._wait_ns = config.disorder_ns - _enough_before_ns(config)
        self._pending: list[tuple[Stamps, Sequence[int] | Int64s, Payloads]] = []
        self._kept = SampleBuffer()
        self._reader = ValueReader(config, decoder, self._kept)
        self._by_name = ByName(config, decoder.layouts, self._kept, self._reader)
        self._mixed = False  # whether messages name different values
        self._newest: dict[int, int] = {}  # newest stamp by shape
        self._reached_ns = -NEVER
        self.heard: Bools = np.zeros(0, dtype=bool)
        self._seen = SeenStamps(counts)
        self._newest_ns = self._last_tick_ns = -NEVER

    def make_reference(self) -> None:
        """Make this the reference stream: collect its stamps in ``ticks``."""
        self.ticks = []
        self._wait_ns = self.config.disorder_ns

    # -- adding samples

    def push(self, stamps: Stamps, receives: Sequence[int] | Int64s, payloads: Payloads) -> None:
        """Add samples in order of receipt; they are processed by ``absorb``.

        Args:
            stamps: source stamps, ns; 0: not stamped, the receive time is used.
            receives: receive times, robot clock, ns, not falling.
            payloads: message bytes.
        """
        self._pending.append((stamps, receives, payloads))
        stamp_ns, receive_ns = int(stamps[-1]), int(receives[-1])
        stamp_ns = self.clock.one(stamp_ns, receive_ns)
        if stamp_ns <= receive_ns + self._ahead_ns:
            hint = stamp_ns - self._wait_ns
            self.hint_ns = hint if self.hint_ns is None else max(self.hint_ns, hint)

    @property
    def waiting(self) -> int:
        """Number of pushes not yet absorbed."""
        return len(self._pending)

    def absorb(self) -> None:
        """Process the samples that have been pushed."""
        if not self._pending:
            return
        first = self.counts.received
        parts, shapes = [], []
        for pushed, _, payloads in self._pending:
            parts.append((self.counts.received, payloads))
            self.counts.received += len(pushed)
            if self.decoder.by_name:
                shapes.append(self.decoder.shapes(payloads))
        numbers = np.arange(first, self.counts.received)
        stamps = _joined([p[0] for p in self._pending])
        receives = _joined([p[1] for p in self._pending])
        self._pending = []
        corrected, known = self.clock.correct(stamps, receives)
        sane = corrected <= receives + self._ahead_ns
        good = known & sane
        if not good.all():
            self.counts.no_clock += int((~known).sum())
            self.counts.ahead += int((known & ~sane).sum())
            corrected, receives, numbers = corrected[good], receives[good], numbers[good]
        if len(corrected):
            named = np.zeros(len(numbers), dtype=np.intp)
            if self.decoder.by_name:
                named = np.concatenate(shapes)[numbers - first]
                self._mixed = self._mixed or bool(named.any())
            numbers = self._add(corrected, receives, numbers, named)
        for at, payloads in parts:  # keep no bytes of batches without any accepted sample
            place = int(numbers.searchsorted(at))
            if place < len(numbers) and numbers[place] < at + len(payloads):
                self._reader.add(at, payloads)

    def _add(self, stamps: Int64s, receives: Int64s, numbers: Int64s, shapes: Places) -> Int64s:
        """Keep samples; return the numbers of those that are not duplicates."""
        kept, known = self._kept, len(self._kept)
        self._seen.add(stamps, shapes)
        rising = bool(stamps[0] > self._newest_ns and (stamps[1:] > stamps[:-1]).all())
        if not rising:
            newest = self._newest if self._mixed else {0: self._newest_ns}
            new = self._seen.first_of_each(stamps, shapes, newest)
            stamps, receives, numbers = stamps[new], receives[new], numbers[new]
            shapes = shapes[new]
        self._seen.forget()
        if not len(stamps):
            return numbers
        kept.add(stamps, receives, numbers, shapes, rising)
        if self.ticks is not None:
            self._add_ticks(known)
        self._begin(stamps, kept.receives[known:])
        self._newest_ns = max(self._newest_ns, int(stamps.max()))
        self.watermark_ns = self._reached(stamps, shapes, numbers) - self._wait_ns
        surplus = len(kept) - MAX_SAMPLES
        if surplus > 0:
            self.counts.overflow += int(surplus - kept.used[:surplus].sum())
            kept.drop(surplus)
            self._forget()
        return numbers

    def _reached(self, stamps: Int64s, shapes: Places, numbers: Int64s) -> int:
        """Return the stamp that all joints of the stream have reached; it never falls."""
        if not self.decoder.by_name:
            return self._newest_ns
        if self._mixed or not self._newest:
            self._by_name.begin(shapes, numbers)
        if not self._mixed:
            self._newest[0] = self._reached_ns = self._newest_ns
            return self._newest_ns
        # Ticks that were complete before new joints appeared stay complete.
        first = [int(np.argmax(shapes == s)) for s in np.unique(shapes) if s not in self._newest]
        for at, end in pairwise(sorted({0, *first, len(stamps)})):
            for shape in np.unique(shapes[at:end]).tolist():
                newest = int(stamps[at:end][shapes[at:end] == shape].max())
                self._newest[shape] = max(self._newest.get(shape, -NEVER), newest)
            self._reached_ns = max(self._reached_ns, self._by_name.newest_ns(self._newest))
        return self._reached_ns

    def _begin(self, stamps: Int64s, receives: Int64s) -> None:
        """Update the first stamp and receive time."""
        if self.first_receive_ns is None:
            self.first_receive_ns = int(receives[0])
        early = stamps[receives <= self.first_receive_ns + self.config.disorder_ns]
        if len(early):
            first_ns = max(int(early.min()), self.first_receive_ns - self._deadline_ns)
            self.first_ns = first_ns if self.first_ns is None else min(self.first_ns, first_ns)

    def _add_ticks(self, known: int) -> None:
        """Collect the ticks of a reference stream from newly kept samples."""
        assert self.ticks is not None
        every = self._kept.stamps
        before = np.maximum.accumulate(np.concatenate(([self._last_tick_ns], every)))[known:-1]
        new = every[known:]
        rising = new > before - self.config.disorder_ns
        in_time = self._kept.receives[known:] < new + self._deadline_ns
        self.counts.tickless += int((rising & ~in_time).sum())
        self.ticks += new[rising & in_time].tolist()

    # -- aligning

    def next_ns(self, after_ns: int) -> int | None:
        """Return the first kept stamp after a time; None: no later stamp is kept."""
        later = self._kept.stamps[self._kept.stamps > after_ns]
        return int(later.min()) if len(later) else None

    def align(self, ticks: Int64s) -> FrameColumn:
        """Return this stream's part of frames.

        Args:
            ticks: int64[n], ns, rising, after all earlier ones. For each of them, the watermark has
                passed it, or everything received before its deadline has been pushed.
        """
        if self._mixed:
            return self._align_by_name(ticks)
        kept, config = self._kept, self.config
        choice, count, self.passed_ns = choose_from(
            config, kept.stamps, kept.receives, kept.rising, ticks, self._wait_ns, self._deadline_ns
        )
        self.heard = self._heard(ticks, choice.status != MISSING, choice.first)
        values = self._reader.values(ticks, count, choice)
        column, window = self._settled(ticks, choice, count)
        self._retire(int(ticks[-1]), int(count[-1]))
        return FrameColumn(choice.status, *column, values, window)

    def _settled(
        self, ticks: Int64s, choice: SampleChoice, count: Places
    ) -> tuple[tuple[Int64s, Int64s, Int64s], Window | None]:
        """Note what became of the samples; return stamps, skews and numbers of those chosen, and the windows."""
        kept = self._kept
        if _settle is not None and not self.config.window:
            column = np.empty((3, len(ticks)), np.int64)
            late, used = _settle(
                kept.stamps, kept.numbers, kept.used, kept.homed, ticks, count, choice.status, choice.first,
                choice.second, column, self._last_tick_ns,
            )  # fmt: skip
            self.counts.late += late
            self.counts.used += used
            self._last_tick_ns = int(ticks[-1])
            stamps, skews, numbers = column
            return (stamps, skews, numbers), None
        found = self._column(ticks, choice)
        window = self._home(ticks, count)
        self._use(choice.first[choice.status != MISSING])
        self._use(choice.second[choice.status == INTERPOLATED])
        return found, window

    def _align_by_name(self, ticks: Int64s) -> FrameColumn:
        """``align`` for messages that name different values."""
        kept = self._kept
        found = self._by_name.align(ticks, self._wait_ns, self._deadline_ns)
        self.passed_ns = found.passed
        whole, _ = available(kept.stamps, kept.receives, ticks, self._wait_ns, self._deadline_ns)
        before, _ = neighbours(kept.stamps, kept.rising, ticks, whole)
        self.heard = self._heard(ticks, before != NONE, before)
        if before[-1] != NONE:
            found.kept[before[-1]] = True
        window = self._home(ticks, np.maximum.accumulate(np.maximum(found.count, whole)))
        self._use(np.flatnonzero(found.used))
        there = found.status != MISSING
        skews = np.where(there, found.stamps - ticks, 0)
        column = FrameColumn(found.status, found.stamps, skews, found.numbers, found.values, window)
        gone = ~found.kept & (kept.homed == 1)
        if gone.any():
            self.counts.superseded += int((gone & (kept.used == 0)).sum())
            kept.keep(~gone)
            self._reader.forget_others(kept.numbers)
        return column

    def _heard(self, ticks: Int64s, there: Bools, places: Places) -> Bools:
        """Return whether a sample, readable or not, is newer than MAX_PAUSE_NS, bool[n]."""
        heard = there.copy()
        heard[there] = ticks[there] - self._kept.stamps[places[there]] < MAX_PAUSE_NS
        return heard

    def _column(self, ticks: Int64s, choice: SampleChoice) -> tuple[Int64s, Int64s, Int64s]:
        """Return stamps, skews and numbers of the chosen samples."""
        chosen = choice.first
        if len(self._kept.stamps):
            both = choice.status == INTERPOLATED
            since = ticks - self._kept.stamps[choice.first]
            until = self._kept.stamps[choice.second] - ticks
            chosen = np.where(both & (until < since), choice.second, choice.first)
        found = choice.status != MISSING
        stamps, numbers = np.zeros(len(ticks), dtype=np.int64), np.full(len(ticks), -1)
        stamps[found], numbers[found] = (
            self._kept.stamps[chosen[found]],
            self._kept.numbers[chosen[found]],
        )
        return stamps, np.where(found, stamps - ticks, 0), numbers

    def _home(self, ticks: Int64s, available: Places) -> Window | None:
        """Assign each sample to its tick, or to the next one if it is late; return the windows."""
        places = np.flatnonzero((self._kept.homed == 0) & (self._kept.stamps <= ticks[-1]))
        own = np.searchsorted(ticks, self._kept.stamps[places], "left")
        reached = np.searchsorted(available, places, "right")
        home = np.maximum(own, reached)
        now = home < len(ticks)
        late = now & ((reached > own) | (self._kept.stamps[places] <= self._last_tick_ns))
        self.counts.late += int(late.sum())
        places, home = places[now], home[now]
        self._kept.homed[places] = 1
        self._last_tick_ns = int(ticks[-1])
        if not self.config.window:
            return None
        order = np.lexsort((self._kept.stamps[places], home))
        places, home = places[order], home[order]
        rows = []
        if self.decoder.decode is not None:
            shapes = self._kept.shapes
            valued = places[shapes[places] != NO_SHAPE]
            if len(valued) and self._reader.read(int(valued[0])) is not None:
                self._reader.prepare(valued)
            read = [
                self._reader.read(p) if shapes[p] != NO_SHAPE else None for p in places.tolist()
            ]
            good = np.array([r is not None for r in read], dtype=bool)
            rows = [r for r in read if r is not None]
            places, home = places[good], home[good]
        self._use(places)
        values = self._reader.table(rows) if rows else np.empty((len(places), 0))
        splits = np.searchsorted(home, np.arange(len(ticks) + 1), "left")
        return Window(splits, self._kept.stamps[places], self._kept.numbers[places], values)

    def _use(self, places: Places) -> None:
        """Mark samples as used."""
        used = self._kept.used
        before = used.sum()
        used[places] = 1
        self.counts.used += int(used.sum() - before)

    def _retire(self, tick_ns: int, available: int) -> None:
        """Drop samples older than both the newest one before the tick and the tolerance."""
        stamps = self._kept.stamps
        if self._kept.rising:
            before = min(int(stamps.searchsorted(tick_ns, "right")), available)
            if before:
                oldest_ns = min(int(stamps[before - 1]), tick_ns - self.config.tolerance_ns)
                self._drop(int(stamps.searchsorted(oldest_ns)))
            return
        arrived = np.arange(len(stamps)) < available
        mine = stamps[arrived & (stamps <= tick_ns)]
        if not len(mine):
            return
        oldest_ns = min(int(mine.max()), tick_ns - self.config.tolerance_ns)
        gone = arrived & (stamps < oldest_ns)
        if gone.any():
            self.counts.superseded += int((gone & (self._kept.used == 0)).sum())
            self._kept.keep(~gone)
            self._forget()

    def _drop(self, count: int) -> None:
        """Drop the first samples."""
        if count:
            self.counts.superseded += count - int(self._kept.used[:count].sum())
            self._kept.drop(count)
            self._forget()

    def _forget(self) -> None:
        """Forget the bytes of samples that are no longer kept."""
        self._reader.forget_before(
            int(self._kept.numbers[0]) if len(self._kept) else self.counts.received
        )

    @property
    def unused(self) -> int:
        """Number of kept samples that no tick has chosen so far."""
        return int((self._kept.used == 0).sum())


def _joined(parts: Sequence[Stamps | Int64s]) -> Int64s:
    if isinstance(parts[0], LazyStamps):
        return LazyStamps.joined(parts)  # type: ignore[arg-type]
    if len(parts) > 1 and isinstance(parts[0], list):
        return np.array(list(chain.from_iterable(parts)), dtype=np.int64)  # type: ignore[arg-type]
    return np.concatenate([np.asarray(part, dtype=np.int64) for part in parts])


def _enough_before_ns(config: StreamConfig) -> int:
    """Return how long before a tick a sample is near enough that the tick need not wait, ns."""
    if config.policy is not Policy.NEAREST or not config.rate_hz or config.window:
        return 0
    return min(round(_ENOUGH_SHARE * NS_PER_S / config.rate_hz), config.tolerance_ns)
