"""The rules for labels: which are accepted, and what a rejection says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.configuration.find import load_tasks
from robot_recorder.configuration.tasks import Task, TaskRegistry
from robot_recorder.episodes.label_rules import (
    MOST_LABELS,
    LabelContext,
    Span,
    admit,
    check_annotation,
    check_outcome,
    find_annotation,
    missing_annotations,
    to_be_annotated,
)
from robot_recorder.model.answers import Answer
from robot_recorder.model.labels import LabelEvent, LabelKind, Labels, Outcome
from robot_recorder.model.text import text_problem
from robot_recorder.sim.tasks import TASKS as SIMULATED

T0 = 1_700_000_000_000_000_000
S = 10**9
TASK = Task("lift_box", "Lift it.", ("slip", "drop"), annotations=("grasp", "lift", "release"))
SPAN = Span(T0, T0 - 2 * S, T0 + 10 * S)


@pytest.mark.parametrize("task", [TASK, Task("any", "Do it."), None])
def test_outcomes_that_are_accepted(task: Task | None) -> None:
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
def test_outcomes_that_are_rejected(outcome: int, cause: str, words: str) -> None:
    answer = check_outcome(outcome, cause, TASK)
    assert not answer.ok and words in answer.reason


@pytest.mark.parametrize(
    ("name", "start_s", "end_s"),
    [("grasp", 1, 2), ("grasp", 1, 1), ("wave", 0, 0), ("grasp", -2, 10), ("regrasp", 3, 4),
     ("left", 1, 2), ("抓", 1, 2), ("hold", 1, 2)],
)  # fmt: skip
def test_annotations_that_are_accepted(name: str, start_s: float, end_s: float) -> None:
    """Listed names, and improvised ones, even if they are similar to a listed one."""
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
def test_annotations_that_are_rejected(name: str, start_s: float, end_s: float, words: str) -> None:
    answer = check_annotation(name, SPAN.at_ns(start_s), SPAN.at_ns(end_s), SPAN, TASK)
    assert not answer.ok and words in answer.reason, answer


def test_a_running_episode_has_no_end_yet() -> None:
    running = Span(T0, T0 - 2 * S)
    assert check_annotation("grasp", T0 + 99 * S, T0 + 99 * S, running, TASK).ok
    answer = check_annotation("grasp", T0 - 3 * S, T0, running, None)
    assert not answer.ok and "which begins at -2.000 s" in answer.reason


def annotation(name: str, start_s: float) -> LabelEvent:
    at = SPAN.at_ns(start_s)
    return LabelEvent(T0, "e", LabelKind.ANNOTATION, name=name, start_ns=at, end_ns=at)


def test_the_last_annotation_of_a_name_and_time_is_found() -> None:
    first, second, other = annotation("grasp", 1), annotation("grasp", 3), annotation("lift", 2)
    labels = Labels(annotations=(first, second, other))
    assert find_annotation(labels, "grasp", None, SPAN) == second
    assert find_annotation(labels, "grasp", SPAN.at_ns(1.0004), SPAN) == first
    none = find_annotation(labels, "grasp", SPAN.at_ns(2), SPAN)
    assert isinstance(none, Answer) and not none.ok
    assert none.reason == (
        "there is no annotation grasp at 2.000 s to withdraw; "
        "there are: grasp at 1.000 s, grasp at 3.000 s, lift at 2.000 s"
    )
    nothing = find_annotation(Labels(), "grasp", None, SPAN)
    assert isinstance(nothing, Answer) and nothing.reason.endswith("there are: none")


def test_missing_annotations_are_listed_in_the_tasks_order() -> None:
    labels = Labels(annotations=(annotation("lift", 2),))
    assert missing_annotations(labels, TASK) == ["grasp", "release"]
    assert to_be_annotated(labels, TASK) == "; still to be annotated: grasp, release"
    assert to_be_annotated(labels, None) == to_be_annotated(labels, Task("a", "Do it.")) == ""


def test_every_annotation_of_the_demo_is_accepted() -> None:
    names = (
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
        for name in names:
            assert check_annotation(name, T0, T0 + S, SPAN, task).ok, name


# -- the rules as a whole

REGISTRY = TaskRegistry({TASK.id: TASK})
EVENTS = st.builds(
    LabelEvent,
    stamp_ns=st.sampled_from([T0, T0 - S, 0, -1, T0 + 99 * S, 2**62]),
    episode_id=st.sampled_from(["e", "../e", "e" * 300]),
    kind=st.sampled_from(LabelKind),
    by=st.sampled_from(["eve", "", " ", "e" * 129, "\x1b[2J"]),
    note=st.sampled_from(["", "one\ntwo", "n" * 4001, "\0"]),
    previous=st.sampled_from(["", "p" * 10_000]),
    task=st.sampled_from(["", "lift_box", "lift_bx", "x/../../outside", "lift_box\n"]),
    instruction=st.sampled_from(["", "Lift.", "i" * 2001, "a\nb"]),
    operator_name=st.sampled_from(["", "ann", "o" * 1_000_000]),
    outcome=st.sampled_from(Outcome),
    cause=st.sampled_from(["", "slip", "earthquake"]),
    name=st.sampled_from(["", "grasp", "wave", "gras", "\u202eg", "g" * 65]),
    start_ns=st.sampled_from([0, -1, T0, T0 + S, T0 + 11 * S, 2**62]),
    end_ns=st.sampled_from([0, T0, T0 + 2 * S, T0 + 11 * S, 2**62]),
)


def into(*events: LabelEvent, span: Span = SPAN, now_ns: int = T0 + 20 * S) -> LabelContext:
    return LabelContext(events, span, REGISTRY.tasks.get, REGISTRY, now_ns)


@given(st.lists(EVENTS, max_size=6), st.booleans())
def test_the_log_never_holds_a_label_that_breaks_the_rules(
    asked: list[LabelEvent], running: bool
) -> None:
    span = Span(T0, T0 - 2 * S) if running else SPAN
    log = [LabelEvent(T0, "e", LabelKind.TASK, by="ann", task="lift_box", instruction="Up.")]
    for event in asked:
        now = into(*log, span=span)
        taken = admit(event, now)
        if isinstance(taken, Answer):
            assert not taken.ok and 10 < len(taken.reason) < 500
            continue
        if taken.kind is not LabelKind.RETRACTION:
            assert admit(taken, now) == taken, "an accepted label is accepted unchanged"
        log.append(taken)
    for event in log:
        assert 0 < event.stamp_ns <= T0 + 25 * S and event.by.strip() and not event.previous
        texts = ("by", "task", "instruction", "operator_name", "cause", "name", "note")
        assert not any(text_problem(field, getattr(event, field)) for field in texts)
        assert event.task in ("", "lift_box") and event.cause in ("", "slip")
        assert not event.cause or event.outcome is Outcome.FAILURE
        assert event.name in ("", "grasp", "wave")
        if event.name:
            assert span.from_ns <= event.start_ns <= event.end_ns
            assert event.end_ns <= (T0 + 25 * S if running else T0 + 10 * S)


def test_a_label_keeps_only_the_fields_of_its_kind() -> None:
    everything = LabelEvent(
        T0, "e", LabelKind.OUTCOME, "eve", "note", "previous", "lift_box", "Lift.", "ann",
        Outcome.FAILURE, "slip", "grasp", T0, T0 + S,
    )  # fmt: skip
    assert admit(everything, into()) == LabelEvent(
        T0, "e", LabelKind.OUTCOME, "eve", "note", outcome=Outcome.FAILURE, cause="slip"
    )
    task = admit(replace(everything, kind=LabelKind.TASK), into())
    assert task == LabelEvent(
        T0, "e", LabelKind.TASK, "eve", "note",
        task="lift_box", instruction="Lift.", operator_name="ann",
    )  # fmt: skip


def test_empty_fields_of_a_task_label_keep_their_current_value() -> None:
    first = LabelEvent(T0, "e", LabelKind.TASK, task="lift_box", instruction="Up.", operator_name="ann")  # fmt: skip
    asked = LabelEvent(T0, "e", LabelKind.TASK, by="eve", operator_name="bob")
    taken = admit(asked, into(first))
    assert isinstance(taken, LabelEvent)
    assert (taken.task, taken.instruction, taken.operator_name) == ("lift_box", "Up.", "bob")
    again = admit(replace(asked, task="lift_box", operator_name=""), into(first))
    assert isinstance(again, LabelEvent)
    assert (again.instruction, again.operator_name) == ("Lift it.", "ann"), (
        "the task's own instruction"
    )
    unknown = admit(replace(asked, task="lift_bx"), into(first))
    assert isinstance(unknown, Answer) and "did you mean 'lift_box'?" in unknown.reason


def test_a_running_episode_rejects_annotations_in_the_future() -> None:
    running = into(span=Span(T0, T0 - 2 * S), now_ns=T0 + 3 * S)
    at = T0 + 99 * S
    asked = LabelEvent(T0 + S, "e", LabelKind.ANNOTATION, name="grasp", start_ns=T0, end_ns=at)
    answer = admit(asked, running)
    assert isinstance(answer, Answer) and answer.reason == (
        "grasp at 0.000 to 99.000 s is in the future: it is 3.000 s into the episode"
    )


def test_an_episode_rejects_labels_above_the_maximum() -> None:
    event = LabelEvent(T0, "e", LabelKind.OUTCOME, by="eve", outcome=Outcome.SUCCESS)
    assert admit(event, into(*[event] * (MOST_LABELS - 1))) == event
    answer = admit(event, into(*[event] * MOST_LABELS))
    assert isinstance(answer, Answer) and f"{MOST_LABELS} labels" in answer.reason
