"""Arguments that several commands take, and types of arguments that say what is wrong with a value."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


def add_json(parser: Any, help: str = "print JSON instead of text") -> None:
    """Add ``--json``, which every command that prints a table has."""
    parser.add_argument("--json", action="store_true", help=help)


def add_roots(parser: argparse.ArgumentParser) -> None:
    """Add the folders of episodes that ``episodes``, ``stats`` and ``catalogue`` take."""
    parser.add_argument(
        "root", nargs="*", default=[Path("episodes")], type=Path,
        help="folders of recorded episodes; default: episodes",
    )  # fmt: skip


class Word:
    """Type of an argument that is one of several words.

    Attributes:
        words: what can be typed, for help and completion.
    """

    def __init__(self, members: Iterable[Any]) -> None:
        """
        Args:
            members: of an enumeration; each is typed as its text.
        """
        self._members = {_text(member): member for member in members}
        self.words = list(self._members)

    def __call__(self, text: str) -> Any:
        """Return the member that was typed."""
        if text in self._members:
            return self._members[text]
        from robot_recorder.configuration.yaml_source import did_you_mean

        raise argparse.ArgumentTypeError(f"unknown '{text}'; {did_you_mean(text, self.words)}")

    def __str__(self) -> str:
        return ", ".join(self.words)


def _text(member: Any) -> str:
    return str(member.value if isinstance(member.value, str) else member.text)


def number(
    least: float, most: float, unit: str = "", above: bool = False
) -> Callable[[str], float]:
    """Return the type of a number from ``least`` to ``most``; with ``above``, greater than ``least``."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not (least < value if above else least <= value) or not value <= most:
            start = f"above {least:g}" if above else f"from {least:g}"
            words = " ".join(filter(None, ("a number", unit)))
            raise argparse.ArgumentTypeError(f"'{text}' is not {words} {start} to {most:g}")
        return value

    return parse


def real(text: str) -> float:
    """Parse any number, for options whose range the command itself checks."""
    try:
        return float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number") from error


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """Return the type of a whole number of at least ``least``, and at most ``most``; None: no limit."""
    limits = f"of at least {least}" if most is None else f"from {least} to {most}"

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least or (most is not None and value > most):
            raise argparse.ArgumentTypeError(f"'{text}' is not a whole number {limits}")
        return value

    return parse


def add_centre_place(parser: argparse.ArgumentParser) -> None:
    """Add the options of where a centre keeps things: ``--folder``, ``--database``, ``--storage``."""
    parser.add_argument(
        "--folder", type=Path, default=Path("centre"), metavar="DIR",
        help="of the centre's key and, without the next two, of all it keeps; default: centre",
    )  # fmt: skip
    parser.add_argument(
        "--database", default="", metavar="URL",
        help="postgresql://USER@HOST/NAME or sqlite:///FILE; a password belongs into the variable "
        "ROBOT_RECORDER_DATABASE, which holds the whole address",
    )  # fmt: skip
    parser.add_argument(
        "--storage", default="", metavar="URL",
        help="a directory, or s3://BUCKET/PREFIX?endpoint=URL; or the variable ROBOT_RECORDER_STORAGE",
    )  # fmt: skip


def add_https(parser: argparse.ArgumentParser) -> None:
    """Add the options of a server of pages: ``--certificate``, ``--key``, ``--allowed-host``."""
    parser.add_argument("--certificate", type=Path, metavar="PEM", help="for HTTPS")
    parser.add_argument("--key", type=Path, metavar="PEM", help="of the certificate")
    parser.add_argument(
        "--allowed-host", action="append", default=[], metavar="NAME",
        help="a further name that browsers use for this machine",
    )  # fmt: skip
