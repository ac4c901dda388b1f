"""Selects the checks of a stream and of an episode, from ``KINDS`` and from installed packages."""

from __future__ import annotations

from collections.abc import Iterator

from robot_recorder.messages.kinds import Sort, kind_of
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.extensions import CHECKS_GROUP, extensions
from robot_recorder.model.streams import Role, StreamConfig
from robot_recorder.quality.checks.check import Check
from robot_recorder.quality.checks.frozen_values import Frozen, JointFrozen, JointsFrozen
from robot_recorder.quality.checks.joints import JointJump, JointLimits, JointNames
from robot_recorder.quality.checks.numbers import NotANumber, Undecodable
from robot_recorder.quality.checks.tactile import (
    NeverTouched,
    TactileFrozen,
    TaxelsDead,
    TaxelsSaturated,
    TaxelsStuck,
)
from robot_recorder.quality.checks.tracking import TrackingError, TrackingLag
from robot_recorder.quality.checks.whole_episode import WHOLE_CHECKS
from robot_recorder.quality.checks.wrench import WrenchBias, WrenchClipping, WrenchSpikes

VALUE_CHECKS: dict[str, type[Check]] = {
    kind.name: kind
    for kind in (NotANumber, Frozen, JointFrozen, JointJump, JointLimits, TrackingLag, TrackingError,
                 TaxelsDead, TaxelsStuck, TaxelsSaturated, WrenchBias, WrenchClipping, WrenchSpikes)
}  # fmt: skip
"""Checks that a row of ``KINDS`` can name, by name."""
# Joints and pads are tested for being frozen in their own ways.
_OF_SORT = {(Sort.JOINTS, "frozen"): JointsFrozen, (Sort.TACTILE, "frozen"): TactileFrozen}


def value_checks(stream: StreamConfig) -> list[type[Check]]:
    """Return the checks of a stream's values; commands are only checked for not-a-number."""
    kind = kind_of(stream)
    observed = stream.role is Role.OBSERVATION
    names = kind.checks if observed else ("not_a_number",)
    added = {check.name: check for check in installed_checks()}
    found: list[type[Check]] = []
    for name in names:
        check = _OF_SORT.get((kind.sort, name)) or VALUE_CHECKS.get(name) or added.get(name)
        if check is None:
            raise ConfigError(
                f"the kind of {stream.type} names a check '{name}' that does not exist"
            )
        found.append(check)
    if observed:
        found += [c for c in added.values() if stream.type in c.types and c not in found]
    return found


def message_checks(stream: StreamConfig) -> list[type[Check]]:
    """Return the checks of whether a stream's messages can be read and name what they should."""
    names_joints = kind_of(stream).sort is Sort.JOINTS
    return [Undecodable, JointNames] if names_joints else [Undecodable]


def episode_checks() -> list[type[Check]]:
    """Return the checks of the whole episode."""
    return [*WHOLE_CHECKS, NeverTouched, *(c for c in installed_checks() if not c.types)]


def installed_checks() -> Iterator[type[Check]]:
    """Yield the checks of installed packages."""
    yield from (found for found in extensions(CHECKS_GROUP).found.values() if _is_check(found))


def problems() -> list[str]:
    """Return one sentence per installed check that cannot be used."""
    loaded = extensions(CHECKS_GROUP)
    odd = sorted(name for name, found in loaded.found.items() if not _is_check(found))
    return [*loaded.problems, *(f"{CHECKS_GROUP}: '{name}' is not a Check" for name in odd)]


def _is_check(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, Check) and "name" in vars(found)
