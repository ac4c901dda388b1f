"""The command ``stats``: count episodes by outcome, verdict, task, operator, robot and day."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from robot_recorder.cli.arguments import Word, add_json, add_roots
from robot_recorder.cli.command import Command
from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.cli.terminal import say, say_error, say_json
from robot_recorder.model.errors import ConfigError

if TYPE_CHECKING:
    from robot_recorder.catalogue.catalogue import Catalogue
    from robot_recorder.configuration.tasks import TaskRegistry


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    from robot_recorder.catalogue.stats import Side
    from robot_recorder.cli.filters import add_filter

    side = Word(Side)
    add_roots(parser)
    add_filter(parser)
    parser.add_argument("--by", type=side, metavar="WHAT", help=f"only one table, by {side}")
    parser.add_argument(
        "--tasks", default="", metavar="FILE", help="task registry; default: the shipped one"
    )
    parser.add_argument("--picture", type=Path, metavar="PNG", help="also draw them as a picture")
    add_json(parser)
    parser.set_defaults(outcome=None, verdict=None, longer=None, shorter=None)


def _run(options: argparse.Namespace) -> int:
    from robot_recorder.cli.roots import with_catalogues
    from robot_recorder.configuration.find import load_tasks

    tasks = load_tasks(options.tasks)
    return with_catalogues(options.root, lambda catalogues: _count(catalogues, tasks, options))


def _count(catalogues: list[Catalogue], tasks: TaskRegistry, options: argparse.Namespace) -> int:
    from robot_recorder.catalogue.stats import count_up, together
    from robot_recorder.cli.filters import filter_of
    from robot_recorder.cli.stats_tables import print_stats

    filter = filter_of(options, catalogues)
    stats = together(count_up(catalogue, filter) for catalogue in catalogues).grouped(tasks)
    targets = stats.targets(tasks, filter.task)
    if not stats.total.episodes:
        raise ConfigError("no episode matches; robot-recorder episodes lists what there is")
    if options.json:
        say_json(stats.to_dict(targets))
    else:
        print_stats(stats, targets, options.by)
    if options.picture:
        from robot_recorder.report.stats_picture import draw_stats

        draw_stats(stats, targets, options.picture)
        (say_error if options.json else say)(options.picture)
    return ExitCode.OK


COMMAND = Command(
    name="stats",
    summary="count episodes: success, yield, targets, failure causes, reasons of verdicts",
    examples=(
        "robot-recorder stats /data/episodes",
        "robot-recorder stats /data/robot_* --since 2026-03-01 --picture march.png",
        "robot-recorder stats /data/episodes --by operator",
    ),
    add_arguments=_add_arguments,
    run=_run,
)
