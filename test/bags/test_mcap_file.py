"""A closed file is complete, and changes by others are noticed."""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.leftovers import ID, data_file, read_by_others, record

from robot_recorder.bags import mcap_file, mcap_records
from robot_recorder.bags.mcap_file import McapFile, put_messages_python
from robot_recorder.model.errors import BagError
from robot_recorder.model.topics import BagTopic, Channel, Sample

compiled: Any = getattr(mcap_file, "_put_messages")  # noqa: B009
CHANNELS = [Channel(BagTopic(f"/t{n}", "std_msgs/msg/String")) for n in range(3)]
IDS = {channel: n + 0xFFFD for n, channel in enumerate(CHANNELS)}


def test_a_finished_bag_is_read_completely_by_other_readers(tmp_path: Path) -> None:
    partial, sent = record(tmp_path, close=True)
    assert read_by_others(partial) == [sum(map(len, sent.values()))] * 2


def test_closing_a_file_reports_that_another_program_changed_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = McapFile.finish

    def interfere(self: McapFile, metadata: dict[str, dict[str, str]]) -> None:
        finish(self, metadata)
        path = data_file(tmp_path / f"{ID}.partial")
        with open(path, "r+b") as file:
            file.truncate(path.stat().st_size - 1)

    monkeypatch.setattr(McapFile, "finish", interfere)
    with pytest.raises(BagError, match="another program changed the file"):
        record(tmp_path, close=True)


@given(
    st.lists(
        st.builds(
            Sample,
            st.sampled_from(CHANNELS),
            st.binary(max_size=99),
            st.integers(0, 2**64 - 1),
            st.integers(0, 2**64 - 1),
        ),
        max_size=12,
    ),
    st.integers(0, 3),
    st.integers(0, 300),
    st.integers(0, 1000),
)
def test_both_ways_write_the_same_records(
    samples: list[Sample], done: int, at: int, room: int
) -> None:
    found = []
    for put in (put_messages_python, compiled):
        buffer, counts = mmap.mmap(-1, 4096), {0xFFFD: 2**32 - 9, 0xFFFE: 0, 0xFFFF: 7}
        index: dict[int, bytearray] = {}
        end = put(samples, done, IDS, counts, index, buffer, at, at + room, at // 2)
        found.append((end, buffer[:], counts, index, list(index)))
    assert found[0] == found[1]
    (done_by_then, end_at), *_ = found[0]
    assert end_at <= at + room and done_by_then >= done


def test_what_does_not_fit_a_record_is_an_error_in_both_ways() -> None:
    channel, other = CHANNELS[0], Channel(BagTopic("/other", "std_msgs/msg/String"))
    good = Sample(channel, b"data", 1, 1)
    for put in (put_messages_python, compiled):
        for sample in (good._replace(receive_ns=-1), good._replace(send_ns=2**64)):
            with pytest.raises((struct.error, OverflowError)):
                put([sample], 0, IDS, {0xFFFD: 0}, {}, mmap.mmap(-1, 4096), 0, 4096, 0)
        for ids, counts, error in (
            ({channel: 2**16}, {2**16: 0}, (struct.error, OverflowError)),
            (IDS, {0xFFFD: 2**32}, (struct.error, OverflowError)),
            (IDS, {}, KeyError),
        ):
            with pytest.raises(error):
                put([good], 0, ids, counts, {}, mmap.mmap(-1, 4096), 0, 4096, 0)
        with pytest.raises(KeyError):
            put(
                [good._replace(channel=other)],
                0,
                IDS,
                {0xFFFD: 0},
                {},
                mmap.mmap(-1, 4096),
                0,
                4096,
                0,
            )


def test_the_compiled_part_refuses_wrong_use() -> None:
    assert compiled is not None, "the compiled part is not installed"
    good, room = Sample(CHANNELS[0], b"data", 1, 1), mmap.mmap(-1, 4096)
    for wrong in (None, (), "data", (CHANNELS[0], "text", 1, 1), (CHANNELS[0], b"", "now", 1)):
        with pytest.raises(TypeError):
            compiled([wrong], 0, IDS, {0xFFFD: 0}, {}, room, 0, 4096, 0)
    for next_, at, limit, first in (
        (-1, 0, 4096, 0), (0, -1, 4096, 0), (0, 0, 4097, 0), (0, 10, -(2**63), 0), (0, 0, 4096, -1),
    ):  # fmt: skip
        with pytest.raises(IndexError):
            compiled([good], next_, IDS, {0xFFFD: 0}, {}, room, at, limit, first)
    assert compiled([good], 0, IDS, {0xFFFD: 0}, {}, room, 2**63 - 1, 0, 0) == (0, 2**63 - 1)
    assert compiled([good], 0, IDS, {0xFFFD: 0}, {}, room, 5000, 4096, 0) == (0, 5000)
    for buffer in (bytes(4096), None):
        with pytest.raises((TypeError, BufferError)):
            compiled([good], 0, IDS, {0xFFFD: 0}, {}, buffer, 0, 4096, 0)
    with pytest.raises(TypeError, match="bytearrays"):
        compiled([good], 0, IDS, {0xFFFD: 0}, {0xFFFD: ()}, room, 0, 4096, 0)


@given(st.binary(max_size=600), st.integers(0, 9))
def test_the_checksum_is_that_of_zlib(data: bytes, start: int) -> None:
    """Of any length, any beginning in memory, and however it is given."""
    built = compiled is not None and _has_the_instruction()
    assert not built or mcap_records.crc32.__module__ != "zlib"
    for given_ in (data, bytearray(data), memoryview(data)[start:]):
        assert mcap_records.crc32(given_) == zlib.crc32(given_)


def test_the_checksum_of_a_whole_chunk_is_that_of_zlib() -> None:
    data = os.urandom(1 << 20) + b"end"
    for size in (1 << 20, (1 << 20) + 3, 65_537):
        assert mcap_records.crc32(data[:size]) == zlib.crc32(data[:size])
    with pytest.raises(TypeError):
        mcap_records.crc32("text")  # type: ignore[arg-type]


def _has_the_instruction() -> bool:
    """Tell whether the processor multiplies without carry, which the compiled checksum needs."""
    try:
        return " pclmulqdq " in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
