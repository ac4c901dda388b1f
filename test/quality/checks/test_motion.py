"""When joints move, and when they rest."""

from __future__ import annotations

import numpy as np

from robot_recorder.quality.checks.motion import Motion
from robot_recorder.quality.checks.values import Trace

MS = 1_000_000
T0 = 1_700_000_000_000_000_000


def test_motion_is_when_some_joint_moves() -> None:
    times = T0 + np.arange(500, dtype=np.int64) * 20 * MS  # 10 s
    seconds = (times - T0) / 1e9
    still = np.random.default_rng(0).normal(0, 1e-4, 500)
    moves = np.where((seconds > 2) & (seconds < 5), 0.3 * (seconds - 2), 0.9 * (seconds >= 5))
    trace = Trace(("a", "b"))
    trace.add(times, np.stack([still, moves + still], axis=1))
    motion = Motion.of(trace, T0, T0 + 10_000 * MS)
    assert motion.known and motion.span is not None
    begin, end = ((t - T0) / 1e9 for t in motion.span)
    assert abs(begin - 2) <= 0.11 and abs(end - 5) <= 0.11
    assert abs(motion.moving_s(T0, T0 + 10_000 * MS) - 3) <= 0.21
    assert abs(motion.moving_s(T0 + 3000 * MS, T0 + 4000 * MS) - 1) < 1e-6
    assert motion.at_rest(T0 + np.array([1000, 3500, 8000]) * MS).tolist() == [True, False, True]
    nothing = Motion.together([], T0, T0 + 1)
    assert not nothing.known and nothing.span is None
