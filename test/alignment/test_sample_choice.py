"""Which sample stands for a tick: nearest, previous, linear."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.aligned import Run, stream

from robot_recorder.alignment.frames import SampleStatus
from robot_recorder.alignment.sample_choice import (
    INTERPOLATED,
    around,
    choose,
    choose_one,
    neighbours,
)
from robot_recorder.model.streams import Policy

MS = 1_000_000


def test_nearest_takes_the_closer_sample_with_its_signed_skew() -> None:
    run = Run(stream(Policy.NEAREST))
    for at, value in ((0, 0), (90, 1), (105, 2), (205, 3)):
        run.push(at, value)
    sample = run.sample(100)
    assert (sample.status, sample.skew_ns, sample.values[0]) == (SampleStatus.FRESH, 5 * MS, 2)


def test_nearest_prefers_the_earlier_of_two_equally_near_samples() -> None:
    run = Run(stream(Policy.NEAREST))
    for at, value in ((0, 0), (95, 1), (105, 2)):
        run.push(at, value)
    assert run.sample(100).skew_ns == -5 * MS


def test_previous_never_uses_the_future() -> None:
    run = Run(stream(Policy.PREVIOUS, tolerance_ms=50))
    for at, value in ((0, 0), (70, 1), (100.001, 2), (201, 3)):
        run.push(at, value)
    assert run.sample(100).values[0] == 1
    assert all(f.samples[0].skew_ns <= 0 for f in run.frames)


def test_linear_interpolates_between_the_neighbouring_samples() -> None:
    run = Run(stream(Policy.LINEAR))
    for at, value in ((0, 0), (90, 10), (110, 20)):
        run.push(at, value)
    sample = run.sample(100)
    assert sample.status is SampleStatus.INTERPOLATED
    assert sample.values[0] == pytest.approx(15)


def test_linear_does_not_bridge_a_gap_longer_than_its_tolerance() -> None:
    run = Run(stream(Policy.LINEAR, tolerance_ms=15))
    for at, value in ((0, 0), (90, 10), (110, 20)):
        run.push(at, value)
    sample = run.sample(100)
    assert (sample.status, sample.values[0], sample.skew_ns) == (SampleStatus.HELD, 10, -10 * MS)


def test_a_sample_stamped_on_the_tick_is_not_interpolated() -> None:
    for policy in (Policy.NEAREST, Policy.PREVIOUS, Policy.LINEAR):
        run = Run(stream(policy, tolerance_ms=1))
        for at, value in ((0, 0), (100, 7)):
            run.push(at, value)
        sample = run.sample(100)
        assert (sample.status, sample.skew_ns, sample.values[0]) == (SampleStatus.FRESH, 0, 7)


@given(
    st.lists(st.integers(0, 400), min_size=1, max_size=12),
    st.lists(st.integers(-50, 450), min_size=1, max_size=8),
    st.sampled_from(Policy),
    st.integers(1, 60),
)
def test_choosing_for_one_tick_equals_choosing_for_many(
    at: list[int], ticks: list[int], policy: Policy, tolerance: int
) -> None:
    """Samples in any order of stamps; each tick may choose from all of them."""
    config = stream(policy, tolerance_ms=tolerance / MS)
    stamps, wanted = np.array(at), np.array(sorted(ticks))
    count = np.full(len(wanted), len(stamps))
    in_order = bool((np.diff(stamps) > 0).all())
    before, after = neighbours(stamps, in_order, wanted, count)
    many = choose(config, stamps, wanted, before, after)
    for row, tick in enumerate(wanted.tolist()):
        one = around(stamps, tick, np.arange(len(stamps)))
        assert one == (before[row], after[row])
        status, first, second = choose_one(config, stamps, tick, *one)
        assert (status, first) == (many.status[row], many.first[row])
        assert status != INTERPOLATED or second == many.second[row]
