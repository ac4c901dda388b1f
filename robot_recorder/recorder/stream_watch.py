"""What a recorder keeps an eye on while samples pass: every stream's health, and what is latched."""

from __future__ import annotations

from collections import Counter
from operator import itemgetter

from robot_recorder.clocks.robot_clock import RobotClock
from robot_recorder.messages.cdr import header_stamp_ns
from robot_recorder.model.errors import DecodeError
from robot_recorder.model.streams import NS_PER_MS, RobotProfile, StreamConfig
from robot_recorder.model.topics import Channel, Sample
from robot_recorder.recorder.health import HealthMonitor, HealthReport
from robot_recorder.recorder.latched import LatchedCache

_channel = itemgetter(0)
_PERIOD_NS = 50 * NS_PER_MS
_MOST = 5000  # samples


class StreamWatch:
    """Looks at samples some at a time: many at once cost little more than one."""

    def __init__(self, profile: RobotProfile, clock: RobotClock) -> None:
        """
        Args:
            clock: of the samples' stamps.
        """
        self.monitors: dict[Channel, HealthMonitor] = {}
        self.latched = LatchedCache()
        self._profile = profile
        self._robot_clock = clock
        self._waiting: list[Sample] = []
        self._looked_ns = 0

    @property
    def streams(self) -> dict[Channel, StreamConfig]:
        """What is watched."""
        return {channel: monitor.config for channel, monitor in self.monitors.items()}

    def watch(self, channel: Channel, config: StreamConfig) -> None:
        """Judge a channel's health by a stream's configuration."""
        self.monitors[channel] = HealthMonitor(config, channel, self._profile)

    def add(self, samples: list[Sample]) -> None:
        """Take samples in order of receipt."""
        self._waiting += samples
        if len(self._waiting) > _MOST or self._looked_ns + _PERIOD_NS < samples[-1].receive_ns:
            self.look()

    def look(self) -> None:
        """Bring everything up to what has been added."""
        samples, self._waiting = self._waiting, []
        if not samples:
            return
        self._looked_ns = samples[-1].receive_ns
        counts = Counter(map(_channel, samples))
        newest = dict(zip(map(_channel, samples), samples))
        for channel, count in counts.items():
            monitor = self.monitors.get(channel)
            if monitor is not None:
                monitor.on_samples(count, newest[channel].receive_ns)
                if channel.stamped:
                    self._compare_stamp(monitor, newest[channel])
        if any(channel.latched for channel in counts):
            for sample in samples:
                if sample.channel.latched:
                    self.latched.keep(sample)

    def _compare_stamp(self, monitor: HealthMonitor, sample: Sample) -> None:
        try:
            stamp_ns = header_stamp_ns(sample.data)
        except DecodeError:
            return  # not a header: the bag keeps it, checks will say so
        if stamp_ns and not self._robot_clock.plain:
            stamp_ns = self._robot_clock.stamp(stamp_ns)
        monitor.on_stamp(sample.receive_ns, stamp_ns)

    def shift(self, by_ns: int) -> None:
        """The robot clock was set: what is added from now on is of another time."""
        self.look()
        self.latched.shift(by_ns)
        for monitor in self.monitors.values():
            monitor.shift(by_ns)

    def health(self, now_ns: int) -> list[tuple[HealthMonitor, HealthReport]]:
        """Every stream's state, in the order they were watched."""
        self.look()
        return [(monitor, monitor.report(now_ns)) for monitor in self.monitors.values()]
