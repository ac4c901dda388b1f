"""What the soak samples of processes and files, and whether it grows.

A process that is killed and started again begins anew, so growth is looked for within each of its lives.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from processes import children, memory_mb

_BLOCKS = 60  # medians that the samples of a run are drawn together to, at most
_BLOCK_S = 15.0  # at least so long, so that one take is not the next one's trend
_FEWEST = 6  # medians of a life, below which it says nothing
_SIGMAS = 1.96  # of a 95 % interval
_ROUNDING = 1e-9  # of a value
_MOST_ALIKE = 0.9  # correlation of neighbours; beyond it a run is far too short for any verdict


@dataclass(frozen=True)
class Kind:
    """What is sampled.

    Attributes:
        name: of the figure, last part of a line's name.
        words: what it is called in a sentence.
        unit: of its values.
        tolerance: growth an hour below which "level" may be said, in that unit.
    """

    name: str
    words: str
    unit: str
    tolerance: float


OF_PROCESSES = (
    Kind("rss_mb", "memory", "MB", 3.0),
    Kind("children_mb", "memory of the processes it started", "MB", 5.0),
    Kind("handles", "open files", "", 2.0),
    Kind("threads", "threads", "", 2.0),
)
SIZE = Kind("mb", "", "MB", 1.0)


@dataclass(frozen=True)
class Slope:
    """How fast something grows.

    Attributes:
        per_hour: by the least squares, in the unit of the line.
        low, high: its 95 % interval, for neighbours as alike as they are.
        hours: of samples that it rests on, warming up left out.
        lives: of the process in which they lie.
    """

    per_hour: float
    low: float
    high: float
    hours: float
    lives: int


def process_values(pid: int) -> dict[str, float]:
    """Return memory (RSS) of a process, open files, threads, and memory (PSS) of those it started.

    Raises:
        OSError: it has ended.
    """
    rss, _ = memory_mb(pid)
    own = Path(f"/proc/{pid}")
    return {
        "rss_mb": rss,
        "children_mb": sum(_pss_mb(child) for child in _descendants(pid)),
        "handles": float(len(os.listdir(own / "fd"))),
        "threads": float(len(os.listdir(own / "task"))),
    }


def _descendants(pid: int) -> list[int]:
    found = []
    for child in children(pid):
        found += [child, *_descendants(child)]
    return found


def _pss_mb(pid: int) -> float:
    try:
        return memory_mb(pid)[1]
    except (OSError, KeyError):  # it ended while it was looked at
        return 0.0


def size_mb(path: Path) -> float:
    """Return the size of a file or of all files below a directory, MB; what is missing has none."""
    every = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)
    total = 0
    for file in [path] if path.is_file() else every:
        try:
            total += file.lstat().st_size
        except FileNotFoundError:
            continue  # deleted meanwhile
    return total / 1e6


class Samples:
    """Rows of values, each with the life of its process.

    Attributes:
        rows: time since the beginning, s, and values by line; a line that has none then is not in it.
    """

    def __init__(self, path: Path) -> None:
        """Keep every row in a file, too: a soak that is killed leaves what it saw.

        Args:
            path: of the CSV file: time, line, life, value.
        """
        self.rows: list[tuple[float, dict[str, float]]] = []
        self._lives: list[Mapping[str, int]] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "w", newline="")
        self._csv = csv.writer(self._file)
        self._csv.writerow(["s", "line", "life", "value"])

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def add(self, at_s: float, values: Mapping[str, float], lives: Mapping[str, int]) -> None:
        """Add a row.

        Args:
            at_s: since the beginning.
            values: by line, such as ``record.rss_mb``.
            lives: process id by the first part of a line's name; a missing one lives once.
        """
        self.rows.append((at_s, dict(values)))
        self._lives.append(dict(lives))
        for line, value in values.items():
            self._csv.writerow([f"{at_s:.1f}", line, lives.get(owner(line), 0), f"{value:.4g}"])
        self._file.flush()

    def lines(self) -> list[str]:
        """Return the names of all lines, in the order in which they came first."""
        return list(dict.fromkeys(line for _, values in self.rows for line in values))

    def line(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return times, s, values, and lives of a line."""
        found = [
            (at_s, values[name], lives.get(owner(name), 0))
            for (at_s, values), lives in zip(self.rows, self._lives)
            if name in values
        ]
        times, numbers, lives = zip(*found) if found else ((), (), ())
        return np.array(times, float), np.array(numbers, float), np.array(lives, np.int64)


def owner(line: str) -> str:
    """Return the first part of a line's name."""
    return line.partition(".")[0]


