"""The rules for labels: which are accepted, and what is stored. They hold for every interface."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from robot_recorder.configuration.tasks import Task, TaskRegistry
from robot_recorder.configuration.yaml_source import did_you_mean, nearest
from robot_recorder.model.answers import Answer
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.labels import (
    TAKE,
    LabelEvent,
    LabelKind,
    Labels,
    Outcome,
    fold,
    is_full,
)
from robot_recorder.model.streams import NS_PER_MS, NS_PER_S
from robot_recorder.model.text import text_problem

_TYPO = 0.86  # one letter too many or too few in a word of five
SLACK_NS = NS_PER_MS  # times are shown and entered in milliseconds
AHEAD_NS = 5 * NS_PER_S  # how far the labeller's clock may be ahead of the recorder's
MOST_LABELS = 2000  # given at one place, as an episode's metadata is read and written as a whole
MOST_MERGED = 4000  # of all copies of an episode together
_TEXTS = ("by", "note", "task", "instruction", "operator_name", "cause", "name")


@dataclass(frozen=True)
class Span:
    """Begin and end of an episode, robot clock.

    Attributes:
        start_ns: nominal start; time 0 of the episode.
        from_ns: begin of the pre-roll.
        to_ns: end; None: the episode is still being recorded.
    """

    start_ns: int
    from_ns: int
    to_ns: int | None = None

    def seconds(self, at_ns: int) -> float:
        """Convert a time of the robot clock to a time of the episode, s."""
        return (at_ns - self.start_ns) / NS_PER_S

    def at_ns(self, seconds: float) -> int:
        """Convert a time of the episode (s) to a time of the robot clock, ns."""
        return self.start_ns + round(seconds * NS_PER_S)

    def text(self, start_ns: int, end_ns: int) -> str:
        """Format a segment or an instant in seconds of the episode."""
        start = f"{self.seconds(start_ns):.3f}"
        return f"{start} s" if start_ns == end_ns else f"{start} to {self.seconds(end_ns):.3f} s"


@dataclass(frozen=True)
class LabelContext:
    """The state of an episode that a new label is checked against.

    Attributes:
        events: its label log so far.
        span: its begin and end.
        task: returns a task by its id, as the episode knows it; None: unknown.
        registry: known tasks, used when ``task`` returns None.
        now_ns: current time, robot clock.
        most: labels that the log may have.
    """

    events: Sequence[LabelEvent]
    span: Span
    task: Callable[[str], Task | None]
    registry: TaskRegistry
    now_ns: int
    most: int = MOST_LABELS


def admit(asked: LabelEvent, into: LabelContext) -> LabelEvent | Answer:
    """Check a label and return the event to append to the log, or why it is rejected.

    Args:
        asked: the label as received. Empty fields keep their current value. In a retraction,
            start 0 means the last annotation of that name.

    Returns:
        The label with only the fields of its kind; all others are cleared.
    """
    texts = ((field, getattr(asked, field)) for field in _TEXTS)
    problem = next(filter(None, (text_problem(*text) for text in texts)), "")
    if not problem and len(into.events) >= into.most:
        problem = f"the episode has {len(into.events)} labels, the maximum"
    if not problem and not 0 < asked.stamp_ns <= into.now_ns + AHEAD_NS:
        problem = "the label's timestamp is in the future or missing: check the clock of its sender"
    if not problem and is_full(into.events):
        problem = "a label of the episode is stamped so late that none can follow: remove it from metadata.yaml"
    if problem:
        return Answer(False, problem)
    bare = LabelEvent(
        asked.stamp_ns, asked.episode_id, asked.kind,
        by=asked.by.strip() or "unknown", note=asked.note,
    )  # fmt: skip
    labels = fold(into.events)
    if asked.kind is LabelKind.TASK:
        return _admit_task(asked, bare, labels, into)
    task = into.task(labels.task)
    if asked.kind is LabelKind.OUTCOME:
        answer = check_outcome(asked.outcome, asked.cause, task)
        taken = replace(bare, outcome=asked.outcome, cause=asked.cause)
        return taken if answer.ok else answer
    if asked.kind is LabelKind.ANNOTATION:
        return _admit_annotation(asked, bare, task, into)
    found = find_annotation(labels, asked.name, asked.start_ns or None, into.span)
    if isinstance(found, Answer):
        return found
    return replace(bare, name=found.name, start_ns=found.start_ns, end_ns=found.end_ns)


def _admit_task(
    asked: LabelEvent, bare: LabelEvent, labels: Labels, into: LabelContext
) -> LabelEvent | Answer:
    instruction = labels.instruction
    if asked.task:
        task = into.task(asked.task)
        if task is None:
            try:
                task = into.registry.find(asked.task)
            except ConfigError as error:
                return Answer(False, str(error))
        instruction = task.instruction
    return replace(
        bare,
        task=asked.task or labels.task,
        instruction=asked.instruction or instruction,
        operator_name=asked.operator_name or labels.operator_name,
    )


def _admit_annotation(
    asked: LabelEvent, bare: LabelEvent, task: Task | None, into: LabelContext
) -> LabelEvent | Answer:
    answer = check_annotation(asked.name, asked.start_ns, asked.end_ns, into.span, task)
    if answer.ok and into.span.to_ns is None and asked.end_ns > into.now_ns + AHEAD_NS:
        where = into.span.text(asked.start_ns, asked.end_ns)
        now = f"it is {into.span.seconds(into.now_ns):.3f} s into the episode"
        answer = Answer(False, f"{asked.name} at {where} is in the future: {now}")
    if not answer.ok:
        return answer
    taken = replace(bare, name=asked.name, start_ns=asked.start_ns, end_ns=asked.end_ns)
    return _admit_take(asked, taken, task, into) if asked.name == TAKE else taken


def _admit_take(
    asked: LabelEvent, taken: LabelEvent, task: Task | None, into: LabelContext
) -> LabelEvent | Answer:
    """Add what is known of an attempt within the episode; its own task decides about its outcome."""
    instruction = asked.instruction
    if asked.task:
        try:
            task = into.task(asked.task) or into.registry.find(asked.task)
        except ConfigError as error:
            return Answer(False, str(error))
        instruction = instruction or task.instruction
    answer = check_outcome(asked.outcome, asked.cause, task)
    if not answer.ok:
        return answer
    return replace(
        taken, task=asked.task, instruction=instruction, operator_name=asked.operator_name,
        outcome=asked.outcome, cause=asked.cause,
    )  # fmt: skip


def check_outcome(outcome: int, cause: str, task: Task | None) -> Answer:
    """Check the outcome of an attempt at ``task``; None: the task is unknown."""
    if outcome not in tuple(Outcome):
        return Answer(False, f"outcome {outcome} is not 0, 1 or 2")
    if cause and outcome != Outcome.FAILURE:
        return Answer(False, "only a failure has a cause: leave cause empty or mark a failure")
    if cause and task and task.failure_causes and cause not in task.failure_causes:
        hint = did_you_mean(cause, task.failure_causes)
        return Answer(False, f"'{cause}' is not a failure cause of {task.id}; {hint}")
    return Answer(True)


def check_annotation(
    name: str, start_ns: int, end_ns: int, span: Span, task: Task | None
) -> Answer:
    """Check an annotation; times in ns, robot clock.

    A name that the task does not list is accepted, because operators improvise, unless it looks
    like a typo of a listed one.
    """
    if not name.strip():
        return Answer(False, "an annotation needs a name, such as grasp")
    listed = task.annotations if task else ()
    if task and name not in listed and (near := nearest(name.lower(), listed, 1, _TYPO)):
        return Answer(
            False,
            f"'{name}' is not an annotation of {task.id}; did you mean '{near[0]}'? "
            "To use both, list it in the task registry",
        )
    if end_ns < start_ns:
        return Answer(False, "the annotation ends before it starts")
    latest_ns = end_ns if span.to_ns is None else span.to_ns
    if start_ns < span.from_ns - SLACK_NS or end_ns > latest_ns + SLACK_NS:
        reach = f"begins at {span.seconds(span.from_ns):.3f} s"
        if span.to_ns is not None:
            reach = f"goes from {span.text(span.from_ns, span.to_ns)}"
        where = f"{name} at {span.text(start_ns, end_ns)}"
        return Answer(False, f"{where} is outside of the episode, which {reach} on its clock")
    return Answer(True)


def find_annotation(
    labels: Labels, name: str, start_ns: int | None, span: Span
) -> LabelEvent | Answer:
    """Return the last annotation of this name and start (None: any start), or why it is missing."""
    for event in reversed(labels.annotations):
        if event.name == name and (start_ns is None or abs(event.start_ns - start_ns) <= SLACK_NS):
            return event
    there = [f"{a.name} at {span.text(a.start_ns, a.end_ns)}" for a in labels.annotations]
    when = "" if start_ns is None else f" at {span.seconds(start_ns):.3f} s"
    return Answer(
        False,
        f"there is no annotation {name}{when} to withdraw; there are: {', '.join(there) or 'none'}",
    )


def missing_annotations(labels: Labels, task: Task | None) -> list[str]:
    """Return the annotations that the task requires and that are missing, in the task's order."""
    there = {event.name for event in labels.annotations}
    return [name for name in (task.annotations if task else ()) if name not in there]


def to_be_annotated(labels: Labels, task: Task | None) -> str:
    """Return the missing annotations as the end of a sentence; empty: none is missing."""
    missing = missing_annotations(labels, task)
    return f"; still to be annotated: {', '.join(missing)}" if missing else ""
