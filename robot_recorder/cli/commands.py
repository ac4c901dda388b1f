"""The table of commands: those of this package, and those that installed packages add.

A package adds a command by an entry point of the group ``robot_recorder.commands``, named as the command
and pointing to a ``Command``.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import platform
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from robot_recorder.cli.command import Command
from robot_recorder.cli.exit_codes import MEANINGS
from robot_recorder.cli.parser import Parser
from robot_recorder.cli.terminal import say

NAME = "robot-recorder"
# Each is a module of this folder with a COMMAND; in the order of the help.
OWN = (
    "episodes", "stats", "catalogue", "check", "label", "tasks", "cut", "compress", "recover", "trash", "show",
    "view", "play", "align", "certificate", "latency", "export", "profile", "console", "centre", "agent", "exchange", "worker",
    "floor", "completion",
)  # fmt: skip


def parser_for(words: Sequence[str]) -> Parser:
    """Return the parser for a command line: it knows the command that is named, or lists all of them.

    Args:
        words: what was typed after ``robot-recorder``.
    """
    name = next((word for word in words if not word.startswith("-")), "")
    if name in OWN:
        after = words[list(words).index(name) + 1 :]
        return complete_parser([own_command(name).narrowed(after)])
    for command in added_commands() if name else ():
        if command.name == name:
            return complete_parser([command])
    parser, commands = _empty_parser()
    for command in all_commands():
        command.list_in(commands)
    return parser


def complete_parser(commands: Sequence[Command]) -> Parser:
    """Return a parser of these commands with all their arguments."""
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
    """Import and return one of ``OWN``."""
    command: Command = importlib.import_module(f"robot_recorder.cli.{name}").COMMAND
    return command


def all_commands() -> Iterator[Command]:
    """Yield every command, in the order of the help."""
    yield from map(own_command, OWN)
    yield from added_commands()


@cache
def added_commands() -> tuple[Command, ...]:
    """Return the commands of other installed packages; warn of those that cannot be used."""
    from robot_recorder.model.extensions import COMMANDS_GROUP, extensions

    commands = []
    for name, command in extensions(COMMANDS_GROUP).found.items():
        try:
            if name in OWN:
                raise ValueError("a command of this name exists already")
            if not isinstance(command, Command):
                raise TypeError(f"it is a {type(command).__name__}, not a Command")
            if command.name != name:
                raise ValueError(f"it calls itself '{command.name}'")
            command.add_to(_empty_parser()[1])
        except Exception as error:  # somebody else's code must not take the other commands away
            logging.getLogger(__name__).warning(
                "%s: '%s' is left out: %s", COMMANDS_GROUP, name, error
            )
        else:
            commands.append(command)
    return tuple(commands)


class _Version(argparse.Action):
    """``--version``: looks the version up only when it is asked for."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "nargs": 0})

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Print the version and exit."""
        from robot_recorder.configuration.version import software_version

        say(f"{NAME} {software_version()} (Python {platform.python_version()})")
        parser.exit()
