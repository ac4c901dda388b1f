"""How well inspectors agree: confusion, share of agreement, Cohen's kappa with an interval."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

CONFIDENT = 1.96  # standard deviations of a 95 % interval


def wilson(hits: int, trials: int, z: float = CONFIDENT) -> tuple[float, float] | None:
    """Return Wilson's interval of a share; None: there are no trials.

    Args:
        hits: how often it happened.
        trials: how often it could have.
        z: half width in standard deviations.
    """
    if trials <= 0:
        return None
    share, square = hits / trials, z * z
    scale = 1 + square / trials
    middle = (share + square / (2 * trials)) / scale
    half = z * math.sqrt(share * (1 - share) / trials + square / (4 * trials * trials)) / scale
    # Exact at the ends, where rounding would leave the share outside.
    return (
        0.0 if hits == 0 else max(0.0, middle - half),
        1.0 if hits == trials else min(1.0, middle + half),
    )


@dataclass(frozen=True)
class RaterAgreement:
    """The agreement of two judgements of each of some episodes.

    Attributes:
        n: number of episodes.
        agree: share that was judged alike; None: there are no episodes.
        kappa: Cohen's kappa; None: undefined, as there are no episodes, or both judges gave one and the
            same class to all.
        low, high: 95 % interval of kappa: Wilson's of ``agree``, with the agreement by chance as it
            was found; None where kappa is None.
    """

    n: int
    agree: float | None
    kappa: float | None
    low: float | None
    high: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "n": self.n,
            "agree": self.agree,
            "kappa": self.kappa,
            "low": self.low,
            "high": self.high,
        }


def confusion(pairs: Iterable[tuple[str, str, int]], classes: Sequence[str]) -> list[list[int]]:
    """Return how often the first judge gave each class (rows) and the second each (columns).

    Args:
        pairs: class by the first, class by the second, and how often.
        classes: in the order of rows and columns.
    """
    places = {name: place for place, name in enumerate(classes)}
    table = [[0] * len(classes) for _ in classes]
    for first, second, count in pairs:
        table[places[first]][places[second]] += count
    return table


def agreement(table: Sequence[Sequence[int]]) -> RaterAgreement:
    """Return the agreement that a confusion table shows."""
    n = sum(map(sum, table))
    if not n:
        return RaterAgreement(0, None, None, None, None)
    alike = sum(row[place] for place, row in enumerate(table))
    by_second = [sum(column) for column in zip(*table, strict=True)]
    # Whole numbers, so that "always by chance" is found exactly.
    by_chance = sum(sum(row) * other for row, other in zip(table, by_second, strict=True))
    if by_chance == n * n:
        return RaterAgreement(n, alike / n, None, None, None)
    chance = by_chance / (n * n)

    def kappa(share: float) -> float:
        return float(max(-1.0, (share - chance) / (1 - chance)))

    bounds = wilson(alike, n)
    assert bounds is not None  # n is positive
    return RaterAgreement(n, alike / n, kappa(alike / n), kappa(bounds[0]), kappa(bounds[1]))


def transposed(table: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return a confusion table with the judges exchanged."""
    return [list(column) for column in zip(*table, strict=True)]


def summed(tables: Iterable[Sequence[Sequence[int]]], size: int) -> list[list[int]]:
    """Return the sum of confusion tables of ``size`` classes."""
    total = [[0] * size for _ in range(size)]
    for table in tables:
        for row, more in zip(total, table, strict=True):
            for place, count in enumerate(more):
                row[place] += count
    return total
