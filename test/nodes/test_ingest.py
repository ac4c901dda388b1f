"""The ingest on real middleware: order, losses, QoS that changes, latched topics.

Holds also: topic_reader.py, qos.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("rclpy")

import rclpy
from hypothesis import given
from hypothesis import strategies as st
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Header, String

from robot_recorder.model.errors import ConfigError
from robot_recorder.model.losses import Dropout, Place
from robot_recorder.model.topics import BagTopic, Batch, Channel, Sample
from robot_recorder.nodes import ingest as ingest_module
from robot_recorder.nodes import qos as qos_module
from robot_recorder.nodes import topic_reader
from robot_recorder.nodes.ingest import Ingest
from robot_recorder.nodes.qos import depth_of
from robot_recorder.nodes.taker import PythonTaker

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
        self.batches: list[Batch] = []
        self.busy = False
        self.open = threading.Event()
        self.open.set()
        self.ingest.add_sink(self._take)
        self.ingest.start()

    def _take(self, batch: Batch) -> None:
        self.busy = not self.open.is_set()
        self.open.wait(30)
        self.batches.append(batch)
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


class OldRclpy:
    """A raw subscription that leaves out what rclpy does not give on another distribution."""

    def __init__(self, subscription: Any, missing: frozenset[str]) -> None:
        self.handle, self._handle, self._missing = self, subscription.handle, missing

    def take_message(self, *given: Any) -> Any:
        taken = self._handle.take_message(*given)
        if taken is None:
            return None
        return taken[0], {k: v for k, v in taken[1].items() if k not in self._missing}


JAZZY = frozenset({"publisher_gid"})
HUMBLE = JAZZY | {"publication_sequence_number", "reception_sequence_number"}


def rclpy_without(monkeypatch: pytest.MonkeyPatch, missing: frozenset[str]) -> None:
    """Read without the compiled part, which needs nothing of rclpy's."""

    def taker(subscription: Any, message_type: Any, channel: Channel) -> PythonTaker:
        return PythonTaker(OldRclpy(subscription, missing), message_type, channel)  # type: ignore[arg-type]

    monkeypatch.setattr(topic_reader, "taker_of", taker)


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


def test_a_flush_hurries_until_all_that_it_waits_for_is_delivered(floor: Floor) -> None:
    """Also if it is called while a batch is under way, which lacks what came since."""
    publisher = floor.publisher()
    floor.until("the publisher to be heard", lambda: floor.heard("hello"), say(publisher, "hello"))
    floor.open.clear()
    floor.until("the ingest to wait", lambda: floor.busy)
    publisher.publish(String(data="last"))
    flushing = threading.Thread(target=floor.ingest.flush)
    flushing.start()
    floor.until("the call", lambda: floor.ingest._hurried_ns)
    floor.open.set()
    flushing.join()
    (last,) = [b for b in floor.batches if any(b"last" in s.data for s in b.samples)]
    assert last.hurry
    floor.until("a batch without hurry", lambda: not floor.batches[-1].hurry)


@pytest.mark.parametrize("shift_ns", [0, -3600 * 10**9])
def test_what_the_middleware_delivers_late_is_received_after_the_batch_before(
    floor: Floor, monkeypatch: pytest.MonkeyPatch, shift_ns: int
) -> None:
    """A busy machine holds messages back after they are stamped; frames have been made by then."""
    floor.until("batches", lambda: len(floor.batches) > 2)
    (reader,) = floor.ingest._readers.values()
    real = reader.take_all
    stamps: list[int] = []

    def late(samples: list[Sample], dropouts: list[Dropout]) -> None:
        real(samples, dropouts)
        if not stamps:
            now_ns = time.time_ns() + shift_ns
            stamps.extend(now_ns - ago_ms * 1_000_000 for ago_ms in (200, 199, 5))
            samples += [Sample(floor.channel, b"late", ns, ns) for ns in stamps]

    if shift_ns:
        offset = floor.ingest.clock.now_ns
        monkeypatch.setattr(floor.ingest.clock, "now_ns", lambda: offset() + shift_ns)
        monkeypatch.setattr(floor.ingest.clock, "follow", lambda: 0)  # not noticed yet
    monkeypatch.setattr(reader, "take_all", late)
    floor.until("the late ones", lambda: len(floor.samples) == 3)
    received = [s.receive_ns for s in floor.samples]
    (at,) = [n for n, batch in enumerate(floor.batches) if batch.samples]
    until_ns = floor.batches[at - 1].until_ns
    if shift_ns:
        assert received == stamps, "the clock was set back: they are not late"
    else:
        assert received == [until_ns, until_ns, max(stamps[2], until_ns)]
        assert [s.send_ns for s in floor.samples] == stamps


