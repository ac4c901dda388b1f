"""The command ``label``: label finished episodes, and show who labelled them how."""

from __future__ import annotations

import argparse
import itertools
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_recorder.cli.arguments import add_json
from robot_recorder.cli.command import Command
from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.cli.terminal import say, say_error, say_json
from robot_recorder.model.errors import ConfigError, RecorderError
from robot_recorder.model.ids import PARTIAL

if TYPE_CHECKING:
    from robot_recorder.configuration.tasks import TaskRegistry
    from robot_recorder.episodes.labelling import LabelledEpisode
    from robot_recorder.episodes.store import EpisodeStore
    from robot_recorder.model.labels import LabelEvent, LabelKind

_NUMBER = r"-?\d+(?:\.\d*)?"
_PLACE = re.compile(rf"^(?P<name>[^@]+)@(?P<start>{_NUMBER})(?:-(?P<end>{_NUMBER}))?\Z", re.ASCII)
_MOST_S = 1e6


@dataclass(frozen=True)
class _TimeSpan:
    """``NAME@START[-END]``: s on the episode's clock; an instant has no end."""

    name: str
    start_s: float
    end_s: float | None


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("episode", nargs="+", type=Path, help="bag directories, from any recorder")
    parser.add_argument("--by", default="", metavar="NAME", help="who labels; needed to label")
    outcome = parser.add_mutually_exclusive_group()
    outcome.add_argument("--success", action="store_true", help="mark as success")
    outcome.add_argument(
        "--failure", nargs="?", const="", metavar="CAUSE", help="mark as failure, with its cause"
    )
    outcome.add_argument("--unlabelled", action="store_true", help="withdraw the outcome")
    parser.add_argument("--note", default="", metavar="TEXT", help="the reason, in your words")
    parser.add_argument("--task", default="", metavar="ID", help="correct the task it demonstrates")
    parser.add_argument(
        "--instruction",
        default="",
        metavar="TEXT",
        help="correct the instruction; default: the task's",
    )
    parser.add_argument(
        "--operator", default="", metavar="NAME", help="correct who operated the robot"
    )
    parser.add_argument(
        "--annotate", nargs="+", action="extend", default=[], type=_place,
        metavar="NAME@START[-END]", help="annotate an instant or a segment",
    )  # fmt: skip
    parser.add_argument(
        "--retract", nargs="+", action="extend", default=[], type=_place,
        metavar="NAME@START", help="withdraw an annotation",
    )  # fmt: skip
    parser.add_argument(
        "--take", type=_segment, metavar="START-END",
        help="mark an attempt within a long episode, for `robot-recorder cut`; task, operator and outcome "
        "given with it are those of the attempt",
    )  # fmt: skip
    parser.add_argument(
        "--tasks", default="", metavar="FILE",
        help="task registry to apply; default: the one kept in the episode, or else the shipped one",
    )  # fmt: skip
    parser.add_argument("--history", action="store_true", help="print every label ever given")
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


def _segment(text: str) -> _TimeSpan:
    from robot_recorder.model.labels import TAKE

    found = _place(f"{TAKE}@{text}")
    if found.end_s is None:
        raise argparse.ArgumentTypeError(f"'{text}' is not START-END in s, as 10-42.5")
    return found


def _run(options: argparse.Namespace) -> int:
    from robot_recorder.configuration.find import load_tasks

    changes = any((
        options.success, options.failure is not None, options.unlabelled, options.task,
        options.instruction, options.operator, options.annotate, options.retract, options.take,
    ))  # fmt: skip
    if options.note and not changes:
        raise ConfigError("a note goes with a label, for example --failure slip --note TEXT")
    if not changes and not options.history and not options.json:
        raise ConfigError("nothing to do: give a label, for example --success, or --history")
    if changes and not options.by.strip():
        raise ConfigError("a label needs --by NAME: it is kept with the label")
    registry = load_tasks(options.tasks)
    stores: dict[Path, EpisodeStore] = {}
    code = ExitCode.OK
    for path in options.episode:
        try:
            _label_and_show(path.resolve(), changes, options, registry, stores)
        except RecorderError as error:
            say_error(f"error: {error}")  # the others are labelled all the same
            code = ExitCode.FINDING
    return code


