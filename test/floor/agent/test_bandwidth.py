"""When how much may be sent.

Holds also: throttle.py.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.floor.agent.bandwidth import (
    UNLIMITED,
    BandwidthLimiter,
    BandwidthPlan,
    SendingPaused,
)
from robot_recorder.floor.agent.live import LimpingStream, RecorderView
from robot_recorder.floor.agent.settings import AgentSettings, WhileRecording
from robot_recorder.floor.agent.throttle import Throttle
from robot_recorder.model.errors import ConfigError

NIGHT = "22:00-06:00 unlimited, 12:00-13:00 off, else 20 MB/s"
SETTINGS = AgentSettings("https://c", "s", "r", "t", ())


@pytest.fixture
def berlin() -> Iterator[None]:
    """The time zone of the windows."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "CET-1CEST,M3.5.0,M10.5.0/3"
    time.tzset()
    yield
    os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
    time.tzset()


def at(hour: int, minute: int = 0, month: int = 1) -> float:
    return time.mktime((2026, month, 15, hour, minute, 0, 0, 0, -1))


def test_the_first_window_that_holds_counts_and_else_outside_of_all(berlin: None) -> None:
    plan = BandwidthPlan.parse(NIGHT)
    rates = {hour: plan.rate(at(hour)) for hour in (21, 22, 23, 0, 5, 6, 12, 13)}
    assert rates == {
        21: 20e6, 22: UNLIMITED, 23: UNLIMITED, 0: UNLIMITED, 5: UNLIMITED, 6: 20e6, 12: 0.0, 13: 20e6,
    }  # fmt: skip
    assert plan.rate(at(5, 59)) == UNLIMITED and plan.rate(at(21, 59)) == 20e6


def test_windows_are_of_local_time_in_summer_and_winter(berlin: None) -> None:
    plan = BandwidthPlan.parse("08:00-09:00 off, else unlimited")
    assert plan.rate(at(8, month=1)) == plan.rate(at(8, month=7)) == 0.0
    winter_utc = time.gmtime(at(8, month=1)).tm_hour
    assert winter_utc == 7 and time.gmtime(at(8, month=7)).tm_hour == 6


@pytest.mark.parametrize(
    "text, rate",
    [
        ("unlimited", UNLIMITED),
        ("off", 0.0),
        ("500 kB/s", 5e5),
        ("1.5 GB/s", 1.5e9),
        ("100 Mbit/s", 12.5e6),
        ("8 kbit/s", 1000.0),
    ],
)
def test_one_rate_holds_for_all_hours(text: str, rate: float) -> None:
    assert BandwidthPlan.parse(text) == BandwidthPlan((), rate)


