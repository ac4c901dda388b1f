"""Tables and coloured text on standard output, none of which lets foreign text steer the terminal.

Colour: none when the output is not a terminal or ``NO_COLOR`` is set (https://no-color.org); ``FORCE_COLOR``
colours also what is piped.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import rich.console
import rich.table
import rich.text

from robot_recorder.model.text import visible


class PlainText(rich.text.Text):
    """Text on one line: markup in it is text, and control characters are escapes."""

    def __init__(self, text: str = "", style: Any = "", **options: Any) -> None:
        super().__init__(visible(text), style, **options)

    def append(self, text: Any, style: Any = None) -> Any:
        """Append text in another style."""
        return super().append(visible(text) if isinstance(text, str) else text, style)


def _plain(what: Any) -> Any:
    return PlainText(what) if isinstance(what, str) else what


class Table(rich.table.Table):
    """A table whose cells are ``PlainText``."""

    def __init__(self, *headings: Any, **options: Any) -> None:
        super().__init__(*headings, **{"show_edge": False, "pad_edge": False, **options})

    def add_column(self, header: Any = "", *args: Any, **options: Any) -> None:
        """Add a column; ``rich.table.Table.add_column`` has the options."""
        super().add_column(_plain(header), *args, **options)

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Add a row; ``rich.table.Table.add_row`` has the options."""
        super().add_row(*map(_plain, cells), **options)


class Console(rich.console.Console):
    """Prints strings as ``PlainText``."""

    def __init__(self, **options: Any) -> None:
        # An empty NO_COLOR means colour; older versions of rich take it for a wish to have none.
        super().__init__(**{"no_color": bool(os.environ.get("NO_COLOR")), **options})

    def print(self, *objects: Any, **options: Any) -> None:
        """Print, each object on a line of its own unless it is wrapped."""
        super().print(*map(_plain, objects), **{"highlight": False, **options})

    def on_broken_pipe(self) -> None:
        """Let whoever started the command decide, where rich would exit."""
        raise  # it is called while a BrokenPipeError is handled


def table_console(width: int = 160) -> Console:
    """The console for tables: as wide as the terminal, or ``width`` characters when it is redirected."""
    return Console() if sys.stdout.isatty() else Console(width=width)
