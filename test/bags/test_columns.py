"""Columns hold the same messages as another library reads, whoever wrote the bag.

Holds also: reader.py, db3_file.py.
"""

from __future__ import annotations

import shutil
import struct
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from support.samples import T0, WRENCH, wrench, wrench_topic, write_bag

from robot_recorder.bags.columns import bag_topics, read_columns
from robot_recorder.bags.mcap_index import McapIndex
from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.bags.reader import read_messages
from robot_recorder.model.errors import BagError
from robot_recorder.model.topics import Channel, Sample

MS = 1_000_000
Messages = dict[str, list[tuple[int, bytes]]]


def by_columns(path: Path, topics: set[str]) -> tuple[Messages, dict[str, list[int]]]:
    found: Messages = defaultdict(list)
    stamps: dict[str, list[int]] = defaultdict(list)
    until = 0
    for segment in read_columns(path, topics):
        for topic, column in segment.columns.items():
            assert len(column.payloads) == len(column.receives) > 0
            found[topic] += zip(
                column.receives.tolist(), (column.payloads[i] for i in range(len(column.payloads)))
            )
            stamps[topic] += column.stamps().tolist()
            assert int(column.receives.min()) >= until
            assert int(column.receives.max()) < segment.until_ns
        until = segment.until_ns
    return dict(found), dict(stamps)


def by_rosbags(path: Path, topics: set[str]) -> Messages:
    found: Messages = defaultdict(list)
    for message in read_messages(path, topics):
        found[message.topic].append((message.receive_ns, message.data))
    return dict(found)


messages = st.lists(
    st.tuples(
        st.sampled_from(["/a", "/b", "/c"]),
        st.one_of(st.binary(max_size=30), st.integers(0, 10**9).map(lambda n: wrench(T0 + n))),
        st.integers(0, 50 * MS),
    ),
    min_size=1,
    max_size=60,
)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(messages)
def test_our_bags_are_read_as_rosbags_reads_them(tmp_path: Path, sent) -> None:
    shutil.rmtree(tmp_path / "bag", ignore_errors=True)
    ordered = sorted(((t, d, T0 + at) for t, d, at in sent), key=lambda m: m[2])
    write_bag(McapWriter(), tmp_path / "bag", ordered)
    topics = {"/a", "/b"}
    found, stamps = by_columns(tmp_path / "bag", topics)
    expected = by_rosbags(tmp_path / "bag", topics)
    assert found == {t: m for t, m in expected.items() if m}
    for topic, column in found.items():
        for stamp, (_, data) in zip(stamps[topic], column, strict=True):
            if len(data) < 12:
                assert stamp == 0
            else:
                order = "<" if data[1] & 1 else ">"
                sec, nanosec = struct.unpack_from(f"{order}iI", data, 4)
                assert stamp == sec * 10**9 + nanosec


def foreign(path: Path, plugin: StoragePlugin, mode: CompressionMode) -> None:
    """Write a bag with the rosbags library."""
    store = get_typestore(Stores.ROS2_JAZZY)
    writer = Writer(path, version=9, storage_plugin=plugin)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        one = writer.add_connection("/a", WRENCH, typestore=store)
        other = writer.add_connection("/b", WRENCH, typestore=store)
        for i in range(500):
            writer.write(one, T0 + i * MS, wrench(T0 + i * MS - 5))
            if i % 5 == 0:
                writer.write(other, T0 + i * MS, wrench(T0 + i * MS - 7))


@pytest.mark.parametrize(
    ("plugin", "mode"),
    [
        (StoragePlugin.MCAP, CompressionMode.NONE),
        (StoragePlugin.MCAP, CompressionMode.STORAGE),
        (StoragePlugin.SQLITE3, CompressionMode.NONE),
        (StoragePlugin.SQLITE3, CompressionMode.MESSAGE),
    ],
)
def test_bags_of_other_recorders_are_read(
    tmp_path: Path, plugin: StoragePlugin, mode: CompressionMode
) -> None:
    foreign(tmp_path / "bag", plugin, mode)
    found, stamps = by_columns(tmp_path / "bag", {"/a", "/b"})
    assert found == by_rosbags(tmp_path / "bag", {"/a", "/b"})
    assert stamps["/b"][:2] == [T0 - 7, T0 + 5 * MS - 7]
    assert set(bag_topics(tmp_path / "bag")) == {"/a", "/b"}
    assert bag_topics(tmp_path / "bag")["/a"][0] == WRENCH


