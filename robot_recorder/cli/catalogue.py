"""The command ``catalogue``: bring the index of all episodes up to date with their directories."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from robot_recorder.cli.arguments import add_json, add_roots
from robot_recorder.cli.command import Command
from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.cli.terminal import say, say_json
from robot_recorder.model.text import plural

if TYPE_CHECKING:
    from robot_recorder.catalogue.catalogue import Catalogue


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_roots(parser)
    parser.add_argument("--rebuild", action="store_true", help="read every episode again")
    add_json(parser)


def _run(options: argparse.Namespace) -> int:
    from robot_recorder.catalogue.catalogue import Catalogue
    from robot_recorder.cli.roots import with_catalogues

    for root in options.root if options.rebuild else []:
        if root.is_dir():
            with Catalogue(root, writable=True) as catalogue:
                catalogue.take_away()
    return with_catalogues(options.root, lambda found: _update(found, options.json), maintain=True)


def _update(catalogues: list[Catalogue], as_json: bool) -> int:
    from robot_recorder.cli.roots import print_problems

    found = [_updated(catalogue) for catalogue in catalogues]
    unreadable = [problem for plain in found for problem in plain["unreadable"]]
    if as_json:
        say_json(found)
    else:
        for plain in found:
            say(
                f"{plain['root']}: {plural(plain['episodes'], 'episode')}, {plain['read']:,} read anew, "
                f"{plain['gone']:,} gone, {len(plain['unreadable']):,} unreadable; "
                f"{plain['file']}: {plain['size_bytes'] / 1e6:.1f} MB"
            )
        print_problems([f"unreadable: {problem}" for problem in unreadable])
    return ExitCode.FINDING if unreadable else ExitCode.OK


def _updated(catalogue: Catalogue) -> dict[str, Any]:
    """Bring a catalogue up to date; return what was done as plain values."""
    from robot_recorder.catalogue.schema import FILE
    from robot_recorder.cli.roots import synced

    done = synced(catalogue, thorough=True)
    return {
        "root": str(catalogue.root),
        "episodes": catalogue.episodes(),
        "read": done.read,
        "gone": done.gone,
        "unreadable": catalogue.unreadable(),
        "file": str(FILE),
        "size_bytes": (catalogue.root / FILE).stat().st_size,
    }


COMMAND = Command(
    name="catalogue",
    summary="bring the index of all episodes up to date with their directories",
    examples=(
        "robot-recorder catalogue /data/episodes",
        "robot-recorder catalogue /data/episodes --rebuild",
    ),
    add_arguments=_add_arguments,
    run=_run,
)
