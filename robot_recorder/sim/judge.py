"""What happens to the objects of an attempt, seen by the physics alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import mujoco
import numpy as np

TABLE_M = 0.76  # height of every table
FALLEN_M = 0.05  # below the table
_TIPPED_RAD = math.radians(45)
_RAISED_M = 0.03


@dataclass(frozen=True)
class AttemptResult:
    """Result of an attempt: `cause` is one word, empty on success; `detail` is a sentence."""

    success: bool
    cause: str
    detail: str


@dataclass(frozen=True)
class Glimpse:
    """What the judge looks at, 100 times a second.

    Attributes:
        data: state of the physics.
        time_s: since the reset.
        grip_n: normal force on each palm, left first.
        phase: of the script; only to know when something should be in the hands.
    """

    data: mujoco.MjData
    time_s: float
    grip_n: tuple[float, float]
    phase: str


class Events(list[tuple[float, str]]):
    """What happened in an attempt: (time_s, name) of the first time of each."""

    def once(self, time_s: float, name: str) -> None:
        """Note that something happens, unless it has happened before."""
        if not self.had(name):
            self.append((time_s, name))

    def had(self, name: str) -> bool:
        """Return whether something has happened."""
        return any(name == known for _, known in self)


class Judge(Protocol):
    """The judge of one attempt."""

    events: Events

    def update(self, moment: Glimpse) -> None:
        """Look at the world."""

    def outcome(self) -> AttemptResult:
        """Return the result so far; final once the script is done."""


class Watch:
    """Follows free bodies: how high each was raised, whether it fell or tipped, where it is.

    Attributes:
        events: (time_s, name) of the first time that something is raised, falls, or tips over.
    """

    def __init__(self, model: mujoco.MjModel, names: list[str]) -> None:
        """Follow some bodies."""
        self.events = Events()
        self._ids = {name: model.body(name).id for name in names}
        self._start: dict[str, np.ndarray] = {}
        self._top: dict[str, float] = {}
        self._now: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def update(self, moment: Glimpse) -> None:
        """Look at the world."""
        for name, body in self._ids.items():
            at, turn = moment.data.xpos[body].copy(), moment.data.xmat[body].reshape(3, 3).copy()
            self._start.setdefault(name, at)
            self._now[name] = at, turn
            self._top[name] = max(self._top.get(name, 0.0), float(at[2] - self._start[name][2]))
            if self.raised(name):
                self.events.once(moment.time_s, "contact")
            if at[2] < TABLE_M - FALLEN_M:
                self.events.once(moment.time_s, "drop")
            if self.tilt(name) > _TIPPED_RAD:
                self.events.once(moment.time_s, "tipped")

    def at(self, name: str) -> np.ndarray:
        """Return where a body is, float64[3], m."""
        return self._now[name][0]

    def tilt(self, name: str) -> float:
        """Return how far a body leans from upright, rad."""
        return math.acos(max(-1.0, min(1.0, float(self._now[name][1][2, 2]))))

    def raised(self, name: str) -> bool:
        """Return whether a body was ever lifted."""
        return self._top.get(name, 0.0) > _RAISED_M

    def fell(self, name: str) -> bool:
        """Return whether a body is below the tables."""
        return bool(self.at(name)[2] < TABLE_M - FALLEN_M)

    def looked(self) -> bool:
        """Return whether anything was seen yet."""
        return bool(self._now)


UNFINISHED = AttemptResult(False, "unfinished", "Nothing has happened yet.")
