"""Writes every exception that is logged or not caught into a file.

It runs in the tests' own process, and in every Python process that a test starts, because Python
imports a module of this name by itself.
"""

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
    """A log handler for records of level ERROR, or with an exception."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR or (record.exc_info and record.exc_info[0]):
            if not os.environ.get(FILE):
                return
            write(f"logged by {record.name}: {self.format(record)}")


def hear() -> None:
    """Start to listen in this process."""
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
    """Start to listen in a child process, including uncaught exceptions.

    In the tests' own process, pytest reports those.
    """
    # A root logger with a handler stops printing to stderr, so add the default handler back.
    assert logging.lastResort is not None
    logging.getLogger().addHandler(logging.lastResort)
    hear()
    sys.excepthook, threading.excepthook = _uncaught, _in_thread
    sys.unraisablehook = _unraisable


if __name__ == "sitecustomize" and Path(os.environ.get(FILE, "")).is_file():
    in_a_child()
