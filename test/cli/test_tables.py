"""Tables on narrow terminals, wide ones and pipes; colour by ``NO_COLOR`` and ``FORCE_COLOR``.

Holds also: progress.py.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from robot_recorder.cli.tables import Console, PlainText, Table

PROGRAM = "from robot_recorder.cli.main import main; raise SystemExit(main())"


class FakeTerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(file: io.StringIO, width: int) -> list[str]:
    """The lines of a table of five columns, of 4, 9, 3, 7 and 6 characters at least."""
    table = Table()
    table.add_column("name", no_wrap=True)
    table.add_column("size", no_wrap=True, drop=2)
    table.add_column("age", no_wrap=True, drop=1)
    table.add_column("remarks", least=10)
    table.add_column("where", drop=3, no_wrap=True)
    table.add_row("one", "12,345 kB", "3 d", "of no great importance", "attic")
    Console(file=file, width=width, no_color=True).print(table)
    return [re.sub(r"\x1b\[[\d;]*m", "", line).rstrip() for line in file.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("width", "headings", "left_out"),
    [
        (80, ["name", "size", "age", "remarks", "where"], ""),
        (43, ["name", "size", "age", "remarks", "where"], ""),
        (42, ["name", "size", "age", "remarks"], "where"),
        (34, ["name", "age", "remarks"], "where, size"),
        (18, ["name", "remarks"], "where, size, age"),
    ],
)
def test_a_narrow_terminal_shows_fewer_columns_whole(
    width: int, headings: list[str], left_out: str
) -> None:
    heading, _, *rows = printed(FakeTerminal(), width)
    assert [cell.strip() for cell in heading.split("┃")] == headings
    assert "…" not in "".join(rows) and all(len(row) <= width for row in rows)
    note = " ".join(" ".join(rows).partition("the terminal is too narrow for: ")[2].split())
    assert note == left_out


def test_a_pipe_gets_everything_whatever_its_width() -> None:
    heading, _, *rows = printed(io.StringIO(), 20)
    assert "where" in heading and "12,345 kB" in rows[0] and "attic" in rows[0]
    assert "narrow" not in "".join(rows)


def run(environment: dict[str, str], terminal: bool, *arguments: str) -> str:
    """What a command writes to a terminal of 100 columns, or to a pipe."""
    quiet = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    command = [sys.executable, "-c", PROGRAM, *arguments]
    environment = {**quiet, "TERM": "xterm-256color", **environment}
    if not terminal:
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, cwd="/", timeout=60
        ).stdout
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    with subprocess.Popen(command, env=environment, stdout=theirs, stderr=theirs, cwd="/"):
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:  # the other end is closed
            pass
    os.close(ours)
    return shown.decode()


COLOUR = "\x1b[32m"


@pytest.mark.parametrize(
    ("environment", "terminal", "coloured"),
    [
        ({}, True, True),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({}, False, False),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
    ],
)
def test_colour(
    environment: dict[str, str], terminal: bool, coloured: bool, six_episodes: Path
) -> None:
    shown = run(environment, terminal, "episodes", str(six_episodes))
    assert "success" in shown and (COLOUR in shown) == coloured, shown
    assert terminal or "FORCE_COLOR" in environment or "\x1b" not in shown
    assert "\x1b[?25" not in shown, "no progress bar where there is nothing to wait for"


def test_text_is_shown_as_it_is() -> None:
    file = io.StringIO()
    Console(file=file, width=80).print("[red]not markup[/]", PlainText("a\nb"))
    assert file.getvalue() == "[red]not markup[/] a\\nb\n"
