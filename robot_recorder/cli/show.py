"""``robot-recorder show``: an episode as a picture and a page; repeats of a task over each other."""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path
from typing import Any

from robot_recorder.cli.chosen import HELP, chosen_episode
from robot_recorder.cli.console import say
from robot_recorder.cli.progress import progress
from robot_recorder.model.errors import ConfigError


def add_show(commands: Any) -> None:
    """Add the command to the command line."""
    show = commands.add_parser(
        "show",
        help="draw an episode and write its report; several: lay repeats over each other",
        description="One episode: a picture (PNG) and a report that any browser opens (HTML). Several: one "
        "picture of all of them against time from start, the odd ones first.",
    )
    show.add_argument("episode", nargs="*", type=Path, default=[Path("episodes")], help=HELP)
    show.add_argument(
        "--out", type=Path, help="PNG or HTML file, or a folder; default: beside the episode"
    )
    show.set_defaults(run=_show)


def _show(options: argparse.Namespace) -> int:
    given = options.episode
    if len(given) > 1:  # what stands beside episodes, such as their pictures, is in every `*`
        given = [p for p in given if p.suffix not in (".png", ".html", ".rrd")] or given
    episodes = list(dict.fromkeys(chosen_episode(path).resolve() for path in given))
    if len(episodes) > 1:
        return _compare(episodes, options.out)
    return _one(episodes[0], options.out)


def _one(path: Path, out: Path | None) -> int:
    from robot_recorder.content.contents import Contents
    from robot_recorder.content.series import load
    from robot_recorder.report.html import write_html
    from robot_recorder.report.picture import draw

    targets = _targets(out, path.parent, path.name, (".png", ".html"))
    with progress(path.name) as told:
        data = load(Contents.open(path), progress=partial(told, "reading"))
    writers = {".png": draw, ".html": write_html}
    for target in targets:
        writers[target.suffix](data, target)
        say(target)
    _print_problems(data.problems)
    return 0


def _compare(paths: list[Path], out: Path | None) -> int:
    from robot_recorder.cli.tables import Console, Table
    from robot_recorder.report.compare import compare
    from robot_recorder.report.compare_picture import distance, draw_comparison, where

    (target,) = _targets(out, Path.cwd(), "comparison", (".png",))
    with progress(f"{len(paths)} episodes") as told:
        comparison = compare(paths, partial(told, "reading"))
    draw_comparison(comparison, target)
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
    Console().print(table)
    say(target)
    _print_problems(comparison.problems)
    return 0


def _targets(out: Path | None, folder: Path, name: str, suffixes: tuple[str, ...]) -> list[Path]:
    """Files to write.

    Raises:
        ConfigError: that can not be written, or not as it is asked for.
    """
    targets = _named_targets(out, folder, name, suffixes)
    if not os.access(targets[0].parent, os.W_OK):
        raise ConfigError(
            f"{targets[0].parent} can not be written to: give another folder with --out"
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
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{out} can not be made: {error.strerror}") from error
    return [out / f"{name}{suffix}" for suffix in suffixes]


def _print_problems(problems: list[str]) -> None:
    for problem in problems:
        say(f"  - {problem}")
