"""Values of a simulated episode of eight seconds, and what single checks say of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from robot_recorder.model.check_result import Result
from robot_recorder.model.streams import Role, StreamConfig
from robot_recorder.model.thresholds import THRESHOLDS
from robot_recorder.quality.checks.check import Check, EpisodeSummary, ValueCheck
from robot_recorder.quality.checks.values import Trace, Values

NS = 1_000_000_000
T0 = 1_700_000_000 * NS
JOINTS = tuple(f"position/j{i} (rad)" for i in range(3))
WRENCH = ("force/x (N)", "force/y (N)", "force/z (N)",
          "torque/x (N m)", "torque/y (N m)", "torque/z (N m)")  # fmt: skip
TAXELS = tuple(f"normal/{i // 4},{i % 4} (Pa)" for i in range(16))
SECONDS = np.arange(0, 8, 0.004)
TIMES = T0 + np.round(SECONDS * NS).astype(np.int64)
RNG = np.random.default_rng(0)


def swing(seconds: np.ndarray = SECONDS) -> np.ndarray:
    """Return three joints that move from second 1 to 7, with encoder noise."""
    at = np.clip(seconds, 1, 7)
    clean = np.stack([0.5 * np.sin(at), 0.4 * np.cos(1.3 * at), 0.2 * at], axis=1)
    return clean + np.random.default_rng(3).normal(0, 1e-6, clean.shape)


def forces() -> np.ndarray:
    """Return the wrench of a hand that is loaded from second 2 to 6."""
    load = np.where((SECONDS > 2) & (SECONDS < 6), 10 + 8 * np.sin(2 * SECONDS), 0.0)
    rows = np.stack([load * k for k in (1, 0.5, -0.3, 0.02, 0.01, 0.03)], axis=1)
    return rows + RNG.normal(0, 0.05, rows.shape)


def pressures(noise: float = 30.0) -> np.ndarray:
    """Return a pad that is pressed from second 2 to 6."""
    load = np.where((SECONDS > 2) & (SECONDS < 6), 20000 + 5000 * np.sin(3 * SECONDS), 0.0)
    rows = load[:, None] * np.linspace(0.3, 1, 16)
    return rows + RNG.normal(0, noise, rows.shape) if noise else rows


def facts(**more: object) -> EpisodeSummary:
    """Return an episode of eight seconds in which the joints swing."""
    observed, commanded = Trace(("j0", "j1", "j2")), Trace(("j0", "j1", "j2"))
    observed.add(TIMES, swing())
    commanded.add(TIMES, swing(SECONDS + 0.05))
    streams = {
        "joints": StreamConfig("joints", "joints", "sensor_msgs/msg/JointState", Role.OBSERVATION),
        "commands": StreamConfig("commands", "commands", "sensor_msgs/msg/JointState", Role.ACTION),
    }
    given: dict = {"joints": {"joints": observed, "commands": commanded}, **more}
    return EpisodeSummary(T0, T0, T0 + 8 * NS, streams, **given)


def check(
    kind: type[ValueCheck], names: tuple[str, ...], rows: np.ndarray, cuts: tuple[int, ...] = (),
    range: float | None = None, **more: object,
) -> Result:  # fmt: skip
    """Return the result of a check for values that arrive in batches."""
    one = kind("s", THRESHOLDS[kind.name], range)
    for part in np.split(np.arange(len(rows)), cuts):
        if len(part):
            one.add(Values(TIMES[part], TIMES[part], rows[part], names))
    if names is JOINTS and "joints" not in more:
        trace = Trace(("j0", "j1", "j2"))
        trace.add(TIMES, rows)
        more["joints"] = {**facts().joints, "s": trace}
    (result,) = one.finish(facts(**more))
    return result


def finish(kind: type[Check], episode: EpisodeSummary, stream: str = "") -> Result:
    """Return the result of a check of the whole episode."""
    (result,) = kind(stream, THRESHOLDS[kind.name]).finish(episode)
    return result


def changed(rows: np.ndarray, change: Callable[[np.ndarray], None]) -> np.ndarray:
    rows = rows.copy()
    change(rows)
    return rows


def put(place: Any, value: float) -> Callable[[np.ndarray], None]:
    def change(rows: np.ndarray) -> None:
        rows[place] = value

    return change


def add(place: Any, value: float) -> Callable[[np.ndarray], None]:
    def change(rows: np.ndarray) -> None:
        rows[place] += value

    return change
