"""The command ``label``: labels episodes long after, and shows who labelled them as what."""

from __future__ import annotations

import argparse
import itertools
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from robot_recorder.bags.metadata import METADATA_FILE
from robot_recorder.catalogue.keeper import open_store
from robot_recorder.cli.arguments import add_json
from robot_recorder.cli.command import Command
from robot_recorder.cli.console import say, say_error, say_json
from robot_recorder.configuration.find import load_tasks
from robot_recorder.configuration.tasks import TaskRegistry
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.label_rules import missing_annotations, to_be_annotated
from robot_recorder.episodes.labelling import LabelledEpisode, describe, label_finished
from robot_recorder.episodes.store import EpisodeStore, not_finished
from robot_recorder.episodes.trash import TRASH
from robot_recorder.model.errors import ConfigError, RecorderError
from robot_recorder.model.ids import PARTIAL
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome
from robot_recorder.model.streams import NS_PER_S

_NUMBER = r"-?\d+(?:\.\d*)?"
_PLACE = re.compile(rf"^(?P<name>[^@]+)@(?P<start>{_NUMBER})(?:-(?P<end>{_NUMBER}))?\Z", re.ASCII)
_MOST_S = 1e6


@dataclass(frozen=True)
class _TimeSpan:
    """``NAME@START[-END]``, s on the episode's clock; no end: an instant."""

    name: str
    start_s: float
    end_s: float | None


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("episode", nargs="+", type=Path, help="bag directories, of anybody's")
    parser.add_argument("--by", default="", metavar="NAME", help="who says so; needed to label")
    outcome = parser.add_mutually_exclusive_group()
    outcome.add_argument("--success", action="store_true", help="mark as success")
    outcome.add_argument(
        "--failure", nargs="?", const="", metavar="CAUSE", help="mark as failure, with its cause"
    )
    outcome.add_argument("--unlabelled", action="store_true", help="take the outcome back")
    parser.add_argument("--note", default="", metavar="TEXT", help="why, in your words")
    parser.add_argument("--task", default="", metavar="ID", help="what it demonstrates after all")
    parser.add_argument("--instruction", default="", metavar="TEXT", help="default: the task's")
    parser.add_argument("--operator", default="", metavar="NAME", help="who drove the robot")
    parser.add_argument(
        "--annotate", nargs="+", action="extend", default=[], type=_place,
        metavar="NAME@START[-END]", help="note an instant or a segment",
    )  # fmt: skip
    parser.add_argument(
        "--retract", nargs="+", action="extend", default=[], type=_place,
        metavar="NAME@START", help="withdraw what was annotated there",
    )  # fmt: skip
    parser.add_argument(
        "--tasks", default="", metavar="FILE",
        help="task registry that holds; default: as it was when it was recorded, or the shipped one",
    )  # fmt: skip
    parser.add_argument("--history", action="store_true", help="show every label ever given")
    add_json(parser, "print labels and history as JSON, one object per line and episode")


