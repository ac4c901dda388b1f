"""How well an observed joint stream follows its commands: its lag and its error."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from robot_recorder.model.arrays import Floats
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.quality.checks.values import TRACE_PERIOD_NS, Trace

_MOST_LAG_S = 0.6
_MOVED_RAD = 0.1  # joints that were commanded by less are not compared
# Fingers and grippers are commanded into the object, which holds them back.
GRASPS = re.compile(r"gripper|finger|thumb|index|middle|ring|pinky|hand|palm|knuckle")
_STEP_S = TRACE_PERIOD_NS / NS_PER_S


@dataclass(frozen=True)
class Followed:
    """How one observed joint stream followed its command.

    Attributes:
        lag_s: the lag at which the observation is most like the command.
        error_rad: 95th percentile of the worst joint's distance to its command, the lag taken out.
        joint: the worst joint.
    """

    lag_s: float
    error_rad: float
    joint: str


def follow(command: Trace, observed: Trace) -> Followed | None:
    """Compare two traces of joint positions by joint name; None: too little moved."""
    common = _common(command, observed)
    if common is None:
        return None
    names, commanded, done = common
    steps, _ = _best_lag(np.diff(commanded, axis=0), np.diff(done, axis=0))
    whole = min(max(round(steps), 0), len(commanded) - 2)
    errors = np.abs(commanded[: len(commanded) - whole] - done[whole:])
    worst = np.percentile(errors, 95, axis=0)
    return Followed(steps * _STEP_S, float(worst.max()), names[int(np.argmax(worst))])


def alike(command: Trace, observed: Trace) -> float:
    """Return how alike two traces move at their best lag: 1 identical, 0 unrelated."""
    common = _common(command, observed)
    if common is None:
        return 0.0
    _, commanded, done = common
    return _best_lag(np.diff(commanded, axis=0), np.diff(done, axis=0))[1]


def _common(command: Trace, observed: Trace) -> tuple[list[str], Floats, Floats] | None:
    """Return the joints of both traces that were commanded to move, and their positions.

    The positions are of the command and of the observation, at common times.
    """
    shared = [n for n in observed.names if n in command.names and not GRASPS.search(n)]
    first = max(int(t.times[0]) for t in (command, observed))
    last = min(int(t.times[-1]) for t in (command, observed))
    if not shared or last - first < NS_PER_S:
        return None
    grid = np.arange(first, last, TRACE_PERIOD_NS, dtype=np.int64)
    commanded = np.nan_to_num(command.at(grid)[:, [command.names.index(n) for n in shared]])
    done = np.nan_to_num(observed.at(grid)[:, [observed.names.index(n) for n in shared]])
    moved = np.ptp(commanded, axis=0) > _MOVED_RAD
    if not moved.any():
        return None
    return [n for n, m in zip(shared, moved) if m], commanded[:, moved], done[:, moved]


def _best_lag(commanded: Floats, done: Floats) -> tuple[float, float]:
    """Return the lag at which speeds are most alike, and how alike they are.

    The lag is in steps of the trace, refined by a parabola; negative: observed before commanded.
    """
    most = min(int(_MOST_LAG_S / _STEP_S), len(commanded) // 2)
    lags = np.arange(-most // 3, most + 1)
    scores = np.array([_likeness(commanded, done, lag) for lag in lags.tolist()])
    best = int(np.argmax(scores))
    if 0 < best < len(lags) - 1:
        before, at, after = scores[best - 1 : best + 2]
        bend = before - 2 * at + after
        if bend < 0:
            return float(lags[best] + 0.5 * (before - after) / bend), float(at)
    return float(lags[best]), float(scores[best])


def _likeness(commanded: Floats, done: Floats, lag: int) -> float:
    a = commanded[max(-lag, 0) : len(commanded) - max(lag, 0)]
    b = done[max(lag, 0) : len(done) - max(-lag, 0)]
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / size if size else 0.0
