"""What is wrong with a dataset, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from robot_recorder.model.arrays import Bools

LIST = "correct the list of episodes, or convert the dataset anew"
COPY = "copy it from where the dataset came from, or delete the episodes in it"
DESCRIBE = "correct the feature in meta/info.json"


@dataclass(frozen=True)
class Finding:
    """A defect of a dataset.

    Attributes:
        where: the file, and the feature in it; of several the first ones.
        what: what is wrong with it, and with which episodes.
        fix: what to do.
        fatal: LeRobot cannot read the dataset, or reads something wrong; else it is merely odd.
    """

    where: str
    what: str
    fix: str
    fatal: bool

    def __str__(self) -> str:
        """Return a sentence."""
        return f"{self.where}: {self.what}; {self.fix}"


@dataclass
class _DefectGroup:
    """Where the same is wrong, with which episodes, and what the first of them looks like."""

    example: str
    where: list[str] = field(default_factory=list)
    episodes: set[int] = field(default_factory=set)


class Defects:
    """Collects defects; what is wrong in the same way at many places is one finding."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str, bool], _DefectGroup] = {}

    def add(
        self, where: str, what: str, fix: str, fatal: bool = True,
        episodes: Iterable[int] = (), example: str = "",
    ) -> None:  # fmt: skip
        """Add a defect.

        Args:
            where, what, fix, fatal: as of a finding; ``{}`` in what stands for the episodes.
            episodes: their numbers.
            example: figures, which differ from place to place.
        """
        group = self._groups.setdefault((what, fix, fatal), _DefectGroup(example))
        group.where.append(where)
        group.episodes.update(int(n) for n in episodes)

    def add_rows(
        self, where: str, what: str, fix: str, wrong: Bools, episodes: np.ndarray,
        example: Callable[[int], str] = lambda at: "",
    ) -> None:  # fmt: skip
        """Add a fatal defect of the rows that are wrong, if there are any.

        Args:
            where, what, fix: as of a finding.
            wrong: bool[n].
            episodes: int64[n], their numbers.
            example: returns figures of a row.
        """
        if wrong.any():
            self.add(where, what, fix, True, np.unique(episodes[wrong]), example(first(wrong)))

    def findings(self) -> list[Finding]:
        """Return all, the fatal ones first."""
        found = []
        for (what, fix, fatal), group in self._groups.items():
            numbers = sorted(group.episodes)
            named = f"episode{'s' if len(numbers) > 1 else ''} {some(numbers)}"
            text = what.replace("{}", named) + (f": {group.example}" if group.example else "")
            found.append(Finding(some(group.where), text, fix, fatal))
        return sorted(found, key=lambda f: not f.fatal)


def some(items: Iterable[Any], most: int = 3) -> str:
    """Return the first of them as text, and how many more there are."""
    names = list(dict.fromkeys(str(item) for item in items))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def first(wrong: Bools) -> int:
    """Return where the first is that is wrong."""
    return int(np.argmax(wrong))


def first_line(error: BaseException) -> str:
    """Return what an error says, in short."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
