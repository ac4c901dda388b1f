"""Drifts are found through noise and outliers; chance raises no alarm."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.floor.centre.trends.alarms import (
    DriftLimit,
    DriftLine,
    RejectCounts,
    drift_alarms,
    reject_alarms,
    theil_sen,
)

VALUES = st.lists(st.floats(-1e4, 1e4), min_size=7, max_size=30)


def line(values: list[float], kind: str = "force_bias") -> DriftLine:
    return DriftLine("berlin", "g1", "left_wrist", kind, tuple(range(len(values))), tuple(values))


def test_a_week_is_needed() -> None:
    assert theil_sen(range(6), [1.0] * 6) is None
    assert theil_sen(range(7), [1.0] * 7) is not None


@given(VALUES, st.floats(-100, 100), st.floats(-1e3, 1e3))
def test_a_slope_that_is_added_is_found(values: list[float], slope: float, start: float) -> None:
    days = range(len(values))
    flat = theil_sen(days, values)
    tilted = theil_sen(days, [v + start + slope * d for d, v in zip(days, values, strict=True)])
    assert flat is not None and tilted is not None
    assert tilted.per_day == pytest.approx(flat.per_day + slope, abs=1e-6)
    assert tilted.low <= tilted.per_day <= tilted.high


@given(VALUES)
def test_a_falling_line_is_a_rising_one_upside_down(values: list[float]) -> None:
    up, down = (
        theil_sen(range(len(values)), values),
        theil_sen(range(len(values)), [-v for v in values]),
    )
    assert up is not None and down is not None
    assert up.per_day == pytest.approx(-down.per_day)
    assert (up.low, up.high) == pytest.approx((-down.high, -down.low))


def test_a_quarter_of_wild_days_does_not_hide_a_drift() -> None:
    rng = random.Random(4)
    values = [1 + 0.5 * day + rng.gauss(0, 0.2) for day in range(28)]
    for wild in rng.sample(range(28), 7):
        values[wild] = rng.uniform(-100, 100)
    slope = theil_sen(range(28), values)
    assert slope is not None
    assert 0.3 < slope.per_day < 0.7
    [alarm] = drift_alarms(line(values), DriftLimit(week=2.0))
    assert "left_wrist of g1" in alarm.sentence
    assert alarm.value == pytest.approx(3.5, abs=1)


def test_noise_alone_seldom_alarms() -> None:
    false = 0
    for seed in range(200):
        rng = random.Random(seed)
        found = drift_alarms(line([rng.gauss(2, 3) for _ in range(28)]), DriftLimit(week=1.0))
        false += bool(found)
    assert false <= 20  # 5 % of 200, and some


def test_a_level_alarms_without_a_slope_but_not_by_one_day() -> None:
    limit = DriftLimit(week=2.0, level=8.0)
    [alarm] = drift_alarms(line([9.5] * 10), limit)
    assert "is 9.5 N" in alarm.sentence
    assert drift_alarms(line([9.5]), limit) == []
    assert drift_alarms(line([1.0] * 9 + [50.0]), limit) == []
    assert drift_alarms(line([-9.5] * 3), limit)  # of a clock, say


def test_old_levels_do_not_count() -> None:
    days = (0, 1, 2, 100, 101)
    one = DriftLine("s", "r", "w", "force_bias", days, (90.0, 90.0, 90.0, 1.0, 1.0))
    assert one.level == 1.0


def counted(name: str, episodes: int, rejects: int) -> RejectCounts:
    return RejectCounts("berlin", "robot", name, "", episodes, rejects)


def test_only_what_is_significantly_worse_than_the_others_alarms() -> None:
    usual = [counted(f"r{n}", 500, 15) for n in range(10)]
    assert reject_alarms(usual, 0) == []
    [alarm] = reject_alarms([*usual, counted("bad", 200, 40)], 0)
    assert alarm.name == "bad"
    assert alarm.sentence == "robot bad: 40 of 200 episodes are rejected (20%); of the others 3%"


def test_few_episodes_prove_nothing() -> None:
    usual = [counted(f"r{n}", 500, 15) for n in range(10)]
    assert reject_alarms([*usual, counted("new", 5, 5)], 0) == []
    assert reject_alarms([counted("alone", 500, 400)], 0) == []


@given(st.integers(20, 3000), st.integers(0, 3000))
def test_rates_below_that_of_the_others_never_alarm(episodes: int, others: int) -> None:
    counts = [counted("a", episodes, 0), counted("b", others, others)]
    assert "a" not in {alarm.name for alarm in reject_alarms(counts, 0)}
