"""Statistics of features against numpy's."""

from __future__ import annotations

import warnings

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from robot_recorder.dataset import stats
from robot_recorder.dataset.stats import QUANTILES, FeatureStats, joined


def of(rows: np.ndarray, *cuts: int) -> FeatureStats:
    found = FeatureStats(rows.shape[1])
    for part in np.split(rows, sorted(min(c, len(rows)) for c in cuts)):
        found.add(part)
    return found


NUMBERS = st.one_of(st.floats(-1e6, 1e6, width=32), st.just(np.nan))
ROWS = hnp.arrays(np.float64, st.tuples(st.integers(1, 40), st.integers(1, 3)), elements=NUMBERS)


@given(ROWS, st.lists(st.integers(0, 40), max_size=3))
def test_they_are_numpys_whatever_the_batches_and_leave_out_what_is_missing(
    rows: np.ndarray, cuts: list[int]
) -> None:
    found = of(rows, *cuts).result()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of columns that are all NaN
        np.testing.assert_allclose(found["mean"], np.nanmean(rows, axis=0), rtol=1e-9, atol=1e-6)
        np.testing.assert_allclose(found["std"], np.nanstd(rows, axis=0), rtol=1e-6, atol=1e-4)
        np.testing.assert_array_equal(found["min"], np.nanmin(rows, axis=0))
        np.testing.assert_array_equal(found["max"], np.nanmax(rows, axis=0))
        for name, share in QUANTILES.items():
            np.testing.assert_allclose(
                found[name], np.nanquantile(rows, share, axis=0), rtol=1e-9, atol=1e-9
            )
    assert found["count"].tolist() == [len(rows)]


def test_infinite_values_are_left_out() -> None:
    found = of(np.array([[1.0], [np.inf], [3.0], [-np.inf]])).result()
    assert (found["mean"][0], found["max"][0]) == (2.0, 3.0)


def test_quantiles_of_many_values_are_those_of_a_fine_histogram() -> None:
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(0, 1, (30_000, 2)), rng.normal(40, 3, (20_000, 2)) * [1, -5]])
    rows[::7, 0] = np.nan
    found = of(rows, 10_000, 30_000, 30_500).result()
    for name, share in QUANTILES.items():
        wanted = np.nanquantile(rows, share, axis=0)
        assert np.all(np.abs(found[name] - wanted) < 0.005 * np.ptp(np.nan_to_num(rows), axis=0))


def test_a_range_that_grows_a_lot_keeps_all_counts(monkeypatch) -> None:
    monkeypatch.setattr(stats, "_EXACT", 4)
    found = of(np.array([[0.0]] * 5 + [[1e6]] * 5), 5).result()
    assert found["q10"][0] < 1e3 and found["q90"][0] > 0.99e6


@given(st.lists(ROWS.filter(lambda r: r.shape[1] == 2), min_size=1, max_size=4))
def test_joined_ones_have_the_mean_and_extremes_of_all(parts: list[np.ndarray]) -> None:
    parts = [np.nan_to_num(p) for p in parts]
    found = joined(of(p).result() for p in parts)
    rows = np.concatenate(parts)
    np.testing.assert_allclose(found["mean"], rows.mean(axis=0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found["std"], rows.std(axis=0), rtol=1e-6, atol=1e-3)
    np.testing.assert_array_equal(found["max"], rows.max(axis=0))
    assert found["count"].tolist() == [len(rows)]


def test_an_episode_without_a_value_does_not_spoil_the_others() -> None:
    nothing = of(np.full((3, 1), np.nan)).result()
    assert np.isnan(nothing["mean"]).all()
    found = joined([nothing, of(np.array([[2.0], [4.0]])).result()])
    assert found["mean"].tolist() == [3.0] and found["min"].tolist() == [2.0]
    assert np.isnan(joined([nothing])["mean"]).all()
