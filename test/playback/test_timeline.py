"""Messages of a bag are read completely, in order, and only a little ahead."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from support.samples import T0, WRENCH, wrench, write_bag

from robot_recorder.bags import columns
from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.model.errors import BagError
from robot_recorder.playback import timeline
from robot_recorder.playback.timeline import Message, ReadAhead, messages, messages_from

MS = 1_000_000
sent = st.lists(
    st.tuples(st.sampled_from(["/a", "/b", "/c"]), st.binary(max_size=30), st.integers(0, 50 * MS)),
    min_size=1,
    max_size=80,
)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(sent, st.integers(1, 10), st.integers(0, 50 * MS))
def test_every_message_is_read_once_in_order_of_receipt(
    tmp_path: Path, given_, span, later
) -> None:
    shutil.rmtree(tmp_path / "bag", ignore_errors=True)
    ordered = sorted(((t, d, T0 + at) for t, d, at in given_), key=lambda m: m[2])
    write_bag(McapWriter(), tmp_path / "bag", ordered)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_SPAN_MESSAGES", span)
        for topics, from_ns in (({"/a", "/b", "/c"}, 0), ({"/a", "/b"}, T0 + later)):
            found = list(messages(tmp_path / "bag", topics, from_ns))
            wanted = [m for m in ordered if m[0] in topics and m[2] >= from_ns]
            assert [m.at_ns for m in found] == [at for _, _, at in wanted]
            for topic in topics:
                assert [(m.data, m.at_ns) for m in found if m.topic == topic] == [
                    (d, at) for t, d, at in wanted if t == topic
                ]


@pytest.mark.parametrize("plugin", list(StoragePlugin))
def test_a_foreign_bag_written_out_of_order_is_sorted(
    tmp_path: Path, plugin: StoragePlugin
) -> None:
    """Recorders with several threads, or that write latched messages late, write such bags."""
    store = get_typestore(Stores.ROS2_JAZZY)
    with Writer(tmp_path / "bag", version=9, storage_plugin=plugin) as writer:
        topics = [writer.add_connection(t, WRENCH, typestore=store) for t in ("/a", "/b")]
        for i in range(4000):
            at = T0 + i * MS + (-700 * MS if i % 500 == 0 else 0)
            writer.write(topics[i % 2], at, wrench(T0 + i))
    found = list(messages(tmp_path / "bag", {"/a", "/b"}))
    assert len({m.data for m in found}) == len(found) == 4000
    assert [m.at_ns for m in found] == sorted(m.at_ns for m in found)


def test_earlier_latched_messages_come_first(tmp_path: Path) -> None:
    given_ = [("/tf_static", b"%d" % i, T0 + i * MS) for i in range(5)]
    given_ += [("/a", b"a%d" % i, T0 + i * MS) for i in range(10)]
    given_ += [("/tf_static", b"later", T0 + 8 * MS)]
    write_bag(McapWriter(), tmp_path / "bag", sorted(given_, key=lambda m: m[2]))
    start = T0 + 6 * MS
    found = list(messages_from(tmp_path / "bag", {"/a", "/tf_static"}, {"/tf_static": 3}, start))
    assert [m.data for m in found if m.topic == "/tf_static"] == [b"2", b"3", b"4", b"later"]
    assert [m.at_ns for m in found[:3]] == [start] * 3
    assert [m.data for m in found if m.topic == "/a"] == [b"a6", b"a7", b"a8", b"a9"]


def until(what: str, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, f"waited 20 s for {what}"
        time.sleep(0.001)


def drained(stream: ReadAhead) -> list[Message]:
    found = []
    while not stream.ended:
        if (head := stream.head()) is not None:
            found.append(head)
            stream.pop()
    return found


def numbered(count: int, size: int = 0) -> Iterator[Message]:
    for i in range(count):
        yield Message(T0 + i, "/a", bytes(size))


def test_reading_ahead_loses_nothing_and_is_limited() -> None:
    read = 0

    def source() -> Iterator[Message]:
        nonlocal read
        for message in numbered(100_000, 1000):
            read += 1
            yield message

    stream = ReadAhead(source())
    until("as much as may be read", lambda: read > timeline._BATCHES * timeline._BATCH_MESSAGES)
    time.sleep(0.05)  # time in which it would read on
    assert read <= (timeline._BATCHES + 1) * timeline._BATCH_MESSAGES + 1
    found = drained(stream)
    assert [m.at_ns - T0 for m in found] == list(range(100_000)) and stream.problem is None


def test_reading_ahead_is_bounded_by_size() -> None:
    before = {t.name for t in threading.enumerate()}
    stream = ReadAhead(numbered(10**9, timeline._BATCH_BYTES))
    until("as much as may be read", stream._batches.full)
    stream.close()
    until(
        "its thread to end",
        lambda: "read ahead" not in {t.name for t in threading.enumerate()} - before,
    )


def test_a_damaged_bag_plays_up_to_the_damage() -> None:
    def source() -> Iterator[Message]:
        yield from numbered(1234)
        raise BagError("bag is damaged near byte 5")

    stream = ReadAhead(source())
    assert len(drained(stream)) == 1234
    assert str(stream.problem) == "bag is damaged near byte 5"

    def buggy() -> Iterator[Message]:
        yield from numbered(3)
        raise ZeroDivisionError("0")

    stream = ReadAhead(buggy())
    assert len(drained(stream)) == 3
    assert "ZeroDivisionError" in str(stream.problem)


def test_an_empty_source_ends_at_once() -> None:
    stream = ReadAhead([])
    assert drained(stream) == [] and stream.problem is None
