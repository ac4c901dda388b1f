"""Read a bag as columns: timestamps of every topic as arrays, message bytes only on demand.

An indexed MCAP file tells where each message is, so the timestamps of thousands of messages are
gathered at once, and an image that nobody asks for is never read. Every other bag is read message
by message.
"""

from __future__ import annotations

import mmap
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from heapq import merge
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from robot_recorder.bags import mcap_records as mcap
from robot_recorder.bags.bag import OpenBag, full_type, opened
from robot_recorder.bags.mcap_chunk import decompress
from robot_recorder.bags.mcap_index import McapIndex
from robot_recorder.bags.mcap_records import ChunkInfo, Op
from robot_recorder.bags.metadata import METADATA_FILE
from robot_recorder.bags.ros1_file import Ros1File
from robot_recorder.messages.cdr import HEAD, head_rows, header_stamps_ns
from robot_recorder.model.arrays import Bytes, Int64s
from robot_recorder.model.errors import BagError
from robot_recorder.model.payloads import Payloads, Rows

_SPAN_BYTES = 64_000_000  # of chunks read together, uncompressed size
_SPAN_MESSAGES = 50_000  # in chunks read together
_LARGE_BYTES = 10_000
_MESSAGES = 20_000  # read together where there is no index
MOST_MESSAGE_BYTES = 256_000_000  # limit for a message that is compressed separately
CDR = "cdr"
_HELD_MESSAGES = 200_000  # most messages held back to put late, older ones before them


class LazyPayloads:
    """The bytes of many messages, copied out of the file when they are asked for."""

    def __init__(self, parts: list[tuple[memoryview | mmap.mmap, Int64s]]) -> None:
        """
        Args:
            parts: buffers, and the offsets of the message records in each.
        """
        self._parts = parts
        self._ends = np.cumsum([len(at) for _, at in parts])

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def _place(self, number: int) -> tuple[memoryview | mmap.mmap, int, int]:
        """Return the buffer that a message is in, and where it begins and ends."""
        which = int(np.searchsorted(self._ends, number, "right"))
        buffer, places = self._parts[which]
        at = int(places[number - (self._ends[which - 1] if which else 0)])
        _, length = mcap.HEAD.unpack_from(buffer, at)
        return buffer, at + mcap.MESSAGE.size, at + mcap.HEAD.size + length

    def __getitem__(self, number: int) -> bytes:
        buffer, first, end = self._place(number)
        if end - first < _LARGE_BYTES:
            return bytes(buffer[first:end])
        # Large messages are usually still on the disk; numpy releases the GIL while they are read.
        return np.frombuffer(buffer, np.uint8)[first:end].copy().tobytes()

    def edges(self, number: int, head: int, tail: int) -> tuple[int, bytes, bytes]:
        """Return the size of a message, and its first and last bytes, without reading the others."""
        buffer, first, end = self._place(number)
        ends = (
            bytes(buffer[first : min(first + head, end)]),
            bytes(buffer[max(end - tail, first) : end]),
        )
        return end - first, *ends

    def rows(self, numbers: Int64s, size: int) -> tuple[npt.NDArray[np.bool_], Bytes]:
        """Return which of the messages have ``size`` bytes, and those messages as rows."""
        fits, found = np.zeros(len(numbers), dtype=bool), [np.empty((0, size), dtype=np.uint8)]
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
                places = at[right] + mcap.MESSAGE.size
                found.append(sliding_window_view(data, size)[places])
        return fits, np.concatenate(found)


class PartOfPayloads:
    """The bytes of a contiguous range of messages."""

    def __init__(self, whole: Payloads, first: int, end: int) -> None:
        self._whole, self._first, self._end = whole, first, end

    def __len__(self) -> int:
        return self._end - self._first

    def __getitem__(self, number: int) -> bytes:
        return self._whole[self._first + number]

    def rows(self, numbers: Int64s, size: int) -> tuple[npt.NDArray[np.bool_], Bytes]:
        """Return which of the messages have ``size`` bytes, and those messages as rows."""
        if isinstance(self._whole, Rows):
            return self._whole.rows(numbers + self._first, size)
        return np.zeros(len(numbers), dtype=bool), np.empty((0, size), dtype=np.uint8)


