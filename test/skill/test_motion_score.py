"""The measures of a motion, on motions whose answers are known."""

from __future__ import annotations

import time

import numpy as np
import pytest

from robot_recorder.model.arrays import Floats
from robot_recorder.skill.motion_score import MotionScore, score_motion, sparc

RATE_HZ = 500.0
NOISE_RAD = 2e-4  # of an encoder


def smooth(share: Floats) -> Floats:
    """Return a minimum-jerk way from 0 to 1."""
    s = np.clip(share, 0, 1)
    return np.asarray(s**3 * (10 - 15 * s + 6 * s * s))


def reach(times: Floats, from_s: float, to_s: float, way_rad: float = 1.0) -> Floats:
    return way_rad * smooth((times - from_s) / (to_s - from_s))


def measured(seconds: float, *ways: object, names: tuple[str, ...] = ()) -> MotionScore:
    """Measure joints given as functions of the time, each with the noise of an encoder."""
    times = np.arange(0, seconds, 1 / RATE_HZ)
    rows = np.stack([way(times) for way in ways], axis=1)  # type: ignore[operator]
    rows += np.random.default_rng(3).normal(0, NOISE_RAD, rows.shape)
    names = names or tuple(f"arm_{n}_joint" for n in range(len(ways)))
    score = score_motion([(names, times, rows)], seconds)
    assert score is not None
    return score


def test_sparc_of_a_minimum_jerk_motion_is_the_published_one_whatever_its_size_and_length() -> None:
    for seconds in (0.5, 1.0, 4.0):
        for way in (0.1, 3.0):
            s = np.linspace(0, 1, round(100 * seconds))
            speed = way * 30 * s**2 * (1 - s) ** 2
            assert sparc(speed[:, None], 100) == pytest.approx(-1.40, abs=0.01)


def test_two_motions_after_each_other_are_less_smooth_than_one() -> None:
    s = np.linspace(0, 1, 100)[:, None]
    speed = 30 * s**2 * (1 - s) ** 2
    assert sparc(np.concatenate([speed, speed]), 100) < -2.0


def test_a_trembling_hand_is_rougher_the_more_it_trembles_and_noise_is_no_trembling() -> None:
    def trembling(size_rad: float) -> float:
        found = measured(6.0, lambda t: reach(t, 1, 5) + size_rad * np.sin(2 * np.pi * 6 * t))
        assert found.smoothness is not None
        return found.smoothness

    calm, little, much = trembling(0), trembling(0.005), trembling(0.02)
    assert calm > little + 0.2 > much + 0.4
    assert calm == pytest.approx(trembling(5e-4), abs=0.2)


def test_smoothness_does_not_depend_on_how_often_a_motion_is_repeated() -> None:
    def there_and_back(t: Floats) -> Floats:
        return np.asarray(smooth(t % 4 / 1.5) - smooth((t % 4 - 2) / 1.5))

    once, often = measured(8.0, there_and_back), measured(40.0, there_and_back)
    assert once.smoothness == pytest.approx(often.smoothness, abs=0.05)


def test_pauses_are_found_where_nothing_moves_and_short_ones_are_no_pauses() -> None:
    found = measured(10.0, lambda t: reach(t, 2.0, 3.5) + reach(t, 3.6, 5.0) + reach(t, 7.0, 8.0))
    begins, ends = zip(*found.pauses)
    assert begins == pytest.approx((0.0, 5.0, 8.0), abs=0.3)
    assert ends == pytest.approx((2.0, 7.0, 10.0), abs=0.3)
    assert found.still_s() == pytest.approx(6.0, abs=0.8)
    assert found.still_s(4.0, 6.0) == pytest.approx(1.0, abs=0.3)


def test_joints_that_turn_together_turn_once_and_a_pause_is_no_turn() -> None:
    back = measured(6.0, *(lambda t: reach(t, 1, 2) - reach(t, 2, 3),) * 3)
    assert back.turns == pytest.approx((2.2,), abs=0.3)
    waits = measured(8.0, lambda t: reach(t, 1, 2) - reach(t, 4, 5))
    assert waits.turns == ()
    swings = measured(8.0, lambda t: 0.3 * np.sin(2 * np.pi * 0.5 * t))
    assert len(swings.turns) == 8


def test_travel_is_the_way_that_the_joints_went() -> None:
    assert measured(6.0, lambda t: reach(t, 1, 3, 0.7)).travel_rad == pytest.approx(0.7, rel=0.02)
    back = measured(6.0, lambda t: reach(t, 1, 3, 0.7) - reach(t, 3, 5, 0.7))
    assert back.travel_rad == pytest.approx(1.4, rel=0.03)
    both = measured(6.0, *(lambda t: reach(t, 1, 3),) * 2)
    assert both.travel_rad == pytest.approx(np.sqrt(2), rel=0.02)


def test_legs_that_keep_the_balance_do_not_count_unless_there_is_nothing_else() -> None:
    def sways(t: Floats) -> Floats:
        return np.asarray(0.1 * np.sin(5 * t))

    def stands(t: Floats) -> Floats:
        return np.asarray(0 * t)

    both = measured(4.0, sways, stands, names=("left_knee_joint", "left_elbow_joint"))
    assert both.still_s() == pytest.approx(4.0, abs=0.1) and both.smoothness is None
    assert measured(4.0, sways, names=("left_knee_joint",)).still_s() < 0.1


def test_a_joint_that_two_streams_report_counts_once_and_gaps_are_bridged() -> None:
    times = np.arange(0, 4, 0.01)
    rows = reach(times, 1, 3)[:, None]
    holes = rows.copy()
    holes[50:70] = np.nan
    names = ("arm_joint",)
    twice = score_motion([(names, times, holes), (names, times, rows)], 4.0)
    once = score_motion([(names, times, rows)], 4.0)
    assert twice is not None and once is not None
    assert twice.travel_rad == pytest.approx(once.travel_rad, rel=1e-3)


def test_what_cannot_be_measured_is_unknown() -> None:
    times = np.arange(0, 4, 0.01)
    assert score_motion([], 4.0) is None
    assert score_motion([(("a",), times, np.full((400, 1), np.nan))], 4.0) is None
    assert score_motion([(("a",), times, np.zeros((400, 1)))], 0.0) is None
    still = score_motion([(("a",), times, np.zeros((400, 1)))], 4.0)
    assert still is not None and still.smoothness is None and still.travel_rad == 0


def test_speeds_for_drawing_are_few_however_long_the_take_is() -> None:
    hour = score_motion([(("a",), np.arange(0.0, 3600.0), np.arange(3600.0)[:, None])], 3600.0)
    assert hour is not None and len(hour.speeds) <= 600
    assert hour.step_s * len(hour.speeds) == pytest.approx(3600, rel=0.01)
    assert hour.speeds[300] == pytest.approx(1.0)


def test_twenty_seconds_of_43_joints_at_500_hz_take_a_fraction_of_half_a_second() -> None:
    times = np.arange(0, 20, 1 / RATE_HZ)
    rows = np.sin(times[:, None] * np.linspace(0.2, 2, 43))
    names = tuple(f"arm_{n}_joint" for n in range(43))
    begun = time.process_time()
    score_motion([(names, times, rows)], 20.0)
    assert time.process_time() - begun < 0.25
