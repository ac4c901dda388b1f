"""Watch passing samples for the health of every stream and for latched messages."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace

from robot_recorder.bags.latched import LatchedCache
from robot_recorder.clocks.robot_clock import RobotClock
from robot_recorder.messages.decoders import NO_VALUES
from robot_recorder.messages.kinds import MAP_IT, lacks_values
from robot_recorder.messages.stamps import StampReader
from robot_recorder.model.samples import by_channel
from robot_recorder.model.streams import NS_PER_MS, RobotProfile, StreamHealth
from robot_recorder.model.topics import Channel, Sample, by_receipt
from robot_recorder.recorder.health import ARRIVES, BUCKET_NS, HealthMonitor, HealthReport
from robot_recorder.recorder.live_stream import LiveStream
from robot_recorder.recorder.still_poses import StillPoses

_PERIOD_NS = 50 * NS_PER_MS
_MOST = 5000  # samples
# Batches come several times a second; without them, silence is what it looks like.
_LATE_NS = 500 * NS_PER_MS
_LOOK_AGAIN_NS = 400 * NS_PER_MS


class StreamWatch:
    """Monitors all streams; processes samples in batches, because many cost little more than one.

    Attributes:
        streams: that are monitored.
        latched: the latched messages.
        until_ns: everything received before has been added, clock of the samples' receive times.
        lacking: a sentence for each required stream that has no values although it could.
    """

    def __init__(
        self, profile: RobotProfile, clock: RobotClock, raw: frozenset[Channel] = frozenset()
    ) -> None:
        """Create it without streams.

        Args:
            profile: gives the limits of health.
            clock: clock of the samples' receive times.
            raw: channels whose messages are recorded only as they are encoded.
        """
        self._raw = raw
        self.streams: list[LiveStream] = []
        self._monitors: dict[Channel, list[tuple[HealthMonitor, StampReader]]] = {}
        self.latched = LatchedCache()
        self._still = StillPoses()
        self.lacking: list[str] = []
        self._profile = profile
        self._robot_clock = clock
        self._waiting: list[Sample] = []
        self._looked_ns = 0
        self.until_ns = 0
        # The end of a batch that was found to be long ago, and when it was.
        self._late_since = (-1, 0)
        self._judged: tuple[object, list[tuple[HealthMonitor, HealthReport]]] = (None, [])

    def watch(self, stream: LiveStream) -> None:
        """Start to monitor a stream."""
        self.streams.append(stream)
        why = stream.no_values
        if lacks_values(stream.config, why):
            reason = why.removeprefix(NO_VALUES)
            self.lacking.append(f"stream '{stream.config.name}' has no values ({reason}): {MAP_IT}")
        channel, config = stream.received
        monitor = HealthMonitor(config, channel, self._profile, stream.reader.text)
        monitor.recorded_topic = stream.channel.topic
        self._monitors.setdefault(channel, []).append((monitor, stream.reader))
        self._judged = (None, [])
        self._still.watch(stream)

    def add(self, samples: list[Sample]) -> None:
        """Take samples in order of receipt."""
        self._waiting += samples
        if len(self._waiting) > _MOST or self._looked_ns + _PERIOD_NS < samples[-1].receive_ns:
            self.look()

    def keep_encoded(self, samples: list[Sample]) -> None:
        """Keep latched messages among those that are recorded, if they were encoded."""
        if any(channel.latched for channel in self._raw):
            encoded = {s.channel for s in self.streams if s.encoded is not None}
            for sample in samples:
                if sample.channel in encoded and sample.channel.latched:
                    self.latched.keep(sample)

    def look(self) -> None:
        """Process all samples added so far."""
        samples, self._waiting = self._waiting, []
        if not samples:
            return
        self._looked_ns = samples[-1].receive_ns
        self._judged = (None, [])
        for channel, mine in by_channel(samples).items():
            newest = mine[-1]
            self._still.see(newest)
            for monitor, reader in self._monitors.get(channel, ()):
                for count, receive_ns in _by_bucket(mine):
                    monitor.on_samples(count, receive_ns)
                # A latched message is as old as it likes: its stamp says nothing about the clock.
                if not channel.latched or monitor.config.rate_hz is not None:
                    self._compare_stamp(monitor, reader, newest)
            if channel.latched and channel not in self._raw:
                for sample in mine:
                    self.latched.keep(sample)

    def _compare_stamp(self, monitor: HealthMonitor, reader: StampReader, sample: Sample) -> None:
        stamp_ns = reader.one(sample.data, sample.send_ns, sample.receive_ns)
        if stamp_ns and not self._robot_clock.plain:
            stamp_ns = self._robot_clock.stamp(stamp_ns)
        monitor.on_stamp(sample.receive_ns, stamp_ns)

    def shift(self, by_ns: int) -> None:
        """Shift all times after the robot clock was set by ``by_ns``."""
        self.look()
        self.until_ns += by_ns
        self.latched.shift(by_ns)
        self._still.shift(by_ns)
        self._judged = (None, [])
        for monitor in self._every():
            monitor.shift(by_ns)

    def health(self, now_ns: int) -> list[tuple[HealthMonitor, HealthReport]]:
        """Return monitor and state of every stream, in the order of ``watch``."""
        self.look()
        if now_ns >= self.until_ns and not self._is_silent(now_ns):
            now_ns = self.until_ns  # what came since then is not known yet
        graph = [(c.publishers, c.unheard, c.wrong_type) for c in self._monitors]
        if (now_ns, graph) == self._judged[0]:  # asked again before anything has come
            return self._judged[1]
        still = self._still.remedies()
        found = []
        for monitor in self._every():
            report = monitor.report(now_ns)
            remedy = still.get(monitor.config.name, "")
            if remedy and report.health in ARRIVES:
                report = replace(report, health=StreamHealth.STILL, remedy=remedy)
            found.append((monitor, report))
        self._judged = (now_ns, graph), found
        return found

    def _is_silent(self, now_ns: int) -> bool:
        """Tell whether no batch has come for long: one look at it may be that of a process that itself stood still."""
        if not self.until_ns:
            return True
        if now_ns - self.until_ns < _LATE_NS:
            return False
        if self._late_since[0] != self.until_ns:
            self._late_since = self.until_ns, now_ns
        return now_ns - self._late_since[1] >= _LOOK_AGAIN_NS

    def received(self) -> dict[Channel, int]:
        """Return how many messages each monitored channel has received."""
        self.look()
        return {channel: part[0][0].received for channel, part in self._monitors.items()}

    def _every(self) -> Iterator[HealthMonitor]:
        yield from (monitor for part in self._monitors.values() for monitor, _ in part)


def _by_bucket(samples: list[Sample]) -> list[tuple[int, int]]:
    """Return the number of samples that came in each tenth of a second, and when the last of them did.

    Those of a process that stood still wait for it, and come in one batch.
    """
    found, begin = [], 0
    while begin < len(samples):
        border_ns = (samples[begin].receive_ns // BUCKET_NS + 1) * BUCKET_NS
        end = bisect_left(samples, border_ns, begin + 1, key=by_receipt)
        found.append((end - begin, samples[end - 1].receive_ns))
        begin = end
    return found