def test_messages_of_one_size_are_returned_as_rows(tmp_path: Path) -> None:
    sent = [("/a", wrench(T0 + i, frame_id="x" * (i % 9)), T0 + i) for i in range(200)]
    write_bag(McapWriter(), tmp_path / "bag", sent)
    (segment,) = read_columns(tmp_path / "bag", {"/a"})
    payloads = segment.columns["/a"].payloads
    size = len(sent[3][1])
    numbers = np.arange(0, 200, 3)
    fits, rows = payloads.rows(numbers, size)  # type: ignore[attr-defined]
    assert fits.tolist() == [len(sent[n][1]) == size for n in numbers]
    assert [r.tobytes() for r in rows] == [sent[n][1] for n in numbers if len(sent[n][1]) == size]


def test_a_damaged_index_is_reported(tmp_path: Path) -> None:
    sent = [("/a", wrench(T0 + i * MS), T0 + i * MS) for i in range(3000)]
    write_bag(McapWriter(), tmp_path / "bag", sent)
    (path,) = (tmp_path / "bag").glob("*.mcap")
    whole = path.read_bytes()
    broken = bytearray(whole)
    at = broken.index(b"\x07", len(broken) // 2)  # inside a message index or a message
    broken[at : at + 40] = bytes(40)
    path.write_bytes(broken)
    try:
        found, _ = by_columns(tmp_path / "bag", {"/a"})
    except BagError as error:
        assert str(path) in str(error)
    else:  # the damage is inside a payload
        assert len(found["/a"]) == 3000
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BagError, match="bag"):
        by_columns(tmp_path / "bag", {"/a"})


def in_chunks(path: Path, count: int, each: int) -> Path:
    """Write ``count`` messages, a millisecond apart, ``each`` per chunk; return the data file."""
    writer = McapWriter()
    writer.open(path, {})
    channel = Channel(wrench_topic("/a"))
    writer.add_topic(channel)
    for first in range(0, count, each):
        times = [T0 + i * MS for i in range(first, first + each)]
        writer.write([Sample(channel, wrench(at), at, at) for at in times])
        writer.sync()
    writer.close()
    (file,) = path.glob("*.mcap")
    return file


@pytest.mark.parametrize("plugin", [None, *StoragePlugin])
def test_messages_before_the_start_time_may_be_left_out(
    tmp_path: Path, plugin: StoragePlugin
) -> None:
    if plugin is None:
        in_chunks(tmp_path / "bag", 500, 20)
    else:
        foreign(tmp_path / "bag", plugin, CompressionMode.NONE)
    whole = by_rosbags(tmp_path / "bag", {"/a"})["/a"]
    for from_ns in (0, T0 + 233 * MS, T0 + 240 * MS, T0 + 499 * MS, T0 + 500 * MS):
        segments = list(read_columns(tmp_path / "bag", {"/a"}, from_ns))
        columns = [s.columns["/a"] for s in segments if s.columns]
        found = [
            (at, column.payloads[i])
            for column in columns
            for i, at in enumerate(column.receives.tolist())
        ]
        wanted = [m for m in whole if m[0] >= from_ns]
        assert found[len(found) - len(wanted) :] == wanted
        assert not segments or segments[-1].share == 1.0
        if plugin is None:  # at most one chunk of 20 messages too many
            assert len(found) < len(wanted) + 20


@pytest.mark.parametrize("damaged", [0, 7, 24])
def test_everything_before_the_damage_is_read(tmp_path: Path, damaged: int) -> None:
    file = in_chunks(tmp_path / "bag", 500, 20)
    index = McapIndex.open(file)
    assert index is not None and len(index.chunks) == 25
    chunk = index.chunks[damaged]
    with open(file, "r+b") as data:
        data.seek(chunk.offset + 9)
        data.write(b"\xff" * (chunk.length - 9))
    whole = [T0 + i * MS for i in range(500)]
    found: list[int] = []
    with pytest.raises(BagError, match=f"damaged near byte {chunk.offset}"):
        for segment in read_columns(tmp_path / "bag", {"/a"}):
            found += segment.columns["/a"].receives.tolist()
            assert found[-1] < segment.until_ns
    assert found == whole[: damaged * 20]


def test_a_missing_bag_is_reported(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="does not exist"):
        list(read_columns(tmp_path / "nothing", {"/a"}))
