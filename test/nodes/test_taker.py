"""Messages are taken in batches: by rclpy, and by the compiled part, with the same results."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("rclpy")

import rclpy
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from std_msgs.msg import String, UInt8MultiArray

from robot_recorder.model.losses import Dropout
from robot_recorder.model.topics import BagTopic, Channel, Sample
from robot_recorder.nodes import taker as taker_module
from robot_recorder.nodes.taker import Odd, PythonTaker, Taker, taker_of
from robot_recorder.nodes.topic_reader import TopicReader

NOBODY = b"?"
QOS = QoSProfile(depth=1000)


class Bench:
    """A publisher and any number of raw subscriptions of one topic."""

    _number = 0

    def __init__(self, node: Any, kind: Any) -> None:
        Bench._number += 1
        self.node, self.kind, self.topic = node, kind, f"taking_{Bench._number}"
        self.channel = Channel(BagTopic("/" + self.topic, "any"), publishers=1)
        self._made: list[Any] = []
        self.publisher = node.create_publisher(kind, self.topic, QOS)

    def subscription(self) -> Any:
        made = self.node.create_subscription(self.kind, self.topic, lambda _: None, QOS, raw=True)
        self._made.append(made)
        end = time.monotonic() + 20
        while self.publisher.get_subscription_count() < len(self._made):
            assert time.monotonic() < end, "waited 20 s for the subscription"
            time.sleep(0.01)
        return made


@pytest.fixture(scope="module")
def node() -> Iterator[Any]:
    rclpy.init()
    node = rclpy.create_node("taking")
    yield node
    node.destroy_node()
    rclpy.shutdown()


def compiled(subscription: Any, message_type: Any, channel: Channel) -> Taker:
    made = taker_of(subscription, message_type, channel)
    assert not isinstance(made, PythonTaker), "the compiled part is not installed"
    return made


def every(taker: Taker, wanted: int) -> list[Sample | Odd]:
    """Take messages until there are enough, following the first publisher."""
    found: list[Any] = []
    known: list[Any] = [NOBODY, None, 0]
    end = time.monotonic() + 20
    while len(found) < wanted:
        assert time.monotonic() < end, f"waited 20 s for {wanted} messages, {len(found)} came"
        odd, known[1], known[2] = taker.take(found, known[0], known[1], known[2], time.time_ns())
        if odd is not None:
            one = Odd(*odd)
            found.append(one)
            known = [one.publisher, None if one.number is None else one.number + 1, one.received_ns]
    return found


def test_both_takers_give_the_same_samples(node: Any) -> None:
    bench = Bench(node, UInt8MultiArray)
    takers = [
        make(bench.subscription(), UInt8MultiArray, bench.channel)
        for make in (PythonTaker, compiled)
    ]
    rng = random.Random(1)
    sizes = [0, 1, 5000, 3, 200_000, 100, *(int(10 ** rng.uniform(0, 5)) for _ in range(100))]
    sent = []
    for size in sizes:
        message = UInt8MultiArray(data=rng.randbytes(size))
        sent.append(serialize_message(message))
        bench.publisher.publish(message)
    by_rclpy, ours = (every(taker, len(sent)) for taker in takers)
    assert [s.data for s in ours] == [s.data for s in by_rclpy] == sent
    for one, other in zip(ours[1:], by_rclpy[1:]):
        assert isinstance(one, Sample) and isinstance(other, Sample)
        assert one.channel is bench.channel and one.send_ns == other.send_ns
        assert len(one.publisher) == 16 and hash(one) == hash(tuple(one))
        assert other.publisher in (one.publisher, b""), "rclpy of Jazzy names no publisher"
        assert abs(one.receive_ns - other.receive_ns) < 10**9
    first, other = ours[0], by_rclpy[0]
    assert isinstance(first, Odd) and isinstance(other, Odd)
    assert (first.number, first.sent_ns) == (other.number, other.sent_ns)
    assert other.publisher in (first.publisher, b"")


@pytest.mark.parametrize("make", [PythonTaker, compiled])
def test_a_gap_and_another_publisher_end_a_batch(node: Any, make: Any) -> None:
    bench = Bench(node, String)
    taker = make(bench.subscription(), String, bench.channel)
    for word in "abcde":
        bench.publisher.publish(String(data=word))
    first, *rest = every(taker, 5)
    assert isinstance(first, Odd) and first.number is not None
    assert [type(s) for s in rest] == [Sample] * 4
    bench.publisher.publish(String(data="f"))
    samples: list[Sample] = []
    end = time.monotonic() + 20
    odd = None
    while odd is None and time.monotonic() < end:
        odd, expected, before = taker.take(samples, first.publisher, 4000, 7, time.time_ns())
        assert (expected, before) == (4000, 7), "an odd message changes nothing"
    assert odd is not None and odd[3] == first.number + 5 and not samples
    bench.publisher.publish(String(data="g"))
    odd = None
    while odd is None and time.monotonic() < end:
        odd, *_ = taker.take(samples, NOBODY, odd, 0, time.time_ns())
    assert odd is not None and odd[4] == first.publisher and b"g" in odd[0]


@pytest.mark.parametrize("make", [PythonTaker, compiled])
def test_an_earlier_time_of_receipt_is_raised_unless_the_clock_was_set_back(
    node: Any, make: Any
) -> None:
    bench = Bench(node, String)
    taker = make(bench.subscription(), String, bench.channel)
    bench.publisher.publish(String(data="first"))
    (first,) = every(taker, 1)
    assert isinstance(first, Odd) and first.number is not None
    later = time.time_ns() + 10**12
    for now, wanted in ((later, True), (later - 1, False)):
        bench.publisher.publish(String(data="next"))
        samples: list[Sample] = []
        end = time.monotonic() + 20
        while not samples and time.monotonic() < end:
            taker.take(samples, first.publisher, first.number + 1, later, now)
        assert (samples[0].receive_ns == later) is wanted
        first = first._replace(number=first.number + 1)


def test_wrong_use_is_refused_by_the_compiled_part(node: Any) -> None:
    bench = Bench(node, String)
    subscription = bench.subscription()
    taker: Any = compiled(subscription, String, bench.channel)
    wrong: list[tuple[Any, ...]] = [
        (),
        ([], b"", None, 0),
        ((), b"", None, 0, 0),
        ([], b"", "1", 0, 0),
    ]
    for given in wrong:
        with pytest.raises(TypeError):
            taker.take(*given)
    with pytest.raises(OverflowError):
        taker.take([], b"", -1, 0, 0)
    with pytest.raises(ValueError, match="not that of a subscription"):
        type(taker)(subscription, 0, bench.channel, Sample)
    with pytest.raises(TypeError, match="class of tuples"):
        type(taker)(subscription, subscription.handle.pointer, bench.channel, dict)


def test_without_the_compiled_part_rclpy_takes(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taker_module, "_compiled", lambda: None)
    bench = Bench(node, String)
    reader = TopicReader(bench.channel, String, None)
    samples: list[Sample] = []
    dropouts: list[Dropout] = []
    reader.take_all(samples, dropouts)
    assert not samples, "it has no subscription yet"
    reader.see([b"the only publisher"])
    reader.attach(bench.subscription())
    assert isinstance(reader.taker, PythonTaker)
    for number in range(20):
        bench.publisher.publish(String(data=str(number)))
    end = time.monotonic() + 20
    while len(samples) < 20 and time.monotonic() < end:
        reader.take_all(samples, dropouts)
    assert [int(s.data[8:].rstrip(b"\0")) for s in samples] == list(range(20))
    assert not dropouts and bench.channel.numbered
    reader.detach()
    reader.take_all(samples, dropouts)
    assert len(samples) == 20
