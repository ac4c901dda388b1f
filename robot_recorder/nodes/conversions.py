"""Convert between ROS messages and the package's own types."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from builtin_interfaces.msg import Duration, Time
from std_msgs.msg import Header

from robot_recorder.configuration.tasks import TaskRegistry
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome
from robot_recorder.model.losses import Dropout
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.msg import Dropout as DropoutMessage
from robot_recorder.msg import Label, Task
from robot_recorder.nodes.checked_services import message_problem
from robot_recorder.recorder.recorder import Assignment


def to_time(ns: int) -> Time:
    """Convert ns since the epoch to a Time."""
    sec, nanosec = divmod(ns, NS_PER_S)
    return Time(sec=sec, nanosec=nanosec)


def to_ns(time: Time) -> int:
    """Convert a Time to ns since the epoch."""
    return int(time.sec) * NS_PER_S + int(time.nanosec)


def to_label(event: LabelEvent) -> Label:
    """Convert a label event to a message."""
    return Label(
        header=Header(stamp=to_time(event.stamp_ns)),
        episode_id=event.episode_id,
        kind=int(event.kind),
        by=event.by,
        note=event.note,
        previous=event.previous,
        task=event.task,
        instruction=event.instruction,
        operator_name=event.operator_name,
        outcome=int(event.outcome),
        cause=event.cause,
        name=event.name,
        start=to_time(event.start_ns),
        end=to_time(event.end_ns),
    )


def to_task(event: LabelEvent) -> Task:
    """Convert the task of a task label to a message."""
    return Task(
        header=Header(stamp=to_time(event.stamp_ns)),
        task=event.task,
        instruction=event.instruction,
        operator_name=event.operator_name,
    )


def from_label(label: Label) -> LabelEvent:
    """Convert a message to a label event.

    Raises:
        ValueError: a text is invalid, or the kind or outcome does not exist.
    """
    if problem := message_problem(label):
        raise ValueError(problem)
    return LabelEvent(
        stamp_ns=to_ns(label.header.stamp),
        episode_id=label.episode_id,
        kind=LabelKind(label.kind),
        by=label.by,
        note=label.note,
        previous=label.previous,
        task=label.task,
        instruction=label.instruction,
        operator_name=label.operator_name,
        outcome=Outcome(label.outcome),
        cause=label.cause,
        name=label.name,
        start_ns=to_ns(label.start),
        end_ns=to_ns(label.end),
    )


def to_dropout(loss: Dropout) -> DropoutMessage:
    """Convert a loss to a message."""
    sec, nanosec = divmod(loss.end_ns - loss.start_ns, NS_PER_S)
    return DropoutMessage(
        header=Header(stamp=to_time(loss.end_ns)),
        topic=loss.topic,
        place=int(loss.place),
        count=loss.count,
        start=to_time(loss.start_ns),
        duration=Duration(sec=sec, nanosec=nanosec),
    )


def requested_assignment(request: Any, current: Assignment, tasks: TaskRegistry) -> Assignment:
    """Return the assignment of a StartEpisode or SetTask request or of a Task message.

    Args:
        request: empty fields keep their current value.
        current: the current assignment.
        tasks: the task registry.

    Raises:
        ConfigError: the task is not in the registry, or a text is invalid.
    """
    if problem := message_problem(request):
        raise ConfigError(problem)
    if request.task:
        task = tasks.find(request.task)
        current = replace(current, task=task.id, instruction=task.instruction)
    if request.instruction:
        current = replace(current, instruction=request.instruction)
    if request.operator_name:
        current = replace(current, operator_name=request.operator_name)
    return current
