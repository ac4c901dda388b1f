"""Keep the last message of every publisher of a latched topic, as a late subscriber gets it."""

from __future__ import annotations

from robot_recorder.model.topics import Channel, Sample

MOST_LATCHED = 64  # messages kept per topic, to bound the memory


class LatchedCache:
    """The latched messages that are written at the begin of every episode, and of every file of one."""

    def __init__(self) -> None:
        self._kept: dict[Channel, dict[bytes, Sample]] = {}

    def keep(self, sample: Sample) -> None:
        """Add a message of a latched topic."""
        kept = self._kept.setdefault(sample.channel, {})
        # One message per publisher: /tf_static has several, each with its own transforms.
        # If the middleware does not name the publisher, all distinct messages are kept.
        key = sample.publisher or sample.data
        kept.pop(key, None)
        kept[key] = sample
        if len(kept) > MOST_LATCHED:
            kept.pop(next(iter(kept)))

    def before(self, time_ns: int) -> list[Sample]:
        """Return the messages latched at a time, with that time as receive time."""
        samples: list[Sample] = []
        for channel, kept in self._kept.items():
            alive = [s for s in kept.values() if s.publisher in channel.alive]
            if not alive:
                # Publishers that look alike: keep all distinct messages, rather twice than not at all.
                distinct = channel.publishers < 2 or all(s.publisher for s in kept.values())
                count = max(1, channel.publishers) if distinct else len(kept)
                alive = list(kept.values())[-count:]
            samples += alive
        return [s._replace(receive_ns=time_ns) for s in samples if s.receive_ns < time_ns]

    def shift(self, by_ns: int) -> None:
        """Shift all receive times after the robot clock was set by ``by_ns``."""
        for kept in self._kept.values():
            for key, sample in kept.items():
                kept[key] = sample._replace(receive_ns=sample.receive_ns + by_ns)
