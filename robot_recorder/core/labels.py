"""Labels: append-only events whose fold is what holds now."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from enum import IntEnum
from typing import Any


class Outcome(IntEnum):
    """Mirrors Label.OUTCOME_* and MarkOutcome.OUTCOME_*."""

    UNLABELLED = 0
    SUCCESS = 1
    FAILURE = 2

    @property
    def text(self) -> str:
        """The word people read: success, failure, unlabelled."""
        return self.name.lower()


class LabelKind(IntEnum):
    """Mirrors Label.KIND_*."""

    TASK = 0
    OUTCOME = 1
    ANNOTATION = 2


@dataclass(frozen=True)
class LabelEvent:
    """One label event of one episode; the fields of the Label message.

    Attributes:
        stamp_ns: when the label was given, robot clock.
        start_ns, end_ns: the annotated segment, robot clock; equal for an instant.
        previous: what it replaces, as text.
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
        """Plain values for JSON: enums by name, empty fields left out."""
        plain = {k: v for k, v in asdict(self).items() if v not in ("", 0)}
        plain["kind"] = self.kind.name.lower()
        plain.pop("outcome", None)
        if self.kind is LabelKind.OUTCOME:
            plain["outcome"] = self.outcome.text
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> LabelEvent:
        """Inverse of ``to_dict``; unknown keys are ignored so that newer files open."""
        known = {k: v for k, v in plain.items() if k in cls.__dataclass_fields__}
        known.setdefault("stamp_ns", 0)
        known.setdefault("episode_id", "")
        known["kind"] = LabelKind[str(plain["kind"]).upper()]
        known["outcome"] = Outcome[str(plain.get("outcome", "unlabelled")).upper()]
        return cls(**known)


@dataclass(frozen=True)
class Labels:
    """What holds for an episode now."""

    task: str = ""
    instruction: str = ""
    operator_name: str = ""
    outcome: Outcome = Outcome.UNLABELLED
    cause: str = ""
    annotations: tuple[LabelEvent, ...] = field(default=())


def fold(events: Iterable[LabelEvent]) -> Labels:
    """The current labels: later task and outcome events replace earlier ones, annotations add up."""
    now = Labels()
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
        else:
            now = replace(now, annotations=(*now.annotations, event))
    return now


def dump_events(events: Iterable[LabelEvent]) -> str:
    """The event log as one line of JSON."""
    return json.dumps([e.to_dict() for e in events], separators=(",", ":"), ensure_ascii=False)


def load_events(text: str) -> list[LabelEvent]:
    """Inverse of ``dump_events``."""
    return [LabelEvent.from_dict(plain) for plain in json.loads(text or "[]")]