class ChosenPayloads:
    """The bytes of selected messages, in any order."""

    def __init__(self, whole: Payloads, chosen: Int64s) -> None:
        self._whole, self._chosen = whole, chosen

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, number: int) -> bytes:
        return self._whole[int(self._chosen[number])]

    def rows(self, numbers: Int64s, size: int) -> tuple[npt.NDArray[np.bool_], Bytes]:
        """Return which of the messages have ``size`` bytes, and those messages as rows."""
        if not isinstance(self._whole, Rows):
            return np.zeros(len(numbers), dtype=bool), np.empty((0, size), dtype=np.uint8)
        # The whole returns rows by ascending message number: sort, then restore the order.
        wanted = self._chosen[numbers]
        order = np.argsort(wanted, kind="stable")
        fits_, rows = self._whole.rows(wanted[order], size)
        fits = np.zeros(len(numbers), dtype=bool)
        fits[order] = fits_
        places = np.cumsum(fits) - 1  # row of each message that fits
        found = np.empty_like(rows)
        found[places[order[fits_]]] = rows
        return fits, found


class JoinedPayloads:
    """The bytes of several groups of messages, one group after another."""

    def __init__(self, parts: list[Payloads]) -> None:
        self._parts = parts
        self._ends = np.cumsum([len(part) for part in parts])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, number: int) -> bytes:
        which = int(np.searchsorted(self._ends, number, "right"))
        return self._parts[which][number - (int(self._ends[which - 1]) if which else 0)]


def edges(payloads: Payloads, number: int, head: int, tail: int) -> tuple[int, bytes, bytes]:
    """Return the size of a message, and its first and last bytes."""
    if isinstance(payloads, LazyPayloads):
        return payloads.edges(number, head, tail)
    message = payloads[number]
    return len(message), message[:head], message[-tail:]


@dataclass(frozen=True)
class Column:
    """Messages of one topic as arrays.

    Attributes:
        receives: int64[n], receive times, ns since the epoch.
        sends: int64[n], when each message was sent, ns; as ``receives`` if the bag does not say.
        headers: uint8[n, 12], first bytes of each message; zeros where a message is shorter.
        payloads: bytes of the n messages.
    """

    receives: Int64s
    sends: Int64s
    headers: Bytes
    payloads: Payloads

    def part(self, first: int, end: int) -> Column:
        """Return the messages from number ``first`` up to ``end``."""
        payloads = PartOfPayloads(self.payloads, first, end)
        part = slice(first, end)
        return Column(self.receives[part], self.sends[part], self.headers[part], payloads)

    def chosen(self, numbers: Int64s) -> Column:
        """Return the messages with the given numbers, in that order."""
        payloads = ChosenPayloads(self.payloads, numbers)
        return Column(self.receives[numbers], self.sends[numbers], self.headers[numbers], payloads)

    def stamps(self) -> Int64s:
        """Return the header stamps, int64[n], ns, of messages that begin with a std_msgs/Header."""
        return header_stamps_ns(self.headers)


@dataclass(frozen=True)
class Segment:
    """The messages of a bag received within some seconds.

    Attributes:
        until_ns: everything received before this time is in this segment or an earlier one.
        columns: messages by topic.
        share: fraction of the bag read so far, 0 to 1.
    """

    until_ns: int
    columns: dict[str, Column]
    share: float


def bag_topics(path: Path) -> dict[str, tuple[str, str]]:
    """Return type and message definition of every CDR topic of a bag; the definition may be empty.

    Of a topic with messages of several types, only the first type is returned, and only its
    messages are read.

    Raises:
        BagError: the bag cannot be read.
    """
    with opened(path) as bag:
        return _first_types(bag)


def _first_types(bag: OpenBag) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for topic in bag.topics():
        if topic.encoding == CDR and topic.type:
            found.setdefault(topic.name, (topic.type, topic.definition))
    return found


def unread_topics(path: Path, metadata: dict[str, Any]) -> list[str]:
    """Return a sentence for each topic with messages that this package does not read.

    Raises:
        BagError: the bag cannot be read.
    """
    entries = [
        (e["topic_metadata"]["name"], e["topic_metadata"], int(e["message_count"]))
        for e in metadata["topics_with_message_count"]
        if e["message_count"]
    ]
    names = [name for name, *_ in entries]
    first = bag_topics(path) if len(set(names)) < len(names) else {}
    sentences = []
    for name, topic, count in entries:
        encoding, kind = topic.get("serialization_format", CDR), topic["type"]
        if encoding != CDR:
            sentences.append(f"{name}: its {count} messages are {encoding}, not {CDR}: not read")
        elif name in first and first[name][0] != kind:
            sentences.append(
                f"{name}: its {count} messages of type {kind} are not read; "
                f"those of {first[name][0]} are"
            )
    return sentences


