"""Tactile pads as maps and sums."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rerun")
from support.described import COLS, ROWS, SECONDS, pressures
from support.recordings import Recorded


def test_touch_is_a_map_of_rows_and_columns(recorded: Recorded) -> None:
    times, maps = recorded.rows("/streams/palm/normal/map", "DepthImage:buffer")
    assert len(times) == (SECONDS + 0.5) * 50
    for time, cells_ in list(zip(times, maps))[::40]:
        found = np.frombuffer(bytes(cells_[0]), "<f4")
        assert found == pytest.approx(pressures(time))
    (((shape,),),) = [recorded.rows("/streams/palm/normal/map", "DepthImage:format")[1]]
    assert (shape["height"], shape["width"]) == (ROWS, COLS)
    times, totals = recorded.rows("/streams/palm/normal/total", "Scalars:scalars")
    assert [t[0] for t in totals] == pytest.approx([pressures(t).sum() for t in times], rel=1e-6)
    _, colours = recorded.rows("/robot/hand/palm", "Points3D:colors")
    assert {len(c) for c in colours} == {ROWS * COLS}
