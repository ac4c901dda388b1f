"""Load extensions from other installed packages by their entry points (docs/extending.md)."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

KINDS_GROUP = "robot_recorder.kinds"
CHECKS_GROUP = "robot_recorder.checks"
EXPORTERS_GROUP = "robot_recorder.exporters"
WRITERS_GROUP = "robot_recorder.writers"
COMMANDS_GROUP = "robot_recorder.commands"
FORMATS_GROUP = "robot_recorder.formats"


_WHERE = ("*.dist-info", "*.egg-info", "EGG-INFO")  # entry_points.txt is in folders of these names
_OURS = b"[robot_recorder."  # how a group of ours begins in such a file


class Extensions(NamedTuple):
    """The entry points of one group.

    Attributes:
        found: the loaded objects, by name of the entry point.
        problems: one sentence for each entry point that could not be loaded.
    """

    found: dict[str, Any]
    problems: tuple[str, ...]


def entry_points(group: str) -> Iterable[EntryPoint]:
    """Return the entry points of one of this package's groups.

    Most installations have none. Then ``importlib.metadata`` is not imported, which takes half as long as numpy.
    """
    if not _may_be_extended(tuple(sys.path)):
        return ()
    from importlib import metadata

    return metadata.entry_points(group=group)


@cache
def _may_be_extended(paths: tuple[str, ...]) -> bool:
    """Tell whether an installed package names a group of ours, or could in a way that is not looked at here.

    Args:
        paths: folders and archives that Python imports from; empty: the current folder.
    """
    finders = [f for f in sys.meta_path if f is not PathFinder and hasattr(f, "find_distributions")]
    return bool(finders) or any(_may_extend(Path(path)) for path in paths)


def _may_extend(path: Path) -> bool:
    if path.is_file():  # an archive
        return True
    try:
        files = (file for name in _WHERE for file in path.glob(f"{name}/entry_points.txt"))
        return any(_OURS in file.read_bytes() for file in files)
    except OSError:  # importlib.metadata knows what to do with what cannot be read
        return True


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
