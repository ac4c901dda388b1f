"""Readings that stop at the end of a sensor's range."""

from __future__ import annotations

from support.checked import RNG, WRENCH, changed, check, forces, put

from robot_recorder.model.check_result import Level
from robot_recorder.quality.checks.clipping import ClipCounter
from robot_recorder.quality.checks.wrench import WrenchClipping

PASS, WARN, FAIL = Level.PASS, Level.WARN, Level.FAIL


def test_the_range_of_a_sensor_counts_as_its_end() -> None:
    rows = changed(forces(), put((slice(900, 960), 0), 50.0))
    rows[900:960, 0] += RNG.random(60)  # beyond its range it shows anything
    assert check(WrenchClipping, WRENCH, rows).level is PASS
    assert check(WrenchClipping, WRENCH, rows, range=50).level is FAIL
    assert ClipCounter(None, True).worst() == (0.0, 0, 0.0)
