"""Units of joint positions, as a profile declares them for all or some joints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from robot_recorder.model.value_names import split_name

RADIAN, METRE, UNKNOWN = "rad", "m", "?"
# Units that are converted, with their factor; all others are only labels.
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
        pattern: pattern of joint names; ``*`` and ``?`` match any text and any character.
        unit: unit of positions after multiplication with ``factor``.
        factor: factor of positions and velocities.
    """

    pattern: str = "*"
    unit: str = RADIAN
    factor: float = 1.0

    @classmethod
    def declared(cls, pattern: str, unit: str, scale: float) -> JointUnit:
        """Create it from a profile, where ``scale`` times the message's value is in ``unit``."""
        unit = _LABELS.get(unit, unit)
        label, factor = _CONVERTED.get(unit, (unit, 1.0))
        return cls(pattern, label, scale * factor)

    @property
    def units(self) -> tuple[str, str, str]:
        """Return the units of position, velocity and effort."""
        return self.unit, f"{self.unit}/s", _EFFORTS.get(self.unit, UNKNOWN)

    @property
    def factors(self) -> tuple[float, float, float]:
        """Return the factors of position, velocity and effort."""
        return self.factor, self.factor, 1.0


RADIANS = JointUnit()


def unit_of(joint: str, units: Sequence[JointUnit]) -> JointUnit:
    """Return the first unit whose pattern matches a joint; rad if none does."""
    return next((unit for unit in units if fnmatchcase(joint, unit.pattern)), RADIANS)


def is_measured(name: str) -> bool:
    """Return whether a position is an angle or a length, by the unit in its name."""
    return split_name(name)[1] in (RADIAN, METRE)
