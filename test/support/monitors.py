"""Health monitors of one stream, fed with samples."""

from __future__ import annotations

from robot_recorder.model.streams import NS_PER_S, FrameClock, RobotProfile, Role, StreamConfig
from robot_recorder.model.topics import BagTopic, Channel
from robot_recorder.recorder.health import HealthMonitor

T0 = 1_700_000_000_000_000_000


def monitor(
    rate_hz: float | None = 100, required: bool = True, name: str = "s", topic: str = "t"
) -> HealthMonitor:
    config = StreamConfig(name, topic, "a/msg/B", Role.OBSERVATION, rate_hz, required)
    profile = RobotProfile("robot", FrameClock(30.0), 10**8, (config,))
    return HealthMonitor(config, Channel(BagTopic(f"/robot/{topic}", "a/msg/B")), profile)


def fed(rate_hz: float, seconds: float, declared: float | None = 100) -> tuple[HealthMonitor, int]:
    m, now = monitor(declared), T0
    for i in range(int(rate_hz * seconds)):
        now = T0 + int(i * NS_PER_S / rate_hz)
        m.on_samples(1, now)
    return m, now
