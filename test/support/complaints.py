"""Collects exceptions logged while a test runs, in its process and in all processes it starts."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from support.child.sitecustomize import END, FILE, hear

_LINES = 40  # most lines of a traceback in a log


class Complaints:
    """The exceptions logged from now on; child processes learn of it from the environment."""

    def __init__(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="complaints_"))
        self._file, self._logs = folder / "logged", folder / "ros"
        self._file.touch()
        self._logs.mkdir()
        self._read: dict[Path, int] = {}
        os.environ[FILE] = str(self._file)
        os.environ["ROS_LOG_DIR"] = str(self._logs)  # logs of nodes
        paths = [str(Path(__file__).with_name("child")), os.environ.get("PYTHONPATH", "")]
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        hear()

    def take(self) -> list[str]:
        """Return all exceptions since the last call."""
        found = [text for text in self._news(self._file).split(END) if text.strip()]
        for path in sorted(self._logs.rglob("*")):
            if not path.is_dir():
                found += tracebacks(self._news(path))
        return found

    def _news(self, path: Path) -> str:
        with open(path, "rb") as file:
            file.seek(self._read.get(path, 0))
            data = file.read()
            self._read[path] = file.tell()
        return data.decode(errors="replace")


def tracebacks(log: str) -> list[str]:
    """Return the tracebacks in a node's log, each with the line before it."""
    lines = log.splitlines()
    return [
        "\n".join(lines[max(0, n - 1) : n + _LINES])
        for n, line in enumerate(lines)
        if "Traceback (most recent call last)" in line
    ]


def verdict(complaints: Iterable[str], announced: Iterable[str], passed: bool = True) -> str:
    """Return why a test fails because of what was logged; empty: it does not.

    Args:
        complaints: what was logged.
        announced: texts; a complaint that contains none of them fails the test.
        passed: whether the test ran to its end, so that all announced texts should have been
            logged.
    """
    complaints, announced = list(complaints), list(announced)
    unexpected = [c for c in complaints if not any(text in c for text in announced)]
    if unexpected:
        return "this was logged, but the test does not announce it:\n\n" + "\n\n".join(unexpected)
    if not passed:
        return ""
    absent = [text for text in announced if not any(text in c for c in complaints)]
    return f"announced, but never logged: {absent}" if absent else ""