def slope_of(
    times_s: np.ndarray, values: np.ndarray, lives: np.ndarray, settle_s: float
) -> Slope | None:
    """Return how fast a line grows within the lives of its process; None: too little was seen of any.

    Args:
        times_s, values, lives: of its samples.
        settle_s: at the beginning of each life that is left out: buffers fill, modules load.
    """
    blocks = [b for b in _blocks(times_s, values, lives, settle_s) if len(b[0]) >= _FEWEST]
    if not blocks:
        return None
    x = np.concatenate([times - times.mean() for times, _ in blocks])
    y = np.concatenate([medians - medians.mean() for _, medians in blocks])
    hours = sum(float(times[-1] - times[0]) for times, _ in blocks) / 3600
    if not np.abs(y).max() > _ROUNDING * max(np.abs(medians).max() for _, medians in blocks):
        return Slope(0.0, 0.0, 0.0, hours, len(blocks))
    spread = float(x @ x)
    per_s = float(x @ y) / spread
    rest = y - per_s * x
    free = len(x) - len(blocks) - 1
    deviation = math.sqrt(float(rest @ rest) / free / spread)
    alike = _alike(rest)
    half = _SIGMAS * (1 + 2 / free) * deviation * math.sqrt((1 + alike) / (1 - alike))
    return Slope(per_s * 3600, (per_s - half) * 3600, (per_s + half) * 3600, hours, len(blocks))


def _alike(rest: np.ndarray) -> float:
    """Return how far each value foretells the next, 0 to 1: such values count for fewer."""
    power = float(rest @ rest)
    return min(max(float(rest[:-1] @ rest[1:]) / power, 0.0), _MOST_ALIKE) if power else 0.0


def _blocks(
    times_s: np.ndarray, values: np.ndarray, lives: np.ndarray, settle_s: float
) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Yield times and medians of short spans of each life."""
    if not len(times_s):
        return
    span_s = max(_BLOCK_S, (times_s[-1] - times_s[0]) / _BLOCKS)
    for life in dict.fromkeys(lives.tolist()):
        own = lives == life
        times, numbers = times_s[own], values[own]
        late = times >= times[0] + settle_s
        times, numbers = times[late], numbers[late]
        if not len(times):
            continue
        number = ((times - times[0]) // span_s).astype(int)
        each = [number == n for n in np.unique(number)]
        yield (
            np.array([times[one].mean() for one in each]),
            np.array([np.median(numbers[one]) for one in each]),
        )


def sentence(name: str, unit: str, slope: Slope | None, tolerance: float) -> str:
    """Return what a slope says, in one sentence.

    Args:
        name: what the line is, such as "record: memory".
        unit: of its values.
        slope: of it.
        tolerance: growth an hour, in that unit, up to which "level" may be said of what shows none.
    """
    if slope is None:
        return f"{name}: cannot tell, nothing lived long enough"
    per = f"{unit}/h" if unit else "an hour"
    range_ = f"95 %: {short(slope.low)} to {short(slope.high)} {per}"
    seen = f"{slope.hours * 60:.0f} min seen"
    if slope.low == slope.high == 0:
        return f"{name} is constant ({seen})"
    if slope.low > 0:
        return f"{name} grows {short(slope.per_hour)} {per} ({range_}; {seen})"
    if slope.high < 0:
        return f"{name} shrinks {short(-slope.per_hour)} {per} ({range_}; {seen})"
    if slope.high <= tolerance:
        return f"{name} is level ({range_}; {seen})"
    return f"{name}: no growth to be told from chance, and up to {short(slope.high)} {per} not excluded ({range_}; {seen})"


def verdict(slope: Slope | None, tolerance: float) -> str:
    """Return a slope in one word: level, grows, shrinks or unclear."""
    if slope is None:
        return "unclear"
    if slope.low > 0:
        return "grows"
    if slope.high < 0:
        return "shrinks"
    return "level" if slope.high <= tolerance else "unclear"


def short(value: float) -> str:
    """Return a number with two digits, or as a whole."""
    return (
        f"{value:.0f}"
        if abs(value) >= 10
        else f"{value:.1f}"
        if abs(value) >= 1
        else f"{value:.2g}"
    )


def thinned(rows: Sequence[tuple[float, dict[str, float]]], most: int) -> list[dict[str, Any]]:
    """Return every n-th row, so that there are at most ``most``, as plain values."""
    step = len(rows) // most + 1
    return [
        {"s": round(at_s, 1), **{line: round(value, 3) for line, value in values.items()}}
        for at_s, values in rows[::step]
    ]
