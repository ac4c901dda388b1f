"""One episode being written: a bounded queue in front, a thread behind. Whoever offers never waits."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from robot_recorder.core.errors import BagError
from robot_recorder.core.topics import BagTopic
from robot_recorder.storage.writer import BagWriter

SYNC_PERIOD_S = 0.5  # with the longest flush seen, well inside the promised second
_DRAIN_MOST = 2000  # messages between two looks at the clock
_DRAIN_PERIOD_S = 0.02  # waking once for many messages is what makes writing cheap


@dataclass(frozen=True)
class EpisodeCounts:
    """Totals of an episode, per topic.

    Attributes:
        written: messages in the bag.
        dropped: messages offered, but the queue was full or the writer had failed.
        bytes: message bytes in the bag, all topics together.
    """

    written: Counter[str]
    dropped: Counter[str]
    bytes: int

    @property
    def topics(self) -> list[str]:
        """All topics something was offered on, sorted."""
        return sorted({*self.written, *self.dropped})


class EpisodeWriter:
    """Feeds a BagWriter from its own thread.

    ``offer`` is for one producer thread. An error of the writer ends writing, is kept in ``error``
    and counts everything after it as dropped; what was written stays.
    """

    def __init__(
        self,
        writer: BagWriter,
        directory: Path,
        facts: dict[str, str],
        max_queue_bytes: int,
        on_written: Callable[[str, bytes], None],
    ) -> None:
        """
        Args:
            writer: a fresh writer.
            directory: the ``.partial`` bag directory to create.
            facts: custom_data known at the start.
            max_queue_bytes: what is offered while more than this waits is dropped and counted.
            on_written: called in the writer thread with topic and bytes of each message written.

        Raises:
            BagError: the directory can not be created.
        """
        self.directory = directory
        self.error: BagError | None = None
        self._writer = writer
        self._max_queue_bytes = max_queue_bytes
        self._on_written = on_written
        self._queue: deque[tuple[BagTopic, bytes, int, int]] = deque()
        # Each counter is changed by one thread only: refused by the producer, the rest by the writer.
        self._refused: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self._written: Counter[str] = Counter()
        self._offered_bytes = self._taken_bytes = self._written_bytes = 0
        self._closing = threading.Event()
        writer.open(directory, facts)
        self._thread = threading.Thread(target=self._run, name="episode_writer", daemon=True)
        self._thread.start()

    @property
    def queued_bytes(self) -> int:
        """Bytes waiting for the writer."""
        return self._offered_bytes - self._taken_bytes

    @property
    def counts(self) -> EpisodeCounts:
        """Totals so far."""
        # Copies first: a copy is one step for the interpreter, a sum is not, and others are counting.
        refused, lost = self._refused.copy(), self._lost.copy()
        return EpisodeCounts(self._written.copy(), refused + lost, self._written_bytes)

    def offer(self, topic: BagTopic, data: bytes, receive_ns: int, send_ns: int) -> None:
        """Queue one message, or count it as dropped."""
        if self.error is not None or self.queued_bytes > self._max_queue_bytes:
            self._refused[topic.name] += 1
            return
        self._offered_bytes += len(data)
        self._queue.append((topic, data, receive_ns, send_ns))

    def close(self) -> None:
        """Write what is queued and close the bag.

        Raises:
            BagError: writing failed, now or earlier.
        """
        self._closing.set()
        self._thread.join()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        synced = time.monotonic()
        while True:
            closing = self._closing.is_set()  # asked first: what was queued by then is written
            self._guard(self._drain)
            if closing and not self._queue:
                break
            if time.monotonic() - synced >= SYNC_PERIOD_S:
                self._guard(self._writer.sync)
                synced = time.monotonic()
            if not self._queue:
                self._closing.wait(_DRAIN_PERIOD_S)
        try:
            self._writer.close()
        except Exception as error:
            self.error = self.error or self._as_bag_error(error)

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
            return error
        return BagError(f"writing {self.directory} failed: {type(error).__name__}: {error}")

    def _drain(self) -> None:
        written = self._written
        # Not "until it is empty": on a disk that is too slow it never is, and sync would never come.
        for _ in range(min(len(self._queue), _DRAIN_MOST)):
            topic, data, receive_ns, send_ns = self._queue[0]
            if topic.name not in written:
                self._writer.add_topic(topic)
                written[topic.name] = 0
            self._writer.write(topic.name, data, receive_ns, send_ns)
            self._queue.popleft()
            self._taken_bytes += len(data)
            self._written_bytes += len(data)
            written[topic.name] += 1
            self._on_written(topic.name, data)

    def _lose_queue(self) -> None:
        while self._queue:
            topic, data, _, _ = self._queue.popleft()
            self._taken_bytes += len(data)
            self._lost[topic.name] += 1
