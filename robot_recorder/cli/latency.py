"""The command ``latency``: estimate ``latency_ms`` of a profile from events that several streams see."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from robot_recorder.cli.arguments import add_json
from robot_recorder.cli.command import Command
from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.cli.progress import progress
from robot_recorder.cli.terminal import say_json
from robot_recorder.model.errors import BagError

if TYPE_CHECKING:
    from robot_recorder.offline.latency import LatencyEstimate


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("episode", nargs="+", type=Path, help="bag directories of one robot")
    parser.add_argument(
        "--profile", metavar="FILE", help="robot profile; default: the bag's own, or else a guess"
    )
    parser.add_argument(
        "--reference", default="", metavar="STREAM",
        help="compare all streams with this one; default: the one that fits best",
    )  # fmt: skip
    add_json(parser)


def _run(options: argparse.Namespace) -> int:
    from robot_recorder.cli.bag_alignment import plan_of
    from robot_recorder.offline.latency import estimate_latencies

    plans = [plan_of(path, options.profile) for path in options.episode]
    with progress("common events") as told:
        found = estimate_latencies(plans, options.reference, partial(told, "looking for"))
    if options.json:
        say_json([estimate.to_dict() for estimate in found])
    elif not found:
        raise BagError("no two streams to compare: at least one must have values that change")
    else:
        _print(found)
    return ExitCode.OK


def _print(estimates: list[LatencyEstimate]) -> None:
    """Print one line per stream, and below them what to write into the profile."""
    from robot_recorder.cli.tables import PlainText, Table, table_console

    table = Table()
    for heading in ("stream", "compared with"):
        table.add_column(heading, no_wrap=True)
    for heading in ("in the profile", "remaining", "fit"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for estimate in estimates:
        table.add_row(
            PlainText(estimate.stream, "green" if estimate.known else "yellow"),
            estimate.reference,
            f"{estimate.profile_ms:g} ms",
            f"{estimate.remaining_ms:+.1f} ± {estimate.pm_ms:.1f} ms",
            f"{estimate.fit:.2f}",
            estimate.doubt,
        )
    console = table_console()
    console.print(table)
    for estimate in estimates:
        if estimate.proposal:
            console.print(f"  - {estimate.proposal}")


COMMAND = Command(
    name="latency",
    summary="estimate the latency of cameras and other streams from events they all see",
    examples=(
        "robot-recorder latency EPISODE",
        "robot-recorder latency /data/episodes/*_lift_box --reference joint_states",
    ),
    add_arguments=_add_arguments,
    run=_run,
)
