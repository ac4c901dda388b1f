"""Which episodes become a dataset, why others do not, and how they are split and laid out.

Holds also: layout.py.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.dataset_takes import TakeOptions, take

from robot_recorder.catalogue.entry import Entry, read_entry
from robot_recorder.dataset.layout import LaidOut, grouped, numbered
from robot_recorder.dataset.schema import Schema, SourceFacts
from robot_recorder.dataset.selection import (
    Balance,
    Choice,
    choose,
    parse_split,
    read_entries,
    read_list,
    split,
)
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.labels import Outcome
from robot_recorder.quality.verdict import Verdict


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    root = tmp_path_factory.mktemp("one")
    return read_entry(take(root, 0, TakeOptions(seconds=0.5)))


def entries(entry: Entry, *changes: dict[str, Any]) -> list[Entry]:
    return [
        replace(entry, name=f"e{n}", id=f"e{n}", start_ns=entry.start_ns + n, **change)
        for n, change in enumerate(changes)
    ]


def names(selected: Any) -> list[str]:
    return [e.name for e in selected.entries]


def test_failures_and_rejected_episodes_are_left_out_with_their_cause(entry: Entry) -> None:
    found = choose(
        entries(
            entry,
            {},
            {"outcome": Outcome.FAILURE, "cause": "slip"},
            {"verdict": Verdict.REJECT, "reason": "rate"},
            {"outcome": Outcome.UNLABELLED, "verdict": Verdict.UNKNOWN},
        ),
        Choice(),
    )
    assert names(found) == ["e0", "e3"]
    assert sorted(found.left_out.values()) == ["failure: slip", "rejected: rate"]


def test_any_outcome_and_verdict_can_be_asked_for(entry: Entry) -> None:
    every = entries(entry, {"outcome": Outcome.FAILURE}, {"verdict": Verdict.REJECT})
    assert names(choose(every, Choice(tuple(Outcome), tuple(Verdict)))) == ["e0", "e1"]
    assert names(choose(every, Choice((Outcome.FAILURE,)))) == ["e0"]


def test_every_condition_says_why_it_leaves_an_episode_out(entry: Entry) -> None:
    one = entries(entry, {"task": "fold"})
    at = one[0].start_ns
    for choice, why in (
        (Choice(task="lift"), "its task is fold"),
        (Choice(robot="g1"), "its robot is arm"),
        (Choice(operator="bob"), "its operator is ann"),
        (Choice(since_ns=at + 1), "it is older"),
        (Choice(until_ns=at), "it is newer"),
        (Choice(exclude=("e0",)), "excluded by name"),
        (Choice((Outcome.UNLABELLED,)), "its outcome is success"),
        (Choice(verdicts=(Verdict.REVIEW,)), "its verdict is accept"),
    ):
        assert list(choose(one, choice).left_out.values()) == [why]


def test_an_annotation_can_be_asked_for(entry: Entry) -> None:
    assert choose([entry], Choice(annotations=("grasp",))).entries == (entry,)
    found = choose([entry], Choice(annotations=("place", "drop")))
    assert list(found.left_out.values()) == ["it has no annotation place or drop"]


def test_a_limit_takes_the_newest_and_a_balance_takes_equally_many(entry: Entry) -> None:
    every = entries(entry, *[{"task": task} for task in "aaaabb"])
    assert names(choose(every, Choice(limit=2))) == ["e4", "e5"]
    found = choose(every, Choice(balance=Balance.TASK, seed=3))
    tasks = [e.task for e in found.entries]
    assert (tasks.count("a"), tasks.count("b")) == (2, 2)
    assert set(found.left_out.values()) == {"beyond the balance of tasks"}
    assert choose(every, Choice(balance=Balance.TASK, seed=3)).entries == found.entries
    assert len(choose(every, Choice(balance=Balance.TASK, limit=2)).entries) == 2


def test_a_bag_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    found, problems = read_entries([tmp_path / "gone"])
    assert not found and "gone" in problems[str(tmp_path / "gone")]


def test_a_saved_selection_is_read_relative_to_its_file(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("# mine\n/data/a\n\nb\n")
    assert list(read_list(tmp_path / "list.txt")) == [Path("/data/a"), tmp_path / "b"]
    with pytest.raises(ConfigError, match=r"none\.txt cannot be read"):
        list(read_list(tmp_path / "none.txt"))


@pytest.mark.parametrize(
    "text", ["val", "val=x", "val=1.5", "dev=0.1", "val=0.6,test=0.4", "val=-1"]
)
def test_an_impossible_split_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_split(text)


@given(st.sets(st.text("abcdef", min_size=1), max_size=40), st.integers(0, 5))
def test_a_split_has_its_shares_and_is_kept_when_episodes_are_added(
    ids: set[str], seed: int
) -> None:
    shares = parse_split("val=0.2,test=0.1")
    half = sorted(ids)[: len(ids) // 2]
    before = split(half, shares, seed)
    after = split(sorted(ids), shares, seed, before)
    assert {id: after[id] for id in half} == before
    counted = list(after.values())
    assert counted.count("val") == max(round(0.2 * len(ids)), list(before.values()).count("val"))
    assert set(after) == ids


def laid(number: int, size: int, frames: int = 10) -> LaidOut:
    facts = SourceFacts(f"e{number}", f"/e{number}", instruction="Lift." if number % 2 else "Fold.")
    return LaidOut(f"k{number}", facts, "", size, (((0, frames),), ((20, 25),)), "train")


@given(st.lists(st.integers(0, 500), min_size=1, max_size=30), st.integers(100, 1000))
def test_shards_hold_every_source_once_in_order(sizes: list[int], most: int) -> None:
    sources = [laid(n, size) for n, size in enumerate(sizes)]
    groups = grouped(sources, most)
    assert [s for group in groups for s in group] == sources
    assert all(sum(s.bytes for s in g) <= most + max(sizes) for g in groups)


def test_frames_and_episodes_are_numbered_through_and_words_keep_their_numbers() -> None:
    schema = Schema("arm", 20.0, "", (), ())
    shards = numbered({0: [laid(0, 1), laid(1, 1)], 4: [laid(2, 1)]}, schema, ("Old.",))
    found = [(e.index, e.first_frame, e.piece) for s in shards for e in s.episodes]
    assert found == [(0, 0, 0), (1, 10, 1), (2, 15, 0), (3, 25, 1), (4, 30, 0), (5, 40, 1)]
    assert shards[1].number == 4
    assert shards[0].sentences == shards[1].sentences == ("Old.", "Fold.", "Lift.")
