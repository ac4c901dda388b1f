"""Curves with fewer samples, and every spike."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from robot_recorder.content.thinning import at_most, halved, lowest_and_highest

curves = arrays.arrays(
    np.float64, st.tuples(st.integers(1, 80), st.just(2)), elements=st.floats(-1e6, 1e6) | st.just(np.nan)
)  # fmt: skip


def test_thinning_keeps_at_most_the_given_rate() -> None:
    times = np.sort(np.random.default_rng(0).uniform(-3, 7, 5000))
    kept = times[at_most(times, 20)]
    assert len(np.unique(np.floor(kept * 20))) == len(kept) == 200
    assert (at_most(times[:3], 1e6) == [0, 1, 2]).all()


@given(curves, st.integers(1, 9))
def test_a_halved_curve_is_short_and_keeps_every_extreme(values: np.ndarray, by: int) -> None:
    times = np.arange(float(len(values)))
    short_times, short = halved(times, values, by)
    assert len(short_times) == len(short) == 2 * -(-len(values) // (2 * by))
    assert (np.diff(short_times) >= 0).all()
    assert (short_times[0], short_times[-1]) == (times[0], times[-1])
    for column in range(2):
        assert np.array_equal(np.isnan(short[:, column]).all(), np.isnan(values[:, column]).all())
        for extreme in (np.fmin, np.fmax):
            kept, sent = (extreme.reduce(rows[:, column]) for rows in (short, values))
            assert np.array_equal(kept, sent, equal_nan=True)


@given(curves, st.data())
def test_each_bin_has_its_own_extremes(values: np.ndarray, data: st.DataObject) -> None:
    cuts = data.draw(st.sets(st.integers(1, max(len(values) - 1, 1)), max_size=6))
    starts = np.array([0, *sorted(cut for cut in cuts if cut < len(values))])
    low, high = lowest_and_highest(values, starts)
    for number, rows in enumerate(np.split(values, starts[1:])):
        assert np.array_equal(low[number], np.fmin.reduce(rows), equal_nan=True)
        assert np.array_equal(high[number], np.fmax.reduce(rows), equal_nan=True)