def read_columns(path: Path, topics: set[str], from_ns: int = 0) -> Iterator[Segment]:
    """Read a bag in time order, some seconds at a time; memory stays bounded.

    Args:
        path: bag directory or data file.
        topics: names of the topics to read.
        from_ns: messages received earlier may be left out, which saves reading them.

    Raises:
        BagError: the bag cannot be read, or holds fewer messages than its metadata says. Everything
            readable has been yielded before.
    """
    with opened(path) as bag:
        types = {t: kind for t, (kind, _) in _first_types(bag).items() if t in topics}
        read: Counter[str] = Counter()
        for segment in ordered(_segments(bag, types, from_ns)):
            read.update({t: len(column.receives) for t, column in segment.columns.items()})
            yield segment
        if not from_ns:
            _compare(bag, types, read)


def read_types(path: Path, verify: bool = False) -> Iterator[tuple[str, str, Column]]:
    """Read all messages of a bag, including those of a topic's second type.

    Args:
        path: bag directory or data file.
        verify: check the CRC of every chunk.

    Yields:
        Topic, type, and some messages of both.

    Raises:
        BagError: the bag cannot be read. Everything readable has been yielded before.
    """
    with opened(path) as bag:
        for file in bag.files:
            if isinstance(file, McapIndex):
                file.verify = verify
        left = [(t.name, t.type) for t in bag.topics() if t.encoding == CDR and t.type]
        while left:  # one type per topic in each pass; there is rarely a second pass
            types = dict(reversed(left))
            left = [pair for pair in left if types[pair[0]] != pair[1]]
            for segment in _segments(bag, types, 0):
                for topic, column in segment.columns.items():
                    yield topic, types[topic], column
        for file in bag.files:
            if isinstance(file, Ros1File) and (sentences := file.unconverted()):
                raise BagError("; ".join(sentences))


def _compare(bag: OpenBag, types: dict[str, str], read: Counter[str]) -> None:
    """Compare the number of messages read with the metadata.

    Raises:
        BagError: fewer messages were read than the metadata says.
    """
    for entry in bag.metadata["topics_with_message_count"]:
        name, kind = entry["topic_metadata"]["name"], entry["topic_metadata"]["type"]
        declared = entry["message_count"]
        if types.get(name) == kind and read[name] < declared:
            raise BagError(
                f"{bag.path}: {name} has {read[name]} messages, {METADATA_FILE} says {declared}"
            )


def _segments(bag: OpenBag, types: dict[str, str], from_ns: int) -> Iterator[Segment]:
    indexed = [file for file in bag.files if isinstance(file, McapIndex)]
    if len(indexed) == len(bag.files):
        segments = _read_indexed(indexed, types, from_ns)
    else:
        segments = _read_plainly(bag, types, from_ns)
    for segment in segments:
        yield _unpacked(segment) if bag.packed else segment


def _unpacked(segment: Segment) -> Segment:
    """Decompress a segment's messages, each of which is compressed separately."""
    columns = {}
    for topic, column in segment.columns.items():
        try:
            stored = (column.payloads[number] for number in range(len(column.receives)))
            data = [decompress("zstd", message, MOST_MESSAGE_BYTES) for message in stored]
        except Exception as error:  # the library raises many types for damaged data
            raise BagError(f"{topic}: a message cannot be decompressed: {error}") from error
        if any(len(message) > MOST_MESSAGE_BYTES for message in data):
            raise BagError(
                f"{topic}: a message is larger than {MOST_MESSAGE_BYTES / 1e6:.0f} MB decompressed"
            )
        heads = head_rows([m[:HEAD] for m in data])
        columns[topic] = Column(column.receives, column.sends, heads, data)
    return replace(segment, columns=columns)


_Chunks = list[tuple[McapIndex, ChunkInfo]]


