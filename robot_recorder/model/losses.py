"""Count lost messages, those sent but not in the bag, by topic and place."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum


class Place(IntEnum):
    """Where a message was lost, as Dropout.PLACE_*.

    Found by ``nodes/topic_reader.py`` (DDS: gaps in the publishers' message numbers),
    ``recorder/ring.py`` (RING), ``recorder/write_behind.py`` (QUEUE, WRITER), after an aborted write
    ``recorder/recording.py`` (WRITER), and ``encoding/encoders.py`` (ENCODER).
    """

    DDS = 0
    RING = 1
    QUEUE = 2
    WRITER = 3
    ENCODER = 4

    @property
    def text(self) -> str:
        """Return its name in reports: dds, ring, queue, writer, encoder."""
        return self.name.lower()


@dataclass(frozen=True)
class Dropout:
    """Consecutive messages of one topic that were lost at one place.

    Attributes:
        topic: fully qualified name.
        place: where they were lost.
        count: number of messages; None: unknown, may be 0.
        start_ns, end_ns: receive times of the first and last one, robot clock; of their neighbours
            if they were never received.
        why: why the count is unknown.
    """

    topic: str
    place: Place
    count: int | None
    start_ns: int
    end_ns: int
    why: str = ""


class LossLedger:
    """The losses of an episode. Any thread may use it."""

    def __init__(self) -> None:
        """Start without losses."""
        self._lock = threading.Lock()
        self._totals: Counter[tuple[str, Place]] = Counter()
        self._open: dict[tuple[str, Place], Dropout] = {}
        self._unknown: dict[tuple[str, Place], str] = {}

    def add(self, loss: Dropout) -> None:
        """Count a loss; ``take_reports`` returns it, merged with later ones at the same place."""
        key = loss.topic, loss.place
        with self._lock:
            if loss.count is None:
                self._unknown.setdefault(key, loss.why)
                return
            self._totals[key] += loss.count
            before = self._open.get(key)
            if before is not None:
                start_ns = min(before.start_ns, loss.start_ns)
                end_ns = max(before.end_ns, loss.end_ns)
                loss = Dropout(*key, (before.count or 0) + loss.count, start_ns, end_ns)
            self._open[key] = loss

    def take_reports(self) -> list[Dropout]:
        """Return the losses since the last call, one entry for each topic and place."""
        with self._lock:
            reports, self._open = list(self._open.values()), {}
        return reports

    def count(self, topic: str, place: Place) -> int | None:
        """Return the number of messages lost so far; None: unknown."""
        return None if (topic, place) in self._unknown else self._totals[topic, place]

    @property
    def unknown(self) -> dict[str, str]:
        """Return the topics with an unknown number of losses, and why."""
        with self._lock:
            return {topic: why for (topic, _), why in self._unknown.items()}

    def total(self, where: Callable[[Place], bool] = lambda _: True) -> int:
        """Return the number of known losses of all topics, at the places that ``where`` accepts."""
        with self._lock:
            return sum(n for (_, place), n in self._totals.items() if where(place))

    @property
    def topics(self) -> set[str]:
        """Return the topics with losses."""
        with self._lock:
            return {topic for topic, _ in (*self._totals, *self._unknown)}
