"""Labels: a log of events, and the labels that follow from it.

Copies of an episode meet without a master: their logs are sets of events, each with an id that follows
from its content, in the order of stamp and id. A new event is stamped after all that its log holds, so
that this order keeps cause before effect although clocks differ (Lamport's rule).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
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

    The annotation of a take, an attempt within a long episode, also has the task, instruction, operator,
    outcome and cause of that attempt; empty: those that were labelled while it ran.
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
        if self.kind is LabelKind.OUTCOME or self.outcome is not Outcome.UNLABELLED:
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


TAKE = "take"  # the annotation of an attempt within a long episode
TAKE_BEGIN = "take_begin"  # an instant at which one begins; the next instant "take" is its end
_END_NS = 1 << 63  # limit of a time in ns
_LATEST_NS = 1 << 62  # in 2116: no clock says so, and the events after it need later stamps
_STEP_NS = (
    1_000_000  # an event is stamped 1 ns after those before it: of more events than a log has
)
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
    """Return a log with more events, set what each of them replaces, and stamp it after those before.

    This needs the current log: whoever gave the label may have seen an older one.

    Raises:
        ValueError: an event would be stamped out of range.
    """
    grown = list(log)
    for event in events:
        if grown:
            least_ns = max(e.stamp_ns for e in grown) + 1
            event = replace(event, stamp_ns=max(event.stamp_ns, least_ns))
        if event.stamp_ns >= _END_NS:
            raise ValueError(f"it would be stamped {event.stamp_ns} ns, which is out of range")
        grown.append(replace(event, previous=_replaced(fold(grown), event.kind)))
    return grown


def _replaced(now: Labels, kind: LabelKind) -> str:
    """Return what an event of a kind replaces."""
    if kind is LabelKind.TASK:
        return now.task
    return now.outcome_text if kind is LabelKind.OUTCOME else ""


def append_text(text: str, events: Iterable[LabelEvent]) -> str:
    """Append events to the text form of a log; entries of newer versions are kept.

    Raises:
        ValueError: the text is not JSON.
    """
    return dump_plain([*load_json(text or "[]"), *(event.to_dict() for event in events)])


def event_id(plain: Mapping[str, Any]) -> str:
    """Return the id of an event within its episode, from its plain form: 32 hexadecimal digits.

    The id of an event is the same wherever it is known; what it replaced there does not count.
    """
    own = {k: v for k, v in plain.items() if k not in ("previous", "episode_id")}
    text = json.dumps(own, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def merged(*logs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the union of logs of one episode, in plain form, the same whatever their order.

    Events of kinds that only newer versions know are kept.

    Raises:
        ValueError: an event has no valid stamp.
    """
    union: dict[str, dict[str, Any]] = {}
    for plain in (event for log in logs for event in log):
        stamp_ns = plain.get("stamp_ns", 0)
        if type(stamp_ns) is not int or not -_END_NS <= stamp_ns < _END_NS:
            raise ValueError(f"'stamp_ns' of a label event is {stamp_ns!r:.60}")
        known = union.setdefault(id := event_id(plain), dict(plain))
        if str(known.get("episode_id", "")) < str(plain.get("episode_id", "")):
            union[id] = dict(
                plain
            )  # an episode that was renamed: any rule will do that has no order
    ordered = sorted(union, key=lambda id: (union[id].get("stamp_ns", 0), id))
    replaced = {LabelKind.TASK: "", LabelKind.OUTCOME: Outcome.UNLABELLED.text}
    for id in ordered:
        try:
            event = LabelEvent.from_dict(union[id])
        except KeyError:
            continue
        union[id].pop("previous", None)
        if previous := replaced.get(event.kind, ""):
            union[id]["previous"] = previous
        if event.kind is LabelKind.TASK:
            replaced[event.kind] = event.task
        elif event.kind is LabelKind.OUTCOME:
            replaced[event.kind] = outcome_text(event.outcome, event.cause)
    return [union[id] for id in ordered]


def stamps_problem(log: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]]) -> str:
    """Return why events from elsewhere are not to enter a log; empty: they may.

    One that is stamped too late would leave no stamps for the events after it.

    Args:
        log: in plain form.
        events: in plain form, from anybody.
    """
    newest_ns = _newest_ns(log)
    if _newest_ns(events) > max(_LATEST_NS, newest_ns) + _STEP_NS:
        return "one is stamped after the year 2116"
    return ""


def is_full(log: Iterable[LabelEvent]) -> bool:
    """Return whether a log has no stamps left for further events."""
    return any(event.stamp_ns >= _END_NS - 1 for event in log)


def _newest_ns(log: Sequence[Mapping[str, Any]]) -> int:
    stamps = (event.get("stamp_ns", 0) for event in log)
    return max((stamp_ns for stamp_ns in stamps if isinstance(stamp_ns, int)), default=0)


def dump_events(events: Iterable[LabelEvent]) -> str:
    """Return a log as one line of JSON."""
    return dump_plain([event.to_dict() for event in events])


def load_plain(text: str) -> list[dict[str, Any]]:
    """Read a log in plain form, events of unknown kinds included.

    Raises:
        ValueError, TypeError: the text is not a log.
    """
    plain = load_json(text or "[]")
    if not isinstance(plain, list) or not all(isinstance(p, dict) for p in plain):
        raise TypeError("it is not a list of label events")
    return plain


def dump_plain(plain: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps(plain, separators=(",", ":"), ensure_ascii=False)


def load_events(text: str) -> list[LabelEvent]:
    """Read a log written by ``dump_events``; events of unknown kinds are skipped.

    Raises:
        ValueError, TypeError: the text is not a log.
    """
    events = []
    for entry in load_plain(text):
        try:
            events.append(LabelEvent.from_dict(entry))
        except KeyError:
            continue
    return events
