"""Conformance tests for every bag writer: same input, same messages, stamps and metadata.

Holds also: mcap_writer.py, rosbag2_writer.py.
"""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
from rosbags.rosbag2 import Reader
from support.samples import T0, WRENCH, wrench, wrench_topic, write_bag, write_messages

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.bags.metadata import custom_data_of, read_metadata
from robot_recorder.bags.reader import read_messages
from robot_recorder.bags.writer import writer_factory
from robot_recorder.model.errors import BagError, ConfigError
from robot_recorder.model.qos import OfferedQos
from robot_recorder.model.topics import Channel, Sample


@pytest.fixture(params=["mcap", "rosbag2_py"])
def writer(request: pytest.FixtureRequest):
    if not importlib.util.find_spec(request.param):
        pytest.skip(f"{request.param} is not installed here")
    return writer_factory(request.param)()


MESSAGES = [
    ("/b", wrench(T0 + i * 1000, (i, 0, 0, 0, 0, 0), f"frame {i}"), T0 + 500 + i * 1000)
    for i in range(50)
] + [("/a", wrench(T0 + 7), T0 + 100_000)]  # fmt: skip


def test_messages_stamps_and_metadata(writer, tmp_path: Path) -> None:
    path = tmp_path / "bag"
    write_bag(writer, path, MESSAGES)
    assert [(m.topic, m.data, m.receive_ns) for m in read_messages(path)] == MESSAGES
    metadata = read_metadata(path)
    assert metadata["version"] >= 5 and metadata["storage_identifier"] == "mcap"
    assert metadata["message_count"] == 51
    assert metadata["starting_time"]["nanoseconds_since_epoch"] == T0 + 500
    assert metadata["duration"]["nanoseconds"] == 99_500
    assert metadata["relative_file_paths"] == ["bag_0.mcap"]
    topics = {t["topic_metadata"]["name"]: t for t in metadata["topics_with_message_count"]}
    assert topics["/b"]["message_count"] == 50
    assert topics["/b"]["topic_metadata"]["type"] == WRENCH
    assert topics["/b"]["topic_metadata"]["type_description_hash"].startswith("RIHS01_")
    assert topics["/b"]["topic_metadata"]["offered_qos_profiles"][0]["reliability"] == "reliable"
    assert custom_data_of(metadata) == {"who": "test"}


def test_other_libraries_open_the_bag(writer, tmp_path: Path) -> None:
    from mcap.reader import make_reader

    path = tmp_path / "bag"
    write_bag(writer, path, MESSAGES)
    with Reader(path) as reader:
        assert reader.message_count == 51
    with open(path / "bag_0.mcap", "rb") as file:
        reader = make_reader(file)
        assert reader.get_header().profile == "ros2"
        found = [
            (c.topic, m.data, m.log_time, m.publish_time) for s, c, m in reader.iter_messages()
        ]
        summary = reader.get_summary()
    assert found == [(t, d, at, at - 1000) for t, d, at in MESSAGES]
    assert {s.encoding for s in summary.schemas.values()} == {"ros2msg"}
    assert all("offered_qos_profiles" in c.metadata for c in summary.channels.values())


def test_a_bag_without_messages_is_valid(writer, tmp_path: Path) -> None:
    write_bag(writer, tmp_path / "bag", [])
    assert list(read_messages(tmp_path / "bag")) == []
    assert read_metadata(tmp_path / "bag")["message_count"] == 0


def test_sync_puts_messages_into_the_file(writer, tmp_path: Path) -> None:
    if type(writer).__name__ != "McapWriter":
        pytest.skip("rosbag2 has no flush; its current chunk reaches the file later")
    from mcap.stream_reader import StreamReader

    path = tmp_path / "bag"
    writer.open(path, {})
    write_messages(writer, MESSAGES[:50])
    writer.sync()
    seen = 0
    with open(path / "bag_0.mcap", "rb") as file:
        try:
            for record in StreamReader(file).records:
                seen += type(record).__name__ == "Message"
        except Exception:  # the file is not finished yet
            pass
    assert seen == 50


