"""The playhead moves steadily, whatever is pressed, and never faster than time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.model.errors import ConfigError
from robot_recorder.playback.playhead import (
    LEAST_RATE,
    MOST_RATE,
    Playhead,
    TimingErrors,
    checked_rate,
)

T0 = 1_700_000_000_000_000_000
MS = 1_000_000
rates = st.floats(LEAST_RATE, MOST_RATE)
actions = st.lists(
    st.tuples(st.integers(0, 10**11), st.sampled_from(["pause", "resume", "rate", "step"]), rates)
)


def act(head: Playhead, action: str, rate: float, now_ns: int) -> None:
    if action == "pause":
        head.pause(now_ns)
    elif action == "resume":
        head.resume(now_ns)
    elif action == "rate":
        head.set_rate(rate, now_ns)
    elif head.paused:
        head.step_to(head.position_ns(now_ns) + round(rate))


@given(rates, actions)
def test_the_position_never_goes_back_or_jumps(rate: float, pressed) -> None:
    now = 5
    head = Playhead(T0, now, rate)
    position = T0
    for wait, action, value in pressed:
        before, was_paused, was_rate = head.position_ns(now), head.paused, head.rate
        assert before == position
        now += wait
        position = head.position_ns(now)
        assert position == before if was_paused else position - before >= 0
        assert position - before <= wait * was_rate + 1
        act(head, action, value, now)
        if action != "step":
            assert head.position_ns(now) == position
        position = head.position_ns(now)


@given(rates, actions, st.integers(-(10**10), 10**10))
def test_due_is_the_first_instant_at_which_a_time_is_reached(rate, pressed, ahead) -> None:
    now = 5
    head = Playhead(T0, now, rate)
    for wait, action, value in pressed:
        now += wait
        act(head, action, value, now)
    wanted = head.position_ns(now) + ahead
    due = head.due_ns(wanted)
    if head.paused:
        assert due is None
        return
    assert due is not None
    # A float holds the 1e13 ns of some hours to less than 1 ns; the rate multiplies that error.
    slack = 1 + math.ceil(1e-4 / head.rate)
    assert head.position_ns(due + slack) >= wanted
    assert head.position_ns(due - slack - 1) < wanted + 1


def test_an_invalid_rate_is_an_error() -> None:
    for rate in (0.0, -1.0, 1000.0, math.nan, math.inf):
        with pytest.raises(ConfigError, match=r"1\.0 is as recorded"):
            checked_rate(rate)
    head = Playhead(T0, 0)
    head.set_rate(1e9, 0)
    assert head.rate == MOST_RATE
    head.set_rate(0.0, 0)
    assert head.rate == LEAST_RATE


@given(st.lists(st.integers(0, 10**11), min_size=1), st.floats(0, 1))
def test_percentiles_of_timing_errors_are_right(found: list[int], share: float) -> None:
    errors = TimingErrors()
    for error in found:
        errors.add(error)
    exact = float(np.percentile(found, share * 100, method="inverted_cdf")) / MS
    assert errors.percentile_ms(share) == pytest.approx(exact, rel=0.03, abs=0.0011)
    assert errors.max_ms == max(found) / MS and errors.count == len(found)


def test_percentiles_without_messages_are_zero() -> None:
    assert str(TimingErrors()) == "timing error p50 0.00 ms, p95 0.00 ms, max 0.00 ms"
