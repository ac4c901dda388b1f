"""Playing real episodes to real subscribers: same bytes, same order, same times.

Holds also: player_publishers.py.
"""

from __future__ import annotations

import re
import signal
import struct
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import ros1
from support.robot import PROFILE, Bench, process

pytest.importorskip("rclpy")

import rclpy
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_srvs.srv import Trigger
from support.samples import T0, WRENCH, wrench

from robot_recorder.bags.mcap_index import McapIndex
from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.bags.metadata import read_metadata
from robot_recorder.bags.reader import read_messages
from robot_recorder.messages.installed_types import message_class
from robot_recorder.model.qos import OfferedQos
from robot_recorder.model.topics import BagTopic, Channel, Sample
from robot_recorder.nodes.qos import offered_qos
from robot_recorder.playback.recorded_qos import recorded_offers

MS = 1_000_000
NS = 1_000_000_000
WEAKEST = OfferedQos("best_effort")
Heard = dict[str, list[tuple[int, bytes]]]


@pytest.fixture(scope="module")
def episode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An episode of three seconds of the bench's robot."""
    folder = tmp_path_factory.mktemp("played")
    profile = folder / "bench.yaml"
    profile.write_text(PROFILE)
    with (
        Bench("recorded") as bench,
        process("record", "recorded", profile=profile, root=folder / "episodes"),
    ):
        bench.publish_until("all streams", bench.ready)
        bench.start()
        bench.publish_for(3.0)
        stopped = bench.stop()
        assert stopped.success, stopped.message
    return Path(stopped.path)


class Listener:
    """Receives the played messages as bytes with their receive times."""

    def __init__(self) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = Node("listener", context=self.context)
        self.executor = rclpy.executors.SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.heard: Heard = defaultdict(list)

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        self.context.try_shutdown()

    def listen(self, topic: str, type_name: str, offer: OfferedQos = WEAKEST) -> None:
        """Subscribe with a QoS that is compatible with the offer."""
        qos = QoSProfile(
            depth=5000,
            reliability=ReliabilityPolicy[offer.reliability.upper()],
            durability=DurabilityPolicy[offer.durability.upper()],
        )

        def take(data: bytes) -> None:
            self.heard[topic].append((time.monotonic_ns(), data))

        self.node.create_subscription(message_class(type_name), topic, take, qos, raw=True)

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.05)

    def wait_for_count(self, what: str, count: int) -> None:
        self.wait(what, lambda: sum(map(len, self.heard.values())) == count)

    def wait(self, what: str, condition: Callable[[], object]) -> None:
        end = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < end, f"waited 30 s for {what}"
            self.executor.spin_once(timeout_sec=0.05)

    def start(self, running: subprocess.Popen[str]) -> None:
        """Wait for the subscriptions to match, then start a player that is paused."""
        for subscription in self.node.subscriptions:
            topic = subscription.topic_name
            self.wait(f"publishers of {topic}", partial(self.node.count_publishers, topic))
        begun = self.call("player/toggle_paused")
        assert begun.success and running.poll() is None, begun.message

    def played(self, running: subprocess.Popen[str]) -> str:
        """Listen until the player has ended; return its output."""
        # Its pipe is read at the end; a few lines fit into it.
        self.wait("the player to end", lambda: running.poll() is not None)
        self.spin(0.2)
        return running.communicate()[0]

    def call(self, service: str) -> Any:
        client: Any = self.node.create_client(Trigger, service)
        assert client.wait_for_service(20), f"service {service} does not exist"
        future = client.call_async(Trigger.Request())
        self.executor.spin_until_future_complete(future, timeout_sec=20)
        assert future.done(), f"service {service} did not answer"
        return future.result()

    def bytes(self, topic: str) -> list[bytes]:
        return [data for _, data in self.heard[topic]]


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as listener:
        yield listener


def topics_of(bag: Path) -> dict[str, tuple[str, OfferedQos]]:
    """Return type and first offered QoS of the topics with messages."""
    found = {}
    for entry in read_metadata(bag)["topics_with_message_count"]:
        described = entry["topic_metadata"]
        if entry["message_count"]:
            found[described["name"]] = (described["type"], recorded_offers(described)[0])
    return found


def in_bag(bag: Path) -> dict[str, list[tuple[int, bytes]]]:
    found = defaultdict(list)
    for message in read_messages(bag):
        found[message.topic].append((message.receive_ns, message.data))
    return found


