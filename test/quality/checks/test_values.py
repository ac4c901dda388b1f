"""Traces and constant runs do not depend on how samples are batched."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_recorder.quality.checks.values import (
    MOST_SPANS,
    TRACE_PERIOD_NS,
    ConstantRuns,
    Trace,
    robot_times,
)

MS = 1_000_000
T0 = 1_700_000_000_000_000_000


@st.composite
def batches(draw: st.DrawFn) -> list[int]:
    """Return the indices at which a series of 300 is cut."""
    return sorted(set(draw(st.lists(st.integers(1, 299), max_size=8))))


@given(batches(), st.integers(0, 2**32 - 1))
def test_a_trace_keeps_the_first_of_each_period(cuts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    times = T0 + np.cumsum(rng.integers(1, 30, 300)) * MS
    rows = rng.random((300, 2))
    trace = Trace(("a", "b"))
    for part in np.split(np.arange(300), cuts):
        trace.add(times[part], rows[part])
    slots = times // TRACE_PERIOD_NS
    first = np.flatnonzero(np.diff(slots, prepend=-1))
    assert (trace.times == times[first]).all() and (trace.rows == rows[first]).all()


def test_a_trace_can_be_cut_and_continued() -> None:
    times = T0 + np.arange(300, dtype=np.int64) * TRACE_PERIOD_NS
    rows = np.arange(600.0).reshape(300, 2)
    trace = Trace(("a", "b"))
    trace.add(times[:200], rows[:200])
    early = trace.before(int(times[50]))
    assert (early.times == times[:50]).all() and (early.rows == rows[:50]).all()
    trace.cut(int(times[120]))
    trace.add(times[150:], rows[150:])  # samples it has already are ignored
    assert len(trace) == 180
    assert (trace.times == times[120:]).all() and (trace.rows == rows[120:]).all()


def test_the_longest_of_many_constant_runs_are_kept() -> None:
    lengths = np.random.default_rng(0).integers(200, 2000, 5 * MOST_SPANS) * MS
    ends = T0 + np.cumsum(lengths)
    times = np.sort(
        np.concatenate((ends, ends - 1))
    )  # the last of one value, the first of the next
    same = np.tile([True, False], len(ends))
    runs = ConstantRuns()
    for part in np.array_split(np.arange(len(times)), 37):
        runs.add(times[part], same[part])
        assert len(runs.spans) <= MOST_SPANS
    found = sorted(end - start for start, end in runs.spans)
    assert found == sorted((lengths[1:] - 1).tolist())[-MOST_SPANS:]


@settings(max_examples=200)
@given(batches(), st.lists(st.booleans(), min_size=300, max_size=300))
def test_constant_runs_are_found_across_batches(cuts: list[int], same: list[bool]) -> None:
    times = T0 + np.arange(300, dtype=np.int64) * 50 * MS
    equal = np.array(same)
    equal[0] = False
    runs = ConstantRuns()
    for part in np.split(np.arange(300), cuts):
        runs.add(times[part], equal[part])
    starts = np.flatnonzero(~equal)
    ends = np.append(starts[1:], 300) - 1
    wanted = [
        (int(times[a]), int(times[b]))
        for a, b in zip(starts, ends)
        if times[b] - times[a] >= ConstantRuns.LEAST_NS
    ]
    assert runs.spans == wanted
    assert (runs.samples, runs.repeats) == (300, int(equal.sum()))


def test_stamps_of_another_clock_are_ignored() -> None:
    receives = T0 + np.array([0, 1, 2], dtype=np.int64) * MS
    stamps = np.array([0, T0, T0 - 3_600_000 * MS], dtype=np.int64)
    assert robot_times(stamps, receives).tolist() == [T0, T0, T0 + 2 * MS]
