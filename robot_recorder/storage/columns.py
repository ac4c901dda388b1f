"""A bag as columns: every topic's stamps and receipts as arrays, its messages' bytes only when asked for.

An indexed MCAP file says where each message is. So stamps are gathered for thousands of messages at
once, and an image that nobody asks for is never touched. Every other bag is read message by message.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from rosbags.rosbag2 import Reader
from rosbags.rosbag2.errors import ReaderError

from robot_recorder.core.arrays import Bytes, Int64s
from robot_recorder.core.cdr import HEAD, head_rows, header_stamps_ns
from robot_recorder.core.errors import BagError
from robot_recorder.core.payloads import Payloads as MessageBytes
from robot_recorder.core.payloads import Rows
from robot_recorder.storage import mcap_records as mcap
from robot_recorder.storage.mcap_index import McapIndex
from robot_recorder.storage.mcap_records import ChunkInfo, Op, SchemaRecord
from robot_recorder.storage.metadata import read_metadata
from robot_recorder.storage.reader import read_messages, unreadable

_SPAN_BYTES = 64_000_000  # looked at at once, unpacked; what is not packed stays where it is
_SPAN_MESSAGES = 50_000  # looked at at once
_LARGE_BYTES = 10_000
_MESSAGES = 20_000  # read at once where there is no index


class Payloads:
    """The bytes of many messages, made when they are asked for."""

    def __init__(self, parts: list[tuple[memoryview | mmap.mmap, Int64s]]) -> None:
        """
        Args:
            parts: buffers, and where in each a message record begins.
        """
        self._parts = parts
        self._ends = np.cumsum([len(at) for _, at in parts])

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, number: int) -> bytes:
        which = int(np.searchsorted(self._ends, number, "right"))
        buffer, places = self._parts[which]
        at = int(places[number - (self._ends[which - 1] if which else 0)])
        _, length = mcap.HEAD.unpack_from(buffer, at)
        first, end = at + mcap.MESSAGE.size, at + mcap.HEAD.size + length
        if end - first < _LARGE_BYTES:
            return bytes(buffer[first:end])
        # Large ones are still on the disk, as a rule. numpy lets other threads run while they are read.
        return np.frombuffer(buffer, np.uint8)[first:end].copy().tobytes()

    def rows(self, numbers: Int64s, size: int) -> tuple[npt.NDArray[np.bool_], Bytes]:
        """See core.decoder.Rows."""
        return self.cut(numbers, size, 0, size)

    def cut(
        self, numbers: Int64s, size: int, first: int, end: int
    ) -> tuple[npt.NDArray[np.bool_], Bytes]:
        """See core.decoder.Rows."""
        width = end - first
        fits, found = np.zeros(len(numbers), dtype=bool), [np.empty((0, width), dtype=np.uint8)]
        which = np.searchsorted(self._ends, numbers, "right")
        for part in np.unique(which).tolist():
            buffer, places = self._parts[part]
            data = np.frombuffer(buffer, np.uint8)
            mine = np.flatnonzero(which == part)
            at = places[numbers[mine] - (self._ends[part - 1] if part else 0)]
            lengths = sliding_window_view(data, mcap.HEAD.size)[at][:, 1:].copy().view("<u8")[:, 0]
            right = lengths == mcap.MESSAGE_FIXED + size
            fits[mine[right]] = True
            if right.any():
                places = at[right] + (mcap.MESSAGE.size + first)
                found.append(sliding_window_view(data, width)[places])
        return fits, np.concatenate(found)


class PartOfPayloads:
    """Some of many messages' bytes."""

    def __init__(self, whole: MessageBytes, first: int, end: int) -> None:
        self._whole, self._first, self._end = whole, first, end

    def __len__(self) -> int:
        return self._end - self._first

    def __getitem__(self, number: int) -> bytes:
        return self._whole[self._first + number]

    def rows(self, numbers: Int64s, size: int) -> tuple[npt.NDArray[np.bool_], Bytes]:
        """See core.decoder.Rows."""
        if isinstance(self._whole, Rows):
            return self._whole.rows(numbers + self._first, size)
        return np.zeros(len(numbers), dtype=bool), np.empty((0, size), dtype=np.uint8)

    def cut(
        self, numbers: Int64s, size: int, first: int, end: int
    ) -> tuple[npt.NDArray[np.bool_], Bytes]:
        """See core.decoder.Rows."""
        if isinstance(self._whole, Rows):
            return self._whole.cut(numbers + self._first, size, first, end)
        return np.zeros(len(numbers), dtype=bool), np.empty((0, end - first), dtype=np.uint8)


