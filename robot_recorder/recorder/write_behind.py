"""One episode being written: a bounded queue in front, a thread behind. Whoever offers never waits."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path

from robot_recorder.bags.files import OUT_OF_FILES
from robot_recorder.bags.writer import BagWriter
from robot_recorder.model.errors import BagError
from robot_recorder.model.losses import Dropout, LossLedger, Place
from robot_recorder.model.topics import Batch, Channel, Sample

SYNC_PERIOD_S = 0.5  # with the longest flush seen, well inside the promised second
_DRAIN_PERIOD_S = 0.1  # waking once for many messages is what makes writing cheap
_DRAIN_MOST = 100  # batches between two looks at the clock
_GROW_BYTES = (
    4_000_000  # more than any writer holds back; written, and the file has not grown: it is gone
)
_channel = itemgetter(0)

# Where the queue is this full, what is dear to store and cheap to miss is no longer taken.
_BULKY_SHARE = 0.5
_BULKY_BYTES = 16_000  # images and clouds; the largest joint state is far below


@dataclass(frozen=True)
class Traffic:
    """What an episode has taken so far.

    Attributes:
        written: messages handed to the bag, per channel.
        bytes: of all of them together.
    """

    written: Counter[Channel]
    bytes: int


class EpisodeWriter:
    """Feeds a BagWriter from its own thread.

    ``offer`` is for one producer thread. An error of the writer ends writing, is kept in ``error``,
    and everything after it is counted as lost at the writer.
    """

    def __init__(
        self,
        writer: BagWriter,
        directory: Path,
        max_queue_bytes: int,
        losses: LossLedger,
        kept: frozenset[Channel],
        on_written: Callable[[list[Sample]], None],
        before_sync: Callable[[], Iterable[Sample]],
    ) -> None:
        """
        Args:
            writer: opened.
            directory: its ``.partial`` bag directory.
            max_queue_bytes: what is offered while this much waits is dropped; half of it is for
                everything but bulky messages.
            losses: where drops are counted.
            kept: channels that are never dropped, however full the queue is.
            on_written: called in the writer thread with every batch written.
            before_sync: called in the writer thread before each sync; what it returns is written too.
        """
        self.directory = directory
        self.error: BagError | None = None
        self._writer = writer
        self._max_queue_bytes = max_queue_bytes
        self._losses = losses
        self._kept = kept
        self._on_written = on_written
        self._before_sync = before_sync
        self._queue: deque[tuple[Batch, int]] = deque()
        self._written: Counter[Channel] = Counter()
        self._offered_bytes = self._taken_bytes = self._written_bytes = 0
        self._files: list[Path] = []  # that there are
        self._grown = (0, 0)  # size of the files, and what had been written, when they last grew
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="episode_writer", daemon=True)

    def start(self) -> None:
        """Start to write; until then what is offered waits."""
        self._thread.start()

    @property
    def queued_bytes(self) -> int:
        """Bytes waiting for the writer."""
        return self._offered_bytes - self._taken_bytes

    @property
    def traffic(self) -> Traffic:
        """Totals so far."""
        return Traffic(self._written.copy(), self._written_bytes)

    def offer(self, batch: Batch, free: bool = False) -> None:
        """Queue a batch; what there is no room for is counted as lost.

        Args:
            free: it is in memory anyway (pre-roll), so it takes no room.
        """
        if self.error is not None or self._closing.is_set():
            self._lose(batch.samples, Place.WRITER)
            return
        if not free and self.queued_bytes + batch.bytes > self._max_queue_bytes * _BULKY_SHARE:
            batch = self._thin_out(batch)
        if batch.samples:
            cost = 0 if free else batch.bytes
            self._offered_bytes += cost
            self._queue.append((batch, cost))

    def _thin_out(self, batch: Batch) -> Batch:
        taken, dropped = [], []
        room = self._max_queue_bytes - self.queued_bytes
        bulky_room = room - self._max_queue_bytes * (1 - _BULKY_SHARE)
        for sample in batch.samples:
            size = len(sample.data)
            fits = size <= (bulky_room if size >= _BULKY_BYTES else room)
            if fits or sample.channel in self._kept:
                taken.append(sample)
                room -= size
                bulky_room -= size
            else:
                dropped.append(sample)
        self._lose(dropped, Place.QUEUE)
        return replace(batch, samples=taken)

    def close(self) -> None:
        """Write what is queued and close the bag.

        Raises:
            BagError: writing failed, now or earlier.
        """
        self._closing.set()
        self._thread.join()
        self._lose_queue()  # an offer may have slipped in while the thread ended
        if self.error is not None:
            raise BagError(str(self.error))  # a fresh one: it would keep all that it passes

    def _run(self) -> None:
        synced = time.monotonic()
        while True:
            closing = self._closing.is_set()  # asked first: what was queued by then is written
            self._guard(self._drain)
            if closing and not self._queue:
                break
            if time.monotonic() - synced >= SYNC_PERIOD_S:
                self._guard(self._sync)
                synced = time.monotonic()
            if not self._queue:
                self._closing.wait(_DRAIN_PERIOD_S)
        self._guard(lambda: self._write(list(self._before_sync())))
        # After an error the file ends in a torn chunk: it is repaired, not written to any more.
        self._guard(self._writer.close)
        if self.error is not None:
            self._writer.abandon()
        # What they belong to has this in turn: together they would wait for the garbage collector.
        del self._writer, self._on_written, self._before_sync

    def _guard(self, action: Callable[[], None]) -> None:
        if self.error is None:
            try:
                action()
            except Exception as error:  # whatever it is: it must not end this thread unseen
                self.error = self._as_bag_error(error)
        if self.error is not None:
            self._lose_queue()

    def _as_bag_error(self, error: Exception) -> BagError:
        if isinstance(error, BagError):
            return BagError(str(error))  # without the traceback, and all that hangs on it
        return BagError(f"writing {self.directory} failed: {type(error).__name__}: {error}")

    def _drain(self) -> None:
        # Not "until it is empty": on a disk that is too slow it never is, and sync would never come.
        samples: list[Sample] = []
        for _ in range(min(len(self._queue), _DRAIN_MOST)):
            batch, cost = self._queue.popleft()
            self._taken_bytes += cost
            self._written_bytes += batch.bytes
            samples += batch.samples
        self._write(samples)

    def _write(self, samples: list[Sample]) -> None:
        if not samples:
            return
        counts = Counter(map(_channel, samples))
        new = [channel for channel in counts if channel not in self._written]
        # Counted before they are written: after an error the file itself is counted.
        self._written.update(counts)
        for channel in new:
            self._writer.add_topic(channel)
        self._writer.write(samples)
        self._on_written(samples)

    def _sync(self) -> None:
        self._write(list(self._before_sync()))
        self._writer.sync()
        self._see_it_grow()

    def _see_it_grow(self) -> None:
        try:
            self._files = self._files or list(self.directory.glob("*.mcap"))
            size = sum(p.stat().st_size for p in self._files)
        except OSError as error:
            if error.errno in OUT_OF_FILES:
                return
            raise BagError(f"{self.directory} cannot be seen any more: {error}") from error
        before, written = self._grown
        if size > before:
            self._grown = size, self._written_bytes
        elif self._written_bytes - written > _GROW_BYTES or size < before:
            raise BagError(
                f"the file in {self.directory} does not grow although "
                f"{(self._written_bytes - written) / 1e6:.0f} MB were written: was it moved, or is the "
                "disk failing?"
            )

    def _lose_queue(self) -> None:
        while self._queue:
            batch, cost = self._queue.popleft()
            self._taken_bytes += cost
            self._lose(batch.samples, Place.WRITER)

    def _lose(self, samples: list[Sample], place: Place) -> None:
        lost: dict[str, list[int]] = {}
        for sample in samples:
            lost.setdefault(sample.channel.topic, []).append(sample.receive_ns)
        for topic, at in lost.items():
            self._losses.add(Dropout(topic, place, len(at), at[0], at[-1]))
