"""The command ``certificate``: print how well an episode is aligned."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from robot_recorder.cli.arguments import add_json
from robot_recorder.cli.command import Command
from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.cli.targets import make_folder
from robot_recorder.cli.terminal import say, say_error, say_json

if TYPE_CHECKING:
    from robot_recorder.episodes.episode import Episode
    from robot_recorder.offline.align import Alignment


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("episode", nargs="+", type=Path, help="bag directories, from any recorder")
    parser.add_argument(
        "--again", action="store_true", help="align again instead of reading the stored certificate"
    )
    parser.add_argument(
        "--picture", type=Path, metavar="PNG", help="draw skew over time; a file or a folder"
    )
    add_json(parser, "print JSON, one object per line and bag")


def _run(options: argparse.Namespace) -> int:
    from robot_recorder.cli.bag_alignment import aligned, plan_of
    from robot_recorder.cli.certificate_table import print_certificate
    from robot_recorder.episodes.episode import Episode

    for path in options.episode:
        episode = Episode.open(path)
        certificate = None if options.again else episode.certificate
        found = None
        if certificate is None or options.picture:
            found = aligned(*plan_of(path))
            certificate = certificate or found.certificate
        if options.json:
            say_json(certificate.to_dict())
        else:
            print_certificate(episode.id, certificate)
        if found is not None and options.picture:
            target = _draw(episode, found, options.picture, many=len(options.episode) > 1)
            (say_error if options.json else say)(target)
    return ExitCode.OK


def _draw(episode: Episode, found: Alignment, target: Path, many: bool) -> Path:
    from robot_recorder.report.sync_picture import draw_sync

    if many:
        make_folder(target)
    if target.is_dir():
        target = target / f"{episode.path.resolve().name}.sync.png"
    draw_sync(found.frames, found.certificate, episode.id, episode.start_ns, target)
    return target


COMMAND = Command(
    name="certificate",
    summary="print how well an episode is aligned",
    examples=(
        "robot-recorder certificate EPISODE",
        "robot-recorder certificate EPISODE --again --picture sync.png",
        "robot-recorder certificate EPISODE --json",
    ),
    add_arguments=_add_arguments,
    run=_run,
)
