"""Which labels an episode takes, and what becomes of them: the same whichever door they come through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from robot_recorder.configuration.tasks import Task, TaskRegistry
from robot_recorder.configuration.yaml_source import did_you_mean, nearest
from robot_recorder.model.answers import Answer
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.labels import LabelEvent, LabelKind, Labels, Outcome, fold
from robot_recorder.model.streams import NS_PER_MS, NS_PER_S
from robot_recorder.model.text import text_problem

_TYPO = 0.86  # one letter too many or too few in a word of five
SLACK_NS = NS_PER_MS  # times are shown and given to the millisecond
AHEAD_NS = 5 * NS_PER_S  # that the clock of who labels may be ahead of the recorder's
MOST_LABELS = 1000  # of an episode, as its metadata is read and written whole
_TEXTS = ("by", "note", "task", "instruction", "operator_name", "cause", "name")


@dataclass(frozen=True)
class Span:
    """When an episode took place, on the robot clock.

    Attributes:
        start_ns: its nominal start: 0 on the episode's own clock.
        from_ns: where its pre-roll begins.
        to_ns: its end; None: it is still being recorded.
    """

    start_ns: int
    from_ns: int
    to_ns: int | None = None

    def seconds(self, at_ns: int) -> float:
        """A time of the robot clock on the episode's clock, s."""
        return (at_ns - self.start_ns) / NS_PER_S

    def at_ns(self, seconds: float) -> int:
        """Inverse of ``seconds``."""
        return self.start_ns + round(seconds * NS_PER_S)

    def text(self, start_ns: int, end_ns: int) -> str:
        """A segment or an instant on the episode's clock, for people."""
        start = f"{self.seconds(start_ns):.3f}"
        return f"{start} s" if start_ns == end_ns else f"{start} to {self.seconds(end_ns):.3f} s"


@dataclass(frozen=True)
class LabelContext:
    """An episode that is given a label.

    Attributes:
        events: its label log so far.
        span: when it took place.
        task: finds the task that rules, by its id; None: nothing is known about it.
        registry: says what tasks there are when none is found.
        now_ns: robot clock.
    """

    events: Sequence[LabelEvent]
    span: Span
    task: Callable[[str], Task | None]
    registry: TaskRegistry
    now_ns: int


def admit(asked: LabelEvent, into: LabelContext) -> LabelEvent | Answer:
    """What becomes of a label in an episode's log; or why it is not taken.

    Args:
        asked: as it came; where it is silent, what holds is kept. A retraction may leave its start 0.

    Returns:
        The label with the fields of its kind alone, so that nothing else travels along.
    """
    texts = ((field, getattr(asked, field)) for field in _TEXTS)
    problem = next(filter(None, (text_problem(*text) for text in texts)), "")
    if not problem and len(into.events) >= MOST_LABELS:
        problem = f"the episode has {len(into.events)} labels, and takes no more"
    if not problem and not 0 < asked.stamp_ns <= into.now_ns + AHEAD_NS:
        problem = "the label is stamped in the future, or not at all: check the clock of its sender"
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
        verdict = check_outcome(asked.outcome, asked.cause, task)
        taken = replace(bare, outcome=asked.outcome, cause=asked.cause)
        return taken if verdict.ok else verdict
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
    verdict = check_annotation(asked.name, asked.start_ns, asked.end_ns, into.span, task)
    if verdict.ok and into.span.to_ns is None and asked.end_ns > into.now_ns + AHEAD_NS:
        where = into.span.text(asked.start_ns, asked.end_ns)
        now = f"it is {into.span.seconds(into.now_ns):.3f} s into the episode"
        verdict = Answer(False, f"{asked.name} at {where} is in the future: {now}")
    if not verdict.ok:
        return verdict
    return replace(bare, name=asked.name, start_ns=asked.start_ns, end_ns=asked.end_ns)


def check_outcome(outcome: int, cause: str, task: Task | None) -> Answer:
    """May an attempt at ``task`` be given this outcome? None: nothing is known about the task."""
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
    """May this segment, on the robot clock, be annotated?

    A name that the task does not list is taken, as floors improvise, unless it looks like a slip of
    the pen in one that it lists.
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
    """The last annotation of this name, and of this start unless that is None; or why there is none."""
    for event in reversed(labels.annotations):
        if event.name == name and (start_ns is None or abs(event.start_ns - start_ns) <= SLACK_NS):
            return event
    there = [f"{a.name} at {span.text(a.start_ns, a.end_ns)}" for a in labels.annotations]
    when = "" if start_ns is None else f" at {span.seconds(start_ns):.3f} s"
    return Answer(
        False, f"no {name}{when} to be withdrawn; annotated: {', '.join(there) or 'nothing'}"
    )


def missing_annotations(labels: Labels, task: Task | None) -> list[str]:
    """What the task wants annotated and is not yet, in the task's order."""
    there = {event.name for event in labels.annotations}
    return [name for name in (task.annotations if task else ()) if name not in there]


def to_be_annotated(labels: Labels, task: Task | None) -> str:
    """The same as the end of a sentence; empty when nothing is missing."""
    missing = missing_annotations(labels, task)
    return f"; still to be annotated: {', '.join(missing)}" if missing else ""
