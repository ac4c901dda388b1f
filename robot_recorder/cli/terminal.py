"""Printing and logging of this package's programs: text from outside passes ``visible`` here."""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import sys
from typing import Any

from robot_recorder.model.text import json_visible, visible, visible_lines


def say(text: object = "", flush: bool = False) -> None:
    """Print one line on standard output."""
    print(visible(str(text)), flush=flush)


def say_while_read(text: object) -> None:
    """Print one line on standard output at once; nothing more once its reader is gone."""
    try:
        say(text, flush=True)
    except BrokenPipeError:
        stop_printing()


def flush() -> None:
    """Flush standard output.

    Raises:
        BrokenPipeError: its reader is gone.
    """
    sys.stdout.flush()


def stop_printing() -> None:
    """Drop everything that is printed on standard output from now on."""
    sys.stdout = open(os.devnull, "w")


def show_prompt(text: str) -> None:
    """Print a question; the answer is typed behind it."""
    print(visible(text), end="", flush=True)


def show_above(text: str) -> None:
    """Replace the line above the one with the cursor, if standard output is a terminal."""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        line = visible(text)[: max(width - 1, 1)]
        # Save the cursor, go up to the beginning of the line, replace it, restore the cursor.
        print(f"\x1b7\x1b[A\r{line}\x1b[K\x1b8", end="", flush=True)


def say_lines(text: str) -> None:
    """Print a text of several lines, such as a file's, on standard output."""
    print(visible_lines(text), end="")


def say_error(text: object) -> None:
    """Print one line on standard error."""
    print(visible(str(text)), file=sys.stderr, flush=True)


def say_json(value: Any, indent: int | None = None) -> None:
    """Print a value as JSON on standard output; NaN and infinite numbers become null."""
    try:
        text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), indent=indent, ensure_ascii=False)
    print(json_visible(text))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class VisibleFormatter(logging.Formatter):
    """Formats a record as one line, with the traceback indented below: no line begins with foreign text."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        lines = [f"{record.levelname.lower()}: {visible(record.getMessage())}"]
        if record.exc_info:
            lines.append(indented(self.formatException(record.exc_info)))
        return "\n".join(lines)


def indented(text: str) -> str:
    """Indent the lines of a traceback, so that none can be taken for a line of a log."""
    return "\n".join(f"    {line}" for line in visible_lines(text).split("\n"))


def log_visibly() -> None:
    """Send ``logging`` and Python's warnings to standard error, through ``VisibleFormatter``."""
    handler = logging.StreamHandler()
    handler.setFormatter(VisibleFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.captureWarnings(True)