def unpadded(heard: list[bytes], sent: list[bytes]) -> list[bytes]:
    """Return the received bytes without the middleware's padding to a multiple of four."""
    return [
        data[: len(whole)] if len(data) - len(whole) < 4 and not any(data[len(whole) :]) else data
        for data, whole in zip(heard, sent)
    ] + heard[len(sent) :]


@contextmanager
def playing(listener: Listener, bag: Path, **parameters: Any) -> Iterator[subprocess.Popen[str]]:
    """Start a player and wait until it and the subscriptions have matched."""
    with process("player", episode=bag, paused=True, wait_s=15.0, **parameters) as player:
        listener.start(player)
        yield player


def listen_to(listener: Listener, bag: Path) -> None:
    for topic, (kind, offer) in topics_of(bag).items():
        listener.listen(topic, kind, offer)


def small_bag(path: Path, messages: list[tuple[str, str, int, bytes]], **qos: Any) -> Path:
    """Write a bag of (topic, type, ms, data), in chunks of ten messages."""
    writer = McapWriter()
    writer.open(path, {})
    channels = {}
    for topic, kind in dict.fromkeys((m[0], m[1]) for m in messages):
        channels[topic] = Channel(BagTopic(topic, kind, (OfferedQos(**qos),)))
        writer.add_topic(channels[topic])
    for at in range(0, len(messages), 10):
        some = messages[at : at + 10]
        writer.write([Sample(channels[t], d, T0 + ms * MS, T0 + ms * MS) for t, _, ms, d in some])
        writer.sync()
    writer.close()
    return path


def wrenches(count: int, every_ms: int = 5) -> list[tuple[str, str, int, bytes]]:
    return [("/wrist/wrench", WRENCH, i * every_ms, wrench(T0 + i)) for i in range(count)]


def test_the_recorded_messages_are_played(episode: Path, listener: Listener) -> None:
    listen_to(listener, episode)
    with playing(listener, episode) as player:
        output = listener.played(player)
    assert player.returncode == 0, output
    recorded = in_bag(episode)
    assert len(recorded["/recorded/joint_states"]) > 100
    for topic, messages in recorded.items():
        sent = [data for _, data in messages]
        assert unpadded(listener.bytes(topic), sent) == sent, topic
    count = sum(map(len, recorded.values()))
    assert re.search(rf"^{count} messages, timing error p50 [\d.]+ ms, p95 [\d.]+ ms", output, re.M)
    for topic in ("/recorded/joint_states", "/recorded/camera/image/compressed"):
        at = np.array([at for at, _ in recorded[topic]])
        heard = np.array([at for at, _ in listener.heard[topic]])
        late_ms = np.abs((heard - at) - np.median(heard - at)) / MS
        # A rough limit for any machine; the bench measures the timing precisely.
        assert np.percentile(late_ms, 50) < 20, topic
        assert abs((heard[-1] - heard[0]) - (at[-1] - at[0])) / MS < 500, topic


def test_topics_are_played_with_their_recorded_qos(episode: Path, listener: Listener) -> None:
    topics = topics_of(episode)
    offers = {(o.reliability, o.durability) for _, o in topics.values()}
    assert {("best_effort", "volatile"), ("reliable", "transient_local")} < offers
    graph = listener.node.get_publishers_info_by_topic
    with process("player", episode=episode, paused=True, keyboard=False):
        for topic, (kind, recorded) in topics.items():
            listener.wait(topic, partial(graph, topic))
            (info,) = graph(topic)
            assert info.topic_type == kind
            offered = offered_qos(info.qos_profile).to_dict() | {"history": "unknown", "depth": 0}
            assert offered == recorded.to_dict(), topic


def test_deadline_and_liveliness_are_played_as_recorded(tmp_path: Path, listener: Listener) -> None:
    given = OfferedQos(
        "best_effort", "transient_local", "keep_last", 3,
        deadline_ns=40 * MS, lifespan_ns=5 * NS, liveliness="manual_by_topic", liveliness_lease_ns=NS,
    )  # fmt: skip
    writer = McapWriter()
    writer.open(tmp_path / "bag", {})
    channel = Channel(BagTopic("/wrist/wrench", WRENCH, (given,)))
    writer.add_topic(channel)
    writer.write([Sample(channel, wrench(T0), T0, T0)])
    writer.close()
    graph = listener.node.get_publishers_info_by_topic
    with process("player", episode=tmp_path / "bag", paused=True):
        listener.wait("the publisher", lambda: len(graph("/wrist/wrench")) == 1)
        offered = offered_qos(graph("/wrist/wrench")[0].qos_profile)
    assert offered.to_dict() | {"history": "keep_last", "depth": 3} == given.to_dict()


