"""Write an episode in its own thread, behind a bounded queue, so that producers never wait."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from robot_recorder.bags.files import OUT_OF_FILES
from robot_recorder.bags.writer import BagWriter
from robot_recorder.model.errors import BagError
from robot_recorder.model.losses import Dropout, LossLedger, Place
from robot_recorder.model.samples import by_channel
from robot_recorder.model.topics import Batch, Channel, Sample

SYNC_PERIOD_S = 0.5  # plus the longest measured flush well below the promised 1 s
_DRAIN_PERIOD_S = 0.1  # waking once for many messages keeps writing cheap
_DRAIN_MOST = 100  # batches between two looks at the clock
_DRAIN_BYTES = 16_000_000  # as well; what is taken off the queue counts no more against its limit
_GROW_BYTES = 4_000_000  # more than any writer buffers: if the file has not grown, it is gone

# Above this share of the queue, large messages are dropped.
_BULKY_SHARE = 0.5
_BULKY_BYTES = 16_000  # images and clouds; the largest joint state is far below


@dataclass(frozen=True)
class Traffic:
    """Totals of an episode so far.

    Attributes:
        written: messages passed to the bag, by channel.
        bytes: bytes of all these messages.
    """

    written: Counter[Channel]
    bytes: int


class EpisodeWriter:
    """Feeds a BagWriter from its own thread.

    One producer thread may call ``offer``. An error of the writer is stored in ``error`` and stops
    the writing; all later messages are counted as lost at the writer.
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
        """Create the writer; ``start`` starts its thread.

        Args:
            writer: an open writer.
            directory: its ``.partial`` bag directory.
            max_queue_bytes: size of the queue. Messages above it are dropped, large ones (images,
                clouds) already above half of it.
            losses: where drops are counted.
            kept: channels that are never dropped.
            on_written: called in the writer thread with every written batch.
            before_sync: called in the writer thread before each sync; returns samples to write.
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
        self._grown = (0, 0)  # size of the files and bytes written when they last grew
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="episode_writer", daemon=True)

    def start(self) -> None:
        """Start the thread; batches offered before wait in the queue."""
        self._thread.start()

    @property
    def queued_bytes(self) -> int:
        """Return the bytes that wait for the writer."""
        return self._offered_bytes - self._taken_bytes

    @property
    def traffic(self) -> Traffic:
        """Return the totals so far."""
        return Traffic(self._written.copy(), self._written_bytes)

    def offer(self, batch: Batch, free: bool = False) -> None:
        """Queue a batch; messages that do not fit are counted as lost.

        Args:
            batch: in order of receipt.
            free: already in memory (pre-roll), so the limit does not apply.
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
        """Write the queue and close the bag.

        Raises:
            BagError: writing failed, now or earlier.
        """
        self._closing.set()
        self._thread.join()
        self._lose_queue()  # an offer may have slipped in while the thread ended
        if self.error is not None:
            raise BagError(
                str(self.error)
            )  # a new one: raising the old one would keep its frames alive

    def _run(self) -> None:
        synced = time.monotonic()
        while True:
            closing = (
                self._closing.is_set()
            )  # read first, so that everything queued by then is written
            self._guard(self._drain)
            if closing and not self._queue:
                break
            if time.monotonic() - synced >= SYNC_PERIOD_S:
                self._guard(self._sync)
                synced = time.monotonic()
            if not self._queue:
                self._closing.wait(_DRAIN_PERIOD_S)
        self._guard(lambda: self._write(list(self._before_sync())))
        # After an error the file may end in a torn chunk: recovery repairs it.
        self._guard(self._writer.close)
        if self.error is not None:
            self._writer.abandon()
        # Breaks reference cycles, so that the memory is freed without the garbage collector.
        del self._writer, self._on_written, self._before_sync

    def _guard(self, action: Callable[[], None]) -> None:
        if self.error is None:
            try:
                action()
            except Exception as error:  # any error must be reported, not end the thread silently
                self.error = self._as_bag_error(error)
        if self.error is not None:
            self._lose_queue()

    def _as_bag_error(self, error: Exception) -> BagError:
        if isinstance(error, BagError):
            return BagError(str(error))  # without the traceback, which keeps objects alive
        return BagError(f"writing {self.directory} failed: {type(error).__name__}: {error}")

    def _drain(self) -> None:
        # Not until it is empty: on a slow disk it never is, and sync would never run.
        samples: list[Sample] = []
        most = self._written_bytes + _DRAIN_BYTES
        for _ in range(min(len(self._queue), _DRAIN_MOST)):
            batch, cost = self._queue.popleft()
            self._taken_bytes += cost
            self._written_bytes += batch.bytes
            samples += batch.samples
            if self._written_bytes > most:
                break
        self._write(samples)

    def _write(self, samples: list[Sample]) -> None:
        if not samples:
            return
        counts = {channel: len(mine) for channel, mine in by_channel(samples).items()}
        new = [channel for channel in counts if channel not in self._written]
        # Counted before writing; after an error, recovery counts the file itself.
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
            with os.scandir(self.directory) as files:  # each time: a writer may begin new ones
                size = sum(file.stat().st_size for file in files if file.name.endswith(".mcap"))
        except OSError as error:
            if error.errno in OUT_OF_FILES:
                return
            raise BagError(
                f"{self.directory} is gone: {error}; was it moved, or its disk unmounted?"
            ) from error
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
