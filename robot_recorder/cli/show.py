"""The command ``show``: draw an episode and write its report, or compare repeats of a task."""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_recorder.cli.arguments import add_json
from robot_recorder.cli.command import Command
from robot_recorder.cli.episode_argument import HELP, chosen_episode
from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.cli.progress import progress
from robot_recorder.cli.targets import make_folder
from robot_recorder.cli.terminal import say, say_json
from robot_recorder.model.errors import ConfigError

if TYPE_CHECKING:
    from robot_recorder.report.compare import Comparison


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("episode", nargs="*", type=Path, default=[Path("episodes")], help=HELP)
    parser.add_argument(
        "--out", type=Path, metavar="PATH",
        help="PNG or HTML file, or a folder; default: beside the episode",
    )  # fmt: skip
    parser.add_argument(
        "--stream", action="append", default=[], metavar="NAME", dest="streams",
        help="draw only this stream, all of it (may be repeated); default: all streams",
    )  # fmt: skip
    add_json(parser)


def _run(options: argparse.Namespace) -> int:
    given = options.episode
    if len(given) > 1:  # a `*` also matches the pictures that were written beside the episodes
        given = [p for p in given if p.suffix not in (".png", ".html", ".rrd")] or given
    episodes = list(dict.fromkeys(chosen_episode(path).resolve() for path in given))
    if len(episodes) > 1:
        return _compare(episodes, options)
    return _one(episodes[0], options)


def _one(path: Path, options: argparse.Namespace) -> int:
    from robot_recorder.content.contents import Contents
    from robot_recorder.content.series import load
    from robot_recorder.report.html import write_html
    from robot_recorder.report.picture import draw

    targets = _targets(options.out, path.parent, path.name, (".png", ".html"))
    with progress(path.name) as told:
        reading = partial(told, "reading")
        data = load(Contents.open(path), progress=reading, streams=options.streams)
    writers = {".png": draw, ".html": write_html}
    for target in targets:
        writers[target.suffix](data, target)
        if not options.json:
            say(target)
    if options.json:
        say_json({"files": list(map(str, targets)), "problems": data.problems})
    else:
        _print_problems(data.problems)
    return ExitCode.OK


def _compare(paths: list[Path], options: argparse.Namespace) -> int:
    from robot_recorder.report.compare import compare
    from robot_recorder.report.compare_picture import draw_comparison

    (target,) = _targets(options.out, Path.cwd(), "comparison", (".png",))
    with progress(f"{len(paths)} episodes") as told:
        comparison = compare(paths, partial(told, "reading"), options.streams)
    draw_comparison(comparison, target)
    if options.json:
        say_json({
            "files": [str(target)], "problems": comparison.problems,
            "episodes": _comparison_as_json(comparison),
        })  # fmt: skip
    else:
        _print_comparison(comparison)
        say(target)
        _print_problems(comparison.problems)
    return ExitCode.OK


def _comparison_as_json(comparison: Comparison) -> list[dict[str, Any]]:
    """Return plain values of every repeat, the most unusual first; None: nothing to compare."""
    from robot_recorder.report.compare_picture import where

    return [
        {
            "episode_id": repeat.episode.id,
            "path": str(repeat.episode.path),
            "outcome": repeat.episode.labels.outcome.text,
            "verdict": repeat.episode.quality.verdict.text,
            "duration_s": repeat.episode.duration_s,
            "distance": found.distance if found.channel >= 0 else None,
            "odd": found.odd,
            "differs_most_in": where(comparison, index) if found.channel >= 0 else None,
        }
        for index, (repeat, found) in enumerate(zip(comparison.repeats, comparison.oddness))
    ]


def _print_comparison(comparison: Comparison) -> None:
    from robot_recorder.cli.tables import Table, table_console
    from robot_recorder.report.compare_picture import distance, where

    table = Table(box=None, pad_edge=False)
    table.add_column("#", justify="right")
    table.add_column("episode", overflow="fold")
    for title in ("outcome", "verdict", "length", "distance", "differs most in"):
        table.add_column(title)
    for index, (repeat, found) in enumerate(zip(comparison.repeats, comparison.oddness)):
        episode = repeat.episode
        cells = (
            str(index + 1), episode.id, episode.labels.outcome_text, episode.quality.verdict.text,
            f"{episode.duration_s:.1f} s", distance(found), where(comparison, index),
        )  # fmt: skip
        table.add_row(*cells, style="bold" if found.odd else "")
    table_console().print(table)


def _targets(out: Path | None, folder: Path, name: str, suffixes: tuple[str, ...]) -> list[Path]:
    """Return the files to write.

    Raises:
        ConfigError: they cannot be written there, or not in the format that is asked for.
    """
    targets = _named_targets(out, folder, name, suffixes)
    if not os.access(targets[0].parent, os.W_OK):
        raise ConfigError(
            f"{targets[0].parent} cannot be written to: give another folder with --out"
        )
    return targets


def _named_targets(
    out: Path | None, folder: Path, name: str, suffixes: tuple[str, ...]
) -> list[Path]:
    if out is None or out.is_dir():
        return [(out or folder) / f"{name}{suffix}" for suffix in suffixes]
    if out.suffix in suffixes:
        return [out]
    if out.suffix:
        raise ConfigError(f"{out}: can be written as {' or '.join(suffixes)}, or give a folder")
    make_folder(out)
    return [out / f"{name}{suffix}" for suffix in suffixes]


def _print_problems(problems: list[str]) -> None:
    for problem in problems:
        say(f"  - {problem}")


COMMAND = Command(
    name="show",
    summary="draw an episode and write its report; compare several episodes of a task",
    details="One episode: a picture (PNG) and a report that any browser opens (HTML). Several: one picture of all "
    "of them against time from their starts, and a table with the most unusual one first.",
    examples=(
        "robot-recorder show EPISODE",
        "robot-recorder show /data/episodes --out report.html",
        "robot-recorder show EPISODE --stream joint_states",
        "robot-recorder show /data/episodes/*_lift_box --out comparison.png",
    ),
    add_arguments=_add_arguments,
    run=_run,
)
