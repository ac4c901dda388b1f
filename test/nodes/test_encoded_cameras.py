"""Raw cameras are recorded encoded: every tool reads the episode, and every lost picture is counted."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("av")

from sensor_msgs.msg import Image, JointState
from support.children import children_of
from support.pictures import raw
from support.robot import RecorderClient, process

from robot_recorder.alignment.frame_messages import decode_frame
from robot_recorder.alignment.frames import Frame
from robot_recorder.bags.reader import read_messages
from robot_recorder.cli.main import main
from robot_recorder.content.read import read_pictures
from robot_recorder.episodes.episode import Episode
from robot_recorder.messages.cdr import header_frame_id, header_stamp_ns
from robot_recorder.messages.image_messages import encoded_picture
from robot_recorder.model.streams import StreamHealth
from robot_recorder.offline.align import align_episode
from robot_recorder.offline.check import check_episode
from robot_recorder.offline.plan import make_plan
from robot_recorder.srv import StartEpisode

pytestmark = pytest.mark.alone

PROFILE = """
robot: seeing
frame_rate_hz: 20
streams:
  joints: {topic: joint_states, type: sensor_msgs/msg/JointState, role: observation, rate_hz: 20}
  head: {topic: head/image, type: sensor_msgs/msg/Image, role: observation, rate_hz: 20, encode: {codec: jpeg, quality: 95}}
  depth: {topic: head/depth, type: sensor_msgs/msg/Image, role: observation, rate_hz: 20, encode: rvl}
  far: {topic: far/depth, type: sensor_msgs/msg/Image, role: observation, rate_hz: 20, encode: png16}
  film: {topic: film/image, type: sensor_msgs/msg/Image, role: observation, rate_hz: 20, encode: h264}
