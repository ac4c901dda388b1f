"""Shipped profiles of robots and devices: good takes are accepted and true, defects are named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

from rclpy.serialization import deserialize_message
from support.robot_bags import send, write_take
from support.robot_defects import defects
from support.robot_messages import message_class, owners
from support.robot_truth import errors
from support.robot_zoo import CONFIG, TAKES, make_take, profile_of
from support.samples import T0

from robot_recorder.alignment.frames import SampleStatus
from robot_recorder.configuration.find import load_profile
from robot_recorder.configuration.profile import parse_profile
from robot_recorder.episodes.episode import Episode
from robot_recorder.offline.align import frames_of
from robot_recorder.offline.check import check_episode
from robot_recorder.quality.verdict import Verdict

DOCS = Path(__file__).parents[2] / "docs"
NO_TAKE = {
    "g1_sim",
    "g1_teleop",
    "g1_suit",
    "minimal_arm",
    "dex3",
}  # simulated, three times; to copy; part of the takes of a G1


def test_every_profile_has_a_take_and_is_listed_with_its_page() -> None:
    folders = (CONFIG / "robots", CONFIG / "devices")
    shipped = {path.stem for folder in folders for path in folder.glob("*.yaml")}
    assert shipped - NO_TAKE == set(TAKES)
    index = (DOCS / "robots.md").read_text()
    for name in sorted(shipped):
        assert load_profile(name).streams, "a device can be recorded alone, too"
        assert f"`{name}`" in index, f"docs/robots.md does not list {name}"
    for page in (DOCS / "robots").glob("*.md"):
        assert f"robots/{page.name}" in index, f"docs/robots.md does not link {page.name}"


@pytest.mark.parametrize("name", TAKES)
def test_a_profile_records_every_topic_of_its_take(name: str) -> None:
    profile = profile_of(name)
    take = make_take(name, seconds=4.0)
    types = {stream.topic: stream.type for stream in profile.streams}
    sent = {topic: made.type for topic, made in take.topics.items()}
    assert types.items() >= sent.items()
    required = {stream.topic for stream in profile.streams if stream.required}
    assert required <= set(sent), "a take without a required stream"


@pytest.mark.parametrize("name", TAKES)
def test_messages_made_in_bulk_say_what_was_put_into_them(name: str) -> None:
    for topic in make_take(name, seconds=4.0).topics.values():
        sent = send(topic, T0, np.random.default_rng(0))
        message = deserialize_message(sent.messages[7], message_class(topic.type))
        for path, values in topic.columns.items():
            put = np.ravel(values[7])
            said = np.ravel([getattr(owner, field) for owner, field in owners(message, path)])
            assert np.allclose(said[: len(put)], put, atol=1e-2 * np.abs(put).max() + 1e-3), path


@pytest.mark.parametrize("name", TAKES)
def test_a_good_take_is_accepted_and_its_frames_are_true(name: str, tmp_path: Path) -> None:
    profile, take = profile_of(name), make_take(name)
    path = write_take(take, tmp_path / name)
    result = check_episode(path, profile)
    assert not result.problems
    assert result.report.verdict is Verdict.ACCEPT, result.report.sentence
    found = errors(take, frames_of(Episode.open(path), profile=profile), T0)
    assert all(share < 1 for share in found.values()), f"error / tolerance: {found}"


@pytest.mark.parametrize("name", TAKES)
def test_defects_are_named_by_stream_and_check(name: str, tmp_path: Path) -> None:
    """All in one take that do not hide each other; ``make bench-robots`` plants every one alone."""
    take = make_take(name)
    planted = [defect for defect in defects(take) if not defect.alone]
    for defect in planted:
        defect.plant(take)
    report = check_episode(write_take(take, tmp_path / name), profile_of(name)).report
    missed = [defect.name for defect in planted if not defect.found(report)]
    assert not missed, f"{missed}; named: {report.reasons}; not checked: {report.broken}"
    assert report.verdict is not Verdict.ACCEPT


ONE_BODY = """
robot: studio
frame_rate_hz: 30
streams:
  box:
    topic: rigid_bodies
    type: mocap4r2_msgs/msg/RigidBodies
    role: observation
    rate_hz: 120
    as: pose
    map: {pose: "rigidbodies{rigid_body_name=box}.pose"}
"""


def test_a_body_keeps_its_own_pose_while_another_is_hidden(tmp_path: Path) -> None:
    """The bodies behind a hidden one move up in the message."""
    take = make_take("optitrack")
    next(d for d in defects(take) if "occluded" in d.name).plant(take)
    box = next(p for p in take.parts if "box" in p.values[0])
    values = tuple(f"position/{axis} (m)" for axis in "xyz")
    take.parts = [replace(box, stream="box", values=values)]
    path = write_take(take, tmp_path / "studio")
    aligned = frames_of(Episode.open(path), profile=parse_profile(ONE_BODY, "studio"))
    assert errors(take, aligned, T0)["box"] < 1
    assert (aligned.column("box").status <= SampleStatus.INTERPOLATED).all()


def test_a_robot_and_its_devices_are_one_profile() -> None:
    g1 = load_profile("unitree_g1_29_dex3")
    assert [s.name for s in g1.streams][:4] == ["body", "pelvis_imu", "arm_command", "left_hand"]
    arm = profile_of("inspire_ftp")
    commands = {s.name: s.of for s in arm.streams if s.of}
    assert commands["x_left_hand_command"] == "x_left_hand"
