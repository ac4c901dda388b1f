"""How joints were moved: smoothness, pauses, changes of direction, travel; from their positions alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_recorder.model.arrays import Bools, Floats
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.quality.checks.motion import MOVED_RAD, STEP_NS, Motion
from robot_recorder.quality.checks.values import TRACE_PERIOD_NS, Trace

LEAST_PAUSE_S = 0.5  # shorter ones are parts of a motion
_PERIOD_S = TRACE_PERIOD_NS / NS_PER_S
_STILL_RAD_S = MOVED_RAD / (STEP_NS / NS_PER_S)
_WINDOW_S = 2.0
_CUT_OFF_HZ, _LEAST_SHARE, _PADDING = 10.0, 0.05, 4  # of SPARC, as published
_TURN_RAD_S = 0.1  # a joint is this fast before and after a change of direction
_TURN_S = 0.5  # between these: what takes longer is a pause
_APART_S = 0.3  # joints that turn within this time turn together
_MOST_POINTS = 600
_BALANCES = re.compile(r"hip|knee|ankle|waist|torso|leg", re.IGNORECASE)


@dataclass(frozen=True)
class MotionScore:
    """The motion of one take. Times are in s since its start.

    Attributes:
        smoothness: mean SPARC; the nearer to 0, the smoother. None: it never moved.
        pauses: begin and end of each.
        turns: when joints changed their direction.
        travel_rad: length of the path of all joints together.
        step_s: between two speeds.
        speeds: of all joints together, rad/s.
    """

    smoothness: float | None
    pauses: tuple[tuple[float, float], ...]
    turns: tuple[float, ...]
    travel_rad: float
    step_s: float
    speeds: tuple[float, ...]

    def still_s(self, from_s: float = 0.0, to_s: float = np.inf) -> float:
        """Return how long it paused within a time, s."""
        return sum(max(0.0, min(end, to_s) - max(begin, from_s)) for begin, end in self.pauses)


def sparc(velocities: Floats, rate_hz: float) -> float:
    """Return the spectral arc length of a motion: the nearer to 0, the smoother.

    S. Balasubramanian, A. Melendez-Calderon, A. Roby-Brami and E. Burdet: On the analysis of movement
    smoothness, Journal of NeuroEngineering and Rehabilitation 12:112, 2015; with their constants. It
    does not depend on the amplitude. The spectrum is that of all velocities together, not that of
    their speed: of a hand that trembles around a point, speed would keep only the size.

    Args:
        velocities: float64[n, k], not all 0.
        rate_hz: their rate.
    """
    size = 1 << (int(np.ceil(np.log2(len(velocities)))) + _PADDING)
    share = np.linalg.norm(np.fft.rfft(velocities, size, axis=0), axis=1)
    share /= share.max()
    share = share[np.fft.rfftfreq(size, 1 / rate_hz) <= _CUT_OFF_HZ]
    share = share[: np.flatnonzero(share >= _LEAST_SHARE)[-1] + 1]
    if len(share) < 2:
        return 0.0
    return -float(np.hypot(1 / (len(share) - 1), np.diff(share)).sum())


def score_motion(
    streams: Sequence[tuple[Sequence[str], Floats, Floats]], duration_s: float
) -> MotionScore | None:
    """Return how joints were moved; None: the streams have no joints, or the take is too short.

    Joints of legs and waist do not count if there are others: they keep the balance, whatever the
    operator does.

    Args:
        streams: names of joints, times since the start, s, and positions, float64[n, k], rad.
        duration_s: of the take.
    """
    grid = np.arange(0.0, duration_s, _PERIOD_S)
    joints = _on_grid(streams, grid)
    if not joints or len(grid) < 3:
        return None
    positions = np.stack(list(joints.values()), axis=1)
    trace = Trace(tuple(joints))
    trace.add(np.arange(len(grid), dtype=np.int64) * TRACE_PERIOD_NS, positions)
    motion = Motion.of(trace, 0, round(duration_s * NS_PER_S))
    velocities = np.gradient(positions, _PERIOD_S, axis=0)
    speeds = np.linalg.norm(velocities, axis=1)
    step = max(STEP_NS // TRACE_PERIOD_NS, -(-len(speeds) // _MOST_POINTS))
    return MotionScore(
        _smoothness(velocities),
        _pauses(motion.moving, duration_s),
        _turns(velocities),
        float(speeds[speeds > _STILL_RAD_S].sum() * _PERIOD_S),
        step * _PERIOD_S,
        tuple(speeds[: len(speeds) // step * step].reshape(-1, step).mean(axis=1).tolist()),
    )


def _on_grid(
    streams: Sequence[tuple[Sequence[str], Floats, Floats]], grid: Floats
) -> dict[str, Floats]:
    """Return the positions of each joint at common times; the first of a name counts."""
    found: dict[str, Floats] = {}
    for names, times, rows in streams:
        for name, column in zip(names, rows.T):
            known = np.isfinite(column)
            if name not in found and np.count_nonzero(known) > 1:
                found[name] = np.interp(grid, times[known], column[known])
    driven = {name: values for name, values in found.items() if not _BALANCES.search(name)}
    return driven or found


def _smoothness(velocities: Floats) -> float | None:
    """Return the mean SPARC of windows that overlap by half, each by the way that it goes.

    A whole take has many motions, and its spectral arc grows with their number: windows of one length
    can be compared whatever a take lasts. A Hann window makes each begin and end at rest.
    """
    size = min(len(velocities), round(_WINDOW_S / _PERIOD_S))
    shape = np.hanning(size)[:, None]
    arcs, ways = [], []
    for start in range(0, len(velocities) - size + 1, max(1, size // 2)):
        part = velocities[start : start + size]
        way = float(np.linalg.norm(part, axis=1).mean())
        if way > _STILL_RAD_S:
            arcs.append(sparc(part * shape, 1 / _PERIOD_S))
            ways.append(way)
    return float(np.average(arcs, weights=ways)) if arcs else None


def _pauses(moving: Bools, duration_s: float) -> tuple[tuple[float, float], ...]:
    step_s = STEP_NS / NS_PER_S
    edges = np.flatnonzero(np.diff(np.concatenate(([False], ~moving, [False]))))
    spans = [(begin * step_s, min(end * step_s, duration_s)) for begin, end in edges.reshape(-1, 2)]
    return tuple(
        (float(begin), float(end)) for begin, end in spans if end - begin >= LEAST_PAUSE_S - 1e-6
    )


def _turns(velocities: Floats) -> tuple[float, ...]:
    """Return when any joint changed its direction; several that do so together count once."""
    signs = np.where(np.abs(velocities) > _TURN_RAD_S, np.sign(velocities), 0.0)
    rows = np.arange(len(signs))[:, None]
    last = np.maximum.accumulate(np.where(signs != 0, rows, -1), axis=0)
    before = np.concatenate((np.full((1, signs.shape[1]), -1), last[:-1]))
    way = np.take_along_axis(signs, np.maximum(before, 0), axis=0)
    turned = (signs * way < 0) & (before >= 0) & ((rows - before) * _PERIOD_S <= _TURN_S)
    times = np.flatnonzero(turned.any(axis=1)) * _PERIOD_S
    found: list[float] = []
    for at_s in times.tolist():
        if not found or at_s - found[-1] >= _APART_S:
            found.append(at_s)
    return tuple(found)
