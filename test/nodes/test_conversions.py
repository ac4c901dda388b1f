"""Labels, tasks and losses as messages, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy")

from robot_recorder.configuration.tasks import parse_tasks
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome
from robot_recorder.model.losses import Dropout, Place
from robot_recorder.nodes.conversions import (
    from_label,
    requested_assignment,
    to_dropout,
    to_label,
    to_ns,
    to_task,
    to_time,
)
from robot_recorder.recorder.recorder import Assignment
from robot_recorder.srv import SetTask

instants = st.integers(0, 2**31 * 10**9 - 1)
words = st.text("abc äß_", max_size=9)
events = st.builds(
    LabelEvent,
    stamp_ns=instants,
    episode_id=words,
    kind=st.sampled_from(LabelKind),
    by=words,
    note=words,
    previous=words,
    task=words,
    instruction=words,
    operator_name=words,
    outcome=st.sampled_from(Outcome),
    cause=words,
    name=words,
    start_ns=instants,
    end_ns=instants,
)


@given(instants)
def test_times_are_unchanged_by_messages(ns: int) -> None:
    assert to_ns(to_time(ns)) == ns


@given(events)
def test_labels_are_unchanged_by_messages(event: LabelEvent) -> None:
    assert from_label(to_label(event)) == event
    task = to_task(event)
    assert (task.task, task.instruction, task.operator_name) == (
        event.task, event.instruction, event.operator_name,
    )  # fmt: skip


@pytest.mark.parametrize("changed", [{"kind": 99}, {"outcome": 99}, {"by": "a\x1b[2J"}])
def test_an_invalid_label_is_rejected(changed: dict[str, object]) -> None:
    label = to_label(LabelEvent(1, "e", LabelKind.OUTCOME))
    for field, value in changed.items():
        setattr(label, field, value)
    with pytest.raises(ValueError):
        from_label(label)


def test_a_loss_ends_at_its_stamp_and_lasts_its_duration() -> None:
    message = to_dropout(Dropout("/a", Place.QUEUE, 7, 1_500_000_000, 4_000_000_001))
    assert (message.topic, message.place, message.count) == ("/a", Place.QUEUE, 7)
    assert to_ns(message.header.stamp) == 4_000_000_001 and to_ns(message.start) == 1_500_000_000
    assert (message.duration.sec, message.duration.nanosec) == (2, 500_000_001)


def test_an_empty_field_of_a_request_keeps_what_held_before() -> None:
    tasks = parse_tasks("tasks: {lift: {instruction: Lift it.}}")
    before = Assignment("fold", "Fold it.", "ann")
    assert requested_assignment(SetTask.Request(), before, tasks) == before
    asked = requested_assignment(SetTask.Request(task="lift", operator_name="bob"), before, tasks)
    assert asked == Assignment("lift", "Lift it.", "bob")
    own = requested_assignment(SetTask.Request(instruction="Fold it twice."), before, tasks)
    assert (own.task, own.instruction) == ("fold", "Fold it twice.")
    for request in (SetTask.Request(task="lifts"), SetTask.Request(operator_name="a\nb")):
        with pytest.raises(ConfigError):
            requested_assignment(request, before, tasks)
