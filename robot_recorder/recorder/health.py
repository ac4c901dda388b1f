"""Is every stream arriving as its profile says? Counted while samples pass, asked when needed."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from robot_recorder.model.quality_result import Level
from robot_recorder.model.quality_rules import delay_ms, future_ms, rate_off
from robot_recorder.model.quality_settings import threshold_of
from robot_recorder.model.streams import (
    NS_PER_MS,
    NS_PER_S,
    RobotProfile,
    SourceClockKind,
    StreamConfig,
    StreamHealth,
)
from robot_recorder.model.topics import Channel

WINDOW_NS = 2 * NS_PER_S  # a rate is measured over this
_BUCKET_NS = NS_PER_S // 10
_JUDGED = ("rate", "clock_future", "clock_delay")
_BY_CHECK = (StreamHealth.OK, StreamHealth.SLOW, StreamHealth.CLOCK)
_BUCKETS = WINDOW_NS // _BUCKET_NS


@dataclass(frozen=True)
class HealthReport:
    """One stream's state at one instant.

    Attributes:
        rate_hz: measured over the last two seconds.
        age_s: since the last sample; -1 when never heard.
        clock_offset_s: how far its stamps are behind receipt at best, which is its clock's offset plus
            its shortest delay; None when its messages carry no stamp.
        remedy: what to do; empty when nothing is. Something is also what arrives too often.
        fails: the quality check that an episode would fail for it; empty: none for certain.
    """

    health: StreamHealth
    rate_hz: float
    age_s: float
    clock_offset_s: float | None
    remedy: str
    fails: str = ""


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
        settings = [profile.quality, config.quality]
        self._thresholds = {check: threshold_of(check, settings) for check in _JUDGED}
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
        fails = self._failing(now_ns) if health in _BY_CHECK and remedy else ""
        return HealthReport(
            health,
            self.rate_hz(now_ns) if self.received else 0.0,
            (now_ns - self._last_ns) / NS_PER_S if self.received else -1.0,
            self._offset_ns() / NS_PER_S if self._offsets else None,
            remedy,
            fails,
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
                f"{topic} is published with a QoS that the profile's qos cannot hear: take qos out of "
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
        if any(figure > limit for figure, limit, _ in self._clock_figures()):
            return StreamHealth.CLOCK, self._clock_remedy()
        rate = self.rate_hz(now_ns)
        if self._is_off(self._rate_off(now_ns), "rate"):
            return StreamHealth.SLOW if rate < config.rate_hz else StreamHealth.OK, (
                f"{topic} arrives at {rate:.1f} Hz, the profile says {config.rate_hz:g} Hz: "
                "check its driver and the network, or correct the profile"
            )
        return StreamHealth.OK, ""

    def _rate_off(self, now_ns: int) -> float:
        """Share of the declared rate; 0 for a stream that has just begun, and has no rate yet."""
        if self.config.rate_hz is None or now_ns - self._since_ns < NS_PER_S:
            return 0.0
        rate = self.rate_hz(now_ns)
        count, several = round(rate * WINDOW_NS / NS_PER_S), max(self.channel.publishers, 1)
        return rate_off(rate, self.config.rate_hz, count, (1 / several,) * several)

    def _is_off(self, figure: float, check: str) -> bool:
        """Beyond the figure that a check fails from, whatever level it may report."""
        limit = self._thresholds[check].fail
        return limit is not None and figure > limit

    def _clock_figures(self) -> list[tuple[float, float, str]]:
        """Figure and limit, ms, and the check; none of a device's clock, whose offset is taken out."""
        if not self._offsets or self.config.clock is SourceClockKind.DEVICE:
            return []
        offset_ms = self._offset_ns() / NS_PER_MS
        most_ms = self._profile.max_clock_offset_ns / NS_PER_MS
        figures = {"clock_future": future_ms(offset_ms), "clock_delay": delay_ms(offset_ms)}
        limits = {check: self._thresholds[check].fail for check in figures}
        return [
            (figure, most_ms if limit is None else min(limit, most_ms), check)
            for check, figure in figures.items()
            for limit in (limits[check],)
        ]

    def _failing(self, now_ns: int) -> str:
        """The check that an episode fails when this goes on; empty: none."""
        figures = {check: figure for figure, _, check in self._clock_figures()}
        figures["rate"] = self._rate_off(now_ns)
        fails = (c for c, f in figures.items() if self._thresholds[c].judge(f) is Level.FAIL)
        return next(fails, "")

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
        limit_s = max(self._clock_figures())[1] / 1000
        return (
            f"{self.topic} is stamped {abs(offset_s):.3g} s {'before' if offset_s > 0 else 'after'} its "
            f"receipt, {limit_s:g} s are allowed: synchronise its clock (chrony, PTP), say "
            "'clock: device' in the profile, or raise max_clock_offset_ms and the limits of clock_delay there"
        )
