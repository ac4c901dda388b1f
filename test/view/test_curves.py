"""Numbers of an episode as curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rerun")
from support.bags import JOINTS, angle
from support.described import SECONDS, cells
from support.made import bag
from support.recordings import Recorded, view
from support.samples import T0, joint_state

from robot_recorder.view.layout import Layout


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


def test_values_that_never_change_are_no_curves_until_they_do(tmp_path: Path, monkeypatch) -> None:
    messages = [
        (
            T0 + k * 10**7,
            joint_state(T0 + k * 10**7, ("a", "b", "c"), (k / 100, 1.0 if k == 357 else 0.5, 0.25)),
        )
        for k in range(400)
    ]
    path = bag(tmp_path / "bag", {"/joint_states": (JOINTS, messages)})
    monkeypatch.setattr(
        Layout, "_values", lambda self, topic, names: self.first[topic.stream].values[:100]
    )
    found = view(path, tmp_path / "a.rrd")
    times, values = found.rows("/streams/joint_states/position/moving", "Scalars:scalars")
    assert len(times) == 400 and {len(v) for v in values} == {1}
    times, values = found.rows("/streams/joint_states/late/position/b", "Scalars:scalars")
    assert 1.0 in [v[0] for v in values] and times[-1] == pytest.approx(3.99)
    assert "/streams/joint_states/late/position/c" not in found.entities()
