"""Readings that stop at the end of a sensor's range."""

from __future__ import annotations

import numpy as np
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


def test_whole_counts_of_many_taxels_are_no_ends_of_a_range() -> None:
    """Some of a thousand taxels have five equal readings at the top and one just below."""
    press = 0.8 + 0.2 * np.sin(3 * np.arange(0, 12, 0.02))
    times = np.arange(len(press)) * 20_000_000
    for seed in range(5):
        rng = np.random.default_rng(seed)
        shape, noise = rng.uniform(0.2, 1, 1062), rng.normal(0, 4, (len(press), 1062))
        rows = np.round(20 + 2000 * press[:, None] * shape + noise)
        counter, clipped = ClipCounter(None, both_ends=False), ClipCounter(None, both_ends=False)
        counter.add(times, rows)
        assert counter.worst()[0] == 0
        clipped.add(times, np.minimum(rows, 1500))
        assert clipped.worst()[0] > 0.3
