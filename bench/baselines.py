"""Baselines for alignment: the latest message at a timer, and pairs within a slop."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from synthetic import Recorded


def latest_at_timer(streams: list[Recorded], ticks: np.ndarray) -> np.ndarray:
    """Return int64[ticks, streams], the newest message of each stream at each tick; -1: none."""
    return np.stack([np.searchsorted(s.receives, ticks, "right") - 1 for s in streams], axis=1)


class Slop:
    """A copy of ``message_filters.ApproximateTimeSynchronizer`` in its Python version.

    Every stream has a queue sorted by stamp that drops its oldest message. For each new message,
    the
    other streams' messages within the slop are tried by distance; the first set that is within the
    slop as a whole is a frame, and its messages are removed.
    Source: ros2/message_filters, src/message_filters/__init__.py.
    """

    def __init__(
        self, streams: int, queue_size: int, slop_ns: int, emit: Callable[..., None]
    ) -> None:
        self._queues: list[dict[int, int]] = [{} for _ in range(streams)]
        self._queue_size = queue_size
        self._slop_ns = slop_ns
        self._emit = emit

    def add(self, stream: int, stamp_ns: int, number: int) -> None:
        """Take a message."""
        queue = self._queues[stream]
        queue[stamp_ns] = number
        while len(queue) > self._queue_size:
            del queue[min(queue)]
        near = []
        for other in self._queues:
            found = [s for s in other if abs(s - stamp_ns) <= self._slop_ns]
            if not found:
                return
            near.append(sorted(found, key=lambda s: abs(s - stamp_ns)))
        for chosen in itertools.product(*near):
            if max(chosen) - min(chosen) < self._slop_ns:
                self._emit(*(q.pop(s) for q, s in zip(self._queues, chosen)))
                return


def within_slop(streams: list[Recorded], queue_size: int, slop_ns: int) -> np.ndarray:
    """Return int64[frames, streams], the messages of each frame."""
    frames: list[tuple[int, ...]] = []
    filter_ = Slop(len(streams), queue_size, slop_ns, lambda *numbers: frames.append(numbers))
    for stream, number in arrivals(streams):
        filter_.add(stream, int(streams[stream].stamps[number]), number)
    return np.array(frames, dtype=np.int64).reshape(-1, len(streams))


def real_message_filters(
    streams: list[Recorded], queue_size: int, slop_ns: int
) -> np.ndarray | None:
    """Return the frames of the real ApproximateTimeSynchronizer; None: it is not installed."""
    try:
        from message_filters import ApproximateTimeSynchronizer, SimpleFilter
    except ImportError:
        return None
    from std_msgs.msg import Header

    class Numbered:
        def __init__(self, stamp_ns: int, number: int) -> None:
            self.header, self.number = Header(), number
            self.header.stamp.sec, self.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)

    frames: list[tuple[int, ...]] = []
    inputs = [SimpleFilter() for _ in streams]
    synchronizer = ApproximateTimeSynchronizer(inputs, queue_size, slop_ns / 1e9)
    synchronizer.registerCallback(lambda *m: frames.append(tuple(x.number for x in m)))
    for stream, number in arrivals(streams):
        inputs[stream].signalMessage(Numbered(int(streams[stream].stamps[number]), number))
    return np.array(frames, dtype=np.int64).reshape(-1, len(streams))


def arrivals(streams: list[Recorded]) -> list[tuple[int, int]]:
    """Yield stream and index of every message in order of receipt."""
    order = [
        (int(at), stream, number)
        for stream, s in enumerate(streams)
        for number, at in enumerate(s.receives)
    ]
    return [(stream, number) for _, stream, number in sorted(order)]
