"""Forces as arrows on the robot."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rerun")
from support.described import force
from support.recordings import Recorded


def test_forces_are_arrows_on_the_link_that_messages_name(recorded: Recorded) -> None:
    times, arrows = recorded.rows("/robot/hand/wrench", "Arrows3D:vectors")
    lengths = np.array(arrows)[:, 0]
    forces = np.array([force(t) for t in times])
    assert (lengths[:, :2] == 0).all()
    assert lengths[:, 2] / forces == pytest.approx(lengths[0, 2] / forces[0], rel=1e-5)
    times, rows = recorded.rows("/streams/wrench/force", "Scalars:scalars")
    assert [r[0] for r in rows] == pytest.approx([force(t) for t in times])
    assert recorded.rows("/streams/wrench/force", "SeriesLines:names")[1] == [["wrench z"]]
