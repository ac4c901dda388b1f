"""The ``robot-recorder`` command line. Everything here works without ROS."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from robot_recorder.cli import align, catalogue, label, tasks
from robot_recorder.cli.check import add_check
from robot_recorder.cli.play import add_play
from robot_recorder.cli.show import add_show
from robot_recorder.cli.view import add_view
from robot_recorder.configuration import load_profile
from robot_recorder.core.errors import ConfigError, RecorderError
from robot_recorder.installed_types import message_class
from robot_recorder.storage.store import EpisodeStore
from robot_recorder.storage.trash import TRASH, utc


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Returns:
        0; 1 when a check found something; 2 when the command itself failed.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        result: int = options.run(options)
        return result
    except RecorderError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        # A robot's ROS 2 install may lack what only the command line needs.
        install = "rosdep install --from-paths src -i, or pip install"
        print(f"error: this command needs {error.name}: {install} {error.name}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130  # as a shell says of what Ctrl-C has ended
    except BrokenPipeError:
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="robot-recorder", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    profile = commands.add_parser("profile", help="robot profiles")
    actions = profile.add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser("check", help="say what is wrong with a robot profile")
    check.add_argument("file", help="YAML file, or the name of a shipped profile")
    check.set_defaults(run=_profile_check)
    align.add_guess(actions)

    catalogue.add_catalogue(commands)

    add_check(commands)

    recover = commands.add_parser("recover", help="make whole what a crash left behind")
    recover.add_argument("root", nargs="?", default="episodes", type=Path)
    recover.set_defaults(run=_recover)

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
        print(f"error: {options.file}: {sentence}", file=sys.stderr)
    if missing:
        return 2
    aligned = len(profile.aligned)
    print(
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


def _recover(options: argparse.Namespace) -> int:
    from rich.progress import Progress

    from robot_recorder.storage.recovery import recover_all

    store = EpisodeStore(options.root)
    if not options.root.is_dir():
        raise ConfigError(f"{options.root} is no folder; give the one episodes are recorded into")
    with Progress(transient=True) as progress:
        bar = progress.add_task("recovering", total=len(store.unfinished()))
        results = recover_all(store, lambda _: progress.advance(bar))
    for result in results:
        print(
            result.message if result.ok else f"not recovered: {result.message}; see {result.path}"
        )
    for partial in store.unfinished():
        if partial not in {r.path for r in results}:
            print(f"being recorded: {partial}")
    print(f"{sum(r.ok for r in results)} of {len(results)} leftovers recovered")
    return int(not all(r.ok for r in results))


def _trash(options: argparse.Namespace) -> int:
    store = EpisodeStore(options.root)
    if options.restore:
        print(f"restored: {store.restore(options.restore)}")
        return 0
    for id in options.delete or ():
        print(f"deleted: {store.delete_discarded(id)}")
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
        print(f"{path.name}  {when}")
    print(
        f"{len(trashed)} discarded episodes in {options.root / TRASH}; bring one back with --restore ID"
    )
    return 0
