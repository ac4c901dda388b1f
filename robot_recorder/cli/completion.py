"""The command ``completion``: a script that completes commands, options and their values in a shell."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from robot_recorder.cli.command import Command
from robot_recorder.cli.console import say_lines
from robot_recorder.cli.exit_codes import ExitCode

_FILE_METAVARS = {"FILE", "PATH", "PNG", "RRD"}


@dataclass(frozen=True)
class Value:
    """What stands at one place of a command line.

    Attributes:
        words: what it may be; empty: anything.
        is_path: it is a file or a folder.
    """

    words: tuple[str, ...] = ()
    is_path: bool = False


@dataclass(frozen=True)
class Option:
    """An option; ``value`` is None for a flag."""

    name: str
    help: str
    value: Value | None


@dataclass(frozen=True)
class CommandWords:
    """What can be typed after a command.

    Attributes:
        name: the command, or two words such as ``profile check``; empty: the program itself.
        actions: commands below it with their summaries.
        argument: what stands there if it is neither an option nor a command.
    """

    name: str
    options: tuple[Option, ...]
    actions: dict[str, str] = field(default_factory=dict)
    argument: Value = Value()


def commands_of(parser: argparse.ArgumentParser, name: str = "") -> Iterator[CommandWords]:
    """What can be typed after the program, each command and each action."""
    actions: dict[str, str] = {}
    below: dict[str, argparse.ArgumentParser] = {}
    argument = Value()
    for action in parser._get_positional_actions():
        if isinstance(action, argparse._SubParsersAction):
            below = dict(action.choices)
            actions = {a.dest: a.help or "" for a in action._choices_actions}
        elif argument == Value():
            argument = _value_of(action)
    yield CommandWords(name, tuple(_options_of(parser)), actions, argument)
    for word, its_parser in below.items():
        yield from commands_of(its_parser, f"{name} {word}".strip())


def _options_of(parser: argparse.ArgumentParser) -> Iterator[Option]:
    for action in parser._get_optional_actions():
        name = max(action.option_strings, key=len)
        yield Option(name, action.help or "", None if action.nargs == 0 else _value_of(action))


def _value_of(action: argparse.Action) -> Value:
    words = list(action.choices or getattr(action.type, "words", ()))
    is_path = action.type is Path or action.metavar in _FILE_METAVARS or action.dest == "file"
    return Value(tuple(map(str, words)), is_path)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="bash, zsh or fish")


def _run(options: argparse.Namespace) -> int:
    from robot_recorder.cli.commands import all_commands, complete_parser
    from robot_recorder.cli.completion_scripts import SCRIPTS

    words = list(commands_of(complete_parser(list(all_commands()))))
    say_lines(SCRIPTS[options.shell](words))
    return ExitCode.OK


COMMAND = Command(
    name="completion",
    summary="print a script that completes command lines in bash, zsh or fish",
    details="The script knows the commands that are installed now; print it again after an update.",
    examples=(
        "robot-recorder completion bash > ~/.local/share/bash-completion/completions/robot-recorder",
        "robot-recorder completion zsh > ~/.zfunc/_robot-recorder",
        "robot-recorder completion fish > ~/.config/fish/completions/robot-recorder.fish",
    ),
    add_arguments=_add_arguments,
    run=_run,
)
