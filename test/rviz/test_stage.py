"""The programs that show an episode in RViz depend on what is installed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from support.bags import PROFILE as SMALL
from support.bags import small_robot
from support.described import URDF, described_robot

from robot_recorder.model.errors import BagError, ConfigError, DecodeError
from robot_recorder.rviz.layout import Camera, RvizContent
from robot_recorder.rviz.stage import (
    LaunchArguments,
    Program,
    Stage,
    installed_package,
    live_stage,
    stage_for,
)

TEXTS = {
    "episode": "", "rate": "1.0", "start": "0.0", "loop": "false", "paused": "false",
    "description": "", "rviz": "true", "live": "", "namespace": "",
}  # fmt: skip
ROS = (
    "ros2bag",
    "rosbag2_storage_mcap",
    "robot_state_publisher",
    "rviz2",
    "tf2_ros",
    "compressed_image_transport",
)


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return described_robot(tmp_path_factory.mktemp("stage") / "007")


def have(*packages: str) -> Callable[[str], bool]:
    return lambda name: name in packages


def staged(wish: LaunchArguments, folder: Path, *packages: str) -> Stage:
    return stage_for(wish, folder, have(*packages))


def by_name(stage: Stage) -> dict[str, Program]:
    return {p.executable or p.arguments[0]: p for p in stage.programs}


def test_programs_of_an_installed_distribution_are_used(bag: Path, tmp_path: Path) -> None:
    stage = staged(LaunchArguments(bag, rate=0.5, loop=True, paused=True), tmp_path, *ROS)
    programs = by_name(stage)
    assert set(programs) == {
        "ros2", "scene", "robot_state_publisher", "static_transform_publisher", "rviz2"
    }  # fmt: skip
    assert stage.notes == () and stage.namespace == ""
    play = programs["ros2"]
    assert play.arguments[:4] == ("ros2", "bag", "play", str(bag)) and play.essential
    assert {"--loop", "--start-paused", "0.5", "--clock"} <= set(play.arguments)
    assert programs["scene"].parameters == {"episode": str(bag), "frame": "base"}
    links = programs["robot_state_publisher"]
    assert links.parameters["robot_description"] == URDF and links.parameters["use_sim_time"]
    assert ("joint_states", "/joint_states") in links.remappings
    rviz = programs["rviz2"]
    layout = yaml.safe_load(Path(rviz.arguments[1]).read_text())
    assert layout["Visualization Manager"]["Global Options"]["Fixed Frame"] == "base"
    assert rviz.essential and rviz.parameters == {"use_sim_time": True}
    assert programs["static_transform_publisher"].arguments[:2] == ("--frame-id", "base")


def test_missing_packages_are_reported_and_the_rest_runs(bag: Path, tmp_path: Path) -> None:
    stage = staged(LaunchArguments(bag), tmp_path)
    assert set(by_name(stage)) == {"player", "scene"}
    said = " ".join(stage.notes)
    assert "apt install ros-$ROS_DISTRO-rviz2" in said
    assert "apt install ros-$ROS_DISTRO-robot-state-publisher" in said
    dark = staged(LaunchArguments(bag), tmp_path, "rviz2")
    assert "ros-$ROS_DISTRO-compressed-image-transport" in " ".join(dark.notes)
    without = staged(LaunchArguments(bag, rviz=False), tmp_path, *ROS)
    assert "rviz2" not in by_name(without) and without.notes == ()
    other_storage = staged(LaunchArguments(bag), tmp_path, "ros2bag", "rosbag2_storage_sqlite3")
    assert "player" in by_name(other_storage)


def test_a_start_in_the_middle_uses_our_player(bag: Path, tmp_path: Path) -> None:
    stage = staged(LaunchArguments(bag, start_s=1.5, rate=2.0), tmp_path, *ROS)
    player = by_name(stage)["player"]
    assert player.parameters["start"] == 1.5 and player.parameters["rate"] == 2.0
    assert player.essential and "latched" in stage.notes[0]


def test_an_episode_in_a_namespace_without_a_description(tmp_path: Path) -> None:
    bag = small_robot(tmp_path / "b", 1.0, prefix="/r/", namespace="/r", profile_yaml=SMALL)
    stage = staged(LaunchArguments(bag), tmp_path, *ROS)
    assert stage.namespace == "/r" and "robot_state_publisher" not in by_name(stage)
    assert "description:=FILE.urdf" in " ".join(stage.notes)
    file = tmp_path / "arm.urdf"
    file.write_text(URDF)
    stage = staged(LaunchArguments(bag, description=str(file)), tmp_path, *ROS)
    links = by_name(stage)["robot_state_publisher"]
    assert ("joint_states", "/r/joint_states") in links.remappings
    assert str(file) in (tmp_path / "episode.rviz").read_text()


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ({}, "either episode:=PATH"),
        ({"episode": "x", "live": "g1_sim"}, "either episode:=PATH"),
        ({"episode": "x", "rate": "fast"}, "rate:=fast is not a number"),
        ({"episode": "x", "rate": "0"}, "rate 0 is not between"),
        ({"episode": "x", "loop": "yes"}, "loop:=yes is not true or false"),
    ],
)
def test_invalid_arguments_are_an_error(texts: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        LaunchArguments.from_texts({**TEXTS, **texts})


def test_an_episode_that_cannot_be_played_is_an_error(bag: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.urdf"
    broken.write_text("<robot")
    for wish, error, words in (
        (LaunchArguments(tmp_path), BagError, "not a bag"),
        (LaunchArguments(bag, start_s=99.0), ConfigError, "start 99 s is not within"),
        (LaunchArguments(bag, description="/no.urdf"), ConfigError, "/no.urdf cannot be read"),
        (LaunchArguments(bag, description="arm.urdf.xacro"), ConfigError, "has to be expanded"),
        (LaunchArguments(bag, description=str(broken)), DecodeError, "robot description"),
    ):
        with pytest.raises(error, match=words):
            staged(wish, tmp_path, *ROS)


def test_arguments_are_parsed() -> None:
    given = {"episode": "007", "start": "2", "paused": "True", "rviz": "false"}
    wish = LaunchArguments.from_texts({**TEXTS, **given})
    assert (wish.start_s, wish.paused, wish.rviz, wish.rate) == (2.0, True, False, 1.0)
    assert wish.episode.is_absolute() and wish.episode.name == "007"
    live = LaunchArguments.from_texts({**TEXTS, "live": "g1_sim", "namespace": "robot_07/"})
    assert (live.live, live.namespace) == ("g1_sim", "/robot_07")


def test_nothing_is_played_for_a_live_robot(tmp_path: Path) -> None:
    wish = LaunchArguments(Path(), live="arm.yaml", namespace="/r")
    shown = RvizContent(
        "/r", URDF, "base", "/r/joint_states", (), (Camera("eye", "/r/eye/compressed"),),
        moved=False, own_tf=True, frames="",
    )  # fmt: skip
    programs = by_name(live_stage(wish, shown, tmp_path, have(*ROS)))
    assert set(programs) == {
        "scene", "robot_state_publisher", "static_transform_publisher", "rviz2"
    }  # fmt: skip
    assert programs["scene"].parameters == {"profile": "arm.yaml"}, "it finds out the frame itself"
    for name in ("robot_state_publisher", "rviz2"):
        assert programs[name].parameters["use_sim_time"] is False
        assert ("/tf", "tf") in programs[name].remappings
    moved = by_name(live_stage(wish, replace(shown, moved=True), tmp_path, have(*ROS)))
    assert "robot_state_publisher" not in moved
    bare = live_stage(wish, replace(shown, description=""), tmp_path, have("rviz2"))
    assert "it publishes no description" in " ".join(bare.notes)
    assert "start again once the robot is up" in " ".join(bare.notes)
    assert "compressed_image_transport" in " ".join(bare.notes)


def test_packages_are_found_in_the_ament_index() -> None:
    pytest.importorskip("rclpy")
    assert installed_package("robot_recorder") and not installed_package("no_such_package")
