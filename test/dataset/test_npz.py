"""Frames as arrays of NumPy.

Holds also: arrays.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.alignments import aligned
from support.bags import PROFILE, small_robot

from robot_recorder.alignment.frames import SampleStatus
from robot_recorder.dataset.export import export
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.streams import FrameClock


def test_tables_hold_the_frames(tmp_path: Path) -> None:
    window = PROFILE.replace("WrenchStamped, role", "WrenchStamped, window: true, role")
    found = aligned(small_robot(tmp_path / "bag", 3), FrameClock(20.0), window)
    export(found, tmp_path / "a.npz")
    table = np.load(tmp_path / "a.npz")
    facts = json.loads(str(table["facts"]))
    assert facts["rate_hz"] == 20 and facts["status"]["held"] == int(SampleStatus.HELD)
    assert facts["streams"][0]["value_names"] == [
        "position/joint_0 (rad)",
        "position/joint_1 (rad)",
    ]
    assert facts["certificate"]["streams"]["camera"]["count"] == 60
    assert (table["tick_ns"] == found.frames.ticks).all() and table["complete"].all()
    assert (table["joints.values"] == found.frames.columns[0].values).all()
    assert list(table["joints.names"]) == facts["streams"][0]["value_names"]
    splits = table["wrench.window_splits"]
    assert len(splits) == len(found.frames) + 1
    assert splits[-1] == len(table["wrench.window_stamp_ns"]) > 280
    numbers = table["camera.sample"]  # index of the image among the messages of its topic
    assert (np.diff(numbers) >= 0).all() and numbers.max() < 60
    with pytest.raises(ConfigError, match=r"\.npz or \.parquet"):
        export(found, tmp_path / "a.csv")
    with pytest.raises(ConfigError, match="cannot be written"):
        export(found, tmp_path / "nowhere" / "a.npz")
    assert not list(tmp_path.glob(".*partial"))