def drains_in(floor: Floor, seconds: float) -> int:
    """Count the batches of a time; their number is no more than what the period allows."""
    began, before = time.monotonic(), len(floor.batches)
    time.sleep(seconds)
    return round((len(floor.batches) - before) * seconds / (time.monotonic() - began))


def test_it_looks_seldom_unless_somebody_waits(floor: Floor) -> None:
    assert drains_in(floor, 0.6) <= 9
    floor.ingest.prompt = True
    floor.until("prompt batches", lambda: drains_in(floor, 0.6) > 21)
    floor.ingest.prompt = False
    floor.until("seldom batches", lambda: drains_in(floor, 0.6) <= 9)


def test_it_looks_often_where_messages_are_stamped_when_they_are_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rclpy, "get_rmw_implementation_identifier", lambda: "rmw_cyclonedds_cpp")
    floor = Floor()
    floor.until("prompt batches", lambda: drains_in(floor, 0.6) > 21)
    floor.close()


@pytest.mark.parametrize("missing", [None, JAZZY], ids=["", "without_ids"])
def test_losses_in_the_middleware_are_counted(
    floor: Floor, monkeypatch: pytest.MonkeyPatch, missing: frozenset[str] | None
) -> None:
    monkeypatch.setattr(ingest_module, "_DEPTH", 100)
    if missing is not None:
        rclpy_without(monkeypatch, missing)
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


