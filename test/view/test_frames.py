"""The alignment of an episode: skews and statuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rerun")
from support.bags import NS
from support.recordings import Recorded
from support.samples import T0

from robot_recorder.content.contents import Contents
from robot_recorder.offline.align import align_episode


def test_skews_match_the_frames(recorded: Recorded, bag: Path) -> None:
    contents = Contents.open(bag)
    assert contents.plan is not None
    found = align_episode(contents.episode, contents.plan, contents.plan.frame_clock(None, ""))
    for number, stream in enumerate(found.streams):
        column = found.frames.columns[number]
        times, skews = recorded.rows(f"/alignment/{stream.name}/skew", "Scalars:scalars")
        assert times == pytest.approx((found.frames.ticks - T0) / NS)
        expected = np.where(column.status == 3, np.nan, column.skews / 1e6)
        assert np.array(skews)[:, 0] == pytest.approx(expected, nan_ok=True)
    times, states = recorded.rows("/alignment/camera/status", "StateChange:state")
    assert states[0] == ["missing"] and ["fine"] in states, "it begins later than the others"
