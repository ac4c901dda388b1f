"""Which takes annotations mark, and which labels each of them gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.long_episode import ID, SHIFT, at, mark, outcome, task
from support.samples import T0

from robot_recorder.bags.metadata import BagSummary, build_metadata
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.facts import label_facts
from robot_recorder.episodes.takes import TakeSpan, labels_of, take_between, takes_of
from robot_recorder.model.labels import (
    TAKE,
    TAKE_BEGIN,
    LabelEvent,
    LabelKind,
    Outcome,
    appended,
    fold,
)


def episode(*events: LabelEvent, seconds: float = 20) -> Episode:
    log = appended([], *sorted(events, key=lambda e: e.stamp_ns))
    facts = {
        "episode_id": ID,
        "start_ns": str(T0),
        "stop_ns": str(at(seconds)),
        "pre_roll_s": "1",
        **label_facts(log),
    }
    return Episode(Path(ID), build_metadata([], BagSummary("a.mcap", T0, at(seconds), []), facts))


def spans(takes: list[TakeSpan]) -> list[tuple[float, float]]:
    return [((t.start_ns - T0) / 1e9, (t.end_ns - T0) / 1e9) for t in takes]


def test_two_presses_or_a_segment_mark_a_take() -> None:
    takes, problems = takes_of(episode(*SHIFT))
    assert spans(takes) == [(2, 5), (9, 12)] and not problems


def test_a_press_without_its_other_is_told_and_takes_no_other_take_away() -> None:
    events = [
        mark(TAKE, 1),
        mark(TAKE_BEGIN, 2),
        mark(TAKE_BEGIN, 3),
        mark(TAKE, 5),
        mark(TAKE_BEGIN, 18),
    ]
    takes, problems = takes_of(episode(*events))
    assert spans(takes) == [(3, 5)], "a begin pressed again begins again"
    assert "no take_begin before it" in problems[0] and "has no end" in problems[1]


def test_any_annotation_can_be_cut_by_but_no_instant() -> None:
    takes, problems = takes_of(episode(mark("grasp", 1, 2), mark("grasp", 4), *SHIFT), "grasp")
    assert spans(takes) == [(1, 2), (3, 4)] and "it is an instant" in problems[0]


def test_segments_are_clipped_to_the_episode() -> None:
    takes, problems = takes_of(episode(mark(TAKE, -5, 2), mark(TAKE, 25, 30), mark(TAKE, 19, 30)))
    assert spans(takes) == [(-1, 2), (19, 20)] and "outside of the episode" in problems[0]


def test_a_take_has_the_task_and_outcome_given_while_it_ran() -> None:
    long = episode(*SHIFT)
    first, second = takes_of(long)[0]
    labels = fold(labels_of(long, first, first.start_ns, "new"))
    assert (labels.task, labels.operator_name, labels.outcome) == (
        "lift_box",
        "ann",
        Outcome.SUCCESS,
    )
    assert [(a.name, a.start_ns, a.end_ns) for a in labels.annotations] == [("grasp", at(3), at(4))]
    labels = fold(log := labels_of(long, second, second.start_ns, "new"))
    assert (labels.task, labels.instruction, labels.operator_name) == (
        "carry_tray",
        "Carry.",
        "bob",
    )
    assert labels.outcome_text == "failure: slip"
    assert [(a.name, a.start_ns, a.end_ns) for a in labels.annotations] == [("hold", at(9), at(12))]
    assert {event.episode_id for event in log} == {"new"}


def test_what_is_said_of_the_whole_afterwards_corrects_the_task_but_is_no_takes_outcome() -> None:
    long = episode(
        mark(TAKE, 2, 5),
        task(0, "a"),
        task(7, "b"),
        outcome(19.9, Outcome.SUCCESS),
        mark(TAKE, 8, 10),
    )
    first, second = takes_of(long)[0]
    assert fold(labels_of(long, first, first.start_ns, "")).task == "a"
    assert fold(labels_of(long, first, first.start_ns, "")).outcome is Outcome.UNLABELLED
    assert fold(labels_of(long, second, second.start_ns, "")).task == "b"
    assert fold(labels_of(long, second, second.start_ns, "")).outcome is Outcome.SUCCESS
    later = episode(*long.events, task(100, "c"), outcome(101, Outcome.FAILURE))
    first, second = takes_of(later)[0]
    assert fold(labels_of(later, first, first.start_ns, "")).task == "c"
    assert fold(labels_of(later, second, second.start_ns, "")).outcome is Outcome.SUCCESS


def test_an_outcome_that_was_withdrawn_is_none() -> None:
    long = episode(mark(TAKE, 2, 5), outcome(5.5, Outcome.SUCCESS), outcome(6, Outcome.UNLABELLED))
    (take,) = takes_of(long)[0]
    assert fold(labels_of(long, take, take.start_ns, "")).outcome is Outcome.UNLABELLED


@pytest.mark.parametrize(
    "from_s, to_s, found",
    [(None, None, (0, 20)), (-0.5, 3, (-0.5, 3)), (-9, 99, (-1, 20)), (5, None, (5, 20))],
)
def test_times_are_those_of_the_episodes_clock(from_s, to_s, found) -> None:
    take = take_between(episode(), from_s, to_s)
    assert isinstance(take, TakeSpan) and spans([take]) == [found]


@pytest.mark.parametrize("from_s, to_s", [(5, 5), (6, 5), (20, 30), (-9, -2)])
def test_an_empty_part_is_told_with_what_there_is(from_s: float, to_s: float) -> None:
    said = take_between(episode(), from_s, to_s)
    assert isinstance(said, str) and "goes from -1.000 to 20.000 s" in said


@given(st.lists(st.tuples(
    st.sampled_from([TAKE, TAKE_BEGIN, "grasp"]), st.floats(-5, 30), st.floats(0, 10), st.sampled_from(Outcome),
), max_size=12))  # fmt: skip
def test_any_labels_give_takes_inside_the_episode_and_logs_that_hold_together(marks) -> None:
    events = [
        mark(n, a, a + b, outcome=o if n == TAKE else Outcome.UNLABELLED) for n, a, b, o in marks
    ]
    long = episode(task(0, "a"), *(e for e in events if e.stamp_ns > 0))
    takes, problems = takes_of(long)
    assert len(takes) + len(problems) <= len(marks) + 1
    for take in takes:
        assert at(-1) <= take.start_ns < take.end_ns <= at(20) and take.next_ns >= take.end_ns
        log = labels_of(long, take, take.start_ns, "new")
        assert log[0].kind is LabelKind.TASK and fold(log).task == "a"
        stamps = [event.stamp_ns for event in log]
        assert stamps == sorted(set(stamps))
        for one in fold(log).annotations:
            assert take.start_ns <= one.start_ns <= one.end_ns <= take.end_ns
