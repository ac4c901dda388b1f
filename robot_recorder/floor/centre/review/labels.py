"""The labels that decisions and recalls give, and take back."""

from __future__ import annotations

from robot_recorder.episodes.label_rules import Span
from robot_recorder.floor.centre.review.decisions import ReviewDecision
from robot_recorder.model.labels import LabelEvent, LabelKind, Labels, Outcome

REJECTED = "rejected_in_review"
"""Annotation of a whole episode that must not be trained on; the reason is its note."""
RECALLED = "recalled"
"""Annotation of a whole episode that was recalled; the recall and its reason are its note."""


def whole(
    name: str, span: Span, by: str, stamp_ns: int, note: str = "", retract: bool = False
) -> LabelEvent:
    """Return an annotation of a whole episode, or its retraction."""
    last_ns = span.start_ns if span.to_ns is None else span.to_ns
    kind = LabelKind.RETRACTION if retract else LabelKind.ANNOTATION
    return LabelEvent(
        stamp_ns, "", kind, by=by, note=note, name=name, start_ns=span.from_ns, end_ns=last_ns
    )


def annotated(labels: Labels, name: str, note: str | None = None) -> LabelEvent | None:
    """Return the newest annotation of a name, and of a note if given; None: not annotated."""
    for event in reversed(labels.annotations):
        if event.name == name and note in (None, event.note):
            return event
    return None


def reason_text(decision: ReviewDecision) -> str:
    """Return why a decision rejects an episode."""
    said = decision.judgement
    return ": ".join(filter(None, (said.reason, said.note)))


def decision_labels(
    decision: ReviewDecision, log: tuple[LabelEvent, ...], labels: Labels, span: Span
) -> list[LabelEvent]:
    """Return the labels that a decision asks for; none that it has given before.

    The outcome is given also if it is already so: it says that an inspector has looked.

    Args:
        decision: which counts.
        log: of the episode.
        labels: that are valid now.
        span: of the episode.
    """
    said, by, asked = decision.judgement, decision.by, []
    given = any(
        event.kind is LabelKind.OUTCOME
        and event.by == by
        and event.stamp_ns >= decision.at_ns
        and (event.outcome, event.cause) == (said.outcome, said.cause)
        for event in log
    )
    if not given:
        asked.append(
            LabelEvent(
                decision.at_ns, decision.id, LabelKind.OUTCOME, by=by,
                note=said.note if said.usable else "", outcome=said.outcome, cause=said.cause,
            )
        )  # fmt: skip
    there = annotated(labels, REJECTED)
    if said.usable and there is not None:
        asked.append(_retraction(there, by, decision.at_ns, said.note))
    if not said.usable and there is None:
        asked.append(whole(REJECTED, span, by, decision.at_ns, reason_text(decision)))
    return asked


def undo_labels(
    decision: ReviewDecision,
    labels: Labels,
    before: tuple[Outcome, str],
    rejected: bool,
    stamp_ns: int,
) -> list[LabelEvent]:
    """Return the labels that take a decision back; what others have labelled since stays.

    Args:
        decision: that was undone.
        labels: that are valid now.
        before: outcome and cause before it.
        rejected: whether it had rejected the episode, which was not rejected before.
        stamp_ns: of the undo.
    """
    said, asked = decision.judgement, []
    note = f"undo of review {decision.serial}"
    if (labels.outcome, labels.cause) == (said.outcome, said.cause) and before != (
        said.outcome, said.cause,
    ):  # fmt: skip
        asked.append(
            LabelEvent(
                stamp_ns, decision.id, LabelKind.OUTCOME, by=decision.by, note=note,
                outcome=before[0], cause=before[1],
            )
        )  # fmt: skip
    there = annotated(labels, REJECTED)
    if rejected and there is not None:
        asked.append(_retraction(there, decision.by, stamp_ns, note))
    return asked


def recall_note(serial: int, reason: str) -> str:
    """Return the note of a recall's annotations."""
    return f"recall {serial}: {reason}"


def recall_labels(
    labels: Labels, span: Span, by: str, note: str, stamp_ns: int
) -> list[LabelEvent]:
    """Return the labels that recall an episode; none if this recall has done so."""
    if annotated(labels, RECALLED, note) is not None:
        return []
    return [whole(RECALLED, span, by, stamp_ns, note)]


def return_labels(
    labels: Labels, span: Span, by: str, note: str, stamp_ns: int
) -> list[LabelEvent]:
    """Return the labels that take a recall back; those of other recalls are given anew.

    A retraction removes all annotations of a name and place, so that other recalls' would go with it.
    """
    there = annotated(labels, RECALLED, note)
    if there is None:
        return []
    others = {a.note: a for a in labels.annotations if a.name == RECALLED and a.note != note}
    taken = _retraction(there, by, stamp_ns, f"undone: {note}")
    same = [a for a in others.values() if (a.start_ns, a.end_ns) == (there.start_ns, there.end_ns)]
    return [taken, *(whole(RECALLED, span, a.by, stamp_ns, a.note) for a in same)]


def _retraction(of: LabelEvent, by: str, stamp_ns: int, note: str) -> LabelEvent:
    return LabelEvent(
        stamp_ns, of.episode_id, LabelKind.RETRACTION, by=by, note=note, name=of.name,
        start_ns=of.start_ns, end_ns=of.end_ns,
    )  # fmt: skip