def test_without_ids_losses_are_unknown_while_there_are_several_publishers(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with rclpy of Jazzy, whose numbers are right only while there is one publisher."""
    rclpy_without(monkeypatch, JAZZY)
    camera = floor.publisher()
    floor.until("the publisher to be heard", lambda: floor.heard("hello"), say(camera, "hello"))
    for number in range(200):
        camera.publish(String(data=f"number {number}"))
    floor.until("the last one", lambda: floor.heard("number 199"))
    if not floor.channel.numbered:
        pytest.skip("this middleware does not number its messages")
    assert not floor.dropouts
    other = floor.publisher()
    floor.until("the other", lambda: floor.heard("other"), say(other, "other"))
    floor.until("the camera again", lambda: floor.heard("again"), say(camera, "again"))
    assert [d.count for d in floor.dropouts] == [None] and "several" in floor.dropouts[0].why
    assert not floor.channel.numbered
    floor.node.destroy_publisher(other)
    floor.until("it to be gone", lambda: floor.channel.numbered, say(camera, "alone"))
    camera.publish(String(data="the end"))
    floor.until("the end", lambda: floor.heard("the end"))
    assert [d.count for d in floor.dropouts] == [None, None]
    # A successor counts from 1.
    floor.node.destroy_publisher(camera)
    camera = floor.publisher()
    floor.until("the successor", lambda: floor.heard("successor"), say(camera, "successor"))
    assert floor.ingest.flush() and {d.count for d in floor.dropouts} == {None}


def test_without_numbers_losses_are_unknown(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with rclpy of Humble, and with Cyclone DDS."""
    rclpy_without(monkeypatch, HUMBLE)
    publisher = floor.publisher()
    floor.until("the publisher to be heard", lambda: floor.heard("hello"), say(publisher, "hello"))
    assert not floor.channel.numbered and not floor.dropouts
    assert all(0 < s.send_ns <= s.receive_ns for s in floor.samples)


class World:
    """Publishers, their graph and one reader of what they send, as rclpy of Jazzy gives it."""

    def __init__(self, long_since: bool) -> None:
        self.channel = Channel(BagTopic("/words", STRING))
        self.reader = topic_reader.TopicReader(self.channel, String, None)
        self.reader.since -= 60.0 * long_since
        self.reader.ask_graph = self.graph
        self.handle = self
        self.reader.taker = PythonTaker(self, String, self.channel)  # type: ignore[arg-type]
        self.sent: dict[bytes, int] = {}
        self.queue: list[int] = []
        self.lost = 0
        self.dropouts: list[Dropout] = []

    def graph(self) -> list[bytes]:
        return list(self.sent)

    def take_message(self, *_: object) -> tuple[bytes, dict[str, Any]] | None:
        if not self.queue:
            return None
        stamps = {"received_timestamp": 1, "source_timestamp": 1}
        return b"", {**stamps, "publication_sequence_number": self.queue.pop(0)}

    def drain(self) -> None:
        self.reader.take_all([], self.dropouts)

    def do(self, what: str, who: bytes) -> None:
        if what == "poll":
            self.drain()
            self.reader.see(self.graph())
        elif what == "leave":  # what it sent is drained before the graph forgets it
            self.drain()
            self.sent.pop(who, None)
        elif what == "join":
            self.sent.setdefault(who, 0)
        elif who in self.sent:
            self.sent[who] += 1
            if what == "send":
                self.queue.append(self.sent[who])
            self.lost += what == "lose"


@given(
    st.booleans(),
    st.lists(
        st.tuples(
            st.sampled_from(["poll", "leave", "join", "send", "send", "lose"]),
            st.sampled_from([b"a", b"b"]),
        ),
        max_size=40,
    ),
)
def test_no_message_is_called_lost_that_was_not(
    long_since: bool, events: list[tuple[str, bytes]]
) -> None:
    world = World(long_since)
    for event in events:
        world.do(*event)
    world.drain()
    assert sum(d.count or 0 for d in world.dropouts) <= world.lost


@given(st.lists(st.sampled_from(["send", "lose", "poll"]), max_size=40))
def test_without_ids_the_losses_of_a_single_publisher_are_counted(events: list[str]) -> None:
    world = World(False)
    for what in ["join", "poll", "send", *events, "send", "poll"]:
        world.do(what, b"a")
    assert [d for d in world.dropouts if d.count is None] == []
    assert sum(d.count or 0 for d in world.dropouts) == world.lost


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
    channel = Channel(BagTopic("/words", STRING))
    reader = topic_reader.TopicReader(channel, String, None)
    samples: list[Sample] = []
    dropouts: list[Dropout] = []
    resent: Any = Resent([(1, 100), (2, 900), (3, 200), (4, 300), (5, 1000)])
    reader.taker = PythonTaker(resent, String, channel)
    reader.take_all(samples, dropouts)
    assert sorted(samples, key=lambda s: s.receive_ns) == samples
    assert [s.data for s in samples] == [b"1", b"2", b"3", b"4", b"5"]
    assert [s.receive_ns for s in samples] == [100, 900, 900, 900, 1000]
    assert not dropouts
    # If the system clock was set back, receive times follow it.
    future = time.time_ns() + 10**12
    resent = Resent([(6, future), (7, 2000)])
    reader.taker = PythonTaker(resent, String, channel)
    samples.clear()
    reader.take_all(samples, dropouts)
    assert [s.receive_ns for s in samples] == [future, 2000]


def test_what_dds_keeps_while_the_ingest_is_busy_is_bounded_by_the_type_of_message() -> None:
    assert depth_of(STRING, 2000) == 2000
    assert depth_of("sensor_msgs/msg/Image", 2000) * 921_600 < 60e6
    assert depth_of("sensor_msgs/msg/Image", 10) == 10


class Emulated:
    """A subscription whose messages carry what a middleware gives."""

    def __init__(self, *taken: dict[str, Any]) -> None:
        self.handle, self._taken = self, list(taken)

    def take_message(self, *_: object) -> tuple[bytes, dict[str, Any]] | None:
        return (b"", self._taken.pop(0)) if self._taken else None


def taken(
    emulated: Emulated, publishers: list[bytes] | None = None
) -> tuple[topic_reader.TopicReader, list[Sample], list[Dropout]]:
    channel = Channel(BagTopic("/words", STRING))
    reader = topic_reader.TopicReader(channel, String, None)
    reader.taker = PythonTaker(emulated, String, channel)  # type: ignore[arg-type]
    reader.see(publishers or [])
    samples: list[Sample] = []
    dropouts: list[Dropout] = []
    reader.take_all(samples, dropouts)
    return reader, samples, dropouts


def given_gid(data: bytes) -> dict[str, Any]:
    return {"implementation_identifier": "rmw", "data": data}


def test_messages_of_cyclone_dds_have_unknown_losses() -> None:
    """Its id of a publisher is a handle, which is not in the graph; in Humble it has no receive times."""
    handles = [given_gid(bytes([n]) * 8 + bytes(8)) for n in (1, 2)]
    before = time.time_ns()
    emulated = Emulated(
        *(
            {
                "source_timestamp": 1000 + number, "received_timestamp": 0,
                "publication_sequence_number": None, "publisher_gid": handles[number % 2],
            }
            for number in range(4)
        )
    )  # fmt: skip
    reader, samples, dropouts = taken(emulated, [b"\1\x10" + bytes(14)])
    assert [s.send_ns for s in samples] == [1000, 1001, 1002, 1003]
    assert all(before <= s.receive_ns <= time.time_ns() for s in samples)
    assert len({s.publisher for s in samples}) == 2, "publishers are told apart all the same"
    assert not reader.channel.numbered and not dropouts


def test_messages_of_zenoh_are_counted_also_if_latched_ones_come_again() -> None:
    """It numbers every publisher's messages from 1; what a late subscriber asks for may come later."""
    numbers = [5, 3, 4, 6, 9]
    emulated = Emulated(
        *(
            {
                "source_timestamp": number, "received_timestamp": 100 + place,
                "publication_sequence_number": number, "publisher_gid": given_gid(bytes(range(16))),
            }
            for place, number in enumerate(numbers)
        )
    )  # fmt: skip
    reader, samples, dropouts = taken(emulated, [bytes(range(16))])
    assert [s.send_ns for s in samples] == numbers and reader.channel.numbered
    assert [d.count for d in dropouts] == [2], "7 and 8 only"


def test_ids_of_other_lengths_are_the_same_publisher() -> None:
    """Those of Humble have 24 bytes, and the compiled part may give them padded otherwise."""
    emulated = Emulated(
        {
            "source_timestamp": 1, "received_timestamp": 2, "publication_sequence_number": 1,
            "publisher_gid": given_gid(bytes(range(16)) + bytes(8)),
        }
    )  # fmt: skip
    reader, samples, _ = taken(emulated)
    assert reader.see([bytes(range(16))]) == {samples[0].publisher}


def test_qos_events_are_counted_by_either_handle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Humble's rclpy calls the handle of an event QoSEvent; Zenoh reports no missed deadlines."""

    class Status:
        total_count = 3

    class Handle:
        def __init__(self, _: object, kind: object) -> None:
            if kind == "deadline":
                raise rclpy_implementation.UnsupportedEventTypeError("not supported")

        def __enter__(self) -> None: ...
        def __exit__(self, *_: object) -> None: ...
        def take_event(self) -> Status:
            return Status()

        def destroy_when_not_in_use(self) -> None: ...

    class Humble:
        QoSEvent = Handle

    assert qos_module.event_handle(Humble) is Handle
    assert qos_module.event_handle(rclpy_implementation) is qos_module._EventHandle is not None
    monkeypatch.setattr(qos_module, "_EventHandle", Handle)
    monkeypatch.setattr(qos_module, "_EVENTS", {n: n for n in ("deadline", "lost", "incompatible")})
    channel = Channel(BagTopic("/words", STRING))
    counter = qos_module.EventCounter(channel.events)

    class Subscription:
        handle = Handle(None, "")

    counter.attach(Subscription())
    counter.poll()
    assert (channel.events.deadline, channel.events.lost, channel.events.incompatible) == (0, 3, 3)
