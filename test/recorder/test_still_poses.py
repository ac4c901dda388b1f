"""A headset that nobody wears is noticed by its poses, and a hand that rests is not."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from support.streams import live

from robot_recorder.clocks.robot_clock import RobotClock
from robot_recorder.messages.decoders import Decoded
from robot_recorder.messages.stamps import StampReader
from robot_recorder.model.streams import (
    FrameClock,
    RobotProfile,
    Role,
    SourceClockKind,
    StreamConfig,
    StreamHealth,
)
from robot_recorder.model.topics import BagTopic, Channel, Sample
from robot_recorder.recorder.live_stream import LiveStream
from robot_recorder.recorder.start_gate import judge_start
from robot_recorder.recorder.still_poses import StillPoses
from robot_recorder.recorder.stream_watch import StreamWatch

T0, NS, RATE_HZ = 1_700_000_000_000_000_000, 1_000_000_000, 60
POSE = "geometry_msgs/msg/PoseStamped"
VR = ("vr/head", "vr/left_hand", "vr/right_hand")
NOISE_M = 1e-4  # of tracking


def pose(place: np.ndarray, turn: float = 0.0) -> bytes:
    half = turn / 2
    values = [*place, 0.0, 0.0, np.sin(half), np.cos(half)]
    return b"\0\1\0\0" + struct.pack("<III4x7d", 0, 0, 1, *values)  # an empty frame_id


class Device:
    """Streams of poses; those in ``moving`` sway, the others lie on a table."""

    def __init__(
        self,
        *topics: str,
        clock: SourceClockKind = SourceClockKind.DEVICE,
        role: Role = Role.ACTION,
    ) -> None:
        configs = [
            StreamConfig(t.replace("/", "_"), t, POSE, role, RATE_HZ, clock=clock) for t in topics
        ]
        profile = RobotProfile("r", FrameClock(30.0), 10**8, tuple(configs))
        self.watch = StreamWatch(profile, RobotClock())
        self.channels = {t: Channel(BagTopic(f"/r/{t}", POSE)) for t in topics}
        for topic, config in zip(topics, configs):
            self.watch.watch(live(self.channels[topic], config))
        self.now, self.random = T0, np.random.default_rng(1)
        self.decoded = 0

    def feed(self, seconds: float, *moving: str, speed: float = 1.0) -> Device:
        for _ in range(round(seconds * RATE_HZ)):
            self.now += NS // RATE_HZ
            at = (self.now - T0) / NS * speed
            sway = 4e-3 * np.array([np.sin(2 * at), np.sin(1.5 * at), 0.0])
            samples = []
            for topic, channel in self.channels.items():
                place = 1.0 + self.random.normal(0, NOISE_M, 3) + sway * (topic in moving)
                samples.append(Sample(channel, pose(place), self.now, self.now))
            self.watch.add(samples)
        return self

    def still(self) -> set[str]:
        reports = self.watch.health(self.now)
        return {m.config.topic for m, r in reports if r.health is StreamHealth.STILL}


def test_a_headset_that_lies_on_the_table_is_refused_with_the_remedy_and_force_overrides() -> None:
    device = Device(*VR).feed(4.0)
    reports = [(m.config, r) for m, r in device.watch.health(device.now)]
    answer = judge_start(reports, "", force=False)
    assert not answer.ok and answer.reason == (
        "not started: vr_head is still (/r/vr/head has not moved for 4 s: put on the headset); "
        "or start with force: true"
    )
    assert judge_start(reports, "", force=True).ok
    device.feed(0.5, *VR)
    assert device.still() == set(), "as soon as it is put on"


def test_hands_may_rest_while_the_headset_is_worn() -> None:
    assert Device(*VR).feed(10.0, "vr/head").still() == set()
    assert Device(*VR).feed(10.0, "vr/left_hand", "vr/right_hand").still() == {"vr/head"}


def test_a_device_without_a_head_must_be_still_as_a_whole_and_have_its_own_clock() -> None:
    hands = VR[1:]
    assert Device(*hands).feed(4.0).still() == set(hands)
    assert Device(*hands).feed(4.0, hands[0]).still() == set()
    assert Device("suit/a", "gloves/b").feed(4.0, "suit/a").still() == {"gloves/b"}
    space_mouse = Device("arm/target", clock=SourceClockKind.ROBOT)
    assert space_mouse.feed(10.0).still() == set(), "a computed command may rest"
    assert Device("neck/head_target", clock=SourceClockKind.ROBOT).feed(10.0).still() == set()
    assert Device(*VR, role=Role.OBSERVATION).feed(10.0).still() == set()


def test_three_seconds_pass_first_and_slow_motion_counts() -> None:
    assert Device(*VR).feed(2.5).still() == set()
    assert Device(*VR).feed(10.0, *VR, speed=0.3).still() == set()
    device = Device(*VR).feed(2.0, *VR).feed(2.0)
    assert device.still() == set() and device.feed(1.5).still() == {"vr/head"}


def test_few_messages_are_decoded_and_broken_ones_do_no_harm(monkeypatch) -> None:
    from robot_recorder.messages import kinds

    calls: list[int] = []
    real = kinds.KINDS[POSE].decode
    assert real is not None

    def decoder(data: bytes) -> object:
        calls.append(1)
        return real(data)

    name = "robot_recorder.recorder.still_poses.decoder_of"
    monkeypatch.setattr(name, lambda stream, decoders: decoder)
    Device("vr/head").feed(10.0)
    assert len(calls) <= 41, "four a second of 60"
    device = Device("vr/head")
    device.feed(1.0)
    channel = device.channels["vr/head"]
    device.watch.add([Sample(channel, b"\0\1\0\0", device.now + NS, device.now + NS)])
    device.now += NS
    assert device.feed(3.0).still() == {"vr/head"}


def test_a_suit_is_still_when_all_its_bodies_are() -> None:
    names = tuple(f"position/{body}/{axis} (m)" for body in ("hand", "chest") for axis in "xyz")

    def decode(data: bytes) -> Decoded:
        return Decoded(names, np.frombuffer(data), ())

    config = StreamConfig(
        "body", "suit/body", "sensor_msgs/msg/MultiDOFJointState", Role.ACTION, 60,
        clock=SourceClockKind.DEVICE,
    )  # fmt: skip
    channel = Channel(BagTopic("/suit/body", config.type))
    for chest_m, still in ((0.0, True), (0.01, False), (np.nan, False)):
        poses = StillPoses()
        poses.watch(LiveStream(channel, config, StampReader(config, True), decode))
        for second in range(5):
            values = np.array([0.0, 0, 0, 0, 0, 1 + chest_m * (second % 2)])
            now = T0 + second * NS
            poses.see(Sample(channel, values.tobytes(), now, now))
        assert bool(poses.remedies()) is still
        if still:
            assert poses.remedies()["body"] == (
                "/suit/body has not moved for 4 s: wear it, or restart its tracking"
            )
    unread = StillPoses()
    unread.watch(LiveStream(channel, config, StampReader(config, True)))
    unread.see(Sample(channel, b"", T0, T0))
    assert unread.remedies() == {}, "without a definition nothing is known"


def test_times_follow_the_robot_clock() -> None:
    config = StreamConfig("vr_head", "vr/head", POSE, Role.ACTION, 60)
    channel, still = Channel(BagTopic("/vr/head", POSE)), StillPoses()
    still.watch(live(channel, config))
    still.see(Sample(channel, pose(np.ones(3)), T0, T0))
    still.shift(3600 * NS)
    now = T0 + 3602 * NS
    still.see(Sample(channel, pose(np.ones(3)), now, now))
    assert still.remedies() == {}
    still.see(Sample(channel, pose(np.ones(3)), now + 2 * NS, now))
    assert still.remedies()["vr_head"] == "/vr/head has not moved for 4 s: put on the headset"
    turned = pose(np.ones(3), 0.02)
    still.see(Sample(channel, turned, now + 3 * NS, now))
    assert still.remedies() == {}, "a head that only turns is alive"


@pytest.mark.parametrize("name", ["hmd", "head", "VR/Head", "quest_headset", "head_pose"])
def test_heads_are_known_by_their_names(name: str) -> None:
    from robot_recorder.messages.skeleton import is_head

    assert is_head(name) and not is_head(f"{name}_target") and not is_head("left_hand", "overhead")
