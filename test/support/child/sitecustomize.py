"""Writes every exception that is logged or that nobody catches into a file: in the tests' own process, and,
as Python runs a module of this name by itself, in every Python process that a test starts."""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
from pathlib import Path
from types import TracebackType

FILE = "ROBOT_RECORDER_COMPLAINTS"  # environment variable
END = "\0\n"


def write(text: str) -> None:
    with open(os.environ[FILE], "a", encoding="utf-8", errors="replace") as file:
        file.write(text.replace(END, "") + END)


class Handler(logging.Handler):
    """Writes what is logged as an error, or with an exception."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR or (record.exc_info and record.exc_info[0]):
            if not os.environ.get(FILE):
                return
            write(f"logged by {record.name}: {self.format(record)}")


def hear() -> None:
    """Begin to listen in this process."""
    logging.getLogger().addHandler(Handler())


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    write(f"not caught in {sys.argv[:2]}: " + "".join(traceback.format_exception(error)))
    sys.__excepthook__(kind, error, trace)


def _in_thread(args: threading.ExceptHookArgs) -> None:
    write(f"not caught in a thread: {''.join(traceback.format_exception(args.exc_value))}")
    threading.__excepthook__(args)


def _unraisable(args: sys.UnraisableHookArgs) -> None:
    write(f"not raisable: {args.err_msg} {args.object!r}: {args.exc_value!r}")
    sys.__unraisablehook__(args)


def in_a_child() -> None:
    """The same, and what nobody catches: the tests' own process has pytest for that."""
    # A root logger with a handler prints nothing any more, which whoever reads the output would miss.
    assert logging.lastResort is not None
    logging.getLogger().addHandler(logging.lastResort)
    hear()
    sys.excepthook, threading.excepthook = _uncaught, _in_thread
    sys.unraisablehook = _unraisable


if __name__ == "sitecustomize" and Path(os.environ.get(FILE, "")).is_file():
    in_a_child()
