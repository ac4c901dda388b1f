"""Reads a bag's messages in order of receipt, as playback needs them.

A thread reads a second or two ahead of playback and no further, because a bag may be larger than
memory.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from robot_recorder.bags.columns import Column, read_columns
from robot_recorder.model.arrays import Int64s
from robot_recorder.model.errors import BagError
from robot_recorder.model.payloads import Payloads

_BATCH_BYTES = 1_000_000
_BATCH_MESSAGES = 200
_BATCHES = 16  # read ahead: about 16 MB, or 3,000 messages


class Message(NamedTuple):
    """A message to publish.

    Attributes:
        at_ns: time of receipt, ns since the epoch.
        topic: its name.
        data: its bytes, CDR.
        latched: whether it was sent before the beginning of playback on a latched topic.
    """

    at_ns: int
    topic: str
    data: bytes
    latched: bool = False


class _Run(NamedTuple):
    """Messages of one topic: times of receipt and indices into the payloads."""

    topic: str
    times: Int64s
    payloads: Payloads
    numbers: Int64s


def messages(path: Path, topics: set[str], from_ns: int = 0) -> Iterator[Message]:
    """Yield the messages of a bag received from ``from_ns`` on, in order of receipt.

    Raises:
        BagError: the bag is damaged; all messages before have been yielded.
    """
    waiting: list[_Run] = []
    for segment in read_columns(path, topics, from_ns):
        waiting += [_run(topic, column, from_ns) for topic, column in segment.columns.items()]
        yield from _merged([_part(run, run.times < segment.until_ns) for run in waiting])
        later = [_part(run, run.times >= segment.until_ns) for run in waiting]
        waiting = [run for run in later if len(run.times)]
    yield from _merged(waiting)


def messages_from(
    path: Path, topics: set[str], latched: Mapping[str, int], from_ns: int
) -> Iterator[Message]:
    """Yield what a late subscriber still gets of latched topics, then ``messages``.

    The latched messages are given the time ``from_ns``.

    Args:
        path: the bag.
        topics: to play.
        latched: how many messages the publisher of each latched topic keeps.
        from_ns: beginning of playback, ns since the epoch.
    """
    for message in _latched_before(path, latched, from_ns):
        yield message._replace(at_ns=from_ns, latched=True)
    yield from messages(path, topics, from_ns)


def _latched_before(path: Path, depths: Mapping[str, int], from_ns: int) -> list[Message]:
    kept: dict[str, deque[Message]] = {t: deque(maxlen=max(n, 1)) for t, n in depths.items()}
    if kept:
        for message in messages(path, set(kept)):
            if message.at_ns >= from_ns:
                break
            kept[message.topic].append(message)
    return sorted((m for found in kept.values() for m in found), key=lambda m: m.at_ns)


def _run(topic: str, column: Column, from_ns: int) -> _Run:
    numbers = np.arange(len(column.receives))
    whole = _Run(topic, column.receives, column.payloads, numbers)
    return _part(whole, column.receives >= from_ns)


def _part(run: _Run, wanted: np.ndarray) -> _Run:
    return run._replace(times=run.times[wanted], numbers=run.numbers[wanted])


def _merged(runs: list[_Run]) -> Iterator[Message]:
    if not runs:
        return
    times = np.concatenate([run.times for run in runs])
    whose = np.repeat(np.arange(len(runs)), [len(run.times) for run in runs])
    numbers = np.concatenate([run.numbers for run in runs])
    order = np.argsort(times, kind="stable")  # equal times keep the order of the file
    for at in range(0, len(order), _BATCH_MESSAGES):
        some = order[at : at + _BATCH_MESSAGES]
        for at_ns, which, number in zip(
            times[some].tolist(), whose[some].tolist(), numbers[some].tolist()
        ):
            yield Message(at_ns, runs[which].topic, runs[which].payloads[number])


class ReadAhead:
    """A queue of messages that a thread reads ahead. All methods belong to one other thread.

    Attributes:
        ended: there are no more messages.
        problem: why the bag could not be read to its end; None: no problem so far.
    """

    def __init__(self, source: Iterable[Message]) -> None:
        self.ended = False
        self.problem: Exception | None = None
        self._batch: deque[Message] = deque()
        # Batches, then at the end the problem or None.
        self._batches: queue.Queue[deque[Message] | Exception | None] = queue.Queue(_BATCHES)
        self._closed = threading.Event()
        threading.Thread(target=self._read, args=(source,), name="read ahead", daemon=True).start()

    def head(self) -> Message | None:
        """Return the next message; None: it has not been read yet, or there are no more."""
        if not self._batch and not self.ended and not self._batches.empty():
            batch = self._batches.get_nowait()
            if isinstance(batch, deque):
                self._batch = batch
            else:
                self.ended, self.problem = True, batch
        return self._batch[0] if self._batch else None

    def pop(self) -> None:
        """Drop the next message."""
        self._batch.popleft()

    def close(self) -> None:
        """Make the thread end after the message that it is reading."""
        self._closed.set()
        while not self._batches.empty():  # the thread may be waiting for a free slot
            self._batches.get_nowait()

    def _read(self, source: Iterable[Message]) -> None:
        batch: deque[Message] = deque()
        size = 0
        problem: Exception | None = None
        try:
            for message in source:
                if self._closed.is_set():
                    return
                batch.append(message)
                size += len(message.data)
                if size >= _BATCH_BYTES or len(batch) >= _BATCH_MESSAGES:
                    self._batches.put(batch)
                    batch, size = deque(), 0
        except BagError as error:
            problem = error
        except Exception as error:  # an error in a thread would go unnoticed
            problem = BagError(
                f"the rest of the bag cannot be read: {type(error).__name__}: {error}"
            )
        if batch:
            self._batches.put(batch)
        self._batches.put(problem)
