"""Poses in 3D: a body each, where it is and where it came from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rerun")
from support.recordings import view
from support.two_arms import RATE_HZ, SECONDS, place, two_arms

from robot_recorder.content.contents import Numbers, Topic
from robot_recorder.messages.kinds import Sort
from robot_recorder.view.poses import by_frame, posed_bodies

NAMES = ("position/a/x (m)", "position/a/y (m)", "position/a/z (m)", "orientation/b/w (1)")


def topic(name: str, type_name: str = "a/msg/A") -> Topic:
    return Topic(f"/{name}", type_name, 1, Sort.POSE, name, None)


def test_every_body_is_where_its_messages_say(tmp_path: Path) -> None:
    found = view(two_arms(tmp_path / "bag"), tmp_path / "a.rrd")
    for entity, component in (
        ("/streams/bodies/bodies/hand", "Transform3D:translation"),
        ("/streams/bodies/trails/hand", "Points3D:positions"),
    ):
        times, places = found.rows(entity, component)
        assert len(times) > 0.95 * SECONDS * RATE_HZ
        expected = [place(t) for t in times]
        assert np.array([p[0] for p in places]) == pytest.approx(np.array(expected), abs=1e-6)
    assert "/streams/bodies/bodies/head" in found.entities()


def test_only_bodies_with_a_place_are_drawn() -> None:
    (body,) = posed_bodies(topic("suit"), NAMES)
    assert body.name == "a" and body.position == (0, 1, 2) and body.orientation == ()
    (alone,) = posed_bodies(topic("head"), ("position/x (m)", "position/y (m)", "position/z (m)"))
    assert alone.name == "head"
    assert posed_bodies(topic("tf", "tf2_msgs/msg/TFMessage"), NAMES) == []


def test_streams_of_one_frame_share_a_view() -> None:
    topics = [topic("head"), topic("hand"), topic("suit"), topic("tf", "tf2_msgs/msg/TFMessage")]
    found = by_frame(topics, {"/head": "room", "/hand": "room"})
    assert {name: [t.stream for t in ts] for name, ts in found.items()} == {
        "Poses in room": ["head", "hand"],
        "suit": ["suit"],
    }


def test_a_body_out_of_sight_has_no_place(tmp_path: Path) -> None:
    from robot_recorder.view import viewer
    from robot_recorder.view.log import RerunLog
    from robot_recorder.view.poses import PoseLog

    recording = viewer.new_recording()
    values = np.full((3, 4), np.nan)
    values[1, :3] = 1.0
    with viewer.saved(recording, tmp_path / "a.rrd"):
        log = PoseLog(RerunLog(recording, 0))
        log.add(Numbers(topic("suit"), NAMES, np.array([0.0, 1.0, 2.0]), values))
    from support.recordings import Recorded

    from robot_recorder.view.episode import ViewResult

    found = Recorded(tmp_path / "a.rrd", ViewResult(), 0)
    times, _ = found.rows("/streams/suit/bodies/a", "Transform3D:translation")
    assert times.tolist() == [1.0]
