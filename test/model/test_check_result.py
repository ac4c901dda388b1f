"""Levels follow from figures."""

from __future__ import annotations

import math

import pytest

from robot_recorder.model.check_result import Level, Threshold


@pytest.mark.parametrize(
    ("threshold", "figure", "level"),
    [
        (Threshold(warn=1, fail=2), 1.0, Level.PASS),
        (Threshold(warn=1, fail=2), 1.5, Level.WARN),
        (Threshold(warn=1, fail=2), 2.1, Level.FAIL),
        (Threshold(warn=1), 100.0, Level.WARN),
        (Threshold(warn=2, fail=1, below=True), 2.0, Level.PASS),
        (Threshold(warn=2, fail=1, below=True), 1.5, Level.WARN),
        (Threshold(warn=2, fail=1, below=True), 0.5, Level.FAIL),
        (Threshold(warn=1, fail=2, most=Level.WARN), 100.0, Level.WARN),
        (Threshold(), 100.0, Level.PASS),
        (Threshold(warn=1, fail=2), math.nan, Level.FAIL),
        (Threshold(warn=2, fail=1, below=True), math.nan, Level.FAIL),
    ],
)
def test_a_figure_gets_the_level_of_its_threshold(
    threshold: Threshold, figure: float, level: Level
) -> None:
    assert threshold.judge(figure) is level
