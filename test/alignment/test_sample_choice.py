"""Which sample stands for a tick: nearest, previous, linear."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.aligned import Run, stream

from robot_recorder.alignment import lane, sample_choice
from robot_recorder.alignment.frames import SampleStatus
from robot_recorder.alignment.sample_choice import (
    INTERPOLATED,
    MISSING,
    SampleChoice,
    around,
    choose,
    choose_from,
    choose_one,
    needed,
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


COMPILED = {name: getattr(sample_choice, name) for name in ("_choose", "_pick")}


def test_the_compiled_part_is_there() -> None:
    assert all(COMPILED.values())


def in_python(action: Any, *arguments: Any) -> Any:
    """Call a function without the compiled part."""
    with pytest.MonkeyPatch.context() as patch:
        for name in COMPILED:
            patch.setattr(sample_choice, name, None)
        return action(*arguments)


rising = st.lists(st.integers(-100, 500), max_size=12, unique=True).map(sorted)


@given(
    rising,
    st.lists(st.integers(-100, 600), min_size=12, max_size=12).map(sorted),
    rising,
    st.sampled_from(Policy),
    st.integers(1, 90),
    st.integers(-40, 40),
    st.integers(0, 200),
)
def test_the_compiled_part_chooses_as_numpy_does(
    at: list[int], received: list[int], ticks: list[int], policy: Policy, tolerance: int, wait: int,
    deadline: int,
) -> None:  # fmt: skip
    config = stream(policy, tolerance_ms=tolerance / MS)
    stamps, wanted = np.array(at, dtype=np.int64), np.array(ticks, dtype=np.int64)
    receives = np.array(received[: len(at)], dtype=np.int64)
    asked = config, stamps, receives, True, wanted, wait, deadline
    choice, count, passed = choose_from(*asked)
    same, same_count, same_passed = in_python(choose_from, *asked)
    assert choice.status.dtype == same.status.dtype
    there, both = same.status != MISSING, same.status == INTERPOLATED
    assert choice.status.tolist() == same.status.tolist()
    assert choice.first[there].tolist() == same.first[there].tolist()
    assert choice.second[both].tolist() == same.second[both].tolist()
    assert (count.tolist(), passed.tolist()) == (same_count.tolist(), same_passed.tolist())

    numbers = np.arange(len(at)) * 2 + 7
    for found, expected in zip(
        needed(numbers, stamps, wanted, choice),
        in_python(needed, numbers, stamps, wanted, same),
        strict=True,
    ):
        assert found.dtype == expected.dtype and found.tobytes() == expected.tobytes()


def test_a_tolerance_may_be_without_end() -> None:
    config = stream(Policy.LINEAR, tolerance_ms=1e14)
    at = np.arange(3) * 10
    choice, _, _ = choose_from(config, at, at, True, np.array([5, 15]), 0, 100)
    assert choice.status.tolist() == [INTERPOLATED, INTERPOLATED]


def test_wrong_use_of_the_compiled_part_is_an_error() -> None:
    choose_ticks = COMPILED["_choose"]
    three, two, out = np.arange(3), np.arange(2), np.empty((4, 2), np.int64)
    status = np.zeros(2, np.uint8)
    rule = 0, 0, 0, 0
    choose_ticks(three, three, two, status, out, *rule)
    for wrong in (
        (three, two, two, status, out),
        (three, three, two, status[:1], out),
        (three, three, two, status, out[:3]),
        (three, three, three, status, out),
    ):
        with pytest.raises(ValueError, match="do not fit"):
            choose_ticks(*wrong, *rule)
    with pytest.raises(TypeError):
        choose_ticks(three, three, two, two, out, *rule)
    with pytest.raises((TypeError, BufferError, ValueError)):
        choose_ticks(three, three, two, b"..", out, *rule)
    for odd in (
        np.empty((4, 2), object),
        np.empty((4, 2)),
        out.astype(">i8"),
        np.empty((4, 2), "M8[ns]"),
    ):
        with pytest.raises((TypeError, ValueError)):
            choose_ticks(three, three, two, status, odd, *rule)
    with pytest.raises(TypeError, match="number of arguments"):
        choose_ticks(three)
    with pytest.raises(OverflowError):
        choose_ticks(three, three, two, status, out, 2**63, 0, 0, 0)
    beyond = SampleChoice(status, np.array([0, 3]), two)
    with pytest.raises(ValueError, match="do not fit"):
        needed(three, three, two, beyond)
    settle: Any = getattr(lane, "_settle")  # noqa: B009
    kept = np.arange(3), np.arange(3), np.zeros(3, np.int64), np.zeros(3, np.int64)
    for first, column in (
        (np.array([0, 3]), np.empty((3, 2), np.int64)),
        (two, np.empty((3, 1), np.int64)),
    ):
        with pytest.raises(ValueError, match="do not fit"):
            settle(*kept, two, two, status, first, two, column, 0)
