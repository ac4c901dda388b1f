"""Ask a person questions in a terminal, with a line above the question that keeps changing."""

from __future__ import annotations

import select
import sys
from collections.abc import Callable, Iterable

from robot_recorder.cli.terminal import say, show_above, show_prompt

_UPDATE_S = 0.4  # how often the line changes


class Interrupted(Exception):
    """The person wants to stop: the end of input, as Ctrl-D sends it."""


def ask(question: str, default: str = "", preview: Callable[[], str] | None = None) -> str:
    """Return what a person answers; an empty answer is the default.

    Args:
        question: without the default, which is shown behind it.
        default: in brackets.
        preview: returns the line above the question; None: the question stands alone.

    Raises:
        Interrupted: they want to stop.
    """
    shown = f"{question} [{default}]: " if default else f"{question}: "
    if preview is not None:
        say(preview())
    show_prompt(shown)
    if preview is not None and sys.stdin.isatty():
        _wait(preview)
    line = sys.stdin.readline()
    if not line:
        say()
        raise Interrupted
    return line.strip() or default


def choose(question: str, words: Iterable[str], default: str) -> str:
    """Return one of several words, or the one that the answer begins.

    Raises:
        Interrupted: the person wants to stop.
    """
    known = list(words)
    while True:
        answer = ask(f"{question} ({', '.join(known)})", default)
        fitting = [word for word in known if word == answer] or [
            word for word in known if word.startswith(answer)
        ]
        if fitting:
            return fitting[0]
        say(f"  '{answer}' is none of {', '.join(known)}")


def _wait(preview: Callable[[], str]) -> None:
    """Update the line above until the person has typed a line."""
    while not select.select([sys.stdin], [], [], _UPDATE_S)[0]:
        show_above(preview())
