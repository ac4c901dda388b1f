"""The recording that ``view --save`` writes: long, foreign and bare bags.

Holds also: log.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rerun")
from support.bags import small_robot
from support.described import described_robot, picture
from support.recordings import view

from robot_recorder.view import episode


def test_a_long_episode_is_thinned_out_with_a_note(bag: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(episode, "MOST_PICTURE_BYTES", 30 * len(picture(0)))
    monkeypatch.setattr(episode, "MOST_VALUES", 1000)
    few = view(bag, tmp_path / "few.rrd")
    times, blobs = few.rows("/streams/camera", "EncodedImage:blob")
    assert 20 < len(times) <= 30
    assert [bytes(b[0]) for b in blobs] == [picture(round(t * 20)) for t in times]
    values = few.rows("/streams/joints/position/moving", "Scalars:scalars")[1]
    assert len(values) < 450 / 4
    assert "a long episode: one picture of 3" in few.viewed.notes[0]
    every = view(bag, tmp_path / "all.rrd", everything=True)
    assert len(every.rows("/streams/camera", "EncodedImage:blob")[0]) == 79
    assert not any("long episode" in note for note in every.viewed.notes)


def test_a_foreign_bag_is_shown_as_far_as_possible(tmp_path: Path) -> None:
    found = view(described_robot(tmp_path / "foreign", own=False), tmp_path / "foreign.rrd")
    assert {"/robot/hand", "/streams/camera", "/streams/cells/cells/map"} <= found.entities()
    assert not any(e.startswith("/labels/annotations") for e in found.entities())
    page = found.rows("/episode", "TextDocument:text")[1][-1][0]
    assert page.startswith("# foreign") and "Recording: not checked" in page


def test_a_bag_without_a_description_has_a_note_instead_of_a_robot(tmp_path: Path) -> None:
    found = view(small_robot(tmp_path / "small", 2), tmp_path / "small.rrd")
    assert any("holds no robot_description" in note for note in found.viewed.notes)
    assert not any(e.startswith("/robot") for e in found.entities())
    assert len(found.rows("/streams/camera", "EncodedImage:blob")[0]) == 40