"""
RATE_HZ = 20
TOPICS = {
    "head/image": "/seeing/head/image/compressed",
    "head/depth": "/seeing/head/depth/compressedDepth",
    "far/depth": "/seeing/far/depth/compressedDepth",
    "film/image": "/seeing/film/image/foxglove",
}


class Cameras(RecorderClient):
    """A robot with raw cameras; ``sent`` has what was sent since ``forget``, by topic."""

    def __init__(self) -> None:
        super().__init__("cameras", "seeing")
        create = self.node.create_publisher
        self.joints = create(JointState, "joint_states", 100)
        self.publishers = {t: create(Image, t, 100) for t in TOPICS}
        self.sent: dict[str, dict[int, bytes]] = {topic: {} for topic in TOPICS}
        self.encoding = "rgb8"  # of the head's camera
        self._number = 0

    def publish(self) -> None:
        self._number += 1
        now_ns = time.time_ns()
        state = JointState(name=["a"], position=[0.001 * self._number])
        state.header.stamp.sec, state.header.stamp.nanosec = divmod(now_ns, 10**9)
        self.joints.publish(state)
        for topic, publisher in self.publishers.items():
            message = self._picture(topic, now_ns)
            self.sent[topic][now_ns] = message
            publisher.publish(message)

    def _picture(self, topic: str, now_ns: int) -> bytes:
        y, x = np.mgrid[0:120, 0:160]
        if "depth" in topic:
            depth = (1000 + 3 * x + 2 * y + self._number) * (x > 20)
            return raw(depth.astype("u2")[..., None], "16UC1", stamp_ns=now_ns)
        plane = 120 + 60 * np.sin(x / 15 + self._number / 9) + 40 * np.cos(y / 9)
        colours = np.stack([plane, 255 - plane, plane / 2], axis=2).astype(np.uint8)
        return raw(colours, self.encoding if topic == "head/image" else "rgb8", stamp_ns=now_ns)

    def publish_for(self, seconds: float) -> None:
        due = time.monotonic()
        end = due + seconds
        while due < end:
            self.publish()
            due += 1 / RATE_HZ
            while (left := due - time.monotonic()) > 0:
                self.executor.spin_once(timeout_sec=left)

    def publish_until(self, what: str, condition: Any, timeout_s: float = 30) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, f"waited for {what}; status: {self.status}"
            self.publish_for(0.2)

    def record(self, seconds: float = 3.0) -> Episode:
        """Record an episode of exactly what is sent meanwhile."""
        self.start()
        for sent in self.sent.values():
            sent.clear()
        self.publish_for(seconds)
        stopped = self.stop()
        assert stopped.success, stopped.message
        return Episode.open(Path(stopped.path))


@pytest.fixture(scope="module")
def cameras(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cameras, int]]:
    """Yield the cameras, and the process id of their recorder."""
    folder = tmp_path_factory.mktemp("encoded")
    (folder / "seeing.yaml").write_text(PROFILE)
    profile, root = folder / "seeing.yaml", folder / "root"
    with Cameras() as robot, process("record", "seeing", profile=profile, root=root) as recorder:
        robot.publish_until("all streams", lambda: robot.status is not None and robot.ready())
        yield robot, recorder.pid


def in_bag(episode: Episode, topic: str) -> dict[int, bytes]:
    return {header_stamp_ns(m.data): m.data for m in read_messages(episode.path, {TOPICS[topic]})}


def test_an_episode_has_the_encoded_pictures_and_every_tool_reads_it(
    cameras: tuple[Cameras, int], capsys: pytest.CaptureFixture[str]
) -> None:
    robot, _ = cameras
    episode = robot.record()
    assert not set(episode.counts) & {f"/seeing/{topic}" for topic in TOPICS}, "the raw ones"
    assert episode.lost == (0, True), episode.streams
    for topic in TOPICS:
        found, sent = in_bag(episode, topic), robot.sent[topic]
        assert list(found) == list(sent), topic  # all of them, also the last ones, in order
        assert {header_frame_id(m) for m in found.values()} == {
            header_frame_id(*list(sent.values())[:1])
        }
        if "depth" in topic:
            for stamp_ns, message in found.items():
                assert (_depth(message) == _pixels(sent[stamp_ns], np.uint16)).all()
    note = json.loads(episode.facts["encoded"])
    assert note[TOPICS["film/image"]]["topic"] == "/seeing/film/image"
    assert note[TOPICS["head/image"]]["parameters"] == {"quality": 95}
    assert {topic: len(one["encoders"]) for topic, one in note.items()} == dict.fromkeys(note, 1)
    assert_seen(episode, robot)
    assert_aligned_as_live(episode)
    again = check_episode(episode.path)
    assert not again.problems and not again.recording
    assert again.report.verdict is episode.quality.verdict
    certificate = episode.certificate
    assert certificate is not None and {"head", "depth", "far", "film"} < set(certificate.streams)
    assert certificate.streams["head"].topic == TOPICS["head/image"]
    assert certificate.streams["head"].lost == 0
    assert main(["show", str(episode.path)]) == 0
    shown = [Path(line) for line in capsys.readouterr().out.splitlines()]
    page = next(path for path in shown if path.suffix == ".html").read_text()
    assert all(topic in page for topic in TOPICS.values())


def assert_seen(episode: Episode, robot: Cameras) -> None:
    """Check the colours that viewers and datasets get."""
    for stream, topic in (("head", "head/image"), ("film", "film/image")):
        seen = [np.asarray(picture) for _, picture in read_pictures(episode, stream)]
        sent = [_pixels(m, np.uint8) for m in robot.sent[topic].values()]
        skipped = len(sent) - len(seen)  # before the first key frame of a video
        assert 0 <= skipped < RATE_HZ / 2 + 1 and (stream == "film" or not skipped)
        for one, other in zip(seen, sent[skipped:], strict=True):
            rgb = min(
                np.abs(one[..., o].astype(int) - other).mean() for o in ([0, 1, 2], [2, 1, 0])
            )
            assert rgb < 10


def _pixels(message: bytes, kind: Any) -> np.ndarray:
    pixels = np.frombuffer(message[-120 * 160 * (2 if kind is np.uint16 else 3) :], kind)
    return pixels.reshape((120, 160) if kind is np.uint16 else (120, 160, 3))


def _depth(message: bytes) -> np.ndarray:
    found = encoded_picture(message)
    if found.rvl:
        return found.rvl_values()
    return np.asarray(cv2.imdecode(np.frombuffer(found.data, np.uint8), cv2.IMREAD_UNCHANGED))


def assert_aligned_as_live(episode: Episode) -> None:
    """Compare the frames aligned from the raw pictures with those from the encoded ones."""
    plan = make_plan(episode)
    assert not plan.absent and {s.topic for s in plan.aligned} >= {"head/image/compressed"}
    aligned = align_episode(episode, plan, plan.frame_clock(None, ""))
    again = {frame.tick_ns: frame for frame in aligned.frames}
    live = [
        decode_frame(m.data)[0]
        for m in read_messages(episode.path, {"/seeing/synchronizer/frames"})
    ]
    settled_ns = episode.start_ns + 500_000_000  # the first ones use samples from before the bag
    common = [frame for frame in live if frame.tick_ns > settled_ns]
    assert len(common) > RATE_HZ
    for frame in common:
        assert _facts(frame) == _facts(again[frame.tick_ns])


def _facts(frame: Frame) -> list[tuple[object, ...]]:
    return [(s.status, s.stamp_ns, s.skew_ns, s.values.tobytes()) for s in frame.samples]


def test_what_a_killed_encoder_held_is_counted_and_the_take_goes_on(
    cameras: tuple[Cameras, int],
) -> None:
    robot, pid = cameras
    robot.publish_until("all streams", robot.ready)
    robot.start()
    for sent in robot.sent.values():
        sent.clear()
    robot.publish_for(1.0)
    victims = encoders_of(pid)
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    robot.publish_until("new encoders", lambda: len(encoders_of(pid)) == len(victims))
    robot.publish_until("its pictures", robot.ready)
    robot.publish_for(1.0)
    stopped = robot.stop()
    assert stopped.success, stopped.message
    episode = Episode.open(Path(stopped.path))
    for topic, recorded in TOPICS.items():
        figures = episode.streams[recorded]
        lost = figures["lost"]
        assert figures["written"] + lost["encoder"] == len(robot.sent[topic]), (topic, figures)
        assert lost["dds"] == lost["queue"] == lost["ring"] == lost["writer"] == 0
        assert figures["written"] > 25, "it went on"
        assert len(in_bag(episode, topic)) == figures["written"]
    certificate = episode.certificate
    assert certificate is not None
    total = sum(episode.streams[t]["lost"]["encoder"] for t in TOPICS.values())
    assert episode.lost == (total, True)
    assert sum(s.lost or 0 for s in certificate.streams.values()) == total


def encoders_of(pid: int) -> list[int]:
    """Return the processes that encode for a recorder, by the memory that they share with it."""
    return [child for child in children_of(pid) if "/memfd:pictures" in _maps(child)]


def _maps(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return ""


def test_pictures_that_cannot_be_encoded_block_a_start_and_are_counted(
    cameras: tuple[Cameras, int],
) -> None:
    robot, _ = cameras
    robot.publish_until("all streams", robot.ready)
    robot.encoding = "odd8"
    robot.publish_until(
        "the odd pictures", lambda: robot.stream("head").health == StreamHealth.NOT_ENCODED
    )
    assert "'odd8' are not supported" in robot.stream("head").remedy
    assert robot.stream("head").topic == "/seeing/head/image"
    refused = robot.call(StartEpisode, "recorder/start_episode")
    assert not refused.success and "head is not encoded (its last picture" in refused.message
    episode = robot.record(1.0)
    figures = episode.streams[TOPICS["head/image"]]
    assert figures["written"] == 0 and figures["lost"]["encoder"] == len(robot.sent["head/image"])
    assert robot.stream("head").lost_encoder == figures["lost"]["encoder"]
    robot.encoding = "rgb8"
    robot.publish_until("all streams", robot.ready)
