"""Stream health and the start gate."""

from __future__ import annotations

import pytest

from robot_recorder.core.health import HealthMonitor
from robot_recorder.core.start_gate import judge_start
from robot_recorder.core.streams import NS_PER_S, Role, StreamConfig, StreamHealth

T0 = 1_700_000_000_000_000_000


def monitor(rate_hz: float | None = 100, required: bool = True) -> HealthMonitor:
    config = StreamConfig("s", "t", "a/msg/B", Role.OBSERVATION, rate_hz, required)
    return HealthMonitor(config, "/robot/t")


def fed(rate_hz: float, seconds: float, declared: float | None = 100) -> tuple[HealthMonitor, int]:
    m, now = monitor(declared), T0
    for i in range(int(rate_hz * seconds)):
        now = T0 + int(i * NS_PER_S / rate_hz)
        m.on_sample(now)
    return m, now


def test_never_heard_names_the_topic() -> None:
    report = monitor().report(T0)
    assert (report.health, report.age_s) == (StreamHealth.NEVER, -1)
    assert "/robot/t" in report.remedy


@pytest.mark.parametrize("rate", [5, 30, 100, 1000])
def test_the_rate_is_measured(rate: float) -> None:
    m, now = fed(rate, 5, declared=rate)
    report = m.report(now)
    assert report.rate_hz == pytest.approx(rate, rel=0.12)
    assert report.health is StreamHealth.OK


def test_slow_stale_and_recovered() -> None:
    m, now = fed(60, 5)
    assert m.report(now).health is StreamHealth.SLOW
    assert m.report(now + NS_PER_S).health is StreamHealth.STALE
    for i in range(300):
        m.on_sample(now + 10 * NS_PER_S + i * NS_PER_S // 100)
    assert m.report(now + 13 * NS_PER_S).health is StreamHealth.OK


def test_a_stream_that_has_just_begun_is_not_slow() -> None:
    m, now = fed(100, 0.2)
    assert m.report(now).health is StreamHealth.OK


def test_without_a_declared_rate_silence_is_fine() -> None:
    m = monitor(None)
    m.on_sample(T0)
    assert m.report(T0 + 100 * NS_PER_S).health is StreamHealth.OK


def test_a_slow_camera_gets_patience() -> None:
    m, now = fed(2, 5, declared=2)
    assert m.report(now + NS_PER_S).health is StreamHealth.OK


def test_wrong_type_is_told() -> None:
    m = monitor()
    m.wrong_type = "c/msg/D"
    report = m.report(T0)
    assert report.health is StreamHealth.WRONG_TYPE
    assert "c/msg/D" in report.remedy and "a/msg/B" in report.remedy


def test_the_gate_names_what_is_missing_and_force_overrides() -> None:
    absent = monitor()
    reports = [(absent.config, absent.report(T0))]
    verdict = judge_start(reports, force=False)
    assert not verdict.ok and "s is never heard" in verdict.reason and "force" in verdict.reason
    forced = judge_start(reports, force=True)
    assert forced.ok and "never heard" in forced.reason


def test_optional_and_slow_streams_do_not_stop_a_start() -> None:
    optional = monitor(required=False)
    slow, now = fed(60, 5)
    verdict = judge_start(
        [(optional.config, optional.report(T0)), (slow.config, slow.report(now))], force=False
    )
    assert verdict.ok and "too slow" in verdict.reason
