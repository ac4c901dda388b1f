"""When the robot moved, by all of its joints together: what is observed and what is commanded."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from robot_recorder.core.arrays import Bools, Int64s
from robot_recorder.core.quality.values import Trace
from robot_recorder.core.streams import NS_PER_MS, NS_PER_S

STEP_NS = 100 * NS_PER_MS
MOVED_RAD = 0.005  # in a step: well above an encoder's noise, well below a slow motion of an arm


class Motion:
    """Steps of a tenth of a second in which some joint moved."""

    def __init__(self, traces: Iterable[Trace], from_ns: int, to_ns: int) -> None:
        """
        Args:
            traces: of joint positions, rad.
            from_ns, to_ns: the episode, robot clock.
        """
        count = max(int(to_ns - from_ns) // STEP_NS, 1)
        self.grid: Int64s = from_ns + np.arange(count + 1, dtype=np.int64) * STEP_NS
        self.moving: Bools = np.zeros(count, dtype=bool)
        self.known = False
        for trace in traces:
            if len(trace) < 2 or not trace.names:
                continue
            self.known = True
            rows = np.nan_to_num(trace.rows)
            edges = np.searchsorted(trace.times, self.grid)
            # The furthest any joint gets within a step: a vibration is seen, too.
            for step in np.flatnonzero(edges[1:] > edges[:-1]).tolist():
                if self.moving[step]:
                    continue
                part = rows[max(edges[step] - 1, 0) : edges[step + 1]]
                self.moving[step] = bool((np.ptp(part, axis=0) > MOVED_RAD).any())

    def moving_s(self, start_ns: int, end_ns: int) -> float:
        """How long it moved between two instants, s."""
        inside = np.minimum(self.grid[1:], end_ns) - np.maximum(self.grid[:-1], start_ns)
        return float(np.clip(inside, 0, None)[self.moving].sum()) / NS_PER_S

    def at_rest(self, times: Int64s) -> Bools:
        """bool[n]: nothing moves at these instants, nor a step before or after."""
        near = self.moving.copy()
        near[1:] |= self.moving[:-1]
        near[:-1] |= self.moving[1:]
        steps = np.clip((times - self.grid[0]) // STEP_NS, 0, len(near) - 1)
        return np.asarray(~near[steps])

    @property
    def span(self) -> tuple[int, int] | None:
        """From the first to the last motion, ns; None: it never moved."""
        steps = np.flatnonzero(self.moving)
        if not len(steps):
            return None
        return int(self.grid[steps[0]]), int(self.grid[steps[-1] + 1])
