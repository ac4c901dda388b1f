"""Generates a year of a floor's episodes from a fixed seed, as a catalogue without bags."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from robot_recorder.catalogue.catalogue import COLUMNS, Catalogue
from robot_recorder.catalogue.schema import FILE, INDEXES, SUMS, create_indexes
from robot_recorder.configuration.find import load_tasks
from robot_recorder.configuration.tasks import Task
from robot_recorder.model.labels import Outcome
from robot_recorder.quality.verdict import Verdict

FIRST_DAY = int(datetime(2026, 1, 1, tzinfo=timezone.utc).timestamp())
ROBOTS, OPERATORS, PER_SHIFT = 100, 150, 100
REASONS = ("rate", "gap", "skew", "losses", "frozen", "camera_black", "camera_blurred", "never_touched",
           "too_short", "idle_tail", "joint_jump", "tracking_lag")  # fmt: skip


def weights(count: int, power: float) -> np.ndarray:
    """Return probabilities of a few frequent and many rare choices."""
    p = 1 / np.arange(1, count + 1) ** power
    return p / p.sum()


@dataclass
class Floor:
    """A generator of the episodes of a floor.

    Attributes:
        texts: content of the table ``names``, by number.
    """

    rng: np.random.Generator
    tasks: list[Task]

    def __post_init__(self) -> None:
        self.robots = [f"g1_{i:03d}" for i in range(ROBOTS)]
        self.operators = [f"operator_{i:03d}" for i in range(OPERATORS)]
        self.causes = sorted({c for t in self.tasks for c in t.failure_causes})
        words = ["", *self.robots, *self.operators, *(t.id for t in self.tasks), *self.causes,
                 *REASONS, "head_camera"]  # fmt: skip
        self.texts = list(dict.fromkeys(words))
        self.number = {text: i for i, text in enumerate(self.texts)}

    def numbers(self, words: list[str] | tuple[str, ...], chosen: np.ndarray) -> np.ndarray:
        """Return the numbers of the chosen words."""
        return np.array([self.number[w] for w in words])[chosen]

    def draw(self, episodes: int) -> dict[str, np.ndarray]:
        """Return columns of the ``episodes`` table in order of time, without names."""
        rng = self.rng
        shifts = -(-episodes // PER_SHIFT)
        robot = np.arange(shifts) // 2 % ROBOTS
        day = np.arange(shifts) // (2 * ROBOTS)
        day += day // 6  # no work on Sundays
        operator = rng.choice(OPERATORS, shifts, p=weights(OPERATORS, 0.4))
        task = rng.choice(len(self.tasks), (shifts, 2), p=weights(len(self.tasks), 0.8))
        task = np.repeat(task, PER_SHIFT // 2, axis=1)  # two tasks a shift
        typical = np.array([((t.least_s or 5) * (t.most_s or 60)) ** 0.5 for t in self.tasks])
        slowness = rng.lognormal(0, 0.15, OPERATORS)[operator][:, None]
        seconds = typical[task] * slowness * rng.lognormal(0, 0.25, task.shape)
        begin = FIRST_DAY + 86_400 * day + np.where(np.arange(shifts) % 2, 12.5, 7.0) * 3600
        start = begin[:, None] + np.cumsum(seconds + rng.uniform(15, 45, task.shape), axis=1)
        start -= seconds
        flat = {
            "start_ns": (start.ravel() * 1000).astype(np.int64) * 1_000_000,
            "duration_ms": (seconds.ravel() * 1000).astype(np.int64),
            "robot": self.numbers(self.robots, np.repeat(robot, PER_SHIFT)),
            "task": self.numbers([t.id for t in self.tasks], task.ravel()),
            "operator": self.numbers(self.operators, np.repeat(operator, PER_SHIFT)),
        }
        clumsiness = np.exp(rng.normal(0, 0.5, OPERATORS))[operator][:, None]
        difficulty = np.exp(rng.normal(0, 0.6, len(self.tasks)))[task]
        failing = (0.036 * clumsiness * difficulty).clip(0, 0.6)  # one in twenty on average
        flat |= self._judged(rng, failing.ravel(), seconds.ravel())
        order = np.argsort(flat["start_ns"], kind="stable")[:episodes]
        return {name: column[order] for name, column in flat.items()}

    def _judged(
        self, rng: np.random.Generator, failing: np.ndarray, seconds: np.ndarray
    ) -> dict[str, Any]:
        size = len(failing)
        outcome = np.where(rng.random(size) < failing, Outcome.FAILURE, Outcome.SUCCESS)
        outcome[rng.random(size) < 0.01] = Outcome.UNLABELLED
        cause = self.numbers(
            self.causes, rng.choice(len(self.causes), size, p=weights(len(self.causes), 1))
        )
        verdict = rng.choice(4, size, p=[0.005, 0.925, 0.05, 0.02])
        reason = self.numbers(REASONS, rng.choice(len(REASONS), size, p=weights(len(REASONS), 1)))
        frames = (seconds * 30).astype(np.int64)
        return {
            "outcome": outcome,
            "cause": np.where(outcome == Outcome.FAILURE, cause, 0),
            "verdict": verdict,
            "reason": np.where(verdict >= Verdict.REVIEW, reason, 0),
            "messages": (seconds * 2500).astype(np.int64),
            "size_bytes": (seconds * 2.7e6).astype(np.int64),
            "lost": rng.poisson(0.05, size),
            "all_lost_known": np.ones(size, dtype=np.int64),
            "frames": frames,
            "complete": frames - rng.poisson(0.3, size).clip(0, frames),
            "skew_p95_us": rng.integers(8_000, 33_000, size),
            "skew_stream": np.full(size, self.number["head_camera"]),
            "recovered": (rng.random(size) < 1e-4).astype(np.int64),
            "aborted": (rng.random(size) < 2e-5).astype(np.int64),
            "stamp_ns": np.full(size, 10**18),
        }


def generate(root: Path, episodes: int) -> dict[str, float]:
    """Make a catalogue without bags: first rows, then sums, then indexes."""
    floor = Floor(np.random.default_rng(1), list(load_tasks().tasks.values()))
    began = time.monotonic()
    columns = floor.draw(episodes)
    with Catalogue(root) as catalogue:
        connection = catalogue.connection
        connection.execute("PRAGMA synchronous = OFF")
        with catalogue.writing():
            for name in INDEXES:
                connection.execute(f"DROP INDEX {name}")
            connection.executemany(
                "INSERT OR IGNORE INTO names VALUES (?, ?)", enumerate(floor.texts)
            )
            marks = ", ".join("?" * len(COLUMNS))
            connection.executemany(
                f"INSERT INTO episodes({', '.join(COLUMNS)}) VALUES ({marks})", rows(columns, floor)
            )
        rows_s = time.monotonic() - began
        with catalogue.writing():
            for statement in filter(str.strip, SUMS.split(";")):
                connection.execute(statement)
        sums_s = time.monotonic() - began - rows_s
        with catalogue.writing():
            create_indexes(connection)
            catalogue.set_fact("listed_ns", os.stat(root).st_mtime_ns)  # prevents a listing of bags
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return {
        "generate_rows_s": rows_s,
        "generate_sums_s": sums_s,
        "generate_indexes_s": time.monotonic() - began - rows_s - sums_s,
        "file_mb": (root / FILE).stat().st_size / 1e6,
    }


def rows(columns: dict[str, np.ndarray], floor: Floor) -> Iterator[tuple[Any, ...]]:
    """Return rows of the ``episodes`` table with the names that the recorder would give."""
    total = len(columns["start_ns"])
    for first in range(0, total, 50_000):
        part = {name: column[first : first + 50_000].tolist() for name, column in columns.items()}
        starts = np.array(part["start_ns"], dtype="datetime64[ns]").astype("datetime64[ms]")
        texts = np.datetime_as_string(starts).tolist()
        part["name"] = [
            f"{floor.texts[r]}_{t[:4]}{t[5:7]}{t[8:13]}{t[14:16]}{t[17:19]}_{t[20:23]}_{floor.texts[k]}"
            for r, t, k in zip(part["robot"], texts, part["task"])
        ]
        part["id"] = [None] * len(texts)
        yield from zip(*(part[name] for name in COLUMNS))
