"""Motions as tables of servo targets with named phases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from robot_recorder.sim.model import TIMESTEP_S

Leg = tuple[str, float, Sequence[np.ndarray]]  # phase, duration in s, joints at some knots


@dataclass(frozen=True)
class Script:
    """Servo targets `command_rad`, float64[steps, 43], and the first step of each phase."""

    command_rad: np.ndarray
    phases: tuple[tuple[int, str], ...]


def sample(legs: Sequence[Leg], tempo: float) -> Script:
    """Interpolate each leg's knots with a minimum-jerk time law, one row per physics step.

    Args:
        legs: in their order.
        tempo: durations are divided by it.
    """
    rows, phases, first = [], [], 0
    for name, duration_s, knots in legs:
        steps = max(2, round(duration_s / tempo / TIMESTEP_S))
        u = np.arange(1, steps + 1) / steps
        s = u**3 * (10 - 15 * u + 6 * u**2)
        rows.append(CubicSpline(np.linspace(0, 1, len(knots)), np.array(knots))(s))
        phases.append((first, name))
        first += steps
    return Script(np.concatenate(rows), tuple(phases))
