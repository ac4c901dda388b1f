"""Load extensions from other installed packages by their entry points (docs/extending.md)."""

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
FORMATS_GROUP = "robot_recorder.formats"


class Extensions(NamedTuple):
    """The entry points of one group.

    Attributes:
        found: the loaded objects, by name of the entry point.
        problems: one sentence for each entry point that could not be loaded.
    """

    found: dict[str, Any]
    problems: tuple[str, ...]


@cache
def extensions(group: str) -> Extensions:
    """Load the entry points of a group, once per process; failing ones are logged and skipped."""
    found: dict[str, Any] = {}
    problems = []
    for entry in entry_points(group=group):
        if entry.name in found:
            problems.append(f"{group}: '{entry.name}' exists twice; {entry.value} is ignored")
            continue
        try:
            found[entry.name] = entry.load()
        except Exception as error:  # other packages must not stop a recording
            why = f"{type(error).__name__}: {error}"
            problems.append(f"{group}: {entry.value} cannot be loaded: {why}")
    for problem in problems:
        logging.getLogger(__name__).warning("%s", problem)
    return Extensions(found, tuple(problems))
