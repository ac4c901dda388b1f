"""What ``label`` prints: what it did, and the labels of an episode with their history."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from robot_recorder.cli.tables import Table, table_console
from robot_recorder.cli.terminal import say
from robot_recorder.configuration.tasks import Task, TaskRegistry
from robot_recorder.episodes.label_rules import missing_annotations, to_be_annotated
from robot_recorder.episodes.labelling import LabelledEpisode, describe
from robot_recorder.model.labels import LabelEvent, LabelKind
from robot_recorder.model.streams import NS_PER_S


def sentence(now: LabelledEpisode, events: Sequence[LabelEvent], task: Task | None) -> str:
    """Say what was done to an episode, and what is still to be annotated.

    Args:
        events: the labels that were added.
        task: what it demonstrates; None: unknown.
    """
    told = "; ".join(_added(event, now) for event in events)
    if any(event.kind is not LabelKind.TASK for event in events):
        told += to_be_annotated(now.labels, task)
    return f"{now.id} {told}"


def _added(event: LabelEvent, now: LabelledEpisode) -> str:
    verb = {
        LabelKind.TASK: "set to ",
        LabelKind.OUTCOME: "marked as ",
        LabelKind.ANNOTATION: "annotated: ",
    }
    before = f" (was {event.previous})" if event.previous else ""
    return f"{verb.get(event.kind, '')}{describe(event, now)}{before}"


def labels_as_json(now: LabelledEpisode, path: Path, registry: TaskRegistry) -> dict[str, Any]:
    """Return the labels that hold and all that were given as plain values, times in s on the episode's clock."""
    labels, span = now.labels, now.span
    annotations = [
        {"name": a.name, "start_s": span.seconds(a.start_ns), "end_s": span.seconds(a.end_ns)}
        for a in labels.annotations
    ]
    return {
        "episode": now.id,
        "path": str(path),
        "now": {
            "task": labels.task or None,
            "instruction": labels.instruction or None,
            "operator": labels.operator_name or None,
            "outcome": labels.outcome.text,
            "cause": labels.cause or None,
            "missing_annotations": missing_annotations(labels, now.task(registry)),
            "annotations": annotations,
        },
        "history": [event.to_dict() for event in now.events],
    }


def print_history(now: LabelledEpisode, registry: TaskRegistry) -> None:
    """Print the labels that hold, and a table of all that were given."""
    labels = now.labels
    annotated = ", ".join(describe(event, now) for event in labels.annotations)
    say(
        f"{now.id}: {labels.outcome_text}, task {labels.task or 'none'}, "
        f"operator {labels.operator_name or 'unknown'}"
    )
    missing = to_be_annotated(labels, now.task(registry))
    say(f"  annotated: {annotated or 'nothing'}{missing}")
    table = Table()
    for heading in ("when", "who", "what", "before"):
        table.add_column(heading, no_wrap=True)
    table.add_column("note")
    for event in now.events:
        when = datetime.fromtimestamp(event.stamp_ns / NS_PER_S)
        cells = (f"{when:%Y-%m-%d %H:%M:%S}", event.by or "unknown", describe(event, now))
        table.add_row(*cells, event.previous, event.note)
    table_console().print(table)
