"""Three robots publish their own messages at real rates; the real nodes record and judge them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from support.live_robot import LiveRobot
from support.robot import process
from support.robot_defects import defects
from support.robot_truth import errors
from support.robot_zoo import make_take

from robot_recorder.configuration.find import load_profile
from robot_recorder.episodes.episode import Episode
from robot_recorder.offline.align import frames_of
from robot_recorder.srv import StartEpisode, StopEpisode

_OF_CONTENT = {"not_a_number", "joint_jump", "joint_frozen", "frozen", "taxels_dead", "undecodable"}


@pytest.mark.parametrize("name", ["unitree_g1_29_dex3", "kuavo", "robotis_ffw"])
def test_a_good_take_is_recorded_whole_and_true_and_a_bad_one_is_rejected(
    name: str, tmp_path: Path
) -> None:
    profile = load_profile(name)
    take, broken = make_take(name, seconds=30.0), make_take(name, seconds=30.0)
    next(d for d in defects(broken) if d.checks == ("joint_jump",)).plant(broken)
    with process("record", profile=name, root=tmp_path), LiveRobot(take, broken) as robot:
        robot.wait("all streams", lambda: robot.ready() and robot.now_s > 1.5)
        good = record(robot)
        robot.is_broken = True
        bad = record(robot)
    found = errors(take, frames_of(good, profile=profile), robot.start_ns)
    # A loaded machine may delay messages, but not by more than this.
    assert all(share < 2 for share in found.values()), f"error / tolerance: {found}"
    assert good.lost == (0, True)
    assert not named(good) & _OF_CONTENT and good.facts["verdict"] != "reject", named(good)
    assert "joint_jump" in named(bad) and bad.facts["verdict"] == "reject", named(bad)


def named(episode: Episode) -> set[str]:
    """Return the checks that found something."""
    return {finding["check"] for finding in json.loads(episode.facts["quality"])["findings"]}


def record(robot: LiveRobot) -> Episode:
    """Record an episode of 3 s."""
    started = robot.call(StartEpisode, "recorder/start_episode", pre_roll_s=0.0)
    assert started.success, started.message
    end_s = robot.now_s + 3.0
    robot.wait("the episode's end", lambda: robot.now_s > end_s)
    stopped = robot.call(StopEpisode, "recorder/stop_episode")
    assert stopped.success, stopped.message
    return Episode.open(Path(stopped.path))
