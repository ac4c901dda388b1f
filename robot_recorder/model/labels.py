"""Labels: a log of events, and the labels that follow from it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import IntEnum
from typing import Any

from robot_recorder.model.plain_data import load_json


class Outcome(IntEnum):
    """Outcome of an episode, as Label.OUTCOME_* and MarkOutcome.OUTCOME_*."""

    UNLABELLED = 0
    SUCCESS = 1
    FAILURE = 2

    @property
    def text(self) -> str:
        """Return its name in lower case: success, failure, unlabelled."""
        return self.name.lower()


class LabelKind(IntEnum):
    """Kind of a label event, as Label.KIND_*."""

    TASK = 0
    OUTCOME = 1
    ANNOTATION = 2
    RETRACTION = 3


@dataclass(frozen=True)
class LabelEvent:
    """A label event of an episode; the fields of the Label message.

    Attributes:
        stamp_ns: when the label was given, robot clock.
        episode_id: id of the episode.
        kind: decides which of the following fields are used.
        by: who gave it: a person or a program.
        note: free text.
        previous: the replaced task, or the replaced outcome with its cause.
        task: id of the task.
        instruction: instruction of the task.
        operator_name: who drives the robot.
        outcome: outcome of the episode.
        cause: cause of a failure.
        name: name of the annotation.
        start_ns, end_ns: the annotated segment, robot clock; equal for an instant.
    """

    stamp_ns: int
    episode_id: str
    kind: LabelKind
    by: str = ""
    note: str = ""
    previous: str = ""
    task: str = ""
    instruction: str = ""
    operator_name: str = ""
    outcome: Outcome = Outcome.UNLABELLED
    cause: str = ""
    name: str = ""
    start_ns: int = 0
    end_ns: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON: enums by name, without empty fields."""
        plain = {k: v for k, v in asdict(self).items() if v not in ("", 0)}
        plain["kind"] = self.kind.name.lower()
        plain.pop("outcome", None)
        if self.kind is LabelKind.OUTCOME:
            plain["outcome"] = self.outcome.text
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> LabelEvent:
        """Build an event from ``to_dict``; unknown keys are ignored, so that newer files open.

        Raises:
            KeyError: this version does not know the kind or outcome.
            ValueError: a value has the wrong type or range.
        """
        known = {k: v for k, v in plain.items() if k in cls.__dataclass_fields__}
        known.setdefault("stamp_ns", 0)
        known.setdefault("episode_id", "")
        known["kind"] = LabelKind[str(plain["kind"]).upper()]
        known["outcome"] = Outcome[str(plain.get("outcome", "unlabelled")).upper()]
        for key, value in known.items():
            if not isinstance(value, int if key in _WHOLE else str):
                raise ValueError(f"'{key}' of a label event has the wrong type: {value!r}")
            if isinstance(value, int) and not -_END_NS <= value < _END_NS:
                raise ValueError(f"'{key}' of a label event is out of range: {value}")
        return cls(**known)


_END_NS = 1 << 63  # limit of a time in ns
_WHOLE = ("stamp_ns", "kind", "outcome", "start_ns", "end_ns")


@dataclass(frozen=True)
class Labels:
    """The labels of an episode that are valid now; annotations in the order they were given."""

    task: str = ""
    instruction: str = ""
    operator_name: str = ""
    outcome: Outcome = Outcome.UNLABELLED
    cause: str = ""
    annotations: tuple[LabelEvent, ...] = field(default=())

    @property
    def outcome_text(self) -> str:
        """Return the outcome with its cause: ``failure: slip``."""
        return outcome_text(self.outcome, self.cause)


def outcome_text(outcome: Outcome, cause: str) -> str:
    """Format an outcome: ``success``, ``failure: slip``."""
    return f"{outcome.text}: {cause}" if cause else outcome.text


def fold(events: Iterable[LabelEvent]) -> Labels:
    """Return the labels that follow from a log.

    Later task and outcome events replace earlier ones; annotations add up; a retraction removes
    the earlier annotations with its name, start and end.
    """
    now = Labels()
    annotations: list[LabelEvent] = []
    for event in events:
        if event.kind is LabelKind.TASK:
            now = replace(
                now,
                task=event.task,
                instruction=event.instruction,
                operator_name=event.operator_name,
            )
        elif event.kind is LabelKind.OUTCOME:
            now = replace(now, outcome=event.outcome, cause=event.cause)
        elif event.kind is LabelKind.ANNOTATION:
            annotations.append(event)
        else:
            annotations = [a for a in annotations if _segment(a) != _segment(event)]
    return replace(now, annotations=tuple(annotations))


def _segment(event: LabelEvent) -> tuple[str, int, int]:
    return event.name, event.start_ns, event.end_ns


def appended(log: Sequence[LabelEvent], *events: LabelEvent) -> list[LabelEvent]:
    """Return a log with more events, and set what each of them replaces.

    This needs the current log: whoever gave the label may have seen an older one.
    """
    grown = list(log)
    for event in events:
        now, previous = fold(grown), ""
        if event.kind is LabelKind.TASK:
            previous = now.task
        elif event.kind is LabelKind.OUTCOME:
            previous = now.outcome_text
        grown.append(replace(event, previous=previous))
    return grown


def append_text(text: str, events: Iterable[LabelEvent]) -> str:
    """Append events to the text form of a log; entries of newer versions are kept.

    Raises:
        ValueError: the text is not JSON.
    """
    return _dump([*load_json(text or "[]"), *(event.to_dict() for event in events)])


def dump_events(events: Iterable[LabelEvent]) -> str:
    """Return a log as one line of JSON."""
    return _dump([event.to_dict() for event in events])


def _dump(plain: list[dict[str, Any]]) -> str:
    return json.dumps(plain, separators=(",", ":"), ensure_ascii=False)


def load_events(text: str) -> list[LabelEvent]:
    """Read a log written by ``dump_events``; events of unknown kinds are skipped.

    Raises:
        ValueError, TypeError: the text is not a log.
    """
    events = []
    plain = load_json(text or "[]")
    if not isinstance(plain, list) or not all(isinstance(p, dict) for p in plain):
        raise TypeError("it is not a list of label events")
    for entry in plain:
        try:
            events.append(LabelEvent.from_dict(entry))
        except KeyError:
            continue
    return events
