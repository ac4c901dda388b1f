"""Every episode begins with the latched messages of live publishers."""

from __future__ import annotations

from pathlib import Path

from support.bench import Bench, recorded
from support.samples import wrench, wrench_topic

from robot_recorder.bags.latched import LatchedCache
from robot_recorder.model.topics import BagTopic, Batch, Channel, Sample


def test_every_episode_begins_with_the_latched_messages(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    latched = Channel(wrench_topic("/robot_description"), latched=True, publishers=1)
    bench.feed(3, latched)
    last = bench.feed(1, latched)
    bench.feed(300)
    for _ in range(2):
        assert bench.start().ok
        bench.feed(5)
        assert bench.stop().ok
        assert recorded(bench.last.path, "/robot_description") == last


def test_the_last_latched_message_of_every_publisher_is_recorded(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    channel = Channel(wrench_topic("/tf_static"), latched=True, publishers=2)

    def publish(publisher: bytes, word: str) -> bytes:
        bench.now += 1
        data = wrench(bench.now, frame_id=word)
        sample = Sample(channel, data, bench.now, bench.now, publisher)
        bench.recorder.on_batch(Batch([sample]))
        return data

    publish(b"A", "a1")
    b1 = publish(b"B", "b1")
    publish(b"A", "a2")
    a3 = publish(b"A", "a3")
    bench.feed(100)
    assert bench.start().ok
    bench.stop()
    assert recorded(bench.last.path, "/tf_static") == [b1, a3]


T0 = 1_700_000_000_000_000_000


def test_only_latched_messages_of_live_publishers_are_kept() -> None:
    channel, cache = Channel(BagTopic("/tf_static", "x/msg/Y"), latched=True), LatchedCache()
    for at, publisher in enumerate((b"A1", b"B", b"A2", b"A3")):  # A restarts, and restarts again
        cache.keep(Sample(channel, publisher, T0 + at, T0, publisher))
    channel.publishers, channel.alive = 2, frozenset([b"B", b"A3"])
    assert [s.data for s in cache.before(T0 + 10)] == [b"B", b"A3"]
    assert {s.receive_ns for s in cache.before(T0 + 10)} == {T0 + 10}
