"""Tactile pads as maps and sums."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rerun")
from support.described import COLS, ROWS, SECONDS, pressures
from support.recordings import Recorded, view
from support.two_arms import cells as hand_cells
from support.two_arms import two_arms

from robot_recorder.content.contents import Topic
from robot_recorder.messages.kinds import Sort
from robot_recorder.view.touch import touch_maps


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


def test_several_pads_are_laid_out_side_by_side_with_their_names(tmp_path: Path) -> None:
    found = view(two_arms(tmp_path / "bag"), tmp_path / "arms.rrd")
    times, maps = found.rows("/streams/touch/normal/map/tip", "DepthImage:buffer")
    for time, buffer in list(zip(times, maps))[::40]:
        assert np.frombuffer(bytes(buffer[0]), "<f4") == pytest.approx(hand_cells(time)[:4])
    ((names,),) = [found.rows("/streams/touch/normal/map/pad_names", "Points2D:labels")[1]]
    assert names == ["tip", "palm"]
    ranges = [
        found.rows(f"/streams/touch/normal/map/{pad}", "DepthImage:depth_range")[1]
        for pad in ("tip", "palm")
    ]
    assert ranges[0] == ranges[1] == [[[1000.0, 1600.0]]]
    _, sums = found.rows("/streams/touch/normal/total", "Scalars:scalars")
    assert sums[100] == pytest.approx([hand_cells(2.0)[:4].sum(), 6000])


def test_absent_taxels_are_left_out_of_the_sum_and_have_no_colour() -> None:
    topic = Topic("/t", "a/msg/A", 1, Sort.TACTILE, "t", None)
    names = ("normal/a/0 (raw)", "normal/a/1 (raw)", "normal/a/2 (raw)", "normal/b/0,0 (raw)")
    (found,) = touch_maps(topic, names)
    values = np.array([[1.0, np.nan, 3.0, 4.0]])
    assert found.sums(values).tolist() == [[4.0, 4.0]]
    cells = found.pads[0].cells(values)
    assert cells.shape == (1, 4) and np.isnan(cells[0, [1, 3]]).all()


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), min_size=2, max_size=20))
def test_pads_never_overlap(shapes: list[tuple[int, int]]) -> None:
    topic = Topic("/t", "a/msg/A", 1, Sort.TACTILE, "t", None)
    names = [f"normal/p{n}/{r},{c} (N)" for n, (rows, cols) in enumerate(shapes)
             for r in range(rows) for c in range(cols)]  # fmt: skip
    (found,) = touch_maps(topic, names)
    assert [p.shape for p in found.pads] == shapes
    taken: set[tuple[int, int]] = set()
    for pad in found.pads:
        mine = {(pad.at[0] + r, pad.at[1] + c) for r in range(pad.shape[0]) for c in range(pad.shape[1])}  # fmt: skip
        assert not mine & taken
        taken |= mine