@dataclass(frozen=True)
class Column:
    """Messages of one topic, in the order of the file.

    Attributes:
        receives: int64[n], ns since the epoch.
        headers: uint8[n, 12], their first bytes; zeros where a message is shorter.
        payloads: their bytes.
    """

    receives: Int64s
    headers: Bytes
    payloads: MessageBytes

    def part(self, first: int, end: int) -> Column:
        """Some of the messages."""
        payloads = PartOfPayloads(self.payloads, first, end)
        return Column(self.receives[first:end], self.headers[first:end], payloads)

    def stamps(self) -> Int64s:
        """int64[n], ns, of messages that begin with a std_msgs/Header."""
        return header_stamps_ns(self.headers)


@dataclass(frozen=True)
class Segment:
    """What was received in some seconds.

    Attributes:
        until_ns: everything received before is in this segment or an earlier one.
        columns: by topic.
        share: of the bag read so far, 0 to 1.
    """

    until_ns: int
    columns: dict[str, Column]
    share: float


def bag_topics(path: Path) -> dict[str, tuple[str, str]]:
    """Type and message definition of every topic of a bag directory; the definition may be empty.

    Of a topic with messages of several types the first type counts, and only its messages are read.

    Raises:
        BagError: it can not be read.
    """
    indexed = _open_indexed(path)
    if indexed is not None:
        return {
            topic: (schema.name, schema.data.decode(errors="replace"))
            for topic, schema in _schemas(indexed).items()
        }
    try:
        with Reader(path) as reader:
            return {c.topic: (c.msgtype, c.msgdef.data) for c in reversed(reader.connections)}
    except (ReaderError, OSError) as error:
        raise unreadable(path, error) from error


def _schemas(files: list[McapIndex]) -> dict[str, SchemaRecord]:
    found: dict[str, SchemaRecord] = {}
    for file in files:
        for channel in file.channels.values():
            if channel.schema_id in file.schemas:
                found.setdefault(channel.topic, file.schemas[channel.schema_id])
    return found


def read_columns(path: Path, topics: set[str], from_ns: int = 0) -> Iterator[Segment]:
    """A bag directory's messages, some seconds at a time; memory stays bounded.

    Args:
        topics: only these.
        from_ns: what was received before may be left out, so that it need not be read.

    Raises:
        BagError: it can not be read; what could be read has been yielded.
    """
    indexed = _open_indexed(path)
    if indexed is not None:
        yield from _read_indexed(indexed, topics, from_ns)
    else:
        yield from _read_plainly(path, topics, read_metadata(path), from_ns)


def _open_indexed(path: Path) -> list[McapIndex] | None:
    """A bag's files; None: not all of them have an index that can be used."""
    metadata = read_metadata(path)
    if metadata.get("storage_identifier") != "mcap" or metadata.get("compression_format"):
        return None
    found = [McapIndex.open(path / name) for name in metadata["relative_file_paths"]]
    return None if None in found else [file for file in found if file is not None]


_Chunks = list[tuple[McapIndex, ChunkInfo]]


def _read_indexed(files: list[McapIndex], topics: set[str], from_ns: int) -> Iterator[Segment]:
    chunks = [(f, c) for f in files for c in f.chunks if c.end_ns >= from_ns]
    skipped = sum(len(file.chunks) for file in files) - len(chunks)
    end_ns = max((c.end_ns for _, c in chunks), default=0) + 1
    # After a chunk, what is still to come was received at the earliest then.
    starts = [chunk.start_ns if chunk.index_length else end_ns for _, chunk in chunks]
    later = np.minimum.accumulate([*starts, end_ns][::-1])[::-1]
    ends = np.cumsum([chunk.length for _, chunk in chunks])
    types = {t: schema.name for t, schema in _schemas(files).items() if t in topics}
    for first, end in _groups([chunk for _, chunk in chunks]):
        for file in (
            files
        ):  # pages of what was read count as this process's memory until they are given back
            file.data.madvise(mmap.MADV_DONTNEED)
        try:
            columns = _columns(chunks[first:end], types)
        except _DAMAGED:  # what stands before the damage is still to be had
            for number in range(first, end):
                columns = _columns_or_error(chunks[number], types)
                yield Segment(int(later[number + 1]), columns, float(ends[number] / ends[-1]))
        else:
            yield Segment(int(later[end]), columns, float(ends[end - 1] / ends[-1]))
    for file in files:
        # Some stand outside of chunks, or in none of the indexes.
        if file.found != file.messages and not skipped:
            raise BagError(
                f"the index of {file.path} names {file.found} of {file.messages} messages"
            )


def _groups(chunks: list[ChunkInfo]) -> Iterator[tuple[int, int]]:
    """First and end of the chunks that are looked at together."""
    first = size = messages = 0
    for number, chunk in enumerate(chunks):
        size += chunk.size
        messages += chunk.index_length // 16
        if size >= _SPAN_BYTES or messages >= _SPAN_MESSAGES or number + 1 == len(chunks):
            yield first, number + 1
            first, size, messages = number + 1, 0, 0


