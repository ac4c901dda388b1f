"""Labels as lanes and as a history."""

from __future__ import annotations

import pytest

pytest.importorskip("rerun")
from support.recordings import Recorded


def test_labels_are_lanes_and_a_history(recorded: Recorded) -> None:
    def lane(name: str) -> list[tuple[float, str]]:
        times, states = recorded.rows(f"/labels/{name}", "StateChange:state")
        return [(round(t, 3), s[0]) for t, s in zip(times, states)]

    assert lane("outcome") == [
        (-0.5, "pre-roll"),
        (0, "failure: slip"),
        (3.8, "after the stop"),
        (3.99, ""),
    ]
    assert lane("annotations")[:2] == [(0.5, "reach"), (2.0, "")]
    assert lane("annotations")[2] == (3.0, "touch"), "an instant, on the first free lane"
    assert lane("annotations_2") == [(1.5, "slip"), (2.5, "")]
    times, texts = recorded.rows("/labels/history", "TextLog:text")
    assert len(times) == 6 and times.max() < 4, "a label given days later does not stretch the axis"
    assert texts[-1][0].startswith("outcome failure: slip instead of success, by bob, 2023-11-17")
