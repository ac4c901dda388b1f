"""Shapes of forces, touch and text: place, length and colour."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.full_robot import TACTILE
from support.samples import T0, WRENCH, wrench

from robot_recorder.messages.decoders import TactileUnit
from robot_recorder.model.errors import ConfigError, DecodeError
from robot_recorder.rviz.scene import SensorScene, SensorStream
from robot_recorder.rviz.shapes import (
    GREEN,
    GREY,
    RED,
    VIOLET,
    YELLOW,
    Arrow,
    Cells,
    Text,
    between,
)
from robot_recorder.rviz.tactile import (
    PadLayout,
    PadReading,
    PressureScale,
    pad_shapes,
    parse_pads,
)
from robot_recorder.rviz.wrench import WrenchScale, wrench_shapes

SCALE = WrenchScale(m_per_n=0.01, m_per_nm=0.1, red_n=40.0)
numbers = st.floats(-1e4, 1e4)


def of_wrench(*values: float, silent: bool = False) -> dict:
    shapes = wrench_shapes(3, "hand", np.array(values), SCALE, silent)
    return {(s.key.kind, s.key.number): s for s in shapes}


def test_a_force_arrow_has_the_direction_and_size_of_the_force() -> None:
    shapes = of_wrench(0, -20, 0, 0, 0, 2)
    force, number = shapes["force", 6], shapes["force", 7]
    assert (force.frame, force.tail, force.head) == ("hand", (0, 0, 0), (0, -0.2, 0))
    assert force.colour == YELLOW and number.text == "20 N" and number.colour == YELLOW
    assert number.at[1] < -0.2, "the number is beyond the tip"
    torque, number = shapes["torque", 6], shapes["torque", 7]
    assert torque.head == (0, 0, 0.2) and torque.colour == VIOLET and number.text == "2.0 N m"
    assert torque.thickness < force.thickness


@pytest.mark.parametrize(("newton", "colour"), [(1e-9, GREEN), (20, YELLOW), (40, RED), (90, RED)])
def test_the_colour_shows_the_force(newton: float, colour: tuple) -> None:
    assert of_wrench(newton, 0, 0, 0, 0, 0)["force", 7].colour == pytest.approx(colour, abs=1e-3)


def test_noise_has_a_number_but_no_arrow_and_invalid_values_have_neither() -> None:
    assert {k: s.text for k, s in of_wrench(0.1, 0, 0, 0.1, 0, 0).items()} == {
        ("force", 7): "0.1 N"
    }
    assert not of_wrench(math.nan, 0, 0, 0, 0, 0) and not of_wrench(0, 0, 0, 0, math.inf, 0)


@given(st.lists(numbers, min_size=6, max_size=6))
def test_arrows_never_leave_the_view_and_keep_their_direction(values: list[float]) -> None:
    for shape in of_wrench(*values).values():
        if isinstance(shape, Arrow):
            vector = np.array(values[:3] if shape.key.kind == "force" else values[3:])
            head = np.array(shape.head)
            assert np.linalg.norm(head) <= 0.8 + 1e-3
            assert head @ vector == pytest.approx(
                np.linalg.norm(head) * np.linalg.norm(vector), rel=0.02
            )


def pad(
    values: Sequence[float], cols: int = 4, unit: TactileUnit = TactileUnit.PASCAL
) -> PadReading:
    return PadReading("palm", unit, cols, np.array(values, dtype=float))


def test_cells_lie_row_by_row_around_the_middle() -> None:
    layout = {"palm": PadLayout(0.014, -0.020)}
    cells, label = pad_shapes(1, pad([0] * 7 + [9000]), 10_000, layout)
    assert isinstance(cells, Cells) and isinstance(label, Text)
    x, y, _ = np.array(cells.centres).reshape(2, 4, 3).transpose(2, 0, 1)
    assert x[0] == pytest.approx([-0.021, -0.007, 0.007, 0.021]) and (x[0] == x[1]).all()
    assert y[:, 0] == pytest.approx([0.010, -0.010]), "rows are counted against y"
    assert cells.size[0] < 0.014 and cells.size[1] < 0.020
    assert len(set(cells.colours)) == 2 and sum(cells.colours[7]) > sum(cells.colours[0])
    assert label.text == "9 kPa"


def test_an_untouched_or_silent_pad_has_no_number_and_small_changes_keep_colours() -> None:
    dark = pad_shapes(1, pad([0, 10, 20, 30]), 10_000, {})
    noisy = pad_shapes(1, pad([30, 0, 10, 20]), 10_000, {})
    assert dark == noisy and len(dark) == 1
    (silent,) = pad_shapes(1, pad([9000] * 4), 10_000, {}, silent=True)
    assert isinstance(silent, Cells)
    assert set(silent.colours) == {GREY}
    assert pad_shapes(1, pad([]), 10_000, {}) == []
    (broken, *_) = pad_shapes(1, pad([math.nan, math.inf, -1, 0]), 10_000, {})
    assert isinstance(broken, Cells)
    assert broken.colours[0] == broken.colours[3]


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), min_size=1, max_size=20))
def test_the_scale_only_grows_and_covers_the_highest_pressure(values: list[float]) -> None:
    scale, last = PressureScale(), 0.0
    for value in values:
        full = scale.see(pad([value]))
        assert full >= last >= 0 and math.isfinite(full)
        assert not (math.isfinite(value) and value > full)
        last = full
    assert scale.most[TactileUnit.NORMALISED] == PressureScale().most[TactileUnit.NORMALISED]


def test_pads_are_parsed_and_invalid_ones_are_an_error() -> None:
    assert parse_pads("a:0.01,-0.02  b/c:1,1") == {
        "a": PadLayout(0.01, -0.02),
        "b/c": PadLayout(1, 1),
    }
    for text in ("a", "a:1", ":1,1", "a:0,1", "a:1,0", "a:x,1", "a:nan,1", "a:-1,1"):
        with pytest.raises(ConfigError, match="is not FRAME:X,Y"):
            parse_pads(text)


@given(st.floats(0, 1), st.floats(0, 1))
def test_an_interpolated_colour_is_between_its_neighbours(one: float, other: float) -> None:
    low, high = sorted((one, other))
    for a, b in zip(between(low, (GREEN, RED)), between(high, (GREEN, RED))):
        assert 0 <= a <= 1 and 0 <= b <= 1
    assert between(low, (GREEN, RED))[0] <= between(high, (GREEN, RED))[0]  # red grows


def colours(scene: SensorScene, seconds: float) -> set[object]:
    """Return the colours of shapes other than cells."""
    return {s.colour for s in scene.shapes(seconds) if not isinstance(s, Cells)}


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
