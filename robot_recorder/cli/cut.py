"""The command ``cut``: make ordinary episodes of the takes in a long one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_recorder.cli.arguments import add_json, number
from robot_recorder.cli.command import Command
from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.cli.progress import progress
from robot_recorder.cli.terminal import say, say_error, say_json
from robot_recorder.model.errors import ConfigError, RecorderError
from robot_recorder.model.ids import PARTIAL
from robot_recorder.model.text import plural

if TYPE_CHECKING:
    from robot_recorder.episodes.episode import Episode
    from robot_recorder.episodes.takes import TakeSpan
    from robot_recorder.offline.cut import Cut

_MOST_S = 1e6  # no episode is that long
_MOST_PRE_ROLL_S = 3600.0


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    from robot_recorder.model.labels import TAKE

    parser.add_argument("episode", type=Path, help="directory of a finished episode")
    parser.add_argument(
        "--annotation", default=TAKE, metavar="NAME",
        help=f"cut out what annotations of this name mark; default: {TAKE}",
    )  # fmt: skip
    parser.add_argument(
        "--from", dest="from_s", type=number(-_MOST_S, _MOST_S, "in s"), metavar="S",
        help="cut out one part instead, from this time on the episode's clock; default: its start",
    )  # fmt: skip
    parser.add_argument(
        "--to",
        dest="to_s",
        type=number(-_MOST_S, _MOST_S, "in s"),
        metavar="S",
        help="to this time; default: its end",
    )
    parser.add_argument(
        "--pre-roll", type=number(0, _MOST_PRE_ROLL_S, "in s"), default=0.0, metavar="S",
        help="time before each part that goes with it, as its pre-roll; default: none",
    )  # fmt: skip
    parser.add_argument(
        "--into", type=Path, metavar="ROOT",
        help="folder of episodes for the new ones; default: that of the episode",
    )  # fmt: skip
    parser.add_argument(
        "--tasks", default="", metavar="FILE",
        help="task registry with the tasks of the parts; default: the shipped one",
    )  # fmt: skip
    parser.add_argument(
        "--no-check", action="store_true",
        help="leave out certificate and verdict, which take longest; robot-recorder check --save gives the verdict later",
    )  # fmt: skip
    parser.add_argument(
        "--list", action="store_true", help="print what would be cut out, and write nothing"
    )
    add_json(parser, "print JSON, one list of all parts")


def _run(options: argparse.Namespace) -> int:
    from robot_recorder.configuration.find import load_tasks
    from robot_recorder.floor.store import open_store
    from robot_recorder.offline.cut import Cutter

    source = _source(options.episode.resolve())
    takes, problems = _takes(source, options)
    store = open_store(options.into.resolve() if options.into else source.path.parent)
    cutter = Cutter(source, store, options.pre_roll, load_tasks(options.tasks))
    if options.list:
        cuts = cutter.plan(takes)
    else:
        with cutter:
            cuts = _made(cutter, takes, options, problems)
    if options.json:
        say_json([_plain(cut) for cut in cuts], indent=1)
    elif options.list:
        for cut in cuts:
            say(_sentence(cut))
    for problem in problems:
        say_error(f"error: {problem}")
    if not options.json:
        new = sum(cut.is_new for cut in cuts)
        there = sum(cut.path is not None and not cut.is_new for cut in cuts)
        made = f"{len(cuts) - there} to be made" if options.list else f"{new} made"
        say(f"{plural(len(takes), 'part')} of {source.id}: {made}, {there} there already")
    return ExitCode.FINDING if problems else ExitCode.OK


def _source(path: Path) -> Episode:
    """Return the episode to cut.

    Raises:
        RecorderError: the episode does not exist, or cannot be cut where it is.
    """
    from robot_recorder.bags.bag import bag_of
    from robot_recorder.episodes.episode import Episode
    from robot_recorder.episodes.store import not_finished
    from robot_recorder.episodes.trash import TRASH

    path = bag_of(path)
    partial = path if path.suffix == PARTIAL else path.with_name(path.name + PARTIAL)
    if partial.is_dir() and (path == partial or not path.is_dir()):
        raise ConfigError(not_finished(partial))
    if path.parent.name == TRASH:
        root = path.parent.parent
        raise ConfigError(
            f"{path.name} is in the trash: robot-recorder trash {root} --restore {path.name}"
        )
    return Episode.open(path)


def _takes(source: Episode, options: argparse.Namespace) -> tuple[list[TakeSpan], list[str]]:
    """Return the parts that are asked for, and sentences about labels that mark none.

    Raises:
        ConfigError: no part is marked.
    """
    from robot_recorder.episodes.takes import take_between, takes_of

    if options.from_s is not None or options.to_s is not None:
        take = take_between(source, options.from_s, options.to_s)
        if isinstance(take, str):
            raise ConfigError(take)
        return [take], []
    takes, problems = takes_of(source, options.annotation)
    if not takes and not problems:
        names = ", ".join(dict.fromkeys(a.name for a in source.labels.annotations))
        raise ConfigError(
            f"{source.id} has no annotation '{options.annotation}'; it has {names or 'no annotations'}. "
            "Give one with --annotation, or times with --from and --to"
        )
    return takes, problems


def _made(
    cutter: Any, takes: list[TakeSpan], options: argparse.Namespace, problems: list[str]
) -> list[Cut]:
    """Cut out every part and print it; one that fails does not keep the others from being made."""
    cuts: list[Cut] = []
    with progress(cutter.source.id) as told:
        for take in takes:
            (cut,) = cutter.plan([take])

            def tell(share: float, number: int = len(cuts)) -> None:
                told(f"cutting {number + 1} of {len(takes)}:", (number + share) / len(takes))

            try:
                cut = cutter.make(cut, not options.no_check, tell)
            except RecorderError as error:
                problems.append(f"{cut.where}: {error}")
            cuts.append(cut)
            if not options.json and cut.path is not None:
                say(_sentence(cut))
    return cuts


def _sentence(cut: Cut) -> str:
    from robot_recorder.episodes.trash import TRASH

    what = f"{cut.where}, {f'task {cut.task}' if cut.task else 'no task'}, {cut.outcome}"
    if cut.path is None:
        return f"to be made: {cut.id} ({what})"
    if not cut.is_new:
        where = "in the trash" if cut.path.parent.name == TRASH else "there already"
        return f"{where}: {cut.id} ({what})"
    assert cut.written is not None
    report, written = cut.quality, cut.written
    size = written.linked_bytes + written.copied_bytes + written.made_bytes
    told = f"made {cut.id} ({what}; {size / 1e6:.1f} MB"
    told += (
        f", {written.linked_bytes / 1e6:.1f} MB of them linked)" if written.linked_bytes else ")"
    )
    return f"{told}: {report.sentence}" if report.sentence else told


def _plain(cut: Cut) -> dict[str, Any]:
    written = cut.written
    return {
        "episode_id": cut.id,
        "path": None if cut.path is None else str(cut.path),
        "new": cut.is_new,
        "from_ns": cut.from_ns,
        "start_ns": cut.take.start_ns,
        "stop_ns": cut.take.end_ns,
        "task": cut.task or None,
        "outcome": cut.outcome,
        "verdict": cut.quality.verdict.text if cut.is_new else None,
        "linked_bytes": None if written is None else written.linked_bytes,
        "copied_bytes": None if written is None else written.copied_bytes,
        "made_bytes": None if written is None else written.made_bytes,
    }


COMMAND = Command(
    name="cut",
    summary="make ordinary episodes of the takes in a long one",
    details="A take is marked by an annotation. Each becomes an episode with labels, certificate and verdict of its "
    "own; what was made before is not made again. The long episode stays as it is, and may be deleted afterwards.",
    examples=(
        "robot-recorder cut EPISODE",
        "robot-recorder cut EPISODE --list",
        "robot-recorder cut EPISODE --annotation place --pre-roll 1",
        "robot-recorder cut EPISODE --from 1 --to 4.5",
    ),
    add_arguments=_add_arguments,
    run=_run,
)
