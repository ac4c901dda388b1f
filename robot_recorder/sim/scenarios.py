"""One attempt at a task: where things are, how heavy and slippery, and how skilled the operator is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Scenario:
    """One attempt, drawn from a seed.

    Attributes:
        task: its name.
        seed: of everything that varies.
        poses: x, y, z in m and yaw in rad, in the world, of each free body that is used.
        mass_kg: of bodies, where it is not that of the place.
        friction: of palms and fingers on what they hold.
        sliding: friction of bodies that have their own.
        angles: of hinges that do not start at their least, rad.
        cloths: x, y, z in m and yaw in rad of the middle of each cloth that lies elsewhere than its place says.
        belts: speed of conveyors that run, m/s; the others stand still.
        aim_m: standard deviation of where the operator believes things to be.
        tempo: durations are divided by it.
        more: what only this task knows.
    """

    task: str
    seed: int
    poses: Mapping[str, tuple[float, float, float, float]]
    mass_kg: Mapping[str, float] = field(default_factory=dict)
    friction: float = 0.8
    sliding: Mapping[str, float] = field(default_factory=dict)
    angles: Mapping[str, float] = field(default_factory=dict)
    cloths: Mapping[str, tuple[float, float, float, float]] = field(default_factory=dict)
    belts: Mapping[str, float] = field(default_factory=dict)
    aim_m: float = 0.004
    tempo: float = 1.0
    more: Any = None
