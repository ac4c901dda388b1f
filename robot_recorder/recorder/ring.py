"""Keep the last seconds of every stream in memory, as the pre-roll of the next episode."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from robot_recorder.model.losses import Dropout, Place
from robot_recorder.model.streams import NS_PER_MS, NS_PER_S
from robot_recorder.model.topics import Batch, Sample

_EVICTED_MOST = 1000  # bounds them if simulated time stands still
_SHORTEST_NS = 200 * NS_PER_MS  # shortest time to measure a data rate over


class Ring:
    """Ring buffer of batches, bounded in time and in bytes.

    Whole batches are dropped, oldest first. Batches dropped early because of the byte limit are
    noted without data, so that an episode can count them as lost.
    """

    def __init__(self, span_ns: int, max_bytes: int) -> None:
        """Create an empty ring.

        Args:
            span_ns: time to keep, ns.
            max_bytes: maximum size of the messages.
        """
        self.span_ns = span_ns
        self.bytes = 0
        self._max_bytes = max_bytes
        self._batches: deque[Batch] = deque()
        self._evicted: deque[Batch] = deque(maxlen=_EVICTED_MOST)  # without data
        self._noted: deque[Dropout] = deque(maxlen=_EVICTED_MOST)  # that came without samples

    def push(self, batch: Batch, held_ns: int = 0) -> None:
        """Add the newest batch and drop the oldest ones above the limits.

        Args:
            batch: must have samples.
            held_ns: keep everything received since then; 0: no such time.
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

    def note(self, dropouts: list[Dropout]) -> None:
        """Add losses that were found without a sample coming."""
        self._noted.extend(dropouts)

    def since(self, from_ns: int) -> Batch:
        """Return the samples received at or after a time, and the dropped ones as dropouts."""
        samples: list[Sample] = []
        dropouts: list[Dropout] = []
        for batch in self._batches:
            samples += _since(batch, from_ns)
        for found in (*(b.dropouts for b in (*self._evicted, *self._batches)), self._noted):
            dropouts += [d for d in found if d.end_ns >= from_ns]
        gone: dict[str, list[int]] = {}
        for batch in self._evicted:
            for sample in _since(batch, from_ns):
                gone.setdefault(sample.channel.topic, []).append(sample.receive_ns)
        dropouts += [Dropout(t, Place.RING, len(at), at[0], at[-1]) for t, at in gone.items()]
        return Batch(samples, dropouts)

    def newest(self, span_ns: int) -> list[Sample]:
        """Return the samples of the last ``span_ns`` that the ring has."""
        if not self._batches:
            return []
        return self.since(self._batches[-1].samples[-1].receive_ns - span_ns).samples

    @property
    def bytes_per_s(self) -> float:
        """Return the data rate of the kept samples, bytes/s; 0: too few to measure."""
        if not self._batches:
            return 0.0
        span_ns = self._batches[-1].samples[-1].receive_ns - self._batches[0].samples[0].receive_ns
        return self.bytes * NS_PER_S / span_ns if span_ns > _SHORTEST_NS else 0.0

    def shortage(self, pre_roll_s: float) -> str:
        """Return that a pre-roll has more data than the ring may keep, and what to do; empty: it has not."""
        rate = self.bytes_per_s
        if rate * pre_roll_s <= self._max_bytes:
            return ""
        return (
            f"the pre-roll of {pre_roll_s:g} s has {rate * pre_roll_s / 1e6:.0f} MB, of which "
            f"{self._max_bytes / 1e6:.0f} MB are kept: raise max_ring_mb, or lower pre_roll_s to "
            f"{int(10 * self._max_bytes / rate) / 10:g}"
        )

    def shift(self, by_ns: int) -> None:
        """Shift all receive times after the robot clock was set by ``by_ns``."""
        for batches in (self._batches, self._evicted):
            moved = [
                replace(
                    batch,
                    samples=[s._replace(receive_ns=s.receive_ns + by_ns) for s in batch.samples],
                    dropouts=_shifted(batch.dropouts, by_ns),
                )
                for batch in batches
            ]
            batches.clear()
            batches.extend(moved)
        noted = _shifted(self._noted, by_ns)
        self._noted.clear()
        self._noted.extend(noted)


def _shifted(dropouts: Iterable[Dropout], by_ns: int) -> list[Dropout]:
    return [replace(d, start_ns=d.start_ns + by_ns, end_ns=d.end_ns + by_ns) for d in dropouts]


def _since(batch: Batch, from_ns: int) -> list[Sample]:
    if batch.samples[0].receive_ns >= from_ns:
        return batch.samples
    return [s for s in batch.samples if s.receive_ns >= from_ns]
