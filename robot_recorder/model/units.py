"""What a profile says about the units of a joint state's positions: of all of its joints, or of some."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from robot_recorder.model.value_names import split_name

RADIAN, METRE, UNKNOWN = "rad", "m", "?"
# Units that are converted, and by what; every other one is a label.
_CONVERTED = {
    "deg": (RADIAN, math.pi / 180),
    "turn": (RADIAN, 2 * math.pi),
    "mm": (METRE, 0.001),
    "cm": (METRE, 0.01),
}
_LABELS = {"percent": "%", "degree": "deg", "degrees": "deg", "metre": "m", "meter": "m"}
_EFFORTS = {RADIAN: "N m", METRE: "N"}


@dataclass(frozen=True)
class JointUnit:
    """How some joints are scaled and labelled.

    Attributes:
        pattern: which joints, by name; ``*`` and ``?`` stand for any text and any character.
        unit: of positions, after ``factor``.
        factor: what positions and velocities are multiplied by.
    """

    pattern: str = "*"
    unit: str = RADIAN
    factor: float = 1.0

    @classmethod
    def declared(cls, pattern: str, unit: str, scale: float) -> JointUnit:
        """As a profile says it: ``scale`` times the message's value is in ``unit``."""
        unit = _LABELS.get(unit, unit)
        label, factor = _CONVERTED.get(unit, (unit, 1.0))
        return cls(pattern, label, scale * factor)

    @property
    def units(self) -> tuple[str, str, str]:
        """Of position, velocity and effort."""
        return self.unit, f"{self.unit}/s", _EFFORTS.get(self.unit, UNKNOWN)

    @property
    def factors(self) -> tuple[float, float, float]:
        """Of position, velocity and effort."""
        return self.factor, self.factor, 1.0


RADIANS = JointUnit()


def unit_of(joint: str, units: Sequence[JointUnit]) -> JointUnit:
    """The first of the units whose pattern fits a joint; rad where none does."""
    return next((unit for unit in units if fnmatchcase(joint, unit.pattern)), RADIANS)


def is_measured(name: str) -> bool:
    """Whether a position's name says that it is an angle or a length, which checks can judge."""
    return split_name(name)[1] in (RADIAN, METRE)
