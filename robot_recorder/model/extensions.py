"""What other installed packages add to this one, found by their entry points. See docs/extending.md."""

from __future__ import annotations

import logging
from functools import cache
from importlib.metadata import entry_points
from typing import Any, NamedTuple

KINDS_GROUP = "robot_recorder.kinds"
CHECKS_GROUP = "robot_recorder.checks"
EXPORTERS_GROUP = "robot_recorder.exporters"
WRITERS_GROUP = "robot_recorder.writers"
COMMANDS_GROUP = "robot_recorder.commands"


class Extensions(NamedTuple):
    """The entry points of one group.

    Attributes:
        found: what they name, by the entry point's name.
        problems: one sentence per entry point that could not be loaded.
    """

    found: dict[str, Any]
    problems: tuple[str, ...]


@cache
def extensions(group: str) -> Extensions:
    """Load the entry points of a group, once per process. One that fails is logged and left out."""
    found: dict[str, Any] = {}
    problems = []
    for entry in entry_points(group=group):
        if entry.name in found:
            problems.append(f"{group}: '{entry.name}' exists twice; {entry.value} is not used")
            continue
        try:
            found[entry.name] = entry.load()
        except Exception as error:  # somebody else's code must not stop a recording
            why = f"{type(error).__name__}: {error}"
            problems.append(f"{group}: {entry.value} cannot be loaded: {why}")
    for problem in problems:
        logging.getLogger(__name__).warning("%s", problem)
    return Extensions(found, tuple(problems))
