"""The last seconds of every stream, in memory: an episode's beginning, before anyone asked for it."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from robot_recorder.model.losses import Dropout, Place
from robot_recorder.model.streams import NS_PER_MS, NS_PER_S
from robot_recorder.model.topics import Batch, Sample

_EVICTED_MOST = 1000  # simulated time can stand still, and with it what is young enough
_SHORTEST_NS = 200 * NS_PER_MS  # a data rate is not told from less


class Ring:
    """Batches of the last seconds, bounded in time and in bytes.

    Whole batches leave, oldest first. What leaves because of the bytes although it is young enough
    is remembered, so that an episode can say that it lacks it.
    """

    def __init__(self, span_ns: int, max_bytes: int) -> None:
        self.span_ns = span_ns
        self.bytes = 0
        self._max_bytes = max_bytes
        self._batches: deque[Batch] = deque()
        self._evicted: deque[Batch] = deque(maxlen=_EVICTED_MOST)  # without data

    def push(self, batch: Batch, held_ns: int = 0) -> None:
        """Add the newest batch, let go of the oldest.

        Args:
            held_ns: what was received since then must not leave; 0: nothing is held.
        """
        batches = self._batches
        batches.append(batch)
        self.bytes += batch.bytes
        oldest_ns = batch.samples[-1].receive_ns - self.span_ns
        oldest_ns = min(oldest_ns, held_ns or oldest_ns)
        while batches[0].samples[-1].receive_ns < oldest_ns:
            self.bytes -= batches.popleft().bytes
        while self._evicted and self._evicted[0].samples[-1].receive_ns < oldest_ns:
            self._evicted.popleft()
        while self.bytes > self._max_bytes and len(batches) > 1:
            out = batches[0]
            if held_ns and out.samples[-1].receive_ns >= held_ns:
                break
            self.bytes -= batches.popleft().bytes
            emptied = [s._replace(data=b"") for s in out.samples]
            self._evicted.append(Batch(emptied, out.dropouts))

    def since(self, from_ns: int) -> Batch:
        """Everything received at or after a time that is still here, and what is not."""
        samples: list[Sample] = []
        dropouts: list[Dropout] = []
        for batch in self._batches:
            samples += _since(batch, from_ns)
        for batch in (*self._evicted, *self._batches):
            dropouts += [d for d in batch.dropouts if d.end_ns >= from_ns]
        gone: dict[str, list[int]] = {}
        for batch in self._evicted:
            for sample in _since(batch, from_ns):
                gone.setdefault(sample.channel.topic, []).append(sample.receive_ns)
        dropouts += [Dropout(t, Place.RING, len(at), at[0], at[-1]) for t, at in gone.items()]
        return Batch(samples, dropouts)

    @property
    def bytes_per_s(self) -> float:
        """Data rate over what is here; 0 while that is too little to tell."""
        if not self._batches:
            return 0.0
        span_ns = self._batches[-1].samples[-1].receive_ns - self._batches[0].samples[0].receive_ns
        return self.bytes * NS_PER_S / span_ns if span_ns > _SHORTEST_NS else 0.0

    def shift(self, by_ns: int) -> None:
        """The robot clock was set: move all stamps."""
        for batches in (self._batches, self._evicted):
            moved = [
                replace(
                    batch,
                    samples=[s._replace(receive_ns=s.receive_ns + by_ns) for s in batch.samples],
                    dropouts=[
                        replace(d, start_ns=d.start_ns + by_ns, end_ns=d.end_ns + by_ns)
                        for d in batch.dropouts
                    ],
                )
                for batch in batches
            ]
            batches.clear()
            batches.extend(moved)


def _since(batch: Batch, from_ns: int) -> list[Sample]:
    if batch.samples[0].receive_ns >= from_ns:
        return batch.samples
    return [s for s in batch.samples if s.receive_ns >= from_ns]