@pytest.mark.parametrize(
    "text, says",
    [
        ("", "not a rate"),
        ("fast", "not a rate"),
        ("20", "not a rate"),
        ("0 MB/s", "write off"),
        ("20 MB", "not a rate"),
        ("22:00-06:00 unlimited", "add 'else"),
        ("else 20 MB/s", "not a bandwidth"),
        ("22:00-06:00 unlimited, 20 MB/s", "not a bandwidth"),
        ("else off, 22:00-06:00 unlimited", "not a bandwidth"),
        ("22:00-22:00 off, else off", "begins when it ends"),
        ("24:00-06:00 off, else off", "between 00:00 and 24:00"),
        ("22:60-06:00 off, else off", "between 00:00 and 24:00"),
        ("22:00-25:00 off, else off", "between 00:00 and 24:00"),
        ("22:00-06:00 quick, else off", "not a rate"),
    ],
)
def test_a_text_that_is_no_plan_is_refused_and_says_why(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        BandwidthPlan.parse(text)


@given(st.text(alphabet="0123456789:-, MkGB/sbitelunmdof.", max_size=40))
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        plan = BandwidthPlan.parse(text)
    except ConfigError:
        return
    assert all(0 <= plan.rate(minute * 60.0) <= UNLIMITED for minute in range(0, 1440, 7))


class Clock:
    """A clock that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@given(st.floats(1e5, 1e9), st.lists(st.integers(1, 1 << 18), min_size=1, max_size=30))
def test_no_more_than_the_rate_and_one_burst_is_sent(rate: float, sizes: list[int]) -> None:
    clock = Clock()
    limiter = BandwidthLimiter(lambda: rate, clock, clock.sleep)
    began_s = clock()
    for size in sizes:
        limiter.take(size)
    took_s = clock() - began_s
    assert sum(sizes) <= rate * (took_s + 0.25) * 1.0001
    assert took_s <= sum(sizes) / rate + 0.002 * len(sizes)  # nor is time wasted


def test_a_rate_that_changes_while_somebody_waits_counts_at_once() -> None:
    clock, rate = Clock(), [1000.0]
    limiter = BandwidthLimiter(lambda: rate[0], clock, clock.sleep)

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        rate[0] = UNLIMITED

    limiter._sleep = sleep
    limiter.take(1_000_000)  # 1,000 s at the first rate
    assert clock() < 101
    rate[0] = 0.0
    with pytest.raises(SendingPaused):
        limiter.take(1)


def test_what_has_begun_is_finished_in_a_pause_at_the_last_rate_and_nothing_new_begins() -> None:
    clock, rate = Clock(), [1000.0]
    limiter = BandwidthLimiter(lambda: rate[0], clock, clock.sleep)
    part, began_s = limiter.attempt(), clock()
    part(1000)
    rate[0] = 0.0
    part(1000)
    assert clock() - began_s >= 1.7 and not limiter.may_send()
    with pytest.raises(SendingPaused):
        limiter.attempt()(1)
    rate[0] = -1.0  # the agent ends
    with pytest.raises(SendingPaused):
        part(1000)


def test_several_threads_together_keep_to_the_rate() -> None:
    limiter = BandwidthLimiter(lambda: 4e6)
    began_s = time.monotonic()

    def send() -> None:
        for _ in range(8):
            limiter.take(1 << 16)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took_s, size = time.monotonic() - began_s, 32 * (1 << 16)
    assert limiter.sent_bytes == size
    assert size <= 4e6 * (took_s + 0.25) * 1.05


@pytest.mark.parametrize(
    "while_recording, view, share_of_the_plan",
    [
        (WhileRecording.PAUSE, RecorderView("idle"), 1.0),
        (WhileRecording.PAUSE, RecorderView("recording", "e"), 0.0),
        (WhileRecording.PAUSE, RecorderView("finalising"), 0.0),
        (WhileRecording.PAUSE, RecorderView("unknown"), 1.0),
        (WhileRecording.SHARE, RecorderView("recording", "e"), 0.25),
        (WhileRecording.SHARE, RecorderView("recording", "e", is_losing=True), 0.0),
        (
            WhileRecording.SHARE,
            RecorderView("recording", "e", streams=(LimpingStream("cam", "slow", 1.0, 30.0),)),
            0.0,
        ),
        (WhileRecording.SEND, RecorderView("recording", "e", is_losing=True), 1.0),
    ],
)
def test_what_the_recorder_does_decides_how_much_of_the_plan_is_used(
    while_recording: WhileRecording, view: RecorderView, share_of_the_plan: float
) -> None:
    settings = replace(
        SETTINGS, bandwidth=BandwidthPlan((), 8e6), while_recording=while_recording, share=0.25
    )
    throttle = Throttle(settings, lambda: view)
    assert throttle.rate() == 8e6 * share_of_the_plan and throttle.planned() == 8e6


def test_a_share_of_an_unlimited_plan_is_one_of_what_the_link_was_seen_to_do() -> None:
    clock = Clock()
    settings = replace(SETTINGS, while_recording=WhileRecording.SHARE, share=0.5)
    throttle = Throttle(settings, lambda: RecorderView("recording", "e"), clock)
    throttle.measure(0)
    clock.sleep(2)
    throttle.measure(30_000_000)
    clock.sleep(1)
    throttle.measure(31_000_000)
    assert throttle.rate() == 7.5e6
