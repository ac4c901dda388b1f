"""What this package's programs print and log. Everything that others wrote passes ``visible`` here."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
from typing import Any

from robot_recorder.model.text import json_visible, visible, visible_lines


def say(text: object = "", flush: bool = False) -> None:
    """One line on standard output."""
    print(visible(str(text)), flush=flush)


def say_while_read(text: object) -> None:
    """One line on standard output at once, for as long as somebody reads it."""
    try:
        say(text, flush=True)
    except BrokenPipeError:
        stop_printing()


def flush() -> None:
    """Hand everything that was said on standard output to whoever reads it.

    Raises:
        BrokenPipeError: nobody does any more.
    """
    sys.stdout.flush()


def stop_printing() -> None:
    """Drop everything that is said from now on: nobody reads standard output any more."""
    sys.stdout = open(os.devnull, "w")


def say_lines(text: str) -> None:
    """A text of several lines, such as a file's, on standard output."""
    print(visible_lines(text), end="")


def say_error(text: object) -> None:
    """One line on standard error."""
    print(visible(str(text)), file=sys.stderr, flush=True)


def say_json(value: Any, indent: int | None = None) -> None:
    """A value as JSON on standard output; what is not a number (NaN) or infinite becomes null."""
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
    """One line a record; below it, indented, the traceback. No line begins with what others wrote."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        lines = [f"{record.levelname.lower()}: {visible(record.getMessage())}"]
        if record.exc_info:
            lines.append(indented(self.formatException(record.exc_info)))
        return "\n".join(lines)


def indented(text: str) -> str:
    """Lines of a traceback, none of which can be taken for a line of a log."""
    return "\n".join(f"    {line}" for line in visible_lines(text).split("\n"))


def log_visibly() -> None:
    """Have what modules log through ``logging``, and Python's warnings, on standard error, visibly."""
    handler = logging.StreamHandler()
    handler.setFormatter(VisibleFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.captureWarnings(True)
