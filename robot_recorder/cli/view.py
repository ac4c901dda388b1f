"""The command ``view``: an episode in Rerun."""

from __future__ import annotations

import argparse
import os
import time
from contextlib import ExitStack
from pathlib import Path

from robot_recorder.cli.command import Command
from robot_recorder.cli.episode_argument import HELP, chosen_episode
from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.cli.progress import progress
from robot_recorder.cli.terminal import say, say_error
from robot_recorder.model.errors import ConfigError

_NEEDED = "0.41.0"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("episode", nargs="?", type=Path, default=Path("episodes"), help=HELP)
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--save", type=Path, metavar="RRD",
        help="write a file, or a file in this folder, instead of opening a viewer",
    )  # fmt: skip
    where.add_argument("--web", action="store_true", help="show it in a browser, until Ctrl-C")
    where.add_argument(
        "--connect", metavar="URL", nargs="?", const="rerun+http://127.0.0.1:9876/proxy",
        help="send it to a running viewer; default: the one on this machine",
    )  # fmt: skip
    parser.add_argument(
        "--all", action="store_true", help="every picture and sample, also of a long episode"
    )


def _run(options: argparse.Namespace) -> int:
    _require_rerun()
    from robot_recorder.content.contents import Contents
    from robot_recorder.view import viewer
    from robot_recorder.view.episode import log_episode
    from robot_recorder.view.log import NotTaken

    path = chosen_episode(options.episode)
    contents = Contents.open(path)
    if options.save and options.save.is_dir():
        options.save = options.save / f"{path.resolve().name}.rrd"
    recording = viewer.new_recording()
    try:
        with ExitStack() as stack:
            if options.save:
                stack.enter_context(viewer.saved(recording, options.save))
            elif options.web:
                say(f"open {viewer.served(recording, options.all)}", flush=True)
            elif options.connect:
                viewer.connected(recording, options.connect)
            else:
                viewer.spawned(recording, options.all)
            with progress(contents.episode.id) as told:
                viewed = log_episode(contents, recording, options.all, told)
    except NotTaken as error:
        say_error(f"error: {error}")
        os._exit(ExitCode.FAILED)  # Rerun would wait for its threads for ever
    for note in viewed.notes:
        say(f"  - {note}")
    if options.save:
        say(f"{options.save}: {options.save.stat().st_size / 1e6:.1f} MB")
    elif options.web:
        _wait()
    return ExitCode.OK


def _require_rerun() -> None:
    """Check that Rerun is here, in a version this package works with.

    Raises:
        ConfigError: it is not.
    """
    install = f"pip install rerun-sdk=={_NEEDED}"
    try:
        import rerun
    except ModuleNotFoundError as error:
        raise ConfigError(f"this command needs Rerun: {install}") from error
    there = getattr(rerun, "__version__", "unknown")
    if there.split(".")[:2] != _NEEDED.split(".")[:2]:  # its interface changes from one to the next
        raise ConfigError(f"this command needs Rerun {_NEEDED}, here is {there}: {install}")


def _wait() -> None:
    say("press Ctrl-C to end", flush=True)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        pass


COMMAND = Command(
    name="view",
    summary="open an episode in Rerun: cameras, curves, robot, labels",
    examples=(
        "robot-recorder view EPISODE",
        "robot-recorder view /data/episodes --all --save shared.rrd",
    ),
    add_arguments=_add_arguments,
    run=_run,
)