def test_pausing_late_subscribers_single_steps_and_continuing(
    episode: Path, listener: Listener
) -> None:
    joints, description = "/recorded/joint_states", "/recorded/robot_description"
    for topic, (kind, offer) in topics_of(episode).items():
        if topic != description:
            listener.listen(topic, kind, offer)
    recorded = in_bag(episode)
    with playing(listener, episode) as player:
        listener.wait("the first joints", lambda: len(listener.heard[joints]) > 20)
        paused = listener.call("player/toggle_paused")
        assert paused.success and paused.message.startswith("paused at"), paused.message
        listener.spin(0.3)  # let messages on their way arrive
        before = {t: len(m) for t, m in listener.heard.items()}
        listener.spin(1.0)
        assert {t: len(m) for t, m in listener.heard.items()} == before, (
            "nothing is played while paused"
        )
        assert before[joints] < len(recorded[joints])

        listener.listen(description, *topics_of(episode)[description])
        listener.wait("the description", lambda: bool(listener.heard[description]))
        assert listener.bytes(description) == [d for _, d in recorded[description]]

        total = sum(before.values()) + 1
        for step in range(1, 6):
            stepped = listener.call("player/play_next")
            assert stepped.success, stepped.message
            listener.wait_for_count(stepped.message, total + step)
        assert listener.call("player/toggle_paused").message.startswith("playing from")
        assert not listener.call("player/play_next").success
        listener.played(player)
    assert player.returncode == 0
    for topic in (joints, "/recorded/wrist/wrench"):
        assert listener.bytes(topic) == [d for _, d in recorded[topic]], topic


def test_a_loop_plays_until_it_is_stopped(tmp_path: Path, listener: Listener) -> None:
    bag = small_bag(tmp_path / "007", wrenches(20))
    listener.listen("/wrist/wrench", WRENCH)
    with playing(listener, bag, loop=True, rate=2.0) as player:
        listener.wait("three passes", lambda: len(listener.heard["/wrist/wrench"]) > 70)
        player.send_signal(signal.SIGINT)
        listener.played(player)
    assert player.returncode == 0
    whole = [data for *_, data in wrenches(20)]
    found = listener.bytes("/wrist/wrench")
    for at in range(0, len(found), 20):
        assert found[at : at + 20] == whole[: len(found) - at]


def test_playing_can_start_in_the_middle_with_some_topics(
    episode: Path, listener: Listener
) -> None:
    joints, description = "/recorded/joint_states", "/recorded/robot_description"
    for topic in (joints, description):
        listener.listen(topic, *topics_of(episode)[topic])
    chosen = f"'{joints} {description[1:]}'"
    with playing(listener, episode, start=1.5, topics=chosen) as player:
        output = listener.played(player)
    assert player.returncode == 0 and "from 1.5 s on, 2 topics" in output
    recorded = in_bag(episode)
    start = read_metadata(episode)["starting_time"]["nanoseconds_since_epoch"] + 1_500 * MS
    assert listener.bytes(joints) == [d for at, d in recorded[joints] if at >= start]
    assert 0 < len(listener.heard[joints]) < len(recorded[joints])
    assert listener.bytes(description) == [d for _, d in recorded[description]], (
        "latched messages from before are published"
    )


