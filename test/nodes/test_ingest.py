"""The ingest on real middleware: order, losses, QoS that changes, latched topics.

Holds also: topic_reader.py, qos.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

pytest.importorskip("rclpy")

import rclpy
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Header, String

from robot_recorder.model.errors import ConfigError
from robot_recorder.model.losses import Dropout, Place
from robot_recorder.model.topics import BagTopic, Batch, Channel, Sample
from robot_recorder.nodes import ingest as ingest_module
from robot_recorder.nodes import topic_reader
from robot_recorder.nodes.ingest import Ingest

STRING = "std_msgs/msg/String"
BEST_EFFORT = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Floor:
    """An ingest of one topic, and a node that publishes on it."""

    def __init__(self) -> None:
        rclpy.init()
        self.node = rclpy.create_node("publisher", namespace="ingesting")
        self.ingest = Ingest("ingest", "/ingesting")
        self.channel: Channel = self.ingest.subscribe("words", STRING)
        self.samples: list[Sample] = []
        self.dropouts: list[Dropout] = []
        self.open = threading.Event()
        self.open.set()
        self.ingest.add_sink(self._take)
        self.ingest.start()

    def _take(self, batch: Batch) -> None:
        self.open.wait(30)
        self.samples.extend(batch.samples)
        self.dropouts.extend(batch.dropouts)

    def publisher(self, qos: QoSProfile | int = 1000):
        return self.node.create_publisher(String, "words", qos)

    def heard(self, word: str) -> bool:
        return any(word.encode() in s.data for s in self.samples)

    def until(self, what: str, condition, action=lambda: None) -> None:
        end = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < end, f"waited 20 s for {what}"
            action()
            time.sleep(0.02)

    def close(self) -> None:
        self.open.set()
        self.ingest.close()
        self.node.destroy_node()
        rclpy.shutdown()


@pytest.fixture
def floor() -> Iterator[Floor]:
    floor = Floor()
    yield floor
    floor.close()


def say(publisher, word: str):
    return lambda: publisher.publish(String(data=word))


def test_samples_are_in_order_of_receipt_and_flush_delivers_all(floor: Floor) -> None:
    publisher = floor.publisher()
    floor.until("the publisher to be heard", lambda: floor.heard("hello"), say(publisher, "hello"))
    for number in range(500):
        publisher.publish(String(data=f"number {number}"))
    floor.until("the last one", lambda: floor.heard("number 499"))
    assert floor.ingest.flush()
    words = [s.data[8:-1].decode() for s in floor.samples if b"number" in s.data]
    assert [w.rstrip("\0") for w in words] == [f"number {n}" for n in range(500)]
    stamps = [s.receive_ns for s in floor.samples]
    assert stamps == sorted(stamps)
    assert all(s.send_ns <= s.receive_ns for s in floor.samples)
    assert not floor.dropouts


def test_losses_in_the_middleware_are_counted(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_module, "_DEPTH", 100)
    publisher = floor.publisher()
    floor.until("the publisher to be heard", lambda: floor.heard("hello"), say(publisher, "hello"))
    floor.ingest.flush()
    if not floor.channel.numbered:
        pytest.skip("this middleware does not number its messages")
    before = len(floor.samples)
    floor.open.clear()  # the program is busy; the middleware keeps 100 messages for it
    publisher.publish(String(data="the one that blocks"))
    time.sleep(0.2)  # let it be taken; if it is not, it is one of those that are kept or lost
    for number in range(1000):
        publisher.publish(String(data=f"number {number}"))
    floor.open.set()
    floor.until("the last one", lambda: floor.heard("number 999"))
    arrived = len(floor.samples) - before
    assert arrived < 500, "nothing was lost, so nothing is tested"
    assert arrived + sum(d.count or 0 for d in floor.dropouts) == 1001
    assert {(d.topic, d.place) for d in floor.dropouts} == {("/ingesting/words", Place.DDS)}
    assert all(0 < d.start_ns <= d.end_ns for d in floor.dropouts)


def test_messages_of_a_best_effort_publisher_that_joins_are_received(floor: Floor) -> None:
    reliable = floor.publisher()
    floor.until("the reliable one", lambda: floor.heard("reliable"), say(reliable, "reliable"))
    camera = floor.publisher(BEST_EFFORT)
    floor.until("the best-effort one", lambda: floor.heard("best"), say(camera, "best"))
    floor.samples.clear()
    floor.until("the reliable one again", lambda: floor.heard("again"), say(reliable, "again"))
    offered = {q.reliability for q in floor.channel.bag_topic.offered_qos}
    assert offered == {"reliable", "best_effort"}


def test_latched_messages_of_several_publishers_are_distinguished(floor: Floor) -> None:
    first, second = floor.publisher(LATCHED), floor.publisher(LATCHED)
    first.publish(String(data="first"))
    second.publish(String(data="second"))
    floor.until("both", lambda: floor.heard("first") and floor.heard("second"))
    assert floor.channel.latched and floor.channel.publishers == 2
    publishers = {s.publisher for s in floor.samples}
    assert len(publishers) == 2 or publishers == {b""}


def test_one_topic_has_one_type(floor: Floor) -> None:
    with pytest.raises(ConfigError, match="words is subscribed as std_msgs/msg/String"):
        floor.ingest.subscribe("words", "std_msgs/msg/Header")
    assert floor.ingest.subscribe("words", STRING) is floor.channel


def test_losses_before_a_late_discovery_are_unknown_above_a_limit(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A publisher that had sent very many messages may have begun long before the subscription."""
    monkeypatch.setattr(topic_reader, "_DISCOVERY_MOST", 3)
    monkeypatch.setattr(topic_reader, "_DISCOVERY_S", 0.0)
    publisher = floor.publisher(BEST_EFFORT)
    for _ in range(50):
        publisher.publish(String(data="nobody hears"))
    floor.until("the publisher to be heard", lambda: floor.heard("hello"), say(publisher, "hello"))
    if not floor.channel.numbered:
        pytest.skip("this middleware does not number its messages")
    unknown = [d for d in floor.dropouts if d.count is None]
    assert [(d.topic, d.place) for d in unknown] == [("/ingesting/words", Place.DDS)]
    assert "before it was discovered" in unknown[0].why


