"""The last message of every publisher of a latched topic: what a late joiner would get."""

from __future__ import annotations

from robot_recorder.model.topics import Channel, Sample

_MOST = 64  # messages kept per topic, so that a chatty one cannot fill the memory


class LatchedCache:
    """Keeps what has to stand at the head of every episode."""

    def __init__(self) -> None:
        self._kept: dict[Channel, dict[bytes, Sample]] = {}

    def keep(self, sample: Sample) -> None:
        """Take a message of a latched topic."""
        kept = self._kept.setdefault(sample.channel, {})
        # The last one of each publisher: /tf_static has several, each with transforms of its own.
        # Where the middleware does not say who sent it, everything different is kept.
        key = sample.publisher or sample.data
        kept.pop(key, None)
        kept[key] = sample
        if len(kept) > _MOST:
            kept.pop(next(iter(kept)))

    def before(self, time_ns: int) -> list[Sample]:
        """What was latched at a time, stamped with that time; what came later is not among it."""
        samples: list[Sample] = []
        for channel, kept in self._kept.items():
            alive = [s for s in kept.values() if s.publisher in channel.alive]
            if not alive:
                # Of publishers nobody can tell apart, all that differs is kept: better twice than not at all.
                told_apart = channel.publishers < 2 or all(s.publisher for s in kept.values())
                count = max(1, channel.publishers) if told_apart else len(kept)
                alive = list(kept.values())[-count:]
            samples += alive
        return [s._replace(receive_ns=time_ns) for s in samples if s.receive_ns < time_ns]

    def shift(self, by_ns: int) -> None:
        """The robot clock was set: move all stamps."""
        for kept in self._kept.values():
            for key, sample in kept.items():
                kept[key] = sample._replace(receive_ns=sample.receive_ns + by_ns)
