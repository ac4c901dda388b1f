"""Profiles guessed from what robots and devices publish, against the shipped ones."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from support.live_robot import LiveRobot
from support.robot_bags import write_take
from support.robot_zoo import make_take, profile_of

from robot_recorder.cli.main import main
from robot_recorder.configuration.profile import parse_profile
from robot_recorder.episodes.episode import Episode
from robot_recorder.messages.kinds import KINDS
from robot_recorder.model.streams import RobotProfile
from robot_recorder.offline.align import frames_of
from robot_recorder.offline.guess_bag import profile_yaml

TAKES = ("unitree_g1_29_dex3", "unitree_g1_29_inspire_ftp", "kuavo", "tiangong", "optitrack", "xsens",
         "xela", "booster_t1")  # fmt: skip


def meanings(profile: RobotProfile) -> dict[str, set[str]]:
    """Return what the mapped streams of each topic are."""
    found: dict[str, set[str]] = {}
    for stream in profile.streams:
        if stream.mapping is not None and stream.type not in KINDS:
            meaning = stream.mapping.meaning.value.replace("poses", "pose")
            found.setdefault(stream.topic.lstrip("/"), set()).add(meaning)
    return found


@pytest.mark.parametrize("name", TAKES)
def test_every_topic_of_a_vendors_type_is_mapped_as_in_the_shipped_profile(
    name: str, tmp_path: Path
) -> None:
    take = make_take(name, seconds=4.0)
    bag = write_take(take, tmp_path / name)
    guess = parse_profile(profile_yaml(Episode.open(bag)), "guess")
    found = meanings(guess)
    for topic, wanted in meanings(profile_of(name)).items():
        if topic in {t.lstrip("/") for t in take.topics}:
            assert wanted <= found.get(topic, set()), (topic, guess.text)
    shipped = {s.topic.lstrip("/"): s for s in profile_of(name).streams}
    for stream in guess.streams:
        other = shipped.get(stream.topic.lstrip("/"))
        if other is not None and stream.mapping is not None:
            worn = name == "xsens"  # nothing says that a person's body commands the robot
            assert stream.role is other.role or worn, stream
            assert other.stamp.path is None or other.stamp.text in guess.text, stream
    frames = frames_of(Episode.open(bag), profile=guess)
    assert frames is not None


def test_a_running_robot_of_its_own_types_is_guessed_and_passes_the_check(
    tmp_path: Path, capsys
) -> None:
    take = make_take("unitree_g1_29_dex3", seconds=30.0)
    with LiveRobot(take, take) as robot:
        robot.wait("its start", lambda: robot.now_s > 0.5)
        assert main(["profile", "guess", "--live", "--seconds", "4"]) == 0
        path = tmp_path / "g1.yaml"
        path.write_text(capsys.readouterr().out)
        assert main(["profile", "check", str(path), "--live", "2"]) == 0
    printed = capsys.readouterr().out
    assert "29 joints, rad" in printed and "108 taxels" in printed and "IMU" in printed
    assert "tick (device clock)" in printed
    profile = parse_profile(path.read_text(), "guess")
    assert {s.of for s in profile.streams} >= {"lowstate", "dex3_left_state", "dex3_right_state"}
