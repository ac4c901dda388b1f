"""``Command``: what every command of ``robot-recorder`` is, also one that another package adds."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any


def _no_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing."""


@dataclass(frozen=True)
class Command:
    """One command, or a group of actions such as ``profile``.

    Attributes:
        name: what is typed.
        summary: what it does, in one line for the list of commands.
        examples: one to four complete command lines, for the end of its help.
        add_arguments: adds its arguments to its parser.
        run: carries it out and returns an exit code; None: the command has only actions.
        details: what else its help says, after the summary.
        actions: commands below this one, such as ``check`` of ``profile check``.
    """

    name: str
    summary: str
    examples: tuple[str, ...]
    add_arguments: Callable[[argparse.ArgumentParser], None] = _no_arguments
    run: Callable[[argparse.Namespace], int] | None = None
    details: str = ""
    actions: tuple[Command, ...] = ()

    def add_to(self, commands: Any) -> None:
        """Add this command's parser, with all its arguments and actions.

        Args:
            commands: what ``ArgumentParser.add_subparsers`` returned.
        """
        parser = commands.add_parser(
            self.name,
            help=self.summary,
            description="\n\n".join(filter(None, (self.summary, self.details))),
            epilog="\n".join(("examples:", *(f"  {line}" for line in self.examples))),
        )
        if self.run is not None:
            self.add_arguments(parser)
            parser.set_defaults(run=self.run)
        if self.actions:
            actions = parser.add_subparsers(
                required=self.run is None, metavar="ACTION", title="actions"
            )
            for action in self.actions:
                action.add_to(actions)

    def narrowed(self, words: Sequence[str]) -> Command:
        """Return the command with only what a command line names: one of its actions, or itself.

        Args:
            words: what was typed after the command's name.
        """
        if self.run is None or not self.actions:
            return self
        named = bool(words) and words[0] in {action.name for action in self.actions}
        return replace(self, run=None) if named else replace(self, actions=())

    def list_in(self, commands: Any) -> None:
        """Add only the name and the summary, for the list of commands."""
        commands.add_parser(self.name, help=self.summary)