def _read_indexed(files: list[McapIndex], types: dict[str, str], from_ns: int) -> Iterator[Segment]:
    chunks = [(f, c) for f in files for c in f.chunks if c.end_ns >= from_ns]
    end_ns = max((c.end_ns for _, c in chunks), default=0) + 1
    # later[i]: earliest receive time in the chunks from i on.
    starts = [chunk.start_ns if file.count(chunk) else end_ns for file, chunk in chunks]
    later = np.minimum.accumulate([*starts, end_ns][::-1])[::-1]
    ends = np.cumsum([chunk.length for _, chunk in chunks])
    for first, end in _groups(chunks):
        # Pages already read count as this process's memory until they are given back.
        for file in files:
            file.data.madvise(mmap.MADV_DONTNEED)
        try:
            columns = _columns(chunks[first:end], types)
        except _DAMAGED:  # read chunk by chunk, to yield everything before the damage
            for number in range(first, end):
                columns = _columns_or_error(chunks[number], types)
                yield Segment(int(later[number + 1]), columns, float(ends[number] / ends[-1]))
        else:
            yield Segment(int(later[end]), columns, float(ends[end - 1] / ends[-1]))
    for file in files:
        if file.problem:
            raise BagError(file.problem)
        found = sum(file.counts().values())
        if file.messages is not None and found < file.messages:
            raise BagError(
                f"{file.path} holds {found} messages, its statistics say {file.messages}"
            )


def _groups(chunks: _Chunks) -> Iterator[tuple[int, int]]:
    """Yield the chunks to be read together, as ranges of indices: first, end."""
    first = size = messages = 0
    for number, (file, chunk) in enumerate(chunks):
        size += chunk.size
        messages += file.count(chunk)
        if size >= _SPAN_BYTES or messages >= _SPAN_MESSAGES or number + 1 == len(chunks):
            yield first, number + 1
            first, size, messages = number + 1, 0, 0


_DAMAGED = (struct.error, IndexError, KeyError, ValueError, BagError)


def ordered(segments: Iterator[Segment]) -> Iterator[Segment]:
    """Put segments in time order: hold messages back until older ones later in the file are read.

    At most 200 000 messages are held back; messages further out of order keep the order of the
    file.
    """
    held: dict[str, Column] = {}
    problem: BagError | None = None
    try:
        for segment in segments:
            now, held = _split(held, segment)
            yield replace(segment, columns=now)
    except BagError as error:  # raised after everything readable has been yielded
        problem = error
    if held:
        until_ns = max(int(column.receives.max()) for column in held.values()) + 1
        yield Segment(until_ns, held, 1.0)
    if problem is not None:
        raise problem


def _split(
    held: dict[str, Column], segment: Segment
) -> tuple[dict[str, Column], dict[str, Column]]:
    """Split messages into those received before the end of a segment and those held back."""
    now: dict[str, Column] = {}
    kept: dict[str, Column] = {}
    count = sum(len(column.receives) for column in held.values())
    for topic in {*held, *segment.columns}:
        parts = [c for c in (held.get(topic), segment.columns.get(topic)) if c is not None]
        column = parts[0] if len(parts) == 1 else _joined(parts)
        early = column.receives < segment.until_ns
        if early.all() or count > _HELD_MESSAGES:
            now[topic] = column
            continue
        kept[topic] = column.chosen(np.flatnonzero(~early))
        if early.any():
            now[topic] = column.chosen(np.flatnonzero(early))
    return now, kept


def _joined(parts: list[Column]) -> Column:
    """Join columns of one topic, sorted by receive time."""
    receives = np.concatenate([part.receives for part in parts])
    sends = np.concatenate([part.sends for part in parts])
    headers = np.concatenate([part.headers for part in parts])
    joined = Column(receives, sends, headers, JoinedPayloads([part.payloads for part in parts]))
    order = np.argsort(receives, kind="stable")
    return joined.chosen(order)


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


_Part = tuple[memoryview | mmap.mmap, int, Int64s]  # buffer, offset of its records, index entries


def _columns(group: _Chunks, types: dict[str, str]) -> dict[str, Column]:
    """Gather the messages of some chunks by topic, only those of the topic's type."""
    found: dict[str, list[_Part]] = {}
    for file, chunk in group:
        wanted = []
        for id, entries in file.entries(chunk):
            channel = file.channels.get(id)
            schema = file.schemas.get(channel.schema_id) if channel is not None else None
            if channel is None or schema is None or channel.message_encoding != CDR:
                continue
            if len(entries) and full_type(schema.name) == types.get(channel.topic):
                wanted.append((id, entries))
        if wanted:
            buffer, first = file.records(chunk)
            for id, entries in wanted:
                found.setdefault(file.channels[id].topic, []).append((buffer, first, entries))
    return {topic: _column(parts) for topic, parts in found.items()}


