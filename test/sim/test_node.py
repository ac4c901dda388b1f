"""The simulated robot's node publishes every stream with its rate and stamps.

Holds also: camera_process.py, templates.py.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.pictures import pixels
from support.robot import LATCHED, Bench, process

pytest.importorskip("rclpy")

from std_msgs.msg import String

from robot_recorder.bags.reader import read_messages
from robot_recorder.content.contents import Contents
from robot_recorder.content.series import load
from robot_recorder.episodes.episode import Episode
from robot_recorder.messages.cdr import header_stamp_ns
from robot_recorder.messages.kinds import KINDS
from robot_recorder.report.picture import draw
from robot_recorder.srv import PerformTask, StartEpisode, StopEpisode

pytestmark = pytest.mark.alone

RATES = {
    "/joint_states": 500, "/joint_commands": 500, "/left_wrist/wrench": 500,
    "/right_wrist/wrench": 500, "/left_palm/tactile": 100, "/right_palm/tactile": 100, "/imu": 200,
    "/head_camera/image/compressed": 15, "/head_camera/camera_info": 15,
    "/left_wrist_camera/image/compressed": 15, "/left_wrist_camera/camera_info": 15,
}  # fmt: skip


@pytest.fixture(scope="module")
def episode(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Episode:
    """Record two seconds of the robot reaching for the box."""
    root = tmp_path_factory.mktemp("episodes")
    with (
        Bench("simbot") as bench,
        process("sim_robot", "simbot", cache=model_cache),
        process("record", "simbot", profile="g1_sim", root=root),
    ):
        results: list[str] = []
        bench.node.create_subscription(
            String, "sim/result", lambda m: results.append(m.data), LATCHED
        )
        bench.wait("the simulated robot", bench.ready, 90)
        assert bench.call(PerformTask, "sim/perform", task="lift_box", seed=1).success
        bench.wait("the robot to move", lambda: any("performing" in r for r in results))
        # no pre-roll: the robot has only just started
        started = bench.call(
            StartEpisode, "recorder/start_episode", task="lift_box", pre_roll_s=0.0
        )
        assert started.success, started.message
        end = bench.status.duration_s + 2.0
        bench.wait(
            "two seconds", lambda: bench.status.state == 1 and bench.status.duration_s >= end
        )
        stopped = bench.call(StopEpisode, "recorder/stop_episode")
        assert stopped.success and stopped.dropped == 0
        refused = bench.call(PerformTask, "sim/perform", task="fly")
        assert not refused.success and "lift_box" in refused.message
    return Episode.open(Path(stopped.path))


def test_every_stream_is_recorded_without_losses(episode: Episode) -> None:
    """By stamps: none is missing between the first and the last sample."""
    stamps: dict[str, list[int]] = {}
    for message in read_messages(episode.path):
        if message.type in KINDS:
            stamps.setdefault(message.topic.removeprefix("/simbot"), []).append(
                header_stamp_ns(message.data)
            )
    assert set(stamps) == set(RATES)
    for topic in ("/joint_states", "/joint_commands", "/left_wrist/wrench", "/right_wrist/wrench"):
        steps = np.diff(stamps[topic])
        # Physics steps: 2 ms each, unless a busy machine made the simulation give up real time.
        assert np.mean(steps == 2_000_000) > 0.99, topic
        assert len(steps) > 900
    for topic, rate in RATES.items():
        assert len(stamps[topic]) >= 0.9 * rate * 2.0, topic


def test_the_robot_moves_and_the_action_leads(episode: Episode) -> None:
    data = load(Contents.open(episode.path))
    assert not data.problems
    by_topic = {s.topic.name.removeprefix("/simbot"): s for s in data.series}
    states, commands = by_topic["/joint_states"], by_topic["/joint_commands"]
    assert states.values.shape[1] == 3 * 43 and commands.values.shape[1] == 43
    assert np.ptp(states.values[:, :43], axis=0).max() > 0.1
    assert len(data.pictures) == 2 and all(len(p.times_s) > 20 for p in data.pictures)
    imu = by_topic["/imu"]
    assert np.linalg.norm(imu.values[:, 7:], axis=1).mean() == pytest.approx(9.81, abs=0.5)


def test_the_picture_shows_the_box(episode: Episode, tmp_path: Path) -> None:

    draw(load(Contents.open(episode.path)), tmp_path / "episode.png")
    image = pixels(tmp_path / "episode.png")
    assert image.shape[1] == 1500 and image.shape[0] > 800
    orange = (image[..., 2] > 200) & (image[..., 0] < 60) & (image[..., 1] < 160)
    assert orange.mean() > 0.005, "the box on the film strip"


def test_frames_cover_all_streams(episode: Episode) -> None:
    certificate = episode.certificate
    assert certificate is not None
    assert {name for name, s in certificate.streams.items() if s.policy != "none"} == {
        "joint_states", "joint_commands", "left_wrench", "right_wrench", "left_tactile",
        "right_tactile", "imu", "head_camera", "left_wrist_camera",
    }  # fmt: skip
    assert certificate.complete / certificate.frames > 0.7, "complete unless the machine is busy"
    assert sum(filter(None, episode.streams["/simbot/joint_states"]["lost"].values())) == 0
