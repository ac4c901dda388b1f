"""Checks of whether a stream stands still while it goes on publishing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robot_recorder.core.arrays import Bools, Floats
from robot_recorder.core.quality.check import Check, EpisodeFacts, ValueCheck
from robot_recorder.core.quality.result import Result, Threshold
from robot_recorder.core.quality.values import ConstantRuns, Trace, Values
from robot_recorder.core.streams import Role

_TOLD_RAD = 0.1  # how far a joint must be commanded before it may not stand still


def frozen_s(runs: ConstantRuns, episode: EpisodeFacts, stream: str) -> float:
    """How long, at a stretch, a stream did not change at all while the robot moved, s."""
    motion = episode.motion_without(stream)
    return max((motion.moving_s(*span) for span in runs.spans), default=0.0)


class Frozen(ValueCheck):
    """All its numbers stay exactly the same while the robot moves."""

    name = "frozen"
    remedy = "its driver repeats an old reading; restart it, check the sensor's cable"

    def __init__(self, stream: str, threshold: Threshold, range: float | None = None) -> None:
        """See ValueCheck."""
        super().__init__(stream, threshold, range)
        self.runs = ConstantRuns()
        self._last: Floats | None = None

    def add(self, values: Values) -> None:
        """See ValueCheck."""
        self.runs.add(values.times, self.is_same(values.rows))

    def is_same(self, rows: Floats) -> Bools:
        """bool[n], which samples are exactly the one before again."""
        same = np.empty(len(rows), dtype=bool)
        same[0] = self._last is not None and bool((rows[:1] == self._last).all())
        same[1:] = (rows[1:] == rows[:-1]).all(axis=1)
        self._last = rows[-1:].copy()
        return same

    def finish(self, episode: EpisodeFacts) -> Iterator[Result]:
        """See Check."""
        if self.runs.samples:
            seconds = frozen_s(self.runs, episode, self.stream)
            yield self.say(seconds, f"did not change for {seconds:.1f} s while the robot moved")


class JointFrozen(Check):
    """One joint's position stays exactly the same while that joint is commanded elsewhere."""

    name = "joint_frozen"
    remedy = "its encoder or motor driver is stuck; power-cycle it"

    def finish(self, episode: EpisodeFacts) -> Iterator[Result]:
        """See Check."""
        trace = episode.joints.get(self.stream)
        if trace is None or len(trace) < 3:
            return
        commands = episode.joints_of(Role.ACTION).values()
        known = [
            (j, c) for j in range(len(trace.names)) for c in commands if trace.names[j] in c.names
        ]
        worst = (0.0, "")
        times, rows = trace.times, trace.rows
        for joint, command in known:
            same = np.diff(rows[:, joint]) == 0
            if not same.any():
                continue
            told = _told(command, trace.names[joint])
            for first, end in _runs(same):
                if told(int(times[first]), int(times[end])) > _TOLD_RAD:
                    worst = max(worst, ((times[end] - times[first]) / 1e9, trace.names[joint]))
        if known:
            which = f" ({worst[1]})" if worst[1] else ""
            yield self.say(
                worst[0], f"a joint stood still for {worst[0]:.1f} s while commanded{which}"
            )


def _told(command: Trace, joint: str):  # type: ignore[no-untyped-def]
    """How far a joint is commanded between two instants, rad."""
    times, column = command.times, command.rows[:, command.names.index(joint)]

    def told(start_ns: int, end_ns: int) -> float:
        part = column[np.searchsorted(times, start_ns) : np.searchsorted(times, end_ns)]
        return float(np.ptp(part)) if len(part) else 0.0

    return told


def _runs(same: np.ndarray) -> list[tuple[int, int]]:
    """First and last row of each run of equal rows."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], same.astype(np.int8), [0]))))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist()))