def _column(parts: list[_Part]) -> Column:
    receives, sends, headers, joined = [], [], [], []
    for _, same in groupby(parts, key=lambda part: id(part[0])):
        # Consecutive parts of one buffer are gathered together.
        buffers, firsts, entries = zip(*same)
        every = np.concatenate(entries)
        places = every[:, 1] + np.repeat(firsts, [len(e) for e in entries])
        # By time, then by place in the file, whatever the order of the index.
        if (np.diff(every[:, 0]) <= 0).any():
            order = np.lexsort((places, every[:, 0]))
            every, places = every[order], places[order]
        receives.append(every[:, 0])
        sent, heads = _heads(buffers[0], places)
        sends.append(sent)
        headers.append(heads)
        joined.append((buffers[0], places))
    column = Column(
        np.concatenate(receives), np.concatenate(sends), np.concatenate(headers),
        LazyPayloads(joined),
    )  # fmt: skip
    if (np.diff(column.receives) < 0).any():  # chunks may overlap in time
        return column.chosen(np.argsort(column.receives, kind="stable"))
    return column


def _heads(buffer: memoryview | mmap.mmap, places: Int64s) -> tuple[Int64s, Bytes]:
    """Return send times and first bytes of the messages whose records begin at the offsets."""
    data = np.frombuffer(buffer, np.uint8)
    size = mcap.MESSAGE.size + HEAD
    if (
        places.max() + mcap.MESSAGE.size > len(data)
        or places.min() < 0
        or (data[places] != Op.MESSAGE).any()
    ):
        raise ValueError("its index does not point at messages")
    if len(data) < size:  # a chunk of nothing but one short message
        data = np.pad(data, (0, size - len(data)))
    # The last message of a buffer may be shorter than a head.
    inside = np.minimum(places, len(data) - size)
    raw = sliding_window_view(data, size)[inside]
    cut = places != inside
    for row in np.flatnonzero(cut).tolist():
        rest = data[places[row] :]
        raw[row] = np.pad(rest, (0, size - len(rest)))
    lengths = np.ascontiguousarray(raw[:, 1:9]).view("<u8")[:, 0]
    headers = raw[:, mcap.MESSAGE.size :]
    headers[lengths < mcap.MESSAGE_FIXED + HEAD] = 0
    fixed = raw[:, mcap.MESSAGE.size - 8 : mcap.MESSAGE.size]
    return np.ascontiguousarray(fixed).view("<i8")[:, 0], headers


def _read_plainly(bag: OpenBag, types: dict[str, str], from_ns: int) -> Iterator[Segment]:
    total = max(sum(topic.messages for topic in bag.topics()), 1)
    times: dict[str, list[int]] = {}
    data: dict[str, list[bytes]] = {}
    count, size, newest = 0, 0, 0
    plain = [file for file in bag.files if not isinstance(file, McapIndex)]
    files = [file.messages(set(types), from_ns) for file in plain]
    for read, (at_ns, topic, kind, message) in enumerate(merge(*files, key=itemgetter(0))):
        if at_ns < from_ns or full_type(kind) != types.get(topic):
            continue
        full = count >= _MESSAGES or size >= _SPAN_BYTES
        if full and at_ns > newest:
            yield Segment(at_ns, _plain_columns(times, data), min(read / total, 1.0))
            times, data, count, size = {}, {}, 0, 0
        times.setdefault(topic, []).append(at_ns)
        data.setdefault(topic, []).append(message)
        newest = max(newest, at_ns)
        count += 1
        size += len(message)
    if count:
        yield Segment(newest + 1, _plain_columns(times, data), 1.0)
    for file in plain:
        if file.problem:
            raise BagError(file.problem)


def _plain_columns(times: dict[str, list[int]], data: dict[str, list[bytes]]) -> dict[str, Column]:
    columns = {}
    for topic, messages in data.items():
        headers = head_rows([m[:HEAD] for m in messages])
        receives = np.array(times[topic], dtype=np.int64)
        columns[topic] = Column(receives, receives, headers, messages)
    return columns