def _place(text: str) -> _TimeSpan:
    match = _PLACE.match(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME@START[-END] in s, as grasp@1.2-3")
    end = match["end"]
    start_s, end_s = float(match["start"]), None if end is None else float(end)
    if max(abs(start_s), abs(end_s or 0.0)) > _MOST_S:
        raise argparse.ArgumentTypeError(f"'{text}': no episode is that long")
    return _TimeSpan(match["name"], start_s, end_s)


def _run(options: argparse.Namespace) -> int:
    changes = any((
        options.success, options.failure is not None, options.unlabelled, options.task,
        options.instruction, options.operator, options.annotate, options.retract,
    ))  # fmt: skip
    if options.note and not changes:
        raise ConfigError("a note goes with a label, for example --failure slip --note TEXT")
    if not changes and not options.history and not options.json:
        raise ConfigError("nothing to do: give a label, for example --success, or --history")
    if changes and not options.by.strip():
        raise ConfigError("a label needs --by NAME: who says so is kept with it")
    shown = options.history or options.json
    registry = load_tasks(options.tasks)
    failed = False
    stores: dict[Path, EpisodeStore] = {}
    for path in options.episode:
        try:
            path = path.resolve()
            _refuse(path, changes)
            now = LabelledEpisode.of(Episode.open(path))
            if changes:
                store = stores.setdefault(path.parent, open_store(path.parent))
                now = _labelled(store, path, options, registry)
            if shown:
                _show(now, path, registry, options.json)
        except RecorderError as error:
            say_error(f"error: {error}")  # the others are labelled all the same
            failed = True
    return int(failed)


def _labelled(
    store: EpisodeStore, path: Path, options: argparse.Namespace, registry: TaskRegistry
) -> LabelledEpisode:
    """Label one episode; print what was done unless the history is printed anyway."""
    rules = bool(options.tasks)  # a registry that was given comes before the one in the episode
    try:
        now, events = label_finished(
            store, path, lambda now: _asked(options, now), registry, time.time_ns(), rules
        )
    except ConfigError as error:
        raise ConfigError(f"{path.name}: {error}") from error
    told = [_sentence(event, now) for event in events]
    if any(event.kind is not LabelKind.TASK for event in events):
        told[-1] += to_be_annotated(now.labels, now.task(registry, registry_rules=rules))
    if not options.history and not options.json:
        say(f"{now.id} {'; '.join(told)}")
    return now


def _refuse(path: Path, change: bool) -> None:
    """Refuse what is no finished episode, or not to be changed where it is."""
    partial = path if path.suffix == PARTIAL else path.with_name(path.name + PARTIAL)
    if partial.is_dir() and (path == partial or not path.is_dir()):
        raise ConfigError(not_finished(partial))
    if change and path.exists() and not (path / METADATA_FILE).is_file():
        Episode.open(path)  # says what is there
        raise ConfigError(
            f"{path} has no {METADATA_FILE}, where labels are kept: robot-recorder recover {path} makes it"
        )
    if change and path.parent.name == TRASH:
        root = path.parent.parent
        raise ConfigError(
            f"{path.name} is in the trash: robot-recorder trash {root} --restore {path.name}"
        )


def _asked(options: argparse.Namespace, now: LabelledEpisode) -> Iterator[LabelEvent]:
    """What a command line asks for of one episode, in the order in which it is appended."""
    stamps = itertools.count(time.time_ns())

    def event(kind: LabelKind, **fields: Any) -> LabelEvent:
        return LabelEvent(next(stamps), now.id, kind, by=options.by, note=options.note, **fields)

    def segment(kind: LabelKind, place: _TimeSpan) -> LabelEvent:
        start_ns = now.span.at_ns(place.start_s)
        end_ns = start_ns if place.end_s is None else now.span.at_ns(place.end_s)
        return event(kind, name=place.name, start_ns=start_ns, end_ns=end_ns)

    if options.task or options.instruction or options.operator:
        yield event(
            LabelKind.TASK, task=options.task, instruction=options.instruction,
            operator_name=options.operator,
        )  # fmt: skip
    if options.success or options.failure is not None or options.unlabelled:
        outcome, cause = Outcome.UNLABELLED, options.failure or ""
        if not options.unlabelled:
            outcome = Outcome.SUCCESS if options.success else Outcome.FAILURE
        yield event(LabelKind.OUTCOME, outcome=outcome, cause=cause)
    for place in options.retract:
        yield segment(LabelKind.RETRACTION, place)
    for place in options.annotate:
        yield segment(LabelKind.ANNOTATION, place)


def _sentence(event: LabelEvent, now: LabelledEpisode) -> str:
    verb = {
        LabelKind.TASK: "set to ",
        LabelKind.OUTCOME: "marked as ",
        LabelKind.ANNOTATION: "annotated: ",
    }
    before = f" (was {event.previous})" if event.previous else ""
    return f"{verb.get(event.kind, '')}{describe(event, now)}{before}"


def _show(now: LabelledEpisode, path: Path, registry: TaskRegistry, as_json: bool) -> None:
    labels, task = now.labels, now.task(registry)
    missing = missing_annotations(labels, task)
    if as_json:
        say_json({
            "episode": now.id, "path": str(path),
            "now": {
                "task": labels.task, "instruction": labels.instruction,
                "operator": labels.operator_name, "outcome": labels.outcome.text,
                "cause": labels.cause, "missing_annotations": missing,
                "annotations": [_segment(event, now) for event in labels.annotations],
            },
            "history": [event.to_dict() for event in now.events],
        })  # fmt: skip
        return
    annotated = ", ".join(describe(event, now) for event in labels.annotations)
    say(f"{now.id}: {labels.outcome_text}, task {labels.task or 'none'}, "
        f"operator {labels.operator_name or 'unknown'}")  # fmt: skip
    say(f"  annotated: {annotated or 'nothing'}{to_be_annotated(labels, task)}")
    _print_history(now)


def _segment(event: LabelEvent, now: LabelledEpisode) -> dict[str, Any]:
    span = now.span
    return {
        "name": event.name,
        "start_s": span.seconds(event.start_ns),
        "end_s": span.seconds(event.end_ns),
    }


def _print_history(now: LabelledEpisode) -> None:
    from robot_recorder.cli.tables import Table, table_console

    table = Table()
    for heading in ("when", "who", "what", "before"):
        table.add_column(heading, no_wrap=True)
    table.add_column("note")
    for event in now.events:
        when = datetime.fromtimestamp(event.stamp_ns / NS_PER_S)
        cells = (f"{when:%Y-%m-%d %H:%M:%S}", event.by or "unknown", describe(event, now))
        table.add_row(*cells, event.previous, event.note)
    table_console().print(table)


COMMAND = Command(
    name="label",
    summary="label finished episodes, or show how they were labelled",
    details="Times are in s on the episode's clock: 0 is its start, and its pre-roll is before 0. "
    "Labels are appended; none is ever removed from an episode.",
    examples=(
        "robot-recorder label EPISODE --by ann --success",
        "robot-recorder label EPISODE --by ann --failure slip --note 'slid out of the left hand'",
        "robot-recorder label EPISODE --by ann --annotate grasp@1.2 place@3-3.5",
        "robot-recorder label EPISODE --history",
    ),
    add_arguments=_add_arguments,
    run=_run,
)