def test_a_later_publisher_does_not_hide_the_topic(writer, tmp_path: Path) -> None:
    """Readers compare a topic's entry in metadata.yaml with its channel."""
    path, channel = tmp_path / "bag", Channel(wrench_topic("/a"))
    writer.open(path, {})
    writer.add_topic(channel)
    writer.write([Sample(channel, wrench(T0), T0, T0)])
    best_effort = OfferedQos(reliability="best_effort")
    channel.bag_topic = replace(channel.bag_topic, offered_qos=(OfferedQos(), best_effort))
    writer.write([Sample(channel, wrench(T0 + 1), T0 + 1, T0)])
    writer.close()
    assert [m.receive_ns for m in read_messages(path)] == [T0, T0 + 1]


HUGE = [(topic, bytes(3_000_000), T0 + at) for at, topic in enumerate(("/a", "/b", "/a"))]


def test_huge_messages_are_read_by_every_reader(writer, tmp_path: Path) -> None:
    """Each is larger than a chunk.

    rosbag2 on the mcap library 2.x (Lyrical) closes the chunk before, which may then have schemas and
    channels only. The format allows that, and every reader has to go on after it.
    """
    from mcap.reader import make_reader

    path = tmp_path / "bag"
    write_bag(writer, path, HUGE)
    assert [(m.topic, m.data, m.receive_ns) for m in read_messages(path)] == HUGE
    with open(path / "bag_0.mcap", "rb") as file:
        found = [(c.topic, m.data, m.log_time) for _, c, m in make_reader(file).iter_messages()]
    assert found == HUGE
    with Reader(path) as reader:
        assert [(c.topic, bytes(data), at) for c, at, data in reader.messages()] == HUGE
    if importlib.util.find_spec("rosbag2_py"):
        assert read_by_rosbag2(path) == HUGE


def read_by_rosbag2(path: Path) -> list[tuple[str, bytes, int]]:
    """Return a bag's messages as ``ros2 bag play`` reads them."""
    import rosbag2_py

    reader = rosbag2_py.SequentialReader()
    storage = rosbag2_py.StorageOptions(uri=str(path), storage_id="mcap")
    reader.open(storage, rosbag2_py.ConverterOptions("cdr", "cdr"))
    found = []
    while reader.has_next():
        topic, data, at = reader.read_next()
        found.append((topic, bytes(data), at))
    return found


def test_every_chunk_of_our_own_writer_has_messages(tmp_path: Path) -> None:
    """The mcap libraries 0.8 and 1.4 (rosbag2 of Humble and Kilted) read nothing if the first has none."""
    from mcap.reader import make_reader

    write_bag(McapWriter(), tmp_path / "bag", HUGE)
    with open(tmp_path / "bag" / "bag_0.mcap", "rb") as file:
        summary = make_reader(file).get_summary()
    assert summary is not None and len(summary.chunk_indexes) == 3
    assert all(chunk.message_index_offsets for chunk in summary.chunk_indexes)


def test_an_existing_directory_is_refused(writer, tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    with pytest.raises(BagError, match="bag"):
        writer.open(tmp_path / "bag", {})


def test_an_unwritable_place_is_reported(writer) -> None:
    with pytest.raises(BagError, match="/proc/nowhere"):
        writer.open(Path("/proc/nowhere/bag"), {})


def test_a_writer_is_chosen_by_name() -> None:
    assert isinstance(writer_factory("mcap")(), McapWriter)
    with pytest.raises(ConfigError, match="sqlite"):
        writer_factory("sqlite")
    if not importlib.util.find_spec("rosbag2_py"):
        with pytest.raises(ConfigError, match="apt install"):
            writer_factory("rosbag2_py")
