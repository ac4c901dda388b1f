"""``Command``: what every command of ``robot-recorder`` is, also one that another package adds."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
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
        run: carries it out and returns an exit code; None: the command has actions instead.
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
        self.add_arguments(parser)
        if self.actions:
            actions = parser.add_subparsers(required=True, metavar="ACTION", title="actions")
            for action in self.actions:
                action.add_to(actions)
        else:
            parser.set_defaults(run=self.run)

    def list_in(self, commands: Any) -> None:
        """Add only the name and the summary, for the list of commands."""
        commands.add_parser(self.name, help=self.summary)
