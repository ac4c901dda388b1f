"""Compressing MCAP files: every message is the same afterwards, or the file stays as it is."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.rosbag2 import Reader
from support.bags import small_robot
from support.samples import T0

from robot_recorder.bags import mcap_compress
from robot_recorder.bags import mcap_records as mcap
from robot_recorder.bags.bag import describe
from robot_recorder.bags.mcap_compress import compress_file, left_alone, packed_size
from robot_recorder.bags.mcap_index import McapIndex
from robot_recorder.bags.mcap_scan import scan
from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.bags.metadata import write_metadata
from robot_recorder.bags.reader import read_messages
from robot_recorder.model.errors import BagError
from robot_recorder.model.topics import BagTopic, Channel, Sample

TYPES = ("std_msgs/msg/String", "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/Image")
_COUNT = itertools.count()


def data_file(bag: Path) -> Path:
    (file,) = bag.glob("*.mcap")
    return file


def rows(file: Path) -> dict[str, list[tuple[int, int, int, bytes]]]:
    """Return number, times and content of each message by topic, in the order of the file."""
    index, found = McapIndex.open(file), {}  # type: McapIndex, dict[str, list[tuple[int, int, int, bytes]]]
    for chunk in index.chunks:
        buffer, first = index.records(chunk)
        for id, entries in index.entries(chunk):
            for _, at in entries.tolist():
                begin = first + at
                _, length, _, number, log_ns, send_ns = mcap.MESSAGE.unpack_from(buffer, begin)
                data = bytes(buffer[begin + mcap.MESSAGE.size : begin + 9 + length])
                found.setdefault(index.channels[id].topic, []).append(
                    (number, log_ns, send_ns, data)
                )
    return found


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 5), st.binary(max_size=30), st.booleans()),
        min_size=1, max_size=60,
    )
)  # fmt: skip
def test_any_messages_are_the_same_afterwards(
    tmp_path_factory: pytest.TempPathFactory, said: list[tuple[int, int, bytes, bool]]
) -> None:
    folder = tmp_path_factory.getbasetemp() / f"compress_{next(_COUNT)}"
    folder.mkdir()
    writer, at_ns = McapWriter(), T0
    writer.open(folder / "bag", {})
    channels = [
        Channel(BagTopic(f"/t{n}", kind, (), "", "int32 x\n")) for n, kind in enumerate(TYPES)
    ]
    for channel in channels:
        writer.add_topic(channel)
    for kind, pause, data, flush in said:
        at_ns += pause
        writer.write([Sample(channels[kind], b"\0\1\0\0" + data * 20, at_ns, at_ns - 3)])
        if flush:
            writer.sync()
    writer.close()
    source, target = data_file(folder / "bag"), folder / "copy.mcap"
    compress_file(source, target)
    assert rows(target) == rows(source)
    checked = scan(target)
    assert checked.sound and not checked.gaps
    size = packed_size(target)
    assert size.size == target.stat().st_size <= size.plain
    assert packed_size(source).plain == source.stat().st_size


def test_pictures_stay_as_they_are_and_every_reader_reads_the_rest(tmp_path: Path) -> None:
    bag = small_robot(tmp_path / "bag", 15)
    before = [(m.receive_ns, m.topic, m.data) for m in read_messages(bag)]
    source = data_file(bag)
    assert left_alone(source) == ""
    done: list[int] = []
    compress_file(source, tmp_path / "copy.mcap", done.append)
    index = McapIndex.open(tmp_path / "copy.mcap")
    for chunk in index.chunks:
        types = {index.schemas[index.channels[id].schema_id].name for id in chunk.index_offsets}
        pictures = "sensor_msgs/msg/CompressedImage" in types
        assert chunk.compression == ("" if pictures else "zstd")
        assert len(types) == 1 or not pictures
    assert done and done[-1] <= len(McapIndex.open(source).data)
    (tmp_path / "copy.mcap").replace(source)
    write_metadata(bag, describe([source], [McapIndex.open(source)]))
    assert [(m.receive_ns, m.topic, m.data) for m in read_messages(bag)] == before
    with Reader(bag) as reader:  # orders messages of one time by topic, too
        assert [t for _, t, _ in reader.messages()] == [at for at, _, _ in before]
    assert "compressed already" in left_alone(source)
    assert left_alone(data_file(small_robot(tmp_path / "empty", 0))) == "it holds no message"


def test_a_copy_that_reads_back_differently_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = data_file(small_robot(tmp_path / "bag", 1))
    compress = mcap_compress._packed

    def other(records: bytes) -> bytes | None:
        return compress(records[:-1] + bytes([records[-1] ^ 1]))

    monkeypatch.setattr(mcap_compress, "_packed", other)
    with pytest.raises(BagError, match=r"damaged|differs"):
        compress_file(source, tmp_path / "copy.mcap")


def test_what_would_be_lost_is_refused(tmp_path: Path) -> None:
    source = data_file(small_robot(tmp_path / "bag", 1))
    data = bytearray(source.read_bytes())
    middle = McapIndex.open(source).chunks[0]
    data[middle.offset + 5000] ^= 1
    (tmp_path / "flipped.mcap").write_bytes(data)
    with pytest.raises(BagError, match="is damaged at byte"):
        compress_file(tmp_path / "flipped.mcap", tmp_path / "copy.mcap")
    begin = len(mcap.MAGIC + mcap.header("ros2", "robot_recorder"))
    whole = source.read_bytes()
    # An attachment in front shifts the index, as a file of another recorder would have it without one.
    attached = whole[:begin] + mcap.record(mcap.Op.ATTACHMENT, bytes(40)) + whole[begin:]
    (tmp_path / "attached.mcap").write_bytes(attached)
    with pytest.raises(BagError, match=r"records that would be lost|cut off or damaged|is damaged"):
        compress_file(tmp_path / "attached.mcap", tmp_path / "copy2.mcap")
    (tmp_path / "cut.mcap").write_bytes(whole[: len(whole) // 2])
    assert "cut off or damaged" in left_alone(tmp_path / "cut.mcap")
