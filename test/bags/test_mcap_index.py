"""Messages of MCAP files are found by an index, or without one.

Holds also: mcap_chunk.py, mcap_records.py.
"""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from mcap.writer import CompressionType, IndexType
from support.cases import T0, as_bytes, chunk_bomb, cut_off, steady, write_mcap

from robot_recorder.bags import mcap_records as mcap
from robot_recorder.bags.mcap_index import McapIndex
from robot_recorder.model.errors import BagError

MESSAGES = as_bytes(steady())


def found(index: McapIndex) -> list[tuple[int, bytes]]:
    """Return time and payload of all messages, by time."""
    messages = []
    for chunk in index.chunks:
        buffer, first = index.records(chunk)
        for _, entries in index.entries(chunk):
            for log_ns, at in entries.tolist():
                _, length = mcap.HEAD.unpack_from(buffer, first + at)
                begin = first + at + mcap.HEAD.size
                payload = bytes(buffer[begin + mcap.MESSAGE_FIXED : begin + length])
                messages.append((log_ns, payload))
    return sorted(messages)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"compression": CompressionType.NONE},
        {"compression": CompressionType.LZ4},
        {"indexed": False},
        {"index_types": IndexType.CHUNK},
        {"chunked": False},
        {"chunked": False, "indexed": False},
        {"chunk_size": 1000},
    ],
    ids=str,
)
def test_every_message_is_found_however_the_file_was_written(how: dict, tmp_path: Path) -> None:
    index = McapIndex.open(write_mcap(tmp_path / "a.mcap", MESSAGES, **how))
    assert found(index) == [(log_ns, data) for _, log_ns, data in MESSAGES]
    assert index.counts() == {channel: 300 for channel in index.channels}
    assert index.span() == (T0, MESSAGES[-1][1]) and not index.problem


def test_a_file_without_its_end_is_read_up_to_there_and_the_rest_named(tmp_path: Path) -> None:
    index = McapIndex.open(cut_off(tmp_path))
    assert len(found(index)) == 300
    assert "is cut off or damaged at byte" in index.problem
    assert f"`robot-recorder recover {index.path}`" in index.problem


def test_without_walking_an_unindexed_file_has_no_chunks(tmp_path: Path) -> None:
    path = write_mcap(tmp_path / "a.mcap", MESSAGES, indexed=False)
    assert McapIndex.open(path, walk=False).chunks == []


def test_a_chunk_is_verified_when_that_is_wanted(tmp_path: Path) -> None:
    path = write_mcap(tmp_path / "a.mcap", MESSAGES, compression=CompressionType.NONE)
    index = McapIndex.open(path)
    (chunk,) = index.chunks[:1]
    with open(path, "r+b") as file:
        file.seek(chunk.offset + chunk.length - 3)
        file.write(b"\xff\xff\xff")
    index.records(chunk)
    index.verify = True
    with pytest.raises(BagError, match="is damaged at byte"):
        index.records(chunk)


def test_a_chunk_that_would_fill_the_memory_is_not_unpacked(tmp_path: Path) -> None:
    index = McapIndex.open(chunk_bomb(tmp_path))
    assert "more than 256 MB are not unpacked" in index.problem and not index.chunks


def test_files_that_are_not_mcap_are_errors(tmp_path: Path) -> None:
    for content, words in ((b"", "is empty"), (b"rubbish", "is not an MCAP file")):
        (tmp_path / "a.mcap").write_bytes(content)
        with pytest.raises(BagError, match=words):
            McapIndex.open(tmp_path / "a.mcap")


def test_records_are_read_back_as_they_were_written() -> None:
    schema = mcap.SchemaRecord(3, "a/msg/B", "ros2msg", b"float64 x\n")
    channel = mcap.ChannelRecord(7, 3, "/a", "cdr", {"offered_qos_profiles": "ä"})
    for written, read, value in (
        (mcap.schema(schema), mcap.read_schema, schema),
        (mcap.channel(channel), mcap.read_channel, channel),
        (mcap.header("ros2", "us"), mcap.read_header, ("ros2", "us")),
    ):
        _, length = mcap.HEAD.unpack_from(written)
        assert length == len(written) - mcap.HEAD.size
        content = written[mcap.HEAD.size :]
        assert read(content) == value
        with pytest.raises((struct.error, ValueError)):
            read(content[: len(content) // 4])
