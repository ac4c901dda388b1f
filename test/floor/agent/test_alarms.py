"""What somebody must see to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.floor.agent.alarms import (
    DISK_FULL_S,
    NOTHING_SENT_S,
    AgentAlarms,
    AlarmKind,
    DiskSlope,
    SendingWatch,
    disk_full,
    nothing_sent,
)

GB = 10**9


def test_an_alarm_is_told_once_when_it_begins_and_once_when_it_ends() -> None:
    said: list[str] = []
    alarms = AgentAlarms(said.append)
    alarms.begin(AlarmKind.CLOCK, "off by 61 s")
    alarms.begin(AlarmKind.CLOCK, "off by 62 s")
    assert alarms.sentences() == ["off by 62 s"] and alarms.stands(AlarmKind.CLOCK)
    alarms.set(AlarmKind.CLOCK, "")
    alarms.end(AlarmKind.CLOCK)
    assert said == ["alarm: off by 61 s", "over: off by 62 s"] and not alarms.sentences()


def test_many_of_a_kind_are_one_sentence_and_each_ends_by_itself() -> None:
    alarms = AgentAlarms()
    for name in ("a", "b", "c"):
        alarms.begin(AlarmKind.RECEIPT, f"{name} is forged\x1b[2J", name)
    assert alarms.sentences() == [r"a is forged\x1b[2J (and 2 more)"]
    alarms.end(AlarmKind.RECEIPT, "a")
    assert alarms.sentences() == [r"b is forged\x1b[2J (and 1 more)"]


def filled(hours: float, gb_per_hour: float, every_s: float = 60.0, burst: int = 1) -> DiskSlope:
    """Return the slope of a disk of 100 GB that episodes fill, some at once."""
    slope = DiskSlope()
    for step in range(int(hours * 3600 / every_s)):
        used = gb_per_hour * GB * every_s * (step // burst * burst) / 3600
        slope.sample(step * every_s, round(100 * GB - used))
    return slope


def test_a_disk_that_fills_is_full_when_its_slope_says() -> None:
    full_in_s = filled(1, 20).full_in_s()
    assert full_in_s is not None and abs(full_in_s - 4 * 3600) < 120
    assert disk_full(full_in_s, 80 * GB).startswith("the disk is full in 4.0 h")


def test_episodes_that_come_in_bursts_do_not_disturb_the_slope() -> None:
    full_in_s = filled(1, 20, burst=8).full_in_s()
    assert full_in_s is not None and abs(full_in_s - 4 * 3600) < 2200


def test_a_disk_that_does_not_fill_or_was_watched_for_too_short_gives_no_time() -> None:
    assert DiskSlope().full_in_s() is None
    assert filled(0.15, 20).full_in_s() is None
    assert filled(1, 0).full_in_s() is None
    assert filled(1, -20).full_in_s() is None
    assert disk_full(None, GB) == "" == disk_full(DISK_FULL_S + 1, GB)


def test_only_the_last_half_hour_counts() -> None:
    slope = filled(1, 50)
    for step in range(60):
        slope.sample(3600 + step * 60, 50 * GB)
    assert slope.full_in_s() is None


@given(st.lists(st.tuples(st.floats(0, 600), st.integers(0, 10**13)), max_size=100))
def test_the_time_is_never_negative(steps: list[tuple[float, int]]) -> None:
    slope, now_s = DiskSlope(), 0.0
    for passed_s, free in steps:
        now_s += passed_s
        slope.sample(now_s, free)
        full_in_s = slope.full_in_s()
        assert full_in_s is None or full_in_s >= 0


def test_nothing_sent_for_two_hours_is_an_alarm_only_if_something_waits_and_may_be_sent() -> None:
    watch, now_s = SendingWatch(), 0.0
    watch.look(now_s, 0, 3, may_send=True)

    def passed(hours: float, sent: int = 0, waiting: int = 3, may_send: bool = True) -> str:
        nonlocal now_s
        now_s += hours * 3600
        return nothing_sent(watch.look(now_s, sent, waiting, may_send), waiting, "no network")

    assert passed(1.9) == ""
    assert passed(8, may_send=False) == ""  # the plan says off
    assert passed(0.2) == "nothing was sent for 2.1 h though 3 episodes wait: no network"
    assert passed(1, sent=1) == ""  # a single part is something
    assert passed(1.5, sent=1) == "" and passed(0.6, sent=1) != ""
    assert passed(0.1, sent=1, waiting=0) == ""
    assert nothing_sent(NOTHING_SENT_S, 2, "").endswith("2 episodes wait")


def test_a_disk_that_is_full_is_an_alarm_at_once() -> None:
    assert "is full (8 MB are free)" in disk_full(None, 8_000_000)
    assert disk_full(None, GB) == ""


def test_two_that_say_the_same_are_one() -> None:
    alarms = AgentAlarms()
    for about in ("data", "beat"):
        alarms.begin(AlarmKind.UNREACHABLE, "nobody answers", about)
    assert alarms.sentences() == ["nobody answers"]
    alarms.end(AlarmKind.UNREACHABLE, "beat")
    assert alarms.stands(AlarmKind.UNREACHABLE)
