"""The simulated robot's node publishes every stream with its rate and stamps.

Holds also: camera_process.py, templates.py, worn_devices.py.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from support.pictures import pixels
from support.robot import LATCHED, RecorderClient, process

pytest.importorskip("rclpy")

from std_msgs.msg import String
from std_srvs.srv import SetBool

from robot_recorder.bags.reader import read_messages
from robot_recorder.configuration.find import config_directory
from robot_recorder.content.contents import Contents
from robot_recorder.content.series import load
from robot_recorder.episodes.episode import Episode
from robot_recorder.messages.cdr import header_stamp_ns
from robot_recorder.messages.kinds import KINDS
from robot_recorder.messages.markers import MarkerAction, read_markers
from robot_recorder.model.streams import NS_PER_MS, StreamHealth
from robot_recorder.report.picture import draw
from robot_recorder.sim.node import STEP_NS, AttemptTimes
from robot_recorder.srv import PerformTask, StartEpisode, StopEpisode

pytestmark = pytest.mark.alone

RATES = {
    "/joint_states": 500, "/joint_commands": 500, "/left_wrist/wrench": 500,
    "/right_wrist/wrench": 500, "/left_palm/tactile": 100, "/right_palm/tactile": 100, "/imu": 200,
    "/head_camera/image/compressed": 15, "/head_camera/camera_info": 15,
    "/left_wrist_camera/image/compressed": 15, "/left_wrist_camera/camera_info": 15,
    "/vr/head": 72, "/vr/left_hand": 72, "/vr/right_hand": 72, "/mocap/body": 60,
}  # fmt: skip
SECONDS = 6.5  # a drift takes five seconds to be known
DRIFT_PPM = {"vr": 400.0, "mocap": -300.0}
REFUSED: list[str] = []  # what the recorder says while the headset is off


@pytest.fixture(scope="module")
def episode(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Episode:
    """Record the robot lifting the box, by an operator whose devices drift."""
    root = tmp_path_factory.mktemp("episodes")
    timings = yaml.safe_load((config_directory() / "sim_g1.yaml").read_text())
    for device, ppm in DRIFT_PPM.items():
        timings[device] |= {"drift_ppm": ppm, "jitter_ms": 0.2}
    (root / "timings.yaml").write_text(yaml.safe_dump(timings))
    with (
        RecorderClient("operator", "simbot") as operator,
        process("sim_robot", "simbot", cache=model_cache, timings=root / "timings.yaml"),
        process("record", "simbot", profile="g1_sim", root=root),
    ):
        results: list[str] = []
        operator.node.create_subscription(
            String, "sim/result", lambda m: results.append(m.data), LATCHED
        )
        operator.wait("the simulated robot", operator.ready, 90)
        assert operator.call(PerformTask, "sim/perform", task="lift_box", seed=1).success
        operator.wait("the robot to move", lambda: any("performing" in r for r in results))
        # No pre-roll: the robot has only just started. Forced: a busy machine simulates slowly.
        started = operator.call(
            StartEpisode, "recorder/start_episode", task="lift_box", pre_roll_s=0.0, force=True
        )
        assert started.success, started.message
        end = operator.status.duration_s + SECONDS
        operator.wait(
            "some seconds", lambda: operator.status.state == 1 and operator.status.duration_s >= end
        )
        stopped = operator.call(StopEpisode, "recorder/stop_episode")
        assert stopped.success and stopped.dropped == 0
        refused = operator.call(PerformTask, "sim/perform", task="fly")
        assert not refused.success and "lift_box" in refused.message
        take_the_headset_off(operator)
    return Episode.open(Path(stopped.path))


def take_the_headset_off(operator: RecorderClient) -> None:
    """Ask the recorder to start while nobody wears the headset, and after it is put on again."""
    assert operator.call(SetBool, "sim/wear_headset", data=False).success
    operator.wait("the still head", lambda: operator.stream("vr_head").health == StreamHealth.STILL)
    assert operator.stream("vr_left_hand").health == operator.stream("mocap_body").health == 0
    refused = operator.call(StartEpisode, "recorder/start_episode")
    assert not refused.success
    REFUSED.append(refused.message)
    assert operator.call(SetBool, "sim/wear_headset", data=True).success
    operator.wait("the worn head", operator.ready)
    assert operator.call(StartEpisode, "recorder/start_episode").success
    assert operator.call(StopEpisode, "recorder/stop_episode").success


def test_a_start_is_refused_while_the_headset_is_off(episode: Episode) -> None:
    (reason,) = REFUSED
    assert "vr_head is still (/simbot/vr/head has not moved for" in reason
    assert "put on the headset); or start with force" in reason
    assert "hand" not in reason, "the head says it all"


def stamps_of(episode: Episode) -> dict[str, list[int]]:
    """Return the header stamps of every topic."""
    stamps: dict[str, list[int]] = {}
    for message in read_messages(episode.path):
        if message.type in KINDS:
            stamps.setdefault(message.topic.removeprefix("/simbot"), []).append(
                header_stamp_ns(message.data)
            )
    return stamps


def given_up_s(episode: Episode) -> float:
    """Return how much real time the simulation gave up, because the machine was busy."""
    steps_ns = np.diff(stamps_of(episode)["/joint_states"])
    return float((steps_ns - 2_000_000).sum()) / 1e9


def test_every_stream_is_recorded_without_losses(episode: Episode) -> None:
    """By stamps: none is missing between the first and the last sample."""
    stamps, moving_s = stamps_of(episode), SECONDS - given_up_s(episode)
    assert set(stamps) == set(RATES)
    for topic in ("/joint_states", "/joint_commands", "/left_wrist/wrench", "/right_wrist/wrench"):
        steps = np.diff(stamps[topic])
        # Physics steps: 2 ms each, unless a busy machine made the simulation give up real time.
        assert np.mean(steps == 2_000_000) > 0.99, topic
        assert len(steps) > 450 * moving_s
    for topic, rate in RATES.items():
        assert len(stamps[topic]) >= 0.9 * rate * moving_s, topic


def test_the_place_and_its_things_are_recorded(episode: Episode) -> None:
    """By markers: the desk once, latched before the start, and the box wherever it is."""
    found: dict[str, list[bytes]] = {"place": [], "objects": []}
    topics = {"/simbot/sim/scene": "place", "/simbot/sim/objects": "objects"}
    for message in read_messages(episode.path, set(topics)):
        found[topics[message.topic]].append(message.data)
        kind = message.type
    (place,) = (read_markers(kind, data) for data in found["place"])
    assert place[0].action == MarkerAction.DELETEALL
    assert {m.key[0] for m in place[1:]} == {"desk", "spot"}
    assert {m.frame for m in place[1:]} == {"pelvis"}
    boxes = [
        [m for m in read_markers(kind, data) if m.key == ("box", 0) and m.action == 0]
        for data in found["objects"]
    ]
    assert len(boxes) >= 0.9 * 30 * (SECONDS - given_up_s(episode))
    assert all(len(box) == 1 for box in boxes)
    assert np.linalg.norm(boxes[0][0].scale) > 0.2 and abs(boxes[0][0].pose[1]) < 0.2


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


def test_the_drift_of_each_device_is_estimated_and_corrected(episode: Episode) -> None:
    certificate = episode.certificate
    assert certificate is not None
    for name in ("vr_head", "vr_left_hand", "vr_right_hand", "mocap_body"):
        stream = certificate.streams[name]
        planted = DRIFT_PPM[name.partition("_")[0]]
        assert stream.clock == "device"
        assert stream.drift_ppm is not None and stream.drift_pm_ppm is not None
        assert stream.drift_ppm == pytest.approx(planted, abs=max(80, 3 * stream.drift_pm_ppm)), (
            name
        )
        # A busy machine delays messages unevenly, and then the drift is said to be uncertain.
        assert stream.drift_is_known or stream.drift_pm_ppm > 100
        assert stream.offset_ms is not None and abs(stream.offset_ms) > 2000
        most_ms = 60 + 1000 * given_up_s(episode)
        assert stream.skew_max_ms is not None and stream.skew_max_ms < most_ms, "corrected"


def test_the_suit_and_the_headset_feel_the_same_body_at_the_same_time(episode: Episode) -> None:
    """Although their clocks are 18 s apart: hands move by up to 0.5 m/s."""
    by_topic = {s.topic.stream: s for s in load(Contents.open(episode.path)).series}
    body = by_topic["mocap_body"]
    for part in ("head", "left_hand", "right_hand"):
        own = by_topic[f"vr_{part}"]
        columns = [body.names.index(f"position/{part}/{axis} (m)") for axis in "xyz"]
        assert np.ptp(own.values[:, :3], axis=0).max() > 0.03
        inside = (own.times_s > body.times_s[0]) & (own.times_s < body.times_s[-1])
        for axis, column in enumerate(columns):
            felt = np.interp(own.times_s, body.times_s, body.values[:, column])
            apart = np.abs(felt - own.values[:, axis])[inside]
            assert np.quantile(apart, 0.95) < 4e-3, (part, axis)


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
        "right_tactile", "imu", "vr_head", "vr_left_hand", "vr_right_hand", "mocap_body",
        "head_camera", "left_wrist_camera",
    }  # fmt: skip
    assert certificate.complete / certificate.frames > 0.7, "complete unless the machine is busy"
    assert sum(filter(None, episode.streams["/simbot/joint_states"]["lost"].values())) == 0


def test_moments_are_where_the_streams_show_them_also_if_real_time_was_given_up():
    moments, now_ns = AttemptTimes(), 10**18
    shown = {}
    for step in range(1000):
        now_ns += STEP_NS + (300 * NS_PER_MS if step in (0, 400, 401, 900) else 0)
        moments.note(step * STEP_NS / 1e9, now_ns)
        shown[step * STEP_NS / 1e9] = now_ns
    asked = [(0.0, "begin"), (0.798, "reach"), (0.8, "grasp"), (0.802, "lift"), (1.9, "release")]
    assert moments.stamped(asked) == [[shown[at_s], name] for at_s, name in asked]
