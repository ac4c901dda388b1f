"""The table of commands: those of this package, and those that other packages add.

Another package adds a command by an entry point of the group ``robot_recorder.commands``, named as the
command and pointing to a ``Command``.
"""

from __future__ import annotations

import argparse
import importlib
import platform
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from robot_recorder.cli.command import Command
from robot_recorder.cli.console import say, say_error
from robot_recorder.cli.exit_codes import MEANINGS
from robot_recorder.cli.parser import Parser
from robot_recorder.model.errors import ConfigError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

NAME = "robot-recorder"
GROUP = "robot_recorder.commands"
# Each is a module of this folder with a COMMAND; in the order of the help.
OWN = (
    "episodes", "stats", "catalogue", "check", "label", "tasks", "recover", "trash", "show", "view", "play",
    "align", "certificate", "latency", "profile",
)  # fmt: skip


def parser_for(words: Sequence[str]) -> Parser:
    """The parser for a command line: it knows the command that is named, or lists all of them.

    Args:
        words: what was typed after ``robot-recorder``.

    Raises:
        ConfigError: the command is another package's, and cannot be loaded.
    """
    name = next((word for word in words if not word.startswith("-")), "")
    if name in OWN:
        return complete_parser([own_command(name)])
    added = _added()
    if name in added:
        return complete_parser([_load(added[name])])
    parser, commands = _empty_parser()
    for command in all_commands():
        command.list_in(commands)
    return parser


def complete_parser(commands: Sequence[Command]) -> Parser:
    """A parser of these commands with all their arguments."""
    parser, subparsers = _empty_parser()
    for command in commands:
        command.add_to(subparsers)
    return parser


def _empty_parser() -> tuple[Parser, Any]:
    codes = [f"  {code:<4} {meaning}" for code, meaning in MEANINGS.items()]
    parser = Parser(
        prog=NAME,
        description="List, check, label, align, draw and play recorded episodes. Works without ROS 2, except for play.",
        epilog="\n".join(("exit codes:", *codes))
        + f"\n\n`{NAME} COMMAND --help` explains a command, with examples.",
    )
    parser.add_argument("--version", action=_Version, help="print the version and exit")
    return parser, parser.add_subparsers(required=True, metavar="COMMAND", title="commands")


def own_command(name: str) -> Command:
    """One of ``OWN``."""
    command: Command = importlib.import_module(f"robot_recorder.cli.{name}").COMMAND
    return command


def all_commands() -> Iterator[Command]:
    """Every command; one of another package that cannot be loaded is named on standard error instead."""
    for name in OWN:
        yield own_command(name)
    for entry_point in _added().values():
        try:
            yield _load(entry_point)
        except ConfigError as error:
            say_error(f"warning: {error}")


def _added() -> dict[str, EntryPoint]:
    """Commands of other packages by name; a name that is taken stays whose it was."""
    from importlib.metadata import entry_points

    found: dict[str, EntryPoint] = {}
    for entry_point in entry_points(group=GROUP):
        if entry_point.name in OWN or entry_point.name in found:
            say_error(
                f"warning: {_origin(entry_point)} adds a command '{entry_point.name}', which exists already"
            )
        else:
            found[entry_point.name] = entry_point
    return found


def _load(entry_point: EntryPoint) -> Command:
    """A command of another package.

    Raises:
        ConfigError: it cannot be imported, or is not a command of that name.
    """
    try:
        command = entry_point.load()
        if not isinstance(command, Command):
            raise TypeError(f"{entry_point.value} is a {type(command).__name__}, not a Command")
        if command.name != entry_point.name:
            raise ValueError(f"{entry_point.value} calls itself '{command.name}'")
        command.add_to(_empty_parser()[1])
    except (Exception, SystemExit) as error:
        raise ConfigError(
            f"the command '{entry_point.name}' of {_origin(entry_point)} cannot be loaded: "
            f"{type(error).__name__}: {error}"
        ) from error
    return command


def _origin(entry_point: EntryPoint) -> str:
    return entry_point.dist.name if entry_point.dist else "another package"


class _Version(argparse.Action):
    """``--version``, which is looked up only when it is asked for."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "nargs": 0})

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """See argparse."""
        from robot_recorder.configuration.version import software_version

        say(f"{NAME} {software_version()} (Python {platform.python_version()})")
        parser.exit()
