"""Folders of episodes and their catalogues, opened and brought up to date for a command."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.catalogue.schema import FILE, is_broken
from robot_recorder.catalogue.sync import SyncResult, sync
from robot_recorder.cli.progress import counted
from robot_recorder.cli.terminal import say, say_error
from robot_recorder.model.errors import BagError, ConfigError

_MANY = 1000  # episodes to read: from here on it takes long enough for a progress bar
_MOST_LINES = 20  # of each kind of problem


def with_catalogues(
    roots: list[Path], work: Callable[[list[Catalogue]], int], maintain: bool = False
) -> int:
    """Run a function on the catalogues of all roots; rebuild one that is broken first.

    Args:
        work: gets the open catalogues, and returns an exit code.
        maintain: the work is on the catalogues themselves: they must be writable, and are not brought up
            to date before.

    Raises:
        BagError: a root is missing, or its catalogue cannot be used.
        ConfigError: a root is not a folder of episodes.
    """
    for root in roots:
        if not root.is_dir():
            refuse_root(root)
    for attempt in (1, 2):
        catalogues: list[Catalogue] = []
        try:
            for root in dict.fromkeys(roots):
                catalogues.append(Catalogue(root, writable=maintain))
                if catalogues[-1].note:
                    say_error(catalogues[-1].note)
                if not maintain:
                    synced(catalogues[-1])
            return work(catalogues)
        except sqlite3.Error as error:
            if not is_broken(error) or attempt == 2:
                raise BagError(
                    f"the catalogue cannot be used ({error}); try again later"
                ) from error
            for catalogue in [c for c in catalogues if not c.is_sound()] or catalogues:
                say_error(f"{catalogue.root / FILE} is broken; rebuilding it")
                catalogue.take_away()
        finally:
            for catalogue in catalogues:
                catalogue.close()
    raise AssertionError("it returned or raised")


def refuse_root(root: Path) -> NoReturn:
    """Say what is at a path that holds no episodes.

    Raises:
        BagError: it is not a bag either.
        ConfigError: it is a bag.
    """
    from robot_recorder.bags.bag import read_bag

    read_bag(root)
    raise ConfigError(
        f"{root} is a bag itself, not a folder of episodes: robot-recorder check {root}"
    )


def synced(catalogue: Catalogue, thorough: bool = False) -> SyncResult:
    """Bring a catalogue up to date with its folder; a progress bar appears only for many changes."""
    with counted(f"reading {catalogue.root}", least=_MANY) as told:
        return sync(catalogue, thorough, told)


def print_problems(lines: Sequence[str]) -> None:
    """Print the first lines of one kind of problem, and how many more there are."""
    for line in lines[:_MOST_LINES]:
        say(line)
    if len(lines) > _MOST_LINES:
        say(f"... and {len(lines) - _MOST_LINES} more like it")
