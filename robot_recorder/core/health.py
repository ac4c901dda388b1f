"""Is every stream arriving as its profile says? Counted while samples pass, asked when needed."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from robot_recorder.core.streams import (
    NS_PER_S,
    RobotProfile,
    SourceClockKind,
    StreamConfig,
    StreamHealth,
)
from robot_recorder.core.topics import Channel

WINDOW_NS = 2 * NS_PER_S  # a rate is measured over this
SLOW_SHARE = 0.8  # below this share of the expected rate a stream is slow
_BUCKET_NS = NS_PER_S // 10
_BUCKETS = WINDOW_NS // _BUCKET_NS


@dataclass(frozen=True)
class HealthReport:
    """One stream's state at one instant.

    Attributes:
        rate_hz: measured over the last two seconds.
        age_s: since the last sample; -1 when never heard.
        clock_offset_s: how far its stamps are behind receipt at best, which is its clock's offset plus
            its shortest delay; None when its messages carry no stamp.
        remedy: what to do; empty when OK.
    """

    health: StreamHealth
    rate_hz: float
    age_s: float
    clock_offset_s: float | None
    remedy: str


class HealthMonitor:
    """Counts one stream's samples in tenths of a second. Constant memory, little work."""

    def __init__(self, config: StreamConfig, channel: Channel, profile: RobotProfile) -> None:
        """
        Args:
            channel: what the ingest knows of the stream.
            profile: for its limits.
        """
        self.config = config
        self.channel = channel
        self.topic = channel.topic
        self.received = 0
        self._profile = profile
        self._last_ns = 0
        self._since_ns = 0
        self._buckets: deque[list[int]] = deque(maxlen=_BUCKETS + 1)
        self._offsets: deque[int] = deque(maxlen=2 * _BUCKETS)

    def on_samples(self, count: int, receive_ns: int) -> None:
        """Count samples received up to a time, a moment after each other."""
        self.received += count
        bucket = receive_ns // _BUCKET_NS
        if self._buckets and self._buckets[-1][0] == bucket:
            self._buckets[-1][1] += count
        else:
            if receive_ns - self._last_ns > WINDOW_NS:
                self._since_ns = receive_ns  # it (re)started: measure from here
            self._buckets.append([bucket, count])
        self._last_ns = receive_ns

    def on_stamp(self, receive_ns: int, stamp_ns: int) -> None:
        """Compare a message's own stamp with its receipt."""
        if stamp_ns:  # 0: its publisher does not stamp
            self._offsets.append(receive_ns - stamp_ns)

    def shift(self, by_ns: int) -> None:
        """The robot clock was set: measure anew, from there."""
        self._last_ns += by_ns
        self._since_ns = self._last_ns
        self._buckets.clear()
        self._offsets.clear()

    def rate_hz(self, now_ns: int) -> float:
        """Samples a second over the last two seconds, or since the stream (re)started."""
        # Whole buckets only: the running one is not full yet.
        last = now_ns // _BUCKET_NS
        first = max(last - _BUCKETS, self._since_ns // _BUCKET_NS + 1)
        if last <= first:
            return 0.0
        count = sum(n for bucket, n in tuple(self._buckets) if first <= bucket < last)
        return count * NS_PER_S / ((last - first) * _BUCKET_NS)

    def report(self, now_ns: int) -> HealthReport:
        """State now, with the remedy."""
        health, remedy = self._judge(now_ns)
        return HealthReport(
            health,
            self.rate_hz(now_ns) if self.received else 0.0,
            (now_ns - self._last_ns) / NS_PER_S if self.received else -1.0,
            self._offset_ns() / NS_PER_S if self._offsets else None,
            remedy,
        )

    def _offset_ns(self) -> int:
        return min(tuple(self._offsets))

    def _judge(self, now_ns: int) -> tuple[StreamHealth, str]:
        config, channel, topic = self.config, self.channel, self.topic
        if channel.wrong_type:
            return StreamHealth.WRONG_TYPE, (
                f"{topic} is published as {channel.wrong_type}, the profile says {config.type}: "
                "correct the profile or the publisher"
            )
        if channel.publishers and channel.unheard == channel.publishers:
            return StreamHealth.UNHEARD, (
                f"{topic} is published with a QoS that the profile's qos can not hear: take qos out of "
                "the profile, it then follows the publisher"
            )
        if not self.received:
            return StreamHealth.NEVER, self._never_remedy()
        if config.rate_hz is None:
            return StreamHealth.OK, ""
        silent_ns = now_ns - self._last_ns
        if silent_ns > max(self._profile.stale_ns, 3 * NS_PER_S / config.rate_hz):
            remedy = f"{topic} fell silent {silent_ns / NS_PER_S:.1f} s ago: check its driver"
            return StreamHealth.STALE, remedy
        own = config.clock is SourceClockKind.DEVICE  # its offset is taken out, however large
        if self._offsets and not own and abs(self._offset_ns()) > self._profile.max_clock_offset_ns:
            return StreamHealth.CLOCK, self._clock_remedy()
        # A stream that has just begun has no rate yet; it is arriving, and that is all there is to say.
        young = now_ns - self._since_ns < NS_PER_S
        rate = self.rate_hz(now_ns)
        # One sample more or less in the window is chance.
        if not young and rate + NS_PER_S / WINDOW_NS < SLOW_SHARE * config.rate_hz:
            return StreamHealth.SLOW, (
                f"{topic} arrives at {rate:.1f} Hz, the profile says {config.rate_hz:g} Hz: "
                "check its driver and the network, or correct the profile"
            )
        return StreamHealth.OK, ""

    def _never_remedy(self) -> str:
        if not self.channel.publishers:
            return f"nothing ever arrived on {self.topic}: start its driver or correct the topic"
        # Fast DDS may write into a killed process's shared memory for good: a port of the same number
        # is taken for the new one's (SharedMemGlobal.hpp, WatchTask: a listener that died at work).
        return (
            f"nothing ever arrived on {self.topic}, though it has a publisher: see that its driver sends; "
            "if a recorder was killed before, restart the driver, or this with FASTDDS_BUILTIN_TRANSPORTS=UDPv4"
        )

    def _clock_remedy(self) -> str:
        offset_s = self._offset_ns() / NS_PER_S
        limit_s = self._profile.max_clock_offset_ns / NS_PER_S
        return (
            f"{self.topic} is stamped {abs(offset_s):.3g} s {'before' if offset_s > 0 else 'after'} its "
            f"receipt, {limit_s:g} s are allowed: synchronise its clock (chrony, PTP), say "
            "'clock: device' in the profile, or raise max_clock_offset_ms there"
        )
