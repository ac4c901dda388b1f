"""What checks of cameras say of the pictures that were measured.

Holds also: picture_figures.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.inspected import Eyes, picture, profile, report
from support.samples import T0

from robot_recorder.model.check_result import Level
from robot_recorder.model.thresholds import THRESHOLDS
from robot_recorder.quality.checks.cameras import (
    CAMERA_CHECKS,
    CameraBlack,
    CameraBlurred,
    CameraCheck,
    CameraOverexposed,
    CameraSize,
    CameraUndecodable,
)
from robot_recorder.quality.checks.check import EpisodeSummary
from robot_recorder.quality.checks.picture_figures import PictureFigures
from robot_recorder.quality.inspector import Inspector

NS = 1_000_000_000
NOTHING = EpisodeSummary(T0, T0, T0 + 5 * NS, {})


def test_one_odd_picture_does_not_count_for_seconds() -> None:
    eyes = Eyes(lambda at: PictureFigures(at, 640, 480, 1.0 if at == T0 + 2 * NS else 0.1, 0, 1))
    inspector = Inspector(profile(), None, eyes)
    stamps = T0 + np.arange(200, dtype=np.int64) * NS // 30
    pictures = [picture(int(s), n, 900 if n == 60 else 5000) for n, s in enumerate(stamps)]
    inspector.add(inspector._profile.streams[2], stamps, stamps, pictures)
    black = next(r for r in report(inspector, 6.6).results if r.check == "camera_black")
    assert 0 < black.figure < 0.4 and black.level is Level.WARN


MEASURED = PictureFigures(T0, 640, 480, 0.1, 0.0, 0.7)


@pytest.mark.parametrize(
    ("kind", "odd", "level"),
    [
        (CameraUndecodable, {"width": 0, "height": 0}, Level.FAIL),
        (CameraBlack, {"dark": 1.0}, Level.FAIL),
        (CameraOverexposed, {"bright": 0.6}, Level.WARN),
        (CameraSize, {"width": 320}, Level.FAIL),
        (CameraBlurred, {"sharpness": 0.1}, Level.PASS),  # the usual picture counts
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_odd_pictures_are_found_by_their_check_only(
    kind: type[CameraCheck], odd: dict[str, Any], level: Level
) -> None:
    """Three pictures of ten, half a second apart."""
    for check in CAMERA_CHECKS:
        made = check("camera", THRESHOLDS[check.name])
        made.last_ns = T0 + 5 * NS
        assert not list(made.finish(NOTHING)), "without pictures there is nothing to judge"
        made.pictures = [
            replace(MEASURED, time_ns=T0 + n * NS // 2, **(odd if 3 <= n < 6 else {}))
            for n in range(10)
        ]
        (result,) = made.finish(NOTHING)
        assert result.level is (level if check is kind else Level.PASS), result


def test_a_size_is_compared_with_that_of_the_camera_info() -> None:
    check = CameraSize("camera", THRESHOLDS["camera_size"])
    check.pictures, check.size = [MEASURED], (848, 480)
    (result,) = check.finish(NOTHING)
    assert result.level is Level.FAIL and "not in 848x480, 640x480 instead" in result.sentence
