"""When the robot moved, from all its joint positions, observed and commanded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from robot_recorder.model.arrays import Bools, Int64s
from robot_recorder.model.streams import NS_PER_MS, NS_PER_S
from robot_recorder.quality.checks.values import Trace

STEP_NS = 100 * NS_PER_MS
_MOST_STEPS = 6_000_000  # a week
MOVED_RAD = 0.005  # per step: well above encoder noise, well below a slow motion of an arm


@dataclass(frozen=True)
class Motion:
    """Steps of 0.1 s in which some joint moved.

    Attributes:
        grid: int64[n + 1], borders of the steps, ns, robot clock.
        moving: bool[n].
        known: whether there was any joint position to derive it from.
    """

    grid: Int64s
    moving: Bools
    known: bool

    @classmethod
    def of(cls, trace: Trace, from_ns: int, to_ns: int) -> Motion:
        """Derive the motion from one trace of joint positions, rad.

        Args:
            trace: the joint positions.
            from_ns, to_ns: beginning and end of the episode, robot clock.
        """
        # A hand that counts in whole percents flickers by more than an arm moves.
        trace = trace.without(trace.scales)
        nothing = cls.together([], from_ns, to_ns)
        if len(trace) < 2 or not trace.names:
            return nothing
        rows, grid, moving = np.nan_to_num(trace.rows), nothing.grid, nothing.moving
        edges = np.searchsorted(trace.times, grid)
        steps = np.flatnonzero(edges[1:] > edges[:-1])
        if len(steps):
            # The range within a step, so that a vibration counts, and the last sample before it.
            bounds = edges[np.append(steps, steps[-1] + 1)]
            inside = slice(bounds[0], bounds[-1])
            starts = bounds[:-1] - bounds[0]
            before = rows[np.maximum(bounds[:-1] - 1, 0)]
            highest = np.maximum(np.maximum.reduceat(rows[inside], starts), before)
            lowest = np.minimum(np.minimum.reduceat(rows[inside], starts), before)
            moving[steps] = (highest - lowest > MOVED_RAD).any(axis=1)
        return cls(grid, moving, True)

    @classmethod
    def together(cls, motions: Iterable[Motion], from_ns: int, to_ns: int) -> Motion:
        """Combine several: the robot moved when any of them did.

        Raises:
            ValueError: the episode is longer than a week, so a clock must have been set.
        """
        count = max(int(to_ns - from_ns) // STEP_NS, 1)
        if count > _MOST_STEPS:
            raise ValueError(
                f"it spans {count * STEP_NS / NS_PER_S / 86_400:.0f} days: was a clock set?"
            )
        grid: Int64s = from_ns + np.arange(count + 1, dtype=np.int64) * STEP_NS
        moving: Bools = np.zeros(count, dtype=bool)
        motions = list(motions)
        for motion in motions:
            moving |= motion.moving
        return cls(grid, moving, any(motion.known for motion in motions))

    @classmethod
    def joined(cls, parts: Mapping[int, Bools], from_ns: int, to_ns: int) -> Motion:
        """Join the stretches of an episode, one after the other.

        Args:
            parts: ``moving`` of each stretch by its start, ns, a whole number of steps after
                ``from_ns``.
            from_ns, to_ns: beginning and end of the episode, robot clock.
        """
        whole = cls.together([], from_ns, to_ns)
        for begin_ns, moving in parts.items():
            first = (begin_ns - from_ns) // STEP_NS
            inside = whole.moving[first : first + len(moving)]
            inside |= moving[: len(inside)]
        return cls(whole.grid, whole.moving, bool(parts))

    def moving_s(self, start_ns: int, end_ns: int) -> float:
        """Return how long the robot moved between two times, s."""
        inside = np.minimum(self.grid[1:], end_ns) - np.maximum(self.grid[:-1], start_ns)
        return float(np.clip(inside, 0, None)[self.moving].sum()) / NS_PER_S

    def at_rest(self, times: Int64s) -> Bools:
        """Return bool[n]: whether nothing moves at these times, nor one step before or after."""
        near = self.moving.copy()
        near[1:] |= self.moving[:-1]
        near[:-1] |= self.moving[1:]
        steps = np.clip((times - self.grid[0]) // STEP_NS, 0, len(near) - 1)
        return np.asarray(~near[steps])

    @property
    def span(self) -> tuple[int, int] | None:
        """Return beginning and end of all motion, ns; None: it never moved."""
        steps = np.flatnonzero(self.moving)
        if not len(steps):
            return None
        return int(self.grid[steps[0]]), int(self.grid[steps[-1] + 1])
