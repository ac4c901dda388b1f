"""What can be typed after each command, read from the parsers."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_FILE_METAVARS = {"FILE", "PATH", "PNG", "RRD"}


@dataclass(frozen=True)
class Value:
    """What can stand at one place of a command line.

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
    """Yield what can be typed after the program, after each command, and after each action."""
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
    words = action.choices or getattr(action.type, "words", None) or ()
    is_path = action.type is Path or action.metavar in _FILE_METAVARS or action.dest == "file"
    return Value(tuple(map(str, words)), is_path)
