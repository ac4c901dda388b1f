"""The soak tells growth from chance, and finds messages that are missing without a report."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[1] / "bench"))
pytest.importorskip("rclpy")
from soak_account import gaps
from soak_robot import BOOT
from soak_samples import Slope, sentence, slope_of, verdict

TIMES = np.arange(0, 1800, 5.0)
ONE_LIFE = np.zeros(len(TIMES), np.int64)


def noisy(per_hour: float, seed: int) -> np.ndarray:
    """Return half an hour of memory, MB, as takes move it up and down."""
    noise = np.random.default_rng(seed).normal(0, 0.5, len(TIMES))
    return 100 + per_hour * TIMES / 3600 + noise + 2 * (TIMES % 18 < 8)


@given(st.floats(-50, 50), st.integers(0, 1000))
def test_growth_is_found_whatever_noise_is_upon_it(per_hour: float, seed: int) -> None:
    slope = slope_of(TIMES, noisy(per_hour, seed), ONE_LIFE, 120)
    assert slope is not None and slope.lives == 1 and slope.hours > 0.4
    assert abs(slope.per_hour - per_hour) < 4 * (slope.high - slope.low)
    assert slope.high - slope.low < 4


def test_a_process_that_starts_anew_does_not_shrink_and_its_warming_up_is_no_growth() -> None:
    lives = (TIMES // 600).astype(np.int64)
    warm = 60 * np.minimum(1, (TIMES % 600) / 100)
    slope = slope_of(TIMES, 20 + warm + 12 * (TIMES % 600) / 3600, lives, 120)
    assert slope is not None and slope.lives == 3 and slope.per_hour == pytest.approx(12)


@pytest.mark.parametrize(
    "slope, said, word",
    [
        (Slope(1.2, 0.8, 1.6, 0.5, 1), "grows 1.2 MB/h (95 %: 0.8 to 1.6", "grows"),
        (Slope(9, 8, 10, 0.5, 1), "grows 9.0 MB/h", "grows"),
        (Slope(0.1, -1, 1.2, 0.5, 1), "is level", "level"),
        (Slope(1, -10, 12, 0.5, 1), "up to 12 MB/h not excluded", "unclear"),
        (Slope(-2, -3, -1, 0.5, 1), "shrinks 2.0 MB/h", "shrinks"),
        (Slope(0, 0, 0, 0.5, 1), "is constant", "level"),
        (None, "cannot tell", "unclear"),
    ],
)
def test_a_line_says_what_is_known_of_it(slope: Slope | None, said: str, word: str) -> None:
    assert said in sentence("record: memory", "MB", slope, 3.0)
    assert verdict(slope, 3.0) == word


def test_a_short_life_says_nothing() -> None:
    assert slope_of(TIMES[:20], TIMES[:20], ONE_LIFE[:20], 60) is None
    assert slope_of(np.array([]), np.array([]), np.array([], np.int64), 60) is None


def test_missing_numbers_are_counted_but_not_over_a_restart_of_the_robot() -> None:
    assert gaps([]) == gaps([7]) == gaps([5, 6, 7, 7]) == 0
    assert gaps([9, 5, 7]) == 2
    assert gaps([5, 6, BOOT + 0, BOOT + 2, 2 * BOOT + 40]) == 1
