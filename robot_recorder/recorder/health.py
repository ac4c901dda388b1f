"""Judge whether each stream arrives as its profile says, from counts of its samples."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from robot_recorder.model.check_result import Level
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

WINDOW_NS = 2 * NS_PER_S  # rates are measured over this time
BUCKET_NS = NS_PER_S // 10
_JUDGED = ("rate", "clock_future", "clock_delay")
_BY_CHECK = (StreamHealth.OK, StreamHealth.SLOW, StreamHealth.CLOCK)
_BUCKETS = WINDOW_NS // BUCKET_NS
ARRIVES = (StreamHealth.OK, StreamHealth.SLOW)  # of a stream whose messages can be judged further


@dataclass(frozen=True)
class HealthReport:
    """The state of a stream at one instant.

    Attributes:
        health: its state.
        rate_hz: rate over the last two seconds, Hz.
        age_s: time since the last sample, s; -1: there was none.
        clock_offset_s: smallest receive time minus timestamp: clock offset plus shortest delay, s;
            None: its messages have no timestamp.
        remedy: the problem and what to do; empty: no problem. A stream that is too fast has a
            remedy although its health is OK.
        fails: quality check that an episode would fail because of it; empty: none for certain.
    """

    health: StreamHealth
    rate_hz: float
    age_s: float
    clock_offset_s: float | None
    remedy: str
    fails: str = ""


class _Figures(NamedTuple):
    """What is measured of a stream at one instant.

    Attributes:
        rate_hz: rate over the last two seconds, or since the stream (re)started, Hz.
        rate_off: deviation from the declared rate, as a share; 0: it has no rate yet.
        offset_ns: smallest receive time minus timestamp, ns; None: its messages have no timestamp.
    """

    rate_hz: float
    rate_off: float
    offset_ns: int | None


class HealthMonitor:
    """Counts the samples of one stream in buckets of 0.1 s; uses constant memory."""

    def __init__(
        self, config: StreamConfig, channel: Channel, profile: RobotProfile, stamp: str = ""
    ) -> None:
        """Create the monitor without samples.

        Args:
            config: the stream.
            channel: its channel; the ingest keeps its publishers and QoS up to date.
            profile: gives the limits.
            stamp: where its stamps come from.
        """
        self.stamp = stamp
        self.config = config
        self.channel = channel
        self.topic = self.recorded_topic = channel.topic  # differ if its pictures are encoded
        self.received = 0
        self._profile = profile
        settings = [profile.quality, config.quality]
        self._thresholds = {check: threshold_of(check, settings) for check in _JUDGED}
        self._last_ns = 0
        self._since_ns = 0
        self._buckets: deque[list[int]] = deque(maxlen=_BUCKETS + 1)
        self._offsets: deque[int] = deque(maxlen=2 * _BUCKETS)

    def on_samples(self, count: int, receive_ns: int) -> None:
        """Count samples that were received together; ``receive_ns`` is the time of the last one."""
        self.received += count
        bucket = receive_ns // BUCKET_NS
        if self._buckets and self._buckets[-1][0] == bucket:
            self._buckets[-1][1] += count
        else:
            if receive_ns - self._last_ns > WINDOW_NS:
                self._since_ns = receive_ns  # the stream (re)started: measure from here
            self._buckets.append([bucket, count])
        self._last_ns = receive_ns

    def on_stamp(self, receive_ns: int, stamp_ns: int) -> None:
        """Compare a message's timestamp with its receive time, ns."""
        if stamp_ns:  # 0: the publisher sets no timestamp
            self._offsets.append(receive_ns - stamp_ns)

    def shift(self, by_ns: int) -> None:
        """Restart all measurements after the robot clock was set by ``by_ns``."""
        self._last_ns += by_ns
        self._since_ns = self._last_ns
        self._buckets.clear()
        self._offsets.clear()

    def report(self, now_ns: int) -> HealthReport:
        """Return the state at a time of the robot clock."""
        figures = self._measured(now_ns)
        health, remedy = self._judge(now_ns, figures)
        fails = self._failing(figures) if health in _BY_CHECK and remedy else ""
        return HealthReport(
            health,
            figures.rate_hz,
            (now_ns - self._last_ns) / NS_PER_S if self.received else -1.0,
            None if figures.offset_ns is None else figures.offset_ns / NS_PER_S,
            remedy,
            fails,
        )

    def _measured(self, now_ns: int) -> _Figures:
        rate_hz = self._rate_hz(now_ns) if self.received else 0.0
        offset_ns = min(self._offsets) if self._offsets else None
        return _Figures(rate_hz, self._rate_off(now_ns, rate_hz), offset_ns)

    def _rate_hz(self, now_ns: int) -> float:
        # Complete buckets only; the current one is still filling.
        last = now_ns // BUCKET_NS
        first = max(last - _BUCKETS, self._since_ns // BUCKET_NS + 1)
        if last <= first:
            return 0.0
        count = sum([n for bucket, n in self._buckets if first <= bucket < last])
        return count * NS_PER_S / ((last - first) * BUCKET_NS)

    def _rate_off(self, now_ns: int, rate_hz: float) -> float:
        if self.config.rate_hz is None or now_ns - self._since_ns < NS_PER_S:
            return 0.0
        count, several = round(rate_hz * WINDOW_NS / NS_PER_S), max(self.channel.publishers, 1)
        return rate_off(rate_hz, self.config.rate_hz, count, (1 / several,) * several)

    def _judge(self, now_ns: int, figures: _Figures) -> tuple[StreamHealth, str]:
        config, channel, topic = self.config, self.channel, self.topic
        if channel.wrong_type:
            return StreamHealth.WRONG_TYPE, (
                f"{topic} is published as {channel.wrong_type}, the profile says {config.type}: "
                "correct the profile or the publisher"
            )
        if channel.publishers and channel.unheard == channel.publishers:
            return StreamHealth.UNHEARD, (
                f"{topic} is published with a QoS that the profile's qos cannot receive: remove qos from "
                "the profile, so that the recorder follows the publisher"
            )
        if not self.received:
            return StreamHealth.NEVER, self._never_remedy()
        if config.rate_hz is None:
            return StreamHealth.OK, ""
        silent_ns = now_ns - self._last_ns
        if silent_ns > max(self._profile.stale_ns, 3 * NS_PER_S / config.rate_hz):
            remedy = f"{topic} fell silent {silent_ns / NS_PER_S:.1f} s ago: check its driver"
            return StreamHealth.STALE, remedy
        clock, offset_ns = self._clock_figures(figures.offset_ns), figures.offset_ns
        if offset_ns is not None and any(figure > limit for figure, limit, _ in clock):
            return StreamHealth.CLOCK, self._clock_remedy(offset_ns, max(clock)[1])
        fail = self._thresholds["rate"].fail
        if fail is not None and figures.rate_off > fail:
            return StreamHealth.SLOW if figures.rate_hz < config.rate_hz else StreamHealth.OK, (
                f"{topic} arrives at {figures.rate_hz:.1f} Hz, the profile says {config.rate_hz:g} Hz: "
                "check its driver and the network, or correct the profile"
            )
        return StreamHealth.OK, ""

    def _clock_figures(self, offset_ns: int | None) -> list[tuple[float, float, str]]:
        """Return figure (ms), limit (ms) and check; none for device clocks, which are corrected."""
        if offset_ns is None or self.config.clock is SourceClockKind.DEVICE:
            return []
        offset_ms = offset_ns / NS_PER_MS
        most_ms = self._profile.max_clock_offset_ns / NS_PER_MS
        figures = ("clock_future", future_ms(offset_ms)), ("clock_delay", delay_ms(offset_ms))
        return [
            (figure, most_ms if limit is None else min(limit, most_ms), check)
            for check, figure in figures
            for limit in (self._thresholds[check].fail,)
        ]

    def _failing(self, measured: _Figures) -> str:
        """Return the check that an episode fails if this continues; empty: none."""
        figures = {c: figure for figure, _, c in self._clock_figures(measured.offset_ns)}
        figures["rate"] = measured.rate_off
        fails = (c for c, f in figures.items() if self._thresholds[c].judge(f) is Level.FAIL)
        return next(fails, "")

    def _never_remedy(self) -> str:
        if not self.channel.publishers:
            return f"nothing ever arrived on {self.topic}: start its driver or correct the topic"
        # Fast DDS may keep writing into the shared memory of a killed process, because it takes the
        # old port for the new one of the same number (SharedMemGlobal.hpp, WatchTask).
        return (
            f"nothing ever arrived on {self.topic}, though it has a publisher: check that its driver sends; "
            "if a recorder was killed before, restart the driver, or the recorder with "
            "FASTDDS_BUILTIN_TRANSPORTS=UDPv4"
        )

    def _clock_remedy(self, offset_ns: int, limit_ms: float) -> str:
        offset_s, limit_s = offset_ns / NS_PER_S, limit_ms / 1000
        return (
            f"{self.topic} is stamped {abs(offset_s):.3g} s {'before' if offset_s > 0 else 'after'} its "
            f"receipt, {limit_s:g} s are allowed: synchronise its clock (chrony, PTP), set "
            "'clock: device' in the profile, or raise max_clock_offset_ms and the limits of clock_delay there"
        )
