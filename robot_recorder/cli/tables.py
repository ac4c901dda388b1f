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
from rich.measure import Measurement

from robot_recorder.model.text import visible

_WIDEST = 100_000  # characters
_SEPARATOR = " │ "


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
    """A table whose cells are ``PlainText``. On a narrow terminal it leaves columns out."""

    def __init__(self, *headings: Any, **options: Any) -> None:
        self._ranks: list[int] = []
        self._least: list[int] = []
        super().__init__(*headings, **{"show_edge": False, "pad_edge": False, **options})

    def add_column(
        self, header: Any = "", *args: Any, drop: int = 0, least: int = 1, **options: Any
    ) -> None:
        """Add a column; ``rich.table.Table.add_column`` has the other options.

        Args:
            drop: on a narrow terminal the column with the highest number is left out first; 0: never.
            least: other columns are left out for it to have this many characters.
        """
        super().add_column(_plain(header), *args, **options)
        self._ranks.append(drop)
        self._least.append(least)

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Add a row; ``rich.table.Table.add_row`` has the options."""
        super().add_row(*map(_plain, cells), **options)

    def least_width(self, console: rich.console.Console) -> int:
        """Return how many characters every column needs: for whole lines, or for whole words if it wraps."""
        options = console.options.update_width(_WIDEST)
        widths = [
            max(
                least,
                *(
                    measured.maximum if column.no_wrap else measured.minimum
                    for cell in (column.header, *column.cells)
                    for measured in [Measurement.get(console, options, cell)]
                ),
            )
            for column, least in zip(self.columns, self._least)
        ]
        return sum(widths) + len(_SEPARATOR) * (len(widths) - 1)

    def narrow(self, console: rich.console.Console) -> list[str]:
        """Leave out columns until the table fits; return their headings."""
        left_out = []
        while self.least_width(console) > console.width and (rank := max(self._ranks, default=0)):
            place = self._ranks.index(rank)
            del self._ranks[place], self._least[place]
            left_out.append(str(self.columns.pop(place).header))
        for number, column in enumerate(self.columns):
            column._index = number  # rich pads the last one differently
        return left_out


class Console(rich.console.Console):
    """Prints strings as ``PlainText``."""

    def __init__(self, **options: Any) -> None:
        # An empty NO_COLOR means colour; older versions of rich take it for a wish to have none.
        super().__init__(**{"no_color": bool(os.environ.get("NO_COLOR")), **options})

    def print(self, *objects: Any, **options: Any) -> None:
        """Print, each object on a line of its own unless it is wrapped."""
        left_out: list[str] = []
        for table in objects:
            if isinstance(table, Table) and self.file.isatty():
                left_out += table.narrow(self)
            elif isinstance(table, Table):  # a script reads it: nothing may be cut off
                self.width = max(self.width, table.least_width(self))
        super().print(*map(_plain, objects), **{"highlight": False, **options})
        if left_out:
            words = ", ".join(left_out)
            super().print(PlainText(f"the terminal is too narrow for: {words}", "dim"))

    def on_broken_pipe(self) -> None:
        """Let whoever started the command decide, where rich would exit."""
        raise  # it is called while a BrokenPipeError is handled


def table_console(width: int = 160) -> Console:
    """Return the console for tables: as wide as the terminal, or ``width`` characters when redirected."""
    return Console() if sys.stdout.isatty() else Console(width=width)
