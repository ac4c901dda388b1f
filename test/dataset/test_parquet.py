"""Frames as a Parquet table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.alignments import aligned
from support.bags import PROFILE, small_robot

from robot_recorder.dataset.export import export
from robot_recorder.model.streams import FrameClock


def test_parquet_holds_the_same_values_as_npz(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    window = PROFILE.replace("WrenchStamped, role", "WrenchStamped, window: true, role")
    found = aligned(small_robot(tmp_path / "bag", 3), FrameClock(20.0), window)
    export(found, tmp_path / "a.parquet")
    table = parquet.read_table(tmp_path / "a.parquet")
    assert table.column("tick_ns").to_pylist() == found.frames.ticks.tolist()
    assert table.column("joints.values").to_pylist() == found.frames.columns[0].values.tolist()
    assert table.column("camera.values").to_pylist()[0] == []
    frames = list(found.frames)
    stamps = table.column("wrench.window_stamp_ns").to_pylist()
    assert stamps[5] == (frames[5].samples[1].window_skew_ns + frames[5].tick_ns).tolist()
    values = table.column("wrench.window_values").to_pylist()
    assert values[5] == frames[5].samples[1].window_values.tolist()
    facts = json.loads(table.schema.metadata[b"robot_recorder"])
    assert facts["certificate"]["frames"] == len(found.frames)
