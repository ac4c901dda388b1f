"""Logs labels: lanes on the time axis, and their history."""

from __future__ import annotations

from datetime import datetime, timezone

import numpy as np
import rerun as rr

from robot_recorder.content.contents import Contents
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome, outcome_text
from robot_recorder.model.marks import marks_of
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.view.curves import Colour
from robot_recorder.view.log import RerunLog, entity

ROOT = "labels"
HISTORY = entity(ROOT, "history")
_INSTANT = 0.015  # width of an instant, as a share of the episode
_PRE_ROLL, _AFTER, _RECORDED = "pre-roll", "after the stop", "recorded"
_GREY = (90, 90, 90)
_OUTCOMES = {
    Outcome.SUCCESS: (46, 140, 70),
    Outcome.FAILURE: (200, 50, 50),
    Outcome.UNLABELLED: (50, 90, 140),
}
_SHADES = (
    (30, 110, 160),
    (170, 105, 10),
    (0, 120, 95),
    (160, 60, 120),
    (120, 110, 20),
    (90, 75, 180),
)


def log_labels(log: RerunLog, contents: Contents) -> None:
    """Log lanes and history."""
    episode, labels = contents.episode, contents.episode.labels
    state = labels.outcome_text if episode.events else _RECORDED
    colours = {_PRE_ROLL: _GREY, _AFTER: _GREY, state: _OUTCOMES[labels.outcome]}
    _lane(log, "outcome", _phases(contents, state), colours)
    names = dict.fromkeys(event.name for event in labels.annotations)
    shades = {name: _SHADES[number % len(_SHADES)] for number, name in enumerate(names)}
    for number, spans in enumerate(annotation_lanes(contents)):
        _lane(log, f"annotations_{number + 1}" if number else "annotations", spans, shades)
    for event in episode.events:
        time_s = (event.stamp_ns - contents.start_ns) / NS_PER_S
        text = rr.TextLog.columns(text=[_sentence(event)], level=[event.kind.name])
        # A label given days later must not stretch the time axis; its sentence has the date.
        log.send(HISTORY, np.array([min(max(time_s, contents.first_s), contents.last_s)]), text)


def _phases(contents: Contents, state: str) -> list[tuple[float, float, str]]:
    """Return the outcome from start to stop, and the phases before and after."""
    stop_s = min(contents.episode.duration_s, contents.last_s)
    edges = (min(contents.first_s, 0.0), 0.0, stop_s, contents.last_s)
    spans = zip(edges, edges[1:], (_PRE_ROLL, state, _AFTER))
    return [(start, end, name) for start, end, name in spans if end > start]


def annotation_lanes(contents: Contents) -> list[list[tuple[float, float, str]]]:
    """Return start (s), end (s) and name of annotations, on as many lanes as they need."""
    least_s = _INSTANT * (contents.last_s - contents.first_s)
    lanes: list[list[tuple[float, float, str]]] = []
    for mark in marks_of(contents.episode.labels, contents.start_ns):
        span = mark.start_s, max(mark.end_s, mark.start_s + least_s), mark.name
        lane = next((lane for lane in lanes if lane[-1][1] <= span[0]), None)
        if lane is None:
            lanes.append([span])
        else:
            lane.append(span)
    return lanes


def _lane(
    log: RerunLog,
    name: str,
    spans: list[tuple[float, float, str]],
    colours: dict[str, Colour],
) -> None:
    """Log a lane of states, empty between them."""
    if not spans:
        return
    changes: dict[float, str] = {}
    for start, end, state in spans:
        changes |= {start: state, end: ""}
    path = entity(ROOT, name)
    log.once(path, rr.StateConfiguration(values=list(colours), colors=list(colours.values())))
    log.send(path, np.array(list(changes)), rr.StateChange.columns(state=list(changes.values())))


def _sentence(event: LabelEvent) -> str:
    return f"{describe(event)}, by {event.by or 'unknown'}, {utc(event.stamp_ns)}"


def describe(event: LabelEvent) -> str:
    """Return what a label event changed, without who and when."""
    if event.kind is LabelKind.TASK:
        what = f"task {event.task or 'none'}: {event.instruction}".removesuffix(": ")
        what += f" (operator {event.operator_name})" if event.operator_name else ""
    elif event.kind is LabelKind.OUTCOME:
        what = f"outcome {outcome_text(event.outcome, event.cause)}"
    else:
        what = f"{event.kind.name.lower()} {event.name}"
    what += f" instead of {event.previous}" if event.previous not in ("", "unlabelled") else ""
    return what + (f" ({event.note})" if event.note else "")


def utc(stamp_ns: int) -> str:
    """Return a time as text in UTC."""
    return f"{datetime.fromtimestamp(stamp_ns / NS_PER_S, timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