def test_missing_message_types_are_named_and_the_other_topics_play(
    tmp_path: Path, listener: Listener
) -> None:
    unknown = [("/pads", "nobody_msgs/msg/Pads", i, b"\0\1\0\0") for i in range(5)]
    unnamable = [("/wrist-2", WRENCH, 0, wrench(T0))]  # a topic name of a system other than ROS
    bag = small_bag(tmp_path / "bag", unknown + unnamable + wrenches(20))
    listener.listen("/wrist/wrench", WRENCH)
    with playing(listener, bag) as player:
        output = listener.played(player)
    assert player.returncode == 0
    assert "not played: /pads: message type nobody_msgs/msg/Pads is not installed" in output
    assert "ros-$ROS_DISTRO-nobody-msgs" in output
    assert "not played: /wrist-2: Invalid topic name" in output
    assert listener.bytes("/wrist/wrench") == [data for *_, data in wrenches(20)]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({}, "no topic of .* can be played"),
        ({"rate": 0}, "rate 0 is not between"),
        ({"start": 99}, "start 99 s is not within"),
        ({"topics": "[/pads, /nose]"}, "has no topic /nose; it has /pads"),
        ({"topics": 5}, "parameter 'topics' must be a list of topic names"),
        ({"episode": "/nothing"}, "/nothing does not exist"),
        ({"episode": "''"}, "no episode given"),
    ],
)
def test_invalid_parameters_and_bags_are_refused(tmp_path: Path, parameters, words: str) -> None:
    bag = small_bag(tmp_path / "bag", [("/pads", "nobody_msgs/msg/Pads", 0, b"\0\1\0\0")])
    with process("player", **{"episode": bag, **parameters}) as player:
        output, _ = player.communicate(timeout=60)
    assert player.returncode == 2 and re.search(f"^error: .*{words}", output, re.M), output


def test_a_damaged_bag_is_played_up_to_the_damage_and_reported(
    tmp_path: Path, listener: Listener
) -> None:
    bag = small_bag(tmp_path / "bag", wrenches(100))
    (file,) = bag.glob("*.mcap")
    index = McapIndex.open(file)
    assert index is not None
    chunk = index.chunks[6]
    with open(file, "r+b") as data:
        data.seek(chunk.offset + 9)
        data.write(b"\xff" * (chunk.length - 9))
    listener.listen("/wrist/wrench", WRENCH)
    with playing(listener, bag) as player:
        output = listener.played(player)
    assert player.returncode == 1
    assert re.search(r"^error: .*damaged near byte \d+.*played up to 0\.3 s", output, re.M), output
    found = listener.bytes("/wrist/wrench")
    assert len(found) >= 55 and found == [data for *_, data in wrenches(100)][: len(found)]


def test_the_clock_follows_the_bag(tmp_path: Path, listener: Listener) -> None:
    recorded_clock = [
        ("/clock", "rosgraph_msgs/msg/Clock", i, b"\0\1\0\0" + struct.pack("<iI", i, 0))
        for i in range(5)
    ]
    bag = small_bag(tmp_path / "bag", recorded_clock + wrenches(200))
    listener.listen("/clock", "rosgraph_msgs/msg/Clock")  # best effort, as usual for /clock
    listener.listen("/wrist/wrench", WRENCH)

    def clocks() -> list[int]:
        times = [struct.unpack_from("<iI", data, 4) for data in listener.bytes("/clock")]
        return [sec * NS + nanosec for sec, nanosec in times]

    with playing(listener, bag, clock_hz=50) as player:
        listener.played(player)
    offsets = [at - T0 for at in clocks()]
    assert offsets == sorted(offsets) and offsets[0] == 0 and offsets[-1] > 300 * MS
    assert 10 < len(set(offsets)) < 80, "one second at 50 Hz, without the bag's own clock"
    listener.heard.clear()
    with playing(listener, bag, clock_hz=0.0) as player:
        listener.played(player)
    assert clocks() == [i * NS for i in range(5)], "the bag's own clock"


def test_other_publishers_on_the_played_topics_are_reported(
    tmp_path: Path, listener: Listener
) -> None:
    listener.node.create_publisher(message_class(WRENCH), "/wrist/wrench", 10)
    listener.listen("/wrist/wrench", WRENCH)
    bag = small_bag(tmp_path / "bag", wrenches(300))
    with process("player", episode=bag, wait_s=15.0) as player:
        assert "/wrist/wrench have other publishers" in listener.played(player)


def test_a_ros1_bag_is_played_without_what_cannot_be_converted(
    tmp_path: Path, listener: Listener
) -> None:
    sent = [m for m in ros1.kuavo_messages(50) if m[0] == "/joint_states"]
    sent[20] = ("/joint_states", sent[20][1], b"\xff" * 40)
    bag = ros1.write_bag(tmp_path / "x.bag", {"/joint_states": ros1.JOINT_STATE}, sent)
    listener.listen("/joint_states", ros1.JOINT_STATE)
    with playing(listener, bag) as player:
        output = listener.played(player)
    assert len(listener.bytes("/joint_states")) == 49
    assert "49 messages, timing" in output
    assert "not played: /joint_states: 1 messages do not fit the installed version" in output
