"""Inspectors agree by chance, by skill, or not at all."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.floor.centre.review.agreement import (
    agreement,
    confusion,
    summed,
    transposed,
    wilson,
)

TABLES = st.integers(1, 4).flatmap(
    lambda k: st.lists(st.lists(st.integers(0, 60), min_size=k, max_size=k), min_size=k, max_size=k)
)


def test_kappa_is_that_of_the_textbook() -> None:
    # Cohen's own example, as in Fleiss: 20 and 15 alike of 50 by chance 0.5.
    found = agreement([[20, 5], [10, 15]])
    assert found.n == 50
    assert found.agree == pytest.approx(0.7)
    assert found.kappa == pytest.approx(0.4)
    assert found.low is not None and found.high is not None
    assert found.low < 0.4 < found.high


def test_nothing_and_one_class_for_all_are_undefined() -> None:
    assert agreement([[0, 0], [0, 0]]).to_dict() == {
        "n": 0, "agree": None, "kappa": None, "low": None, "high": None,
    }  # fmt: skip
    same = agreement([[50, 0], [0, 0]])
    assert (same.n, same.agree, same.kappa, same.low) == (50, 1.0, None, None)


def test_few_episodes_do_not_prove_perfection() -> None:
    few, many = agreement([[2, 0], [0, 2]]), agreement([[200, 0], [0, 200]])
    assert few.kappa == many.kappa == 1.0
    assert few.low is not None and few.low < 0.2
    assert many.low is not None and many.low > 0.95


@given(TABLES)
def test_kappa_lies_within_its_interval_and_does_not_depend_on_who_is_first(
    table: list[list[int]],
) -> None:
    found, turned = agreement(table), agreement(transposed(table))
    assert found.n == turned.n
    if found.kappa is None:
        assert turned.kappa is None
        return
    assert found.low is not None and found.high is not None and turned.kappa is not None
    assert -1 <= found.low <= found.kappa <= found.high <= 1 + 1e-12
    assert math.isclose(found.kappa, turned.kappa, abs_tol=1e-12)


@given(TABLES, st.integers(2, 9))
def test_kappa_does_not_change_when_all_counts_grow_alike(
    table: list[list[int]], times: int
) -> None:
    grown = agreement([[times * count for count in row] for row in table])
    found = agreement(table)
    assert (found.kappa is None) == (grown.kappa is None)
    if found.kappa is not None and grown.kappa is not None:
        assert math.isclose(found.kappa, grown.kappa, abs_tol=1e-9)


@given(st.integers(0, 500), st.integers(0, 500))
def test_wilson_holds_the_share_and_stays_within_0_and_1(hits: int, misses: int) -> None:
    bounds = wilson(hits, hits + misses)
    if bounds is None:
        assert hits + misses == 0
        return
    assert 0 <= bounds[0] <= hits / (hits + misses) <= bounds[1] <= 1


def test_wilson_is_that_of_the_textbook() -> None:
    bounds = wilson(10, 100)
    assert bounds == pytest.approx((0.0552, 0.1744), abs=1e-4)


def test_pairs_become_a_table_and_tables_add_up() -> None:
    table = confusion([("a", "b", 3), ("a", "a", 2), ("a", "b", 1)], "ab")
    assert table == [[2, 4], [0, 0]]
    assert summed([table, transposed(table)], 2) == [[4, 4], [4, 0]]
    assert summed([], 2) == [[0, 0], [0, 0]]
