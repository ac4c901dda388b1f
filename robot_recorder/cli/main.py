"""The ``robot-recorder`` command line. Everything here works without ROS."""

from __future__ import annotations

import argparse
import importlib
import logging
from pathlib import Path
from typing import NoReturn

from robot_recorder.catalogue.keeper import open_store
from robot_recorder.cli import align, catalogue, label, tasks
from robot_recorder.cli.check import add_check
from robot_recorder.cli.console import log_visibly, say, say_error
from robot_recorder.cli.play import add_play
from robot_recorder.cli.recover import add_recover
from robot_recorder.cli.show import add_show
from robot_recorder.cli.view import add_view
from robot_recorder.configuration.find import load_profile
from robot_recorder.episodes.trash import TRASH, utc
from robot_recorder.messages.installed_types import message_class
from robot_recorder.model.errors import ConfigError, RecorderError
from robot_recorder.model.text import visible


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Returns:
        0; 1 when a check found something; 2 when the command itself failed.
    """
    log_visibly()
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        result: int = options.run(options)
        return result
    except RecorderError as error:
        say_error(f"error: {error}")
        return 2
    except ModuleNotFoundError as error:
        # A robot's ROS 2 install may lack what only the command line needs.
        install = "rosdep install --from-paths src -i, or pip install"
        say_error(f"error: this command needs {error.name}: {install} {error.name}")
        return 2
    except KeyboardInterrupt:
        return 130  # as a shell says of what Ctrl-C has ended
    except BrokenPipeError:
        return 0
    except Exception:  # its text is from anywhere: it is not to be printed as it is
        logging.getLogger(__name__).exception("a fault of robot-recorder ended this command")
        return 2


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with a command line without letting it steer the terminal."""

    def error(self, message: str) -> NoReturn:
        """See argparse."""
        super().error(visible(message))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="robot-recorder", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    profile = commands.add_parser("profile", help="robot profiles")
    actions = profile.add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser("check", help="say what is wrong with a robot profile")
    check.add_argument("file", help="YAML file, or the name of a shipped profile")
    check.set_defaults(run=_profile_check)
    align.add_guess(actions)

    catalogue.add_catalogue(commands)

    add_check(commands)

    add_recover(commands)

    trash = commands.add_parser("trash", help="list discarded episodes, or bring one back")
    trash.add_argument("root", nargs="?", default="episodes", type=Path)
    action = trash.add_mutually_exclusive_group()
    action.add_argument("--restore", metavar="ID", help="bring this episode back")
    action.add_argument("--delete", metavar="ID", nargs="+", help="delete these for good, now")
    trash.set_defaults(run=_trash)

    align.add_align(commands)
    tasks.add_tasks(commands)
    label.add_label(commands)

    add_play(commands)
    add_show(commands)
    add_view(commands)
    return parser


def _profile_check(options: argparse.Namespace) -> int:
    profile = load_profile(options.file)
    ros = _has_ros()
    missing = []
    for stream in profile.streams if ros else ():
        try:
            message_class(stream.type)
        except ConfigError as error:
            missing.append(f"stream '{stream.name}': {error}")
    for sentence in missing:
        say_error(f"error: {options.file}: {sentence}")
    if missing:
        return 2
    aligned = len(profile.aligned)
    say(
        f"{profile.robot}: {len(profile.streams)} streams, {aligned} of them aligned "
        f"{profile.frame_clock.text}" + ("" if ros else " (types not checked: no ROS here)")
    )
    return 0


def _has_ros() -> bool:
    try:
        importlib.import_module("std_msgs")
    except ImportError:
        return False
    return True


def _trash(options: argparse.Namespace) -> int:
    store = open_store(options.root)
    if options.restore:
        say(f"restored: {store.restore(options.restore)}")
        return 0
    for id in options.delete or ():
        say(f"deleted: {store.delete_discarded(id)}")
    if options.delete:
        return 0
    trashed = store.trashed()
    for path in trashed:
        moment = store.trash.moment(path)
        when = (
            f"discarded {utc(moment.at_ns)}, kept until {moment.until} at least"
            if moment
            else "its time in the trash begins when a recorder first sees it there"
        )
        say(f"{path.name}  {when}")
    say(
        f"{len(trashed)} discarded episodes in {options.root / TRASH}; bring one back with --restore ID"
    )
    return 0
