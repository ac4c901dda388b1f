"""Which pictures of a camera are looked at, and what is said of the others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from support.inspected import Eyes, feed, picture, profile, report
from support.samples import T0

from robot_recorder.model.check_result import Level
from robot_recorder.quality.checks.cameras import PictureFigures
from robot_recorder.quality.inspector import Inspector

NS = 1_000_000_000


def test_a_picture_of_unusual_size_is_looked_at_at_once() -> None:
    eyes = Eyes(
        lambda at: PictureFigures(at, 640, 480, 1.0 if 2.0 <= (at - T0) / NS < 3.0 else 0.1, 0, 1)
    )
    inspector = Inspector(profile(), None, eyes)
    camera = inspector._profile.streams[2]
    stamps = T0 + np.arange(60, dtype=np.int64) * NS // 10
    sizes = [900 if 20 <= n < 30 else 5000 for n in range(60)]
    pictures = [picture(int(s), n, size) for n, (s, size) in enumerate(zip(stamps, sizes))]
    inspector.add(camera, stamps, stamps, pictures)
    black = next(r for r in report(inspector).results if r.check == "camera_black")
    assert black.figure == pytest.approx(1.0, abs=0.3) and black.level is Level.FAIL
    assert inspector.troubles == {}


def test_an_hour_of_ever_changing_pictures_does_not_fill_the_memory() -> None:
    eyes = Eyes()
    inspector = Inspector(profile(), None, eyes)
    camera = inspector._profile.streams[2]
    looked = {}
    for minute in range(60):
        stamps = T0 + (minute * 600 + np.arange(600, dtype=np.int64)) * NS // 10
        pictures = [bytes(900 if n % 2 else 5000) for n in range(600)]
        inspector.add(camera, stamps, stamps, pictures)
        looked[minute + 1] = len(eyes.looked)
    assert looked[1] > 150, "in a short take every change, up to four times a second"
    assert looked[60] < 2.5 * looked[15] and looked[60] < 3000, "fewer looks the longer it takes"


def test_a_black_camera_is_reported_while_recording() -> None:
    inspector = Inspector(profile(), None, Eyes(lambda at: PictureFigures(at, 640, 480, 1.0, 0, 1)))
    feed(inspector, 1)
    assert inspector.troubles == {"camera": "it shows nothing but black"}


def test_pictures_that_were_not_looked_at_are_counted() -> None:
    class Blind(Eyes):
        def look(self, type_name: str, time_ns: int, message: bytes, tell: Callable) -> None:
            pass

    inspector = Inspector(profile(), None, Blind())
    feed(inspector)
    assert "camera: 2 pictures were not looked at" in report(inspector).broken