def test_a_second_type_on_a_topic_is_an_unknown_loss(floor: Floor) -> None:
    publisher = floor.publisher()
    floor.until("the publisher to be heard", lambda: floor.heard("hello"), say(publisher, "hello"))
    assert not floor.dropouts
    context = rclpy.Context()  # a participant can have only one type per topic
    rclpy.init(context=context)
    other = rclpy.create_node("other", namespace="ingesting", context=context)
    other.create_publisher(Header, "words", 10)
    floor.until("it to be noticed", lambda: bool(floor.dropouts), say(publisher, "more"))
    other.destroy_node()
    context.shutdown()
    assert not floor.channel.wrong_type
    assert {d.count for d in floor.dropouts} == {None}
    assert "std_msgs/msg/Header" in floor.dropouts[0].why
    assert floor.ingest.flush()


class Resent:
    """A subscription with the messages of one writer in order, but with receive times out of order."""

    def __init__(self, taken: list[tuple[int, int]]) -> None:
        self.handle = self
        self._taken = [
            (
                str(number).encode(),
                {
                    "received_timestamp": at, "publication_sequence_number": number,
                    "publisher_gid": {"data": b"writer"}, "source_timestamp": number,
                },
            )
            for number, at in taken
        ]  # fmt: skip

    def take_message(self, *_: object) -> tuple[bytes, dict[str, object]] | None:
        return self._taken.pop(0) if self._taken else None


def test_messages_of_one_writer_stay_in_order_if_some_are_sent_again() -> None:
    """Number 2 came late; the middleware held the following messages until then."""
    reader = topic_reader.TopicReader(Channel(BagTopic("/words", STRING)), String, None)
    samples: list[Sample] = []
    dropouts: list[Dropout] = []
    reader.subscription = Resent([(1, 100), (2, 900), (3, 200), (4, 300), (5, 1000)])  # type: ignore[assignment]
    reader.take_all(samples, dropouts)
    assert sorted(samples, key=lambda s: s.receive_ns) == samples
    assert [s.data for s in samples] == [b"1", b"2", b"3", b"4", b"5"]
    assert [s.receive_ns for s in samples] == [100, 900, 900, 900, 1000]
    assert not dropouts
    # If the system clock was set back, receive times follow it.
    future = time.time_ns() + 10**12
    reader.subscription = Resent([(6, future), (7, 2000)])  # type: ignore[assignment]
    samples.clear()
    reader.take_all(samples, dropouts)
    assert [s.receive_ns for s in samples] == [future, 2000]
