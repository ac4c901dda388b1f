"""Numbers of an episode as curves."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rerun")
from support.bags import angle
from support.described import SECONDS, cells
from support.recordings import Recorded


def test_joints_have_the_values_in_the_bag(recorded: Recorded) -> None:
    for stream, more, label in (
        ("joints", 0.0, "joint_0"),
        ("commands", 0.01, "joint_0, commanded"),
    ):
        entity = f"/streams/{stream}/position/moving"
        times, values = recorded.rows(entity, "Scalars:scalars")
        names = recorded.rows(entity, "SeriesLines:names")[1][0]
        assert len(times) == (SECONDS + 0.5) * 100 and times[0] == -0.5
        column = names.index(label)
        assert [v[column] for v in values] == pytest.approx(angle(times) + more, abs=1e-12)
        assert [v[1 - column] for v in values] == pytest.approx(
            angle(times + 0.4) + more, abs=1e-12
        )


def test_numbers_of_a_type_defined_in_the_bag_are_curves_and_a_map(recorded: Recorded) -> None:
    times, values = recorded.rows("/streams/cells/cells", "Scalars:scalars")
    assert np.array(values) == pytest.approx(np.array([cells(t) for t in times]))
    _, maps = recorded.rows("/streams/cells/cells/map", "DepthImage:buffer")
    assert len(maps) == len(times)
    assert any("/undefined" in note for note in recorded.viewed.notes)