def _label_and_show(
    path: Path, changes: bool, options: argparse.Namespace, registry: TaskRegistry,
    stores: dict[Path, EpisodeStore],
) -> None:  # fmt: skip
    from robot_recorder.cli.label_report import labels_as_json, print_history
    from robot_recorder.episodes.episode import Episode
    from robot_recorder.episodes.labelling import LabelledEpisode
    from robot_recorder.floor.store import open_store

    _refuse(path, changes)
    now = LabelledEpisode.of(Episode.open(path))
    if changes:
        store = stores.setdefault(path.parent, open_store(path.parent))
        now = _labelled(store, path, options, registry)
    if options.json:
        say_json(labels_as_json(now, path, registry))
    elif options.history:
        print_history(now, registry)


def _labelled(
    store: EpisodeStore, path: Path, options: argparse.Namespace, registry: TaskRegistry
) -> LabelledEpisode:
    """Label one episode; print what was done unless the history is printed anyway."""
    from robot_recorder.cli.label_report import sentence
    from robot_recorder.episodes.labelling import label_finished

    rules = bool(options.tasks)  # a registry that was given comes before the one in the episode
    try:
        now, events = label_finished(
            store, path, lambda now: _asked(options, now), registry, time.time_ns(), rules
        )
    except ConfigError as error:
        raise ConfigError(f"{path.name}: {error}") from error
    if not options.history and not options.json:
        say(sentence(now, events, now.task(registry, registry_rules=rules)))
    return now


def _refuse(path: Path, change: bool) -> None:
    """Refuse a path without a finished episode, or with one that must not be changed where it is.

    Args:
        change: labels are to be added, not only shown.

    Raises:
        RecorderError: it is refused.
    """
    from robot_recorder.bags.bag import is_ros1
    from robot_recorder.bags.metadata import METADATA_FILE
    from robot_recorder.bags.ros1_file import conversion
    from robot_recorder.episodes.episode import Episode
    from robot_recorder.episodes.store import not_finished
    from robot_recorder.episodes.trash import TRASH

    partial = path if path.suffix == PARTIAL else path.with_name(path.name + PARTIAL)
    if partial.is_dir() and (path == partial or not path.is_dir()):
        raise ConfigError(not_finished(partial))
    if change and path.exists() and not (path / METADATA_FILE).is_file():
        Episode.open(path)  # raises, and says what is there, unless it is a bag
        if is_ros1(path):
            raise ConfigError(
                f"{path} is a ROS 1 bag, which has no place for labels: {conversion(path)}"
            )
        raise ConfigError(
            f"{path} has no {METADATA_FILE}, where labels are kept: robot-recorder recover {path} makes it"
        )
    if change and path.parent.name == TRASH:
        root = path.parent.parent
        raise ConfigError(
            f"{path.name} is in the trash: robot-recorder trash {root} --restore {path.name}"
        )


def _asked(options: argparse.Namespace, now: LabelledEpisode) -> Iterator[LabelEvent]:
    """Yield the events that a command line asks for, in the order in which they are appended."""
    from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome

    stamps = itertools.count(time.time_ns())

    def event(kind: LabelKind, **fields: Any) -> LabelEvent:
        return LabelEvent(next(stamps), now.id, kind, by=options.by, note=options.note, **fields)

    def segment(kind: LabelKind, place: _TimeSpan) -> LabelEvent:
        start_ns = now.span.at_ns(place.start_s)
        end_ns = start_ns if place.end_s is None else now.span.at_ns(place.end_s)
        return event(kind, name=place.name, start_ns=start_ns, end_ns=end_ns)

    outcome = Outcome.UNLABELLED
    if options.success or options.failure is not None:
        outcome = Outcome.SUCCESS if options.success else Outcome.FAILURE
    judged: dict[str, Any] = {"outcome": outcome, "cause": options.failure or ""}
    doing: dict[str, Any] = {
        "task": options.task,
        "instruction": options.instruction,
        "operator_name": options.operator,
    }
    if options.take:
        yield replace(segment(LabelKind.ANNOTATION, options.take), **doing, **judged)
    elif any(doing.values()):
        yield event(LabelKind.TASK, **doing)
    if not options.take and (outcome is not Outcome.UNLABELLED or options.unlabelled):
        yield event(LabelKind.OUTCOME, **judged)
    for place in options.retract:
        yield segment(LabelKind.RETRACTION, place)
    for place in options.annotate:
        yield segment(LabelKind.ANNOTATION, place)


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
