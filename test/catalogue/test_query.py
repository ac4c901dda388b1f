"""Every query equals a naive search, and reads only covering indexes."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.catalogued import floor, matches
from support.samples import T0

from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.catalogue.entry import Entry
from robot_recorder.catalogue.query import COUNTED, Filter, Query, names
from robot_recorder.catalogue.schema import DAY_NS
from robot_recorder.model.labels import Outcome
from robot_recorder.quality.verdict import Verdict


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Catalogue, list[Entry]]:
    root = tmp_path_factory.mktemp("filled")
    entries = floor(7, 1000, root)
    catalogue = Catalogue(root)
    with catalogue.writing():
        for entry in entries:
            catalogue.put(entry)
    return catalogue, entries


def maybe(values) -> st.SearchStrategy:
    return st.none() | values


instants = st.integers(T0 - DAY_NS, T0 + 10 * DAY_NS)
filters = st.builds(
    Filter,
    task=maybe(st.sampled_from(["fold", "lift", "", "ann", "unheard_of"])),
    robot=maybe(st.sampled_from(["r1", "r2", "unheard_of"])),
    operator=maybe(st.sampled_from(["ann", "bob", ""])),
    outcome=maybe(st.sampled_from(Outcome)),
    verdict=maybe(st.sampled_from(Verdict)),
    since_ns=maybe(instants),
    until_ns=maybe(instants),
    longer_ms=maybe(st.sampled_from([0, 500, 8000, 50_000, 10**9])),
    shorter_ms=maybe(st.sampled_from([0, 501, 8000, 60_000])),
)


@settings(max_examples=80, deadline=None)
@given(filter=filters, limit=st.integers(1, 60), few=st.sampled_from([0, 20, 50_000]))
def test_every_filter_finds_the_same_as_a_naive_search(
    filled, filter: Filter, limit: int, few: int
) -> None:
    catalogue, entries = filled
    expected = sorted((e for e in entries if matches(e, filter)), key=lambda e: e.start_ns)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("robot_recorder.catalogue.query._FEW", few)
        query = Query(catalogue, filter)
    assert sorted(e.name for e in query.all()) == sorted(e.name for e in expected)
    assert [e.start_ns for e in query.all()] == [e.start_ns for e in expected]
    newest = query.newest(limit)
    assert [e.start_ns for e in newest] == [e.start_ns for e in expected[-limit:]]
    assert all(matches(e, filter) for e in newest) and len({e.name for e in newest}) == len(newest)
    assert query.count() == len(expected) <= COUNTED
    assert query.count(10) == min(len(expected), 11)


def test_queries_read_only_ranges_of_covering_indexes(filled) -> None:
    """No query reads a row of the table to decide whether it matches."""
    catalogue, _ = filled
    asked: dict[str, Any] = {
        "task": "fold", "robot": "r1", "operator": "ann", "outcome": Outcome.SUCCESS,
        "verdict": Verdict.ACCEPT, "since_ns": T0, "longer_ms": 8000,
    }  # fmt: skip
    for number in range(len(asked) + 1):
        for chosen in itertools.combinations(asked, number):
            query = Query(catalogue, Filter(**{key: asked[key] for key in chosen}))
            for part in query._parts:
                plan = catalogue.connection.execute(
                    f"EXPLAIN QUERY PLAN SELECT start_ns, key {part.tail} ORDER BY start_ns DESC", part.values
                ).fetchall()  # fmt: skip
                steps = [step[3] for step in plan if "B-TREE" not in step[3]]
                assert len(steps) == 1 and "SEARCH episodes USING COVERING INDEX" in steps[0], plan
                sorts = any("B-TREE" in step[3] for step in plan)
                assert sorts == ("by_length" in part.tail), plan


def test_names_are_listed_by_column(filled) -> None:
    catalogue, _ = filled
    assert sorted(names(catalogue, "robot")) == ["r1", "r2", "r3"]
    assert sorted(names(catalogue, "operator")) == ["ann", "bob"]
