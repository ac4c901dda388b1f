"""Labels: events, their fold, their text form; the task registry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.core.errors import ConfigError
from robot_recorder.core.labels import (
    LabelEvent,
    LabelKind,
    Outcome,
    dump_events,
    fold,
    load_events,
)
from robot_recorder.core.tasks import parse_tasks

text = st.text(max_size=20)
events = st.builds(
    LabelEvent, st.integers(0, 2**62), text, st.sampled_from(LabelKind), text, text, text, text, text,
    text, st.sampled_from(Outcome), text, text, st.integers(0, 2**62), st.integers(0, 2**62),
)  # fmt: skip


@given(st.lists(events, max_size=5))
def test_events_survive_their_text_form(log: list[LabelEvent]) -> None:
    back = load_events(dump_events(log))
    for one, other in zip(log, back):
        if one.kind is not LabelKind.OUTCOME:  # only outcome events carry one
            one = LabelEvent(**{**one.__dict__, "outcome": Outcome.UNLABELLED})
            other = LabelEvent(**{**other.__dict__, "outcome": Outcome.UNLABELLED})
        assert one == other
    assert len(log) == len(back)


def test_the_last_outcome_holds_and_annotations_add_up() -> None:
    log = [
        LabelEvent(1, "e", LabelKind.TASK, task="lift", operator_name="ann"),
        LabelEvent(2, "e", LabelKind.OUTCOME, outcome=Outcome.SUCCESS),
        LabelEvent(3, "e", LabelKind.ANNOTATION, name="grasp"),
        LabelEvent(4, "e", LabelKind.OUTCOME, outcome=Outcome.FAILURE, cause="slip"),
        LabelEvent(5, "e", LabelKind.ANNOTATION, name="drop"),
    ]
    now = fold(log)
    assert (now.task, now.operator_name, now.outcome, now.cause) == (
        "lift",
        "ann",
        Outcome.FAILURE,
        "slip",
    )
    assert [a.name for a in now.annotations] == ["grasp", "drop"]


def test_newer_files_with_unknown_keys_open() -> None:
    assert (
        load_events('[{"stamp_ns": 1, "kind": "task", "task": "a", "mood": "good"}]')[0].task == "a"
    )


TASKS = "tasks:\n  lift_box:\n    instruction: Lift it.\n    failure_causes: [slip]\n"


def test_an_unknown_task_is_refused_with_the_nearest() -> None:
    registry = parse_tasks(TASKS, "tasks.yaml")
    assert registry.find("lift_box").failure_causes == ("slip",)
    with pytest.raises(ConfigError, match="lift_boxes.*did you mean 'lift_box'"):
        registry.find("lift_boxes")


@pytest.mark.parametrize(
    ("text", "word"),
    [("tasks:\n  a: {}\n", "instruction"), ("tasks:\n  a: {instruction: 3}\n", "text"),
     ("tasks:\n  a: {instruction: x, failure_causes: slip}\n", "list"), ("jobs: {}\n", "jobs")],
)  # fmt: skip
def test_a_wrong_registry_is_refused(text: str, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        parse_tasks(text, "tasks.yaml")
