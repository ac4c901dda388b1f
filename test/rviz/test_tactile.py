"""Cells of tactile pads: place, colour and scale."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.messages.decoders import TactileUnit
from robot_recorder.model.errors import ConfigError
from robot_recorder.rviz.shapes import GREY, Cells, Text
from robot_recorder.rviz.tactile import PadLayout, PadReading, PressureScale, pad_shapes, parse_pads


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
