"""Each check of values finds its defect, passes what is fine, and does not depend on batches.

Holds also: numbers.py.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.checked import (
    JOINTS,
    RNG,
    SECONDS,
    TAXELS,
    WRENCH,
    add,
    changed,
    check,
    forces,
    pressures,
    put,
    swing,
)

from robot_recorder.model.check_result import Level
from robot_recorder.quality.checks.check import ValueCheck
from robot_recorder.quality.checks.frozen_values import Frozen, JointsFrozen
from robot_recorder.quality.checks.joints import JointJump
from robot_recorder.quality.checks.numbers import NotANumber
from robot_recorder.quality.checks.tactile import (
    TactileFrozen,
    TaxelsDead,
    TaxelsSaturated,
    TaxelsStuck,
)
from robot_recorder.quality.checks.wrench import WrenchBias, WrenchClipping, WrenchSpikes


def steady() -> np.ndarray:
    """Return a pad that is held steadily and counts in steps of 10."""
    return np.where(SECONDS[:, None] > 2, 800.0, 0.0) + RNG.normal(0, 4, (len(SECONDS), 16))


def gripper(resolution: float) -> np.ndarray:
    """Return a gripper that closes once, in steps of its resolution, and rests before and after."""
    travel = 100 * resolution * np.clip(SECONDS - 4, 0, 1)
    return np.round(np.stack([travel] * 3, axis=1) / resolution) * resolution


def wrist() -> np.ndarray:
    """Return a wrist that turns round and round."""
    angle = np.stack([3 * SECONDS, 2 * SECONDS, SECONDS], axis=1)
    return (angle + np.pi) % (2 * np.pi) - np.pi


def hold(begin_s: float, length_s: float) -> Callable[[np.ndarray], None]:
    """Return a change that makes all values stand still for a while."""

    def change(rows: np.ndarray) -> None:
        inside = np.flatnonzero((begin_s <= SECONDS) & (begin_s + length_s > SECONDS))
        rows[inside] = rows[inside[0]]

    return change


def clip(most: float) -> Callable[[np.ndarray], None]:
    def change(rows: np.ndarray) -> None:
        np.clip(rows, -most, most, out=rows)

    return change


PASS, WARN, FAIL = Level.PASS, Level.WARN, Level.FAIL
CASES = [
    (NotANumber, JOINTS, swing(), PASS),
    (NotANumber, JOINTS, changed(swing(), put((700, 1), np.nan)), FAIL),
    (NotANumber, JOINTS, changed(swing(), put((700, 1), -np.inf)), FAIL),
    (JointJump, JOINTS, swing(), PASS),
    (JointJump, JOINTS, changed(swing(), add((700, 1), 0.3)), WARN),
    (JointJump, JOINTS, changed(swing(), add((slice(700, 1400, 100), 1), 0.3)), FAIL),
    (JointsFrozen, JOINTS, swing(), PASS),
    (JointsFrozen, JOINTS, changed(swing(), hold(2, 0.5)), WARN),
    (JointsFrozen, JOINTS, changed(swing(), hold(2, 2)), FAIL),
    (JointsFrozen, JOINTS, changed(swing(), hold(7.2, 2)), PASS),  # the robot stands still, too
    (JointsFrozen, JOINTS, gripper(1 / 255), PASS),  # rests anywhere
    (JointsFrozen, JOINTS, gripper(1.0), PASS),  # in percent
    (JointJump, JOINTS, wrist(), PASS),  # wraps around
    (NotANumber, JOINTS, changed(swing(), put((slice(None), 1), np.nan)), PASS),  # not measured
    (Frozen, WRENCH, forces(), PASS),
    (Frozen, WRENCH, changed(forces(), hold(3, 2)), FAIL),
    (Frozen, WRENCH, np.round(changed(forces(), put((SECONDS < 2, slice(None)), 0))), PASS),
    (Frozen, WRENCH, changed(forces(), hold(-1, 99)), WARN),  # dead, or nothing to measure
    (Frozen, WRENCH, changed(changed(forces(), put((slice(None), 5), np.nan)), hold(3, 2)), FAIL),
    (WrenchSpikes, WRENCH, forces(), PASS),
    (WrenchSpikes, WRENCH, changed(forces(), add((900, 2), 80)), WARN),
    (WrenchSpikes, WRENCH, changed(forces(), add((slice(300, 900, 100), 2), -80)), FAIL),
    (WrenchSpikes, WRENCH, changed(forces(), add((slice(900, 990), 2), 80)), PASS),  # a knock
    (WrenchClipping, WRENCH, forces(), PASS),
    (WrenchClipping, WRENCH, changed(forces(), clip(12)), FAIL),
    (WrenchClipping, WRENCH, changed(forces(), hold(2, 5)), PASS),  # frozen is not clipped
    (WrenchClipping, WRENCH, np.round(forces(), 1), PASS),  # whole tenths repeat often
    (WrenchClipping, WRENCH, np.round(changed(forces(), clip(12)), 1), FAIL),
    (WrenchBias, WRENCH, forces(), PASS),
    (WrenchBias, WRENCH, changed(forces(), add((slice(None), 1), 4)), WARN),
    (WrenchBias, WRENCH, changed(forces(), add((slice(None), 1), -12)), WARN),  # or a load
    (TaxelsDead, TAXELS, pressures(), PASS),
    (TaxelsDead, TAXELS, changed(pressures(), put((slice(None), 3), 0)), WARN),
    (TaxelsDead, TAXELS, changed(pressures(), put((slice(None), slice(3, 6)), 0)), FAIL),
    (TaxelsDead, TAXELS, changed(pressures(0), put((slice(None), 3), 0)), PASS),  # no noise
    (TaxelsStuck, TAXELS, changed(pressures(), put((slice(None), 3), 9000)), WARN),
    (TaxelsStuck, TAXELS, changed(pressures(), put((slice(800, None), slice(0, 3)), 9000)), FAIL),
    (TaxelsStuck, TAXELS, changed(pressures(), put((slice(None), 3), 0)), PASS),  # dead
    (TaxelsSaturated, TAXELS, pressures(), PASS),
    (TaxelsSaturated, TAXELS, pressures(0), PASS),
    (TaxelsSaturated, TAXELS, np.round(steady(), -1), PASS),
    (TaxelsSaturated, TAXELS, changed(pressures(), clip(15000)), FAIL),
    (TactileFrozen, TAXELS, pressures(), PASS),
    (TactileFrozen, TAXELS, changed(pressures(), hold(2, 2)), FAIL),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "names", "rows", "level"),
    CASES,
    ids=[f"{k.name}-{n}" for n, (k, *_) in enumerate(CASES)],
)
def test_each_check_finds_its_defect_and_passes_what_is_fine(
    kind: type[ValueCheck], names: tuple[str, ...], rows: np.ndarray, level: Level
) -> None:
    result = check(kind, names, rows)
    assert result.level is level, result
    assert result.sentence and result.check == kind.name


@given(st.sampled_from(CASES), st.lists(st.integers(1, len(SECONDS) - 1), max_size=6))
def test_batches_do_not_matter(case: tuple, cuts: list[int]) -> None:
    kind, names, rows, _ = case
    assert check(kind, names, rows, tuple(sorted(cuts))) == check(kind, names, rows)
