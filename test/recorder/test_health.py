"""The health of streams."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.monitors import fed, monitor

from robot_recorder.configuration.profile import parse_profile
from robot_recorder.model.streams import NS_PER_S, SourceClockKind, StreamHealth
from robot_recorder.model.topics import BagTopic, Channel
from robot_recorder.recorder.health import HealthMonitor
from robot_recorder.recorder.start_gate import judge_start

T0 = 1_700_000_000_000_000_000


def test_a_missing_stream_names_its_topic() -> None:
    report = monitor().report(T0)
    assert (report.health, report.age_s) == (StreamHealth.NEVER, -1)
    assert "/robot/t: start its driver" in report.remedy


def test_a_missing_stream_with_a_publisher_gets_another_remedy() -> None:
    silent = monitor()
    silent.channel.publishers = 1
    report = silent.report(T0)
    assert report.health is StreamHealth.NEVER
    assert "/robot/t, though it has a publisher" in report.remedy and "killed" in report.remedy


@pytest.mark.parametrize("rate", [5, 30, 100, 1000])
def test_the_rate_is_measured(rate: float) -> None:
    m, now = fed(rate, 5, declared=rate)
    report = m.report(now)
    assert report.rate_hz == pytest.approx(rate, rel=0.12)
    assert report.health is StreamHealth.OK


def test_a_stream_becomes_slow_then_stale_and_recovers() -> None:
    m, now = fed(60, 5)
    assert m.report(now).health is StreamHealth.SLOW
    assert m.report(now + NS_PER_S).health is StreamHealth.STALE
    for i in range(300):
        m.on_samples(1, now + 10 * NS_PER_S + i * NS_PER_S // 100)
    assert m.report(now + 13 * NS_PER_S).health is StreamHealth.OK


def test_a_stream_that_has_just_started_is_not_slow() -> None:
    m, now = fed(100, 0.2)
    assert m.report(now).health is StreamHealth.OK


def test_a_stream_without_a_declared_rate_may_be_silent() -> None:
    m = monitor(None)
    m.on_samples(1, T0)
    assert m.report(T0 + 100 * NS_PER_S).health is StreamHealth.OK


def test_a_stream_with_a_low_rate_becomes_stale_later() -> None:
    m, now = fed(2, 5, declared=2)
    assert m.report(now + NS_PER_S).health is StreamHealth.OK


def test_a_wrong_type_is_reported() -> None:
    m = monitor()
    m.channel.wrong_type = "c/msg/D"
    report = m.report(T0)
    assert report.health is StreamHealth.WRONG_TYPE
    assert "c/msg/D" in report.remedy and "a/msg/B" in report.remedy


@pytest.mark.parametrize("offset_s", [3, -3])
def test_a_wrong_clock_is_distinguished_from_a_slow_network(offset_s: float) -> None:
    def stamped(delays_s: list[float]) -> HealthMonitor:
        m, now = fed(100, 3)
        for delay_s in delays_s:
            m.on_stamp(now, now - int(delay_s * NS_PER_S))
        return m

    now = fed(100, 3)[1]
    sometimes_late = stamped([0.001, 3.0, 0.002, 2.0])
    assert sometimes_late.report(now).health is StreamHealth.OK
    assert sometimes_late.report(now).clock_offset_s == pytest.approx(0.001)
    off = stamped([offset_s, offset_s + 0.001])
    report = off.report(now)
    assert report.health is StreamHealth.CLOCK and "chrony" in report.remedy
    assert "clock: device" in report.remedy
    off.config = replace(off.config, clock=SourceClockKind.DEVICE)  # its offset is corrected
    assert off.report(now).health is StreamHealth.OK
    assert stamped([]).report(now).clock_offset_s is None


def test_a_profile_qos_that_receives_from_no_publisher_is_reported() -> None:
    m = monitor()
    m.channel.publishers = m.channel.unheard = 2
    assert m.report(T0).health is StreamHealth.UNHEARD
    m.channel.publishers = 3
    assert m.report(T0).health is StreamHealth.NEVER


def test_setting_the_clock_does_not_make_a_stream_stale() -> None:
    m, now = fed(100, 3)
    hour = 3600 * NS_PER_S
    m.shift(-hour)
    for i in range(50):
        m.on_samples(1, now - hour + i * NS_PER_S // 100)
    assert m.report(now - hour + NS_PER_S // 2).health is StreamHealth.OK


def with_quality(text: str = "") -> HealthMonitor:
    profile = parse_profile(
        f"robot: r\nstreams:\n  s: {{topic: t, type: a/msg/B, role: observation, rate_hz: 100, {text}}}",
        "p",
    )
    (config,) = profile.streams
    return HealthMonitor(config, Channel(BagTopic("/robot/t", "a/msg/B")), profile)


def arriving(m: HealthMonitor, rate_hz: float, ahead_ms: float = -1.0) -> tuple[HealthMonitor, int]:
    now = T0
    for i in range(int(rate_hz * 5)):
        now = T0 + int(i * NS_PER_S / rate_hz)
        m.on_samples(1, now)
        m.on_stamp(now, now + int(ahead_ms * 1e6))
    return m, now


@pytest.mark.parametrize(
    ("rate_hz", "ahead_ms", "quality", "check"),
    [
        (100, -1, "", ""),
        (85, -1, "", ""),
        (70, -1, "", "rate"),
        (130, -1, "", "rate"),
        (70, -1, "quality: {rate: warn}", ""),
        (70, -1, "quality: {rate: off}", ""),
        (70, -1, "quality: {rate: {fail: 0.4}}", ""),
        (100, 20, "", "clock_future"),
        (100, 8, "", ""),
        (100, 20, "clock: device", ""),
        (100, 20, "quality: {clock_future: {fail: 50}}", ""),
        (100, -300, "", "clock_delay"),
        (100, -300, "quality: {clock_delay: warn}, required: false", ""),
        (100, -300, "required: false", "clock_delay"),
        (130, -1, "required: false", "rate"),
    ],
)  # fmt: skip
def test_a_certain_failure_prevents_a_start_by_the_limits_of_the_check(
    rate_hz: float, ahead_ms: float, quality: str, check: str
) -> None:
    m, now = arriving(with_quality(quality), rate_hz, ahead_ms)
    report = m.report(now)
    assert report.fails == check, report
    if "clock_delay: warn" not in quality:
        assert judge_start([(m.config, report)], "", force=False).ok == (not check)
    assert judge_start([(m.config, report)], "", force=True).ok


def test_a_stream_that_is_too_fast_is_reported() -> None:
    m, now = arriving(with_quality(), 150)
    report = m.report(now)
    assert report.health is StreamHealth.OK and "150.0 Hz" in report.remedy
    assert "s is too fast" in judge_start([(m.config, report)], "", force=False).reason
