"""Is every stream arriving as its profile says? Counted while samples pass, asked when needed."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from robot_recorder.core.streams import NS_PER_S, StreamConfig, StreamHealth

WINDOW_NS = 2 * NS_PER_S  # a rate is measured over this
STALE_NS = NS_PER_S // 2  # silence that counts as stale; longer for slow streams
SLOW_SHARE = 0.8  # below this share of the expected rate a stream is slow
_BUCKET_NS = NS_PER_S // 10


@dataclass(frozen=True)
class HealthReport:
    """One stream's state at one instant.

    Attributes:
        rate_hz: measured over the last two seconds.
        age_s: since the last sample; -1 when never heard.
        remedy: what to do; empty when OK.
    """

    health: StreamHealth
    rate_hz: float
    age_s: float
    remedy: str


class HealthMonitor:
    """Counts one stream's samples in tenths of a second. Constant memory, O(1) a sample."""

    def __init__(self, config: StreamConfig, topic: str) -> None:
        self.config = config
        self.topic = topic
        self.received = 0
        self.wrong_type: str = ""
        self._last_ns = 0
        self._since_ns = 0
        self._buckets: deque[list[int]] = deque(maxlen=WINDOW_NS // _BUCKET_NS + 1)

    def on_sample(self, receive_ns: int) -> None:
        """Count one sample."""
        self.received += 1
        bucket = receive_ns // _BUCKET_NS
        if self._buckets and self._buckets[-1][0] == bucket:
            self._buckets[-1][1] += 1
        else:
            if receive_ns - self._last_ns > WINDOW_NS:
                self._since_ns = receive_ns  # it (re)started: measure from here
            self._buckets.append([bucket, 1])
        self._last_ns = receive_ns

    def rate_hz(self, now_ns: int) -> float:
        """Samples a second over the last two seconds, or since the stream (re)started."""
        # Whole buckets only: the running one is not full yet.
        last = now_ns // _BUCKET_NS
        first = max(last - WINDOW_NS // _BUCKET_NS, self._since_ns // _BUCKET_NS + 1)
        if last <= first:
            return 0.0
        count = sum(n for bucket, n in tuple(self._buckets) if first <= bucket < last)
        return count * NS_PER_S / ((last - first) * _BUCKET_NS)

    def report(self, now_ns: int) -> HealthReport:
        """State now, with the remedy."""
        config = self.config
        age_s = (now_ns - self._last_ns) / NS_PER_S if self.received else -1.0
        rate = self.rate_hz(now_ns)
        if self.wrong_type:
            remedy = (
                f"{self.topic} is published as {self.wrong_type}, the profile says {config.type}: "
                "correct the profile or the publisher"
            )
            return HealthReport(StreamHealth.WRONG_TYPE, rate, age_s, remedy)
        if not self.received:
            remedy = f"nothing ever arrived on {self.topic}: start its driver or correct the topic"
            return HealthReport(StreamHealth.NEVER, 0.0, age_s, remedy)
        if config.rate_hz is None:
            return HealthReport(StreamHealth.OK, rate, age_s, "")
        patience_ns = max(STALE_NS, 3 * NS_PER_S / config.rate_hz)
        if now_ns - self._last_ns > patience_ns:
            remedy = f"{self.topic} fell silent {age_s:.1f} s ago: check its driver"
            return HealthReport(StreamHealth.STALE, rate, age_s, remedy)
        # A stream that has just begun has no rate yet; it is arriving, and that is all there is to say.
        young = now_ns - self._since_ns < NS_PER_S
        # One sample more or less in the window is chance.
        if not young and rate + NS_PER_S / WINDOW_NS < SLOW_SHARE * config.rate_hz:
            remedy = (
                f"{self.topic} arrives at {rate:.1f} Hz, the profile says {config.rate_hz:g} Hz: "
                "check its driver and the network, or correct the profile"
            )
            return HealthReport(StreamHealth.SLOW, rate, age_s, remedy)
        return HealthReport(StreamHealth.OK, rate, age_s, "")