_DAMAGED = (struct.error, IndexError, KeyError, ValueError, BagError)


def _columns_or_error(
    chunk: tuple[McapIndex, ChunkInfo], types: dict[str, str]
) -> dict[str, Column]:
    try:
        return _columns([chunk], types)
    except BagError:
        raise
    except _DAMAGED as error:
        file, info = chunk
        raise BagError(f"{file.path} is damaged near byte {info.offset}: {error}") from error


_Part = tuple[memoryview | mmap.mmap, int, Int64s]  # a buffer, where its records begin, entries


def _columns(group: _Chunks, types: dict[str, str]) -> dict[str, Column]:
    """By topic; of each the messages of its type."""
    found: dict[str, list[_Part]] = {}
    for file, chunk in group:
        wanted = []
        for id, entries in file.entries(chunk):
            channel = file.channels[id]
            if file.schemas[channel.schema_id].name == types.get(channel.topic):
                wanted.append((id, entries))
        if wanted:
            buffer, first = file.records(chunk)
            for id, entries in wanted:
                found.setdefault(file.channels[id].topic, []).append((buffer, first, entries))
    return {topic: _column(parts) for topic, parts in found.items()}


def _column(parts: list[_Part]) -> Column:
    receives, headers, joined = [], [], []
    for _, same in groupby(parts, key=lambda part: id(part[0])):
        # Neighbours in one buffer are gathered at once.
        buffers, firsts, entries = zip(*same)
        every = np.concatenate(entries)
        places = every[:, 1] + np.repeat(firsts, [len(e) for e in entries])
        # Of one time they may stand in any order in an index; the file's is that of their arrival.
        if (np.diff(places) < 0).any():
            order = np.argsort(places, kind="stable")
            every, places = every[order], places[order]
        receives.append(every[:, 0])
        headers.append(_headers(buffers[0], places))
        joined.append((buffers[0], places))
    return Column(np.concatenate(receives), np.concatenate(headers), Payloads(joined))


def _headers(buffer: memoryview | mmap.mmap, places: Int64s) -> Bytes:
    """The first bytes of the messages whose records stand at these places."""
    data = np.frombuffer(buffer, np.uint8)
    size = mcap.MESSAGE.size + HEAD
    if (
        places.max() + mcap.MESSAGE.size > len(data)
        or len(data) < size
        or (data[places] != Op.MESSAGE).any()
    ):
        raise ValueError("its index does not point at messages")
    inside = np.minimum(
        places, len(data) - size
    )  # of a buffer's very last message there may be less
    raw = sliding_window_view(data, size)[inside]
    cut = places != inside
    for row in np.flatnonzero(cut).tolist():
        rest = data[places[row] :]
        raw[row] = np.pad(rest, (0, size - len(rest)))
    lengths = np.ascontiguousarray(raw[:, 1:9]).view("<u8")[:, 0]
    headers = raw[:, mcap.MESSAGE.size :]
    headers[lengths < mcap.MESSAGE_FIXED + HEAD] = 0
    return headers


def _read_plainly(
    path: Path, topics: set[str], metadata: dict[str, Any], from_ns: int
) -> Iterator[Segment]:
    total = max(int(metadata.get("message_count") or 0), 1)
    types = {topic: type_name for topic, (type_name, _) in bag_topics(path).items()}
    times: dict[str, list[int]] = {}
    data: dict[str, list[bytes]] = {}
    count, size, newest = 0, 0, 0
    for read, message in enumerate(read_messages(path, topics)):
        right = types.setdefault(message.topic, message.type) == message.type
        if message.receive_ns < from_ns or not right:
            continue
        full = count >= _MESSAGES or size >= _SPAN_BYTES
        if full and message.receive_ns > newest:
            yield Segment(message.receive_ns, _plain_columns(times, data), min(read / total, 1.0))
            times, data, count, size = {}, {}, 0, 0
        times.setdefault(message.topic, []).append(message.receive_ns)
        data.setdefault(message.topic, []).append(message.data)
        newest = max(newest, message.receive_ns)
        count += 1
        size += len(message.data)
    if count:
        yield Segment(newest + 1, _plain_columns(times, data), 1.0)


def _plain_columns(times: dict[str, list[int]], data: dict[str, list[bytes]]) -> dict[str, Column]:
    columns = {}
    for topic, messages in data.items():
        headers = head_rows([m[:HEAD] for m in messages])
        columns[topic] = Column(np.array(times[topic], dtype=np.int64), headers, messages)
    return columns
