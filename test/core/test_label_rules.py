"""Which labels an episode takes, and what a refusal says."""

from __future__ import annotations

import pytest

from robot_recorder.configuration import load_tasks
from robot_recorder.core.label_rules import (
    Span,
    check_annotation,
    check_outcome,
    find_annotation,
    missing_annotations,
    to_be_annotated,
)
from robot_recorder.core.labels import LabelEvent, LabelKind, Labels, Outcome
from robot_recorder.core.start_gate import Verdict
from robot_recorder.core.tasks import Task
from robot_recorder.sim.scenarios import TASKS as SIMULATED

T0 = 1_700_000_000_000_000_000
S = 10**9
TASK = Task("lift_box", "Lift it.", ("slip", "drop"), annotations=("grasp", "lift", "release"))
SPAN = Span(T0, T0 - 2 * S, T0 + 10 * S)


@pytest.mark.parametrize("task", [TASK, Task("any", "Do it."), None])
def test_outcomes_that_are_taken(task: Task | None) -> None:
    for outcome in Outcome:
        assert check_outcome(outcome, "", task).ok
    assert check_outcome(2, "slip", task).ok
    assert check_outcome(2, "an earthquake", task).ok == (task is not TASK)


@pytest.mark.parametrize(
    ("outcome", "cause", "words"),
    [(9, "", "outcome 9"), (1, "slip", "only a failure"), (0, "slip", "only a failure"),
     (2, "slipp", "not a failure cause of lift_box; did you mean 'slip'"),
     (2, "earthquake", "known: drop, slip")],
)  # fmt: skip
def test_outcomes_that_are_refused(outcome: int, cause: str, words: str) -> None:
    verdict = check_outcome(outcome, cause, TASK)
    assert not verdict.ok and words in verdict.reason


@pytest.mark.parametrize(
    ("name", "start_s", "end_s"),
    [("grasp", 1, 2), ("grasp", 1, 1), ("wave", 0, 0), ("grasp", -2, 10), ("regrasp", 3, 4),
     ("left", 1, 2), ("抓", 1, 2), ("hold", 1, 2)],
)  # fmt: skip
def test_annotations_that_are_taken(name: str, start_s: float, end_s: float) -> None:
    """Listed ones, and what a floor improvises, also when it is like a listed one."""
    assert check_annotation(name, SPAN.at_ns(start_s), SPAN.at_ns(end_s), SPAN, TASK).ok


@pytest.mark.parametrize(
    ("name", "start_s", "end_s", "words"),
    [("", 1, 2, "needs a name"), (" ", 1, 2, "needs a name"),
     ("gras", 1, 2, "did you mean 'grasp'?"), ("Grasp", 1, 2, "did you mean 'grasp'?"),
     ("relase", 1, 2, "did you mean 'release'?"),
     ("grasp", 2, 1, "ends before it starts"),
     ("grasp", -2.1, 1, "grasp at -2.100 to 1.000 s is outside of the episode, which goes from -2.000 to 10.000 s"),
     ("grasp", 11, 11, "grasp at 11.000 s is outside")],
)  # fmt: skip
def test_annotations_that_are_refused(name: str, start_s: float, end_s: float, words: str) -> None:
    verdict = check_annotation(name, SPAN.at_ns(start_s), SPAN.at_ns(end_s), SPAN, TASK)
    assert not verdict.ok and words in verdict.reason, verdict


def test_an_episode_that_runs_has_no_end_yet() -> None:
    running = Span(T0, T0 - 2 * S)
    assert check_annotation("grasp", T0 + 99 * S, T0 + 99 * S, running, TASK).ok
    verdict = check_annotation("grasp", T0 - 3 * S, T0, running, None)
    assert not verdict.ok and "which begins at -2.000 s" in verdict.reason


def annotation(name: str, start_s: float) -> LabelEvent:
    at = SPAN.at_ns(start_s)
    return LabelEvent(T0, "e", LabelKind.ANNOTATION, name=name, start_ns=at, end_ns=at)


def test_the_last_annotation_of_a_name_and_time_is_found() -> None:
    first, second, other = annotation("grasp", 1), annotation("grasp", 3), annotation("lift", 2)
    labels = Labels(annotations=(first, second, other))
    assert find_annotation(labels, "grasp", None, SPAN) == second
    assert find_annotation(labels, "grasp", SPAN.at_ns(1.0004), SPAN) == first
    none = find_annotation(labels, "grasp", SPAN.at_ns(2), SPAN)
    assert isinstance(none, Verdict) and not none.ok
    assert none.reason == (
        "no grasp at 2.000 s to be withdrawn; "
        "annotated: grasp at 1.000 s, grasp at 3.000 s, lift at 2.000 s"
    )
    nothing = find_annotation(Labels(), "grasp", None, SPAN)
    assert isinstance(nothing, Verdict) and nothing.reason.endswith("annotated: nothing")


def test_what_is_still_to_be_annotated() -> None:
    labels = Labels(annotations=(annotation("lift", 2),))
    assert missing_annotations(labels, TASK) == ["grasp", "release"]
    assert to_be_annotated(labels, TASK) == "; still to be annotated: grasp, release"
    assert to_be_annotated(labels, None) == to_be_annotated(labels, Task("a", "Do it.")) == ""


def test_what_the_demo_annotates_is_taken() -> None:
    said = (
        "reach",
        "grasp",
        "lift",
        "hold",
        "carry",
        "place",
        "release",
        "contact",
        "slip",
        "drop",
        "tipped",
    )
    for task_id in SIMULATED:
        task = load_tasks().find(task_id)
        for name in said:
            assert check_annotation(name, T0, T0 + S, SPAN, task).ok, name
