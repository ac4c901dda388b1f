"""``oddness`` finds the odd repeat."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.report.oddness import oddness

TIMES = (np.arange(200) * 0.04).astype(np.float64)
KINDS = ["joint"] * 5 + ["force"]
LEAST = np.array([0.05] * 5 + [2.0])


def repeats(count: int, seed: int = 0) -> npt.NDArray[np.float64]:
    """Return repeats of one movement with human variation, float64[count, 200, 6].

    Five joints and a force.
    """
    random = np.random.default_rng(seed)
    speed = random.normal(1, 0.03, (count, 1, 1))
    joints = np.sin(TIMES[None, :, None] * speed + np.arange(5)) * random.normal(
        1, 0.05, (count, 1, 5)
    )
    force = 20 * (np.abs(TIMES[None, :, None] * speed - 4) < 2) + random.normal(
        0, 0.3, (count, 200, 1)
    )
    return np.concatenate([joints, force], axis=2)


@pytest.mark.parametrize("count", [3, 5, 12, 60])
def test_good_repeats_do_not_stand_out(count: int) -> None:
    found = [o for seed in range(10) for o in oddness(repeats(count, seed), TIMES, LEAST, KINDS)]
    assert sum(o.odd for o in found) <= len(found) / 20


@pytest.mark.parametrize("count", [3, 5, 12])
def test_a_drop_is_found_with_where_and_when(count: int) -> None:
    values = repeats(count)
    values[1, 90:, 5] = 0.0  # the force is gone at 3.6 s, long before it should be
    found = oddness(values, TIMES, LEAST, KINDS)
    assert [o.odd for o in found] == [i == 1 for i in range(count)]
    assert found[1].channel == 5 and 3.6 <= found[1].at_s <= 6.1 and found[1].by < -15


def test_a_joint_that_moved_elsewhere_is_found() -> None:
    values = repeats(8)
    values[6, 50:120, 2] += 0.8
    found = oddness(values, TIMES, LEAST, KINDS)
    assert max(found, key=lambda o: o.distance) is found[6]
    assert (
        found[6].channel == 2
        and 2.0 <= found[6].at_s <= 4.8
        and found[6].by == pytest.approx(0.8, abs=0.25)
    )


def test_two_repeats_are_never_odd() -> None:
    values = repeats(2)
    values[1] *= 5
    assert not any(o.odd for o in oddness(values, TIMES, LEAST, KINDS))


def test_small_differences_are_ignored() -> None:
    values = np.zeros((10, 200, 6))
    values[3, :, 0] = 0.004
    assert not any(o.odd for o in oddness(values, TIMES, LEAST, KINDS))


@given(st.integers(0, 6), st.integers(0, 30), st.integers(0, 4), st.integers(0, 2**32 - 1))
def test_missing_values_never_raise(count: int, times: int, channels: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    values = random.normal(size=(count, times, channels))
    values[random.random(values.shape) < 0.5] = np.nan
    least = np.full(channels, 0.1)
    at_s = (np.arange(times) * 0.04).astype(np.float64)
    found = oddness(values, at_s, least, ["joint"] * channels)
    assert len(found) == count
    for one in found:
        assert one.channel == -1 or np.isfinite([one.distance, one.at_s, one.by]).all()
