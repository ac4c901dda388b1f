"""Takes: attempts within a long episode, found by its annotations, each with the labels of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.label_rules import Span
from robot_recorder.model.labels import (
    TAKE,
    TAKE_BEGIN,
    LabelEvent,
    LabelKind,
    Labels,
    Outcome,
    appended,
    fold,
)


@dataclass(frozen=True)
class TakeSpan:
    """A part of an episode that becomes one of its own.

    Attributes:
        start_ns, end_ns: when it begins and ends, robot clock.
        event: the annotation that marks it; None: given by its times.
        next_ns: until when an outcome may be given to it while recording: the next take's begin.
    """

    start_ns: int
    end_ns: int
    event: LabelEvent | None = None
    next_ns: int = 0


def takes_of(episode: Episode, name: str = TAKE) -> tuple[list[TakeSpan], list[str]]:
    """Return the takes that annotations of a name mark, by time, and sentences about unusable ones.

    A segment is a take. Of the name ``take`` an instant is one, too: the end of what began at the last
    instant ``take_begin``.

    Raises:
        BagError: the episode's facts are invalid.
    """
    span, found, problems = episode.span, {}, []  # type: Span, dict[tuple[int, int], LabelEvent], list[str]
    annotations = sorted(episode.labels.annotations, key=lambda a: (a.start_ns, a.end_ns))
    begins: list[int] = []
    for event in annotations:
        if name == TAKE and event.name == TAKE_BEGIN:
            begins.append(event.start_ns)
        if event.name != name:
            continue
        start_ns = event.start_ns
        if start_ns == event.end_ns:
            if not begins:
                why = f"no {TAKE_BEGIN} before it" if name == TAKE else "it is an instant"
                problems.append(f"{name} at {span.text(start_ns, start_ns)} is no take: {why}")
                continue
            start_ns = begins[-1]
        begins.clear()
        clipped = _clipped(start_ns, event.end_ns, span)
        if clipped is None:
            where = span.text(start_ns, event.end_ns)
            problems.append(f"{name} at {where} is no take: it is outside of the episode, or empty")
        else:
            found[clipped] = event  # of two on the same segment the later one
    if begins:
        problems.append(f"{TAKE_BEGIN} at {span.text(begins[-1], begins[-1])} has no end")
    last_ns = span.to_ns or max((end_ns for _, end_ns in found), default=0)
    starts = [*sorted(start_ns for start_ns, _ in found), last_ns]
    takes = []
    for (start_ns, end_ns), event in sorted(found.items()):
        next_ns = next((s for s in starts if s >= end_ns), last_ns)
        takes.append(TakeSpan(start_ns, end_ns, event, next_ns))
    return takes, problems


def take_between(episode: Episode, from_s: float | None, to_s: float | None) -> TakeSpan | str:
    """Return the take between two times of an episode, or why it cannot be made.

    Args:
        episode: to take it from.
        from_s, to_s: on the episode's clock, s; None: its start, its end.

    Raises:
        BagError: the episode's facts are invalid.
    """
    span = episode.span
    end_ns = span.to_ns or span.start_ns
    asked = (
        span.start_ns if from_s is None else span.at_ns(from_s),
        end_ns if to_s is None else span.at_ns(to_s),
    )
    found = _clipped(*asked, span)
    if asked[0] < asked[1] and found:
        return TakeSpan(*found, next_ns=found[1])
    return (
        f"there is nothing from {span.seconds(asked[0]):g} to {span.seconds(asked[1]):g} s: the episode "
        f"goes from {span.text(span.from_ns, end_ns)} on its clock"
    )


def _clipped(start_ns: int, end_ns: int, span: Span) -> tuple[int, int] | None:
    start_ns, end_ns = max(start_ns, span.from_ns), min(end_ns, span.to_ns or end_ns)
    return (start_ns, end_ns) if start_ns < end_ns else None


def labels_of(episode: Episode, take: TakeSpan, from_ns: int, id: str) -> list[LabelEvent]:
    """Return the label log of a take: its task, its outcome, and the annotations in it.

    Task and outcome are those that its annotation names, or else those that were given while it ran.
    An outcome counts until the next take begins. The whole episode's outcome says nothing about a take.

    Args:
        episode: it is taken from.
        take: which.
        from_ns: begin of its pre-roll.
        id: of the new episode.

    Raises:
        BagError: the episode's labels are invalid.
    """
    events = [_task(episode, take), *_outcome(episode, take)]
    for one in episode.labels.annotations:
        start_ns, end_ns = max(one.start_ns, from_ns), min(one.end_ns, take.end_ns)
        inside = start_ns < end_ns or (start_ns == end_ns and one.start_ns == one.end_ns)
        # Those of takes say what was cut, which the new episode is a whole of.
        if inside and one.name not in (TAKE, TAKE_BEGIN) and one is not take.event:
            events.append(replace(one, start_ns=start_ns, end_ns=end_ns))
    events.sort(key=lambda event: event.stamp_ns)
    return appended([], *(replace(event, episode_id=id, previous="") for event in events))


def _task(episode: Episode, take: TakeSpan) -> LabelEvent:
    """Return the event that sets the task, stamped at the take's start, as the recorder does."""
    span = (
        episode.span
    )  # the first task is stamped at the start, also if the take is of the pre-roll
    now = labels_at(episode.events, max(take.end_ns, span.start_ns), span.to_ns)
    own, by = take.event, now.operator_name
    if own is not None:
        by = own.by
        now = replace(now, operator_name=own.operator_name or now.operator_name)
        if own.task:
            now = replace(now, task=own.task, instruction=own.instruction)
    return LabelEvent(
        take.start_ns, "", LabelKind.TASK, by=by, task=now.task, instruction=now.instruction,
        operator_name=now.operator_name,
    )  # fmt: skip


def labels_at(events: Sequence[LabelEvent], at_ns: int, stop_ns: int | None) -> Labels:
    """Return the labels as given up to a moment of the recording, and as corrected after its end."""
    return fold(
        e for e in events if e.stamp_ns <= at_ns or (stop_ns is not None and e.stamp_ns > stop_ns)
    )


def _outcome(episode: Episode, take: TakeSpan) -> list[LabelEvent]:
    own = take.event
    if own is not None and own.outcome is not Outcome.UNLABELLED:
        return [LabelEvent(
            own.stamp_ns, "", LabelKind.OUTCOME, by=own.by, note=own.note, outcome=own.outcome, cause=own.cause,
        )]  # fmt: skip
    given = [
        e
        for e in episode.events
        if e.kind is LabelKind.OUTCOME and take.start_ns <= e.stamp_ns <= take.next_ns
    ]
    return [given[-1]] if given and given[-1].outcome is not Outcome.UNLABELLED else []
