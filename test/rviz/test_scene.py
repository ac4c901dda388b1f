"""The shapes of sensors as their messages come and stop coming."""

from __future__ import annotations

import pytest
from support.full_robot import TACTILE
from support.samples import T0, WRENCH, wrench

from robot_recorder.model.errors import DecodeError
from robot_recorder.rviz.scene import SensorScene, SensorStream
from robot_recorder.rviz.shapes import GREY, Cells, Lines, Text


def colours(scene: SensorScene, seconds: float) -> set[object]:
    """Return the colours of shapes of one colour."""
    return {s.colour for s in scene.shapes(seconds) if not isinstance(s, Cells | Lines)}


def test_a_stream_that_falls_silent_turns_grey_and_disappears() -> None:
    stream = SensorStream("left", "/left", WRENCH)
    scene = SensorScene([stream])
    scene.see(stream, wrench(T0, (0, 0, 30, 0, 0, 0), "hand"), 100.0)
    assert colours(scene, 100.0) != {GREY}
    for _ in range(8):
        last = scene.shapes(103.0)
    assert colours(scene, 103.0) == {GREY} and last[0].frame == "hand"
    assert scene.shapes(106.0) == []
    scene.see(stream, wrench(T0, (0, 0, 30, 0, 0, 0), "hand"), 107.0)
    assert len(scene.shapes(107.0)) == 2
    assert len(scene.shapes(3.0)) == 2, "when a loop starts again, nothing is old"


def test_a_message_without_a_frame_is_not_drawn_and_an_invalid_one_is_an_error() -> None:
    stream = SensorStream("left", "/left", WRENCH)
    touch = SensorStream("palm", "/palm", TACTILE)
    scene = SensorScene([stream, touch])
    scene.see(stream, wrench(T0), 1.0)
    assert scene.shapes(1.0) == []
    for wrong in (b"", b"\0\1\0\0", wrench(T0)[:30]):
        with pytest.raises(DecodeError):
            scene.see(stream, wrong, 1.0)
        with pytest.raises(DecodeError):
            scene.see(touch, wrong, 1.0)


def test_a_recorded_pad_is_decoded() -> None:
    from support.described import _tactile, pressures

    touch = SensorStream("palm", "/palm", TACTILE)
    scene = SensorScene([touch])
    scene.see(touch, _tactile(T0, pressures(1.0)), 1.0)
    cells, label = scene.shapes(1.0)
    assert (
        isinstance(cells, Cells)
        and isinstance(label, Text)
        and len(cells.centres) == len(pressures(1.0)) == 6
    )
    assert label.text == f"{pressures(1.0).max() / 1000:.2g} kPa"
