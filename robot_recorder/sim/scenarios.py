"""Tasks of the simulated robot, and how attempts at them vary with a seed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

TASKS = ("lift_box", "carry_tray")


@dataclass(frozen=True)
class Scenario:
    """One attempt: pose and properties of the object, and skill of the operator.

    Positions are on the desk in the world frame (x ahead, y left). The operator aims at the
    object's pose plus `aim_error_m`. `grip_depth_m` is how far each palm is commanded into the
    object; the arms' compliance turns a millimetre of it into about 0.7 N of squeeze. `friction`
    is that of the palms on the object. The cup is not used in `lift_box`.
    """

    task: str
    seed: int
    object_m: tuple[float, float]
    object_yaw_rad: float
    mass_kg: float
    friction: float
    grip_depth_m: float
    aim_error_m: tuple[float, float]
    aim_yaw_error_rad: float
    place_error_m: tuple[float, float]
    tempo: float  # durations are divided by this
    cup_offset_m: tuple[float, float] = (0.0, 0.0)  # from the centre of the tray
    cup_mass_kg: float = 0.2
    cup_friction: float = 0.5


def draw(task: str, seed: int) -> Scenario:
    """Draw attempt number `seed` of a task; the same arguments give the same attempt.

    Raises:
        ValueError: the task does not exist.
    """
    if task not in TASKS:
        raise ValueError(f"unknown task {task!r}: choose one of {', '.join(TASKS)}")
    rng = np.random.default_rng([TASKS.index(task), seed])
    box = task == "lift_box"
    values: dict[str, Any] = {
        "object_m": (rng.uniform(0.335, 0.365), rng.uniform(-0.03, 0.03)),
        "object_yaw_rad": math.radians(rng.uniform(-7, 7)),
        "mass_kg": rng.uniform(0.5, 1.1) if box else rng.uniform(0.4, 0.8),
        "friction": rng.uniform(0.5, 0.95),
        "grip_depth_m": rng.uniform(0.034, 0.046),
        "aim_error_m": (rng.normal(0.0, 0.004), rng.normal(0.0, 0.004)),
        "aim_yaw_error_rad": math.radians(rng.normal(0.0, 1.0)),
        "place_error_m": (rng.normal(0.0, 0.008), rng.normal(0.0, 0.008)),
        "tempo": rng.uniform(0.98, 1.12),
        "cup_offset_m": (rng.uniform(-0.04, 0.04), rng.uniform(-0.04, 0.04)),
        "cup_mass_kg": rng.uniform(0.1, 0.3),
        "cup_friction": rng.uniform(0.3, 0.6),
    }
    # Some attempts are hard; the physics decides whether they fail.
    slippery, heavy, careless, hurried = (
        (0.15, 0.29, 0.40, 0.48) if box else (0.07, 0.14, 0.26, 0.34)
    )
    trouble = rng.random()
    if trouble < slippery:
        values["friction"] = rng.uniform(0.08, 0.26)
    elif trouble < heavy:  # and held too gently
        values["mass_kg"] = rng.uniform(1.2, 2.0) if box else rng.uniform(0.9, 1.5)
        values["grip_depth_m"] = rng.uniform(0.022, 0.03)
        values["friction"] = rng.uniform(0.35, 0.6)
    elif trouble < careless:
        values["aim_error_m"] = (rng.uniform(-0.05, -0.03), rng.uniform(-0.02, 0.02))
        values["aim_yaw_error_rad"] = math.radians(rng.uniform(-12, 12))
        values["place_error_m"] = (rng.uniform(-0.06, 0.06), rng.uniform(-0.06, 0.06))
    elif trouble < hurried:
        values["tempo"] = rng.uniform(1.2, 1.3)
    return Scenario(task=task, seed=seed, **values)
