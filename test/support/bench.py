"""A recorder without ROS and with its own clock, which tests feed, start and stop directly."""

from __future__ import annotations

import time
from pathlib import Path

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.bags.reader import read_messages
from robot_recorder.clocks.robot_clock import RobotClock
from robot_recorder.episodes.episode import Episode
from robot_recorder.floor.store import open_store
from robot_recorder.model.streams import FrameClock, RobotProfile, Role, StreamConfig
from robot_recorder.model.topics import BagTopic, Batch, Channel, Sample
from robot_recorder.quality.verdict import Verdict
from robot_recorder.recorder.disk_space import DiskLimits
from robot_recorder.recorder.own_channels import OwnChannels
from robot_recorder.recorder.recorder import Assignment, Recorder, Settings
from robot_recorder.recorder.recording import Recording
from support.samples import WRENCH, wrench, wrench_topic
from support.streams import live

STREAM = StreamConfig("wrench", "wrist/wrench", WRENCH, Role.OBSERVATION, 100)
PROFILE = RobotProfile("arm", FrameClock(30.0), 10**8, (STREAM,))
MS = 1_000_000


class Bench:
    """A recorder with one stream and its own clock."""

    def __init__(self, root: Path, new_writer=McapWriter, **settings) -> None:
        self.channel = Channel(wrench_topic())
        self.own = OwnChannels(
            Channel(BagTopic("/labeller/labels", "robot_recorder/msg/Label")),
            Channel(BagTopic("/synchronizer/frames", "robot_recorder/msg/AlignedFrame")),
            Channel(BagTopic("/recorder/dropouts", "robot_recorder/msg/Dropout")),
            Channel(BagTopic("/labeller/task", "robot_recorder/msg/Task")),
            lambda e: b"\0\1\0\0" + (e.task or e.name or e.outcome.text).encode(),
            lambda d: f"{d.topic} {d.place.text} {d.count}".encode(),
            lambda e: e.task.encode(),
        )
        limits = settings.pop("disk", DiskLimits(min_free_bytes=0))
        self.recorder = Recorder(
            "arm", PROFILE, open_store(root), Settings(new_writer, disk=limits, **settings),
            RobotClock(), self.own,
        )  # fmt: skip
        self.recorder.streams.watch(live(self.channel, STREAM))
        self.now = time.time_ns()

    def feed(self, count: int, channel: Channel | None = None) -> list[bytes]:
        sent = []
        for _ in range(count):
            self.now += 10 * MS
            sent.append(wrench(self.now, frame_id=str(self.now)))
            sample = Sample(channel or self.channel, sent[-1], self.now, self.now)
            self.recorder.on_batch(Batch([sample]))
        return sent

    def start(self, task: str = "lift", force: bool = False, pre_roll_s: float = 0.0):
        self.now += 1
        return self.recorder.start(Assignment(task, "Lift it.", "ann"), force, self.now, pre_roll_s)

    def stop(self):
        answer = self.recorder.stop_and_finalise(self.now, lambda: True)
        if answer.ok:  # every test also makes sure that the episode was judged
            saved = Episode.open(self.last.path)
            written = saved.streams.get("/wrist/wrench", {"written": 0})["written"]
            assert saved.certificate is not None
            assert saved.certificate.streams["wrench"].count == written
            assert saved.quality.verdict is not Verdict.UNKNOWN and not saved.quality.broken
        return answer

    @property
    def last(self) -> Recording:
        assert self.recorder.last is not None
        return self.recorder.last


def until(condition) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def recorded(path: Path, topic: str = "/wrist/wrench") -> list[bytes]:
    return [m.data for m in read_messages(path, {topic})]
