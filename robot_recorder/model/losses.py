"""Messages that were sent and are not in the bag: counted per topic and place, never guessed."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum


class Place(IntEnum):
    """Where a message went missing. Mirrors Dropout.PLACE_*.

    Found by: DDS ``nodes/topic_reader.py``, by gaps in the publishers' numbers; RING ``recorder/ring.py``; QUEUE and
    WRITER ``recorder/write_behind.py``, and after an aborted write ``recorder/recording.py``.
    """

    DDS = 0
    RING = 1
    QUEUE = 2
    WRITER = 3

    @property
    def text(self) -> str:
        """The word in reports: dds, ring, queue, writer."""
        return self.name.lower()


@dataclass(frozen=True)
class Dropout:
    """Messages of one topic that went missing in one place, one after the other.

    Attributes:
        topic: fully qualified name.
        count: how many; None: some, or none: nobody can say.
        start_ns, end_ns: robot clock; of the first and the last one, or of their neighbours where
            they themselves were never seen.
        why: nobody can say.
    """

    topic: str
    place: Place
    count: int | None
    start_ns: int
    end_ns: int
    why: str = ""


class LossLedger:
    """An episode's losses. Any thread may add to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals: Counter[tuple[str, Place]] = Counter()
        self._open: dict[tuple[str, Place], Dropout] = {}
        self._unknown: dict[tuple[str, Place], str] = {}

    def add(self, loss: Dropout) -> None:
        """Count a loss; it is told with what follows it until ``take_reports``."""
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
        """What was lost since the last call, one entry per topic and place."""
        with self._lock:
            reports, self._open = list(self._open.values()), {}
        return reports

    def count(self, topic: str, place: Place) -> int | None:
        """Messages lost so far; None: nobody can say."""
        return None if (topic, place) in self._unknown else self._totals[topic, place]

    @property
    def unknown(self) -> dict[str, str]:
        """Topics of which nobody can say how much they lost, and why."""
        with self._lock:
            return {topic: why for (topic, _), why in self._unknown.items()}

    def total(self, where: Callable[[Place], bool] = lambda _: True) -> int:
        """Messages known to be lost so far, all topics together, in the places asked for."""
        with self._lock:
            return sum(n for (_, place), n in self._totals.items() if where(place))

    @property
    def topics(self) -> set[str]:
        """Topics that lost something."""
        with self._lock:
            return {topic for topic, _ in (*self._totals, *self._unknown)}
