"""Read a ROS 1 bag, format 2.0, as if it were a rosbag2 data file: messages are CDR.

The rosbags library converts the messages. The file is read here, because rosbags keeps 175 bytes in
memory for every message of a bag, and does not open a bag without an index.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from robot_recorder.bags import ros1_records as ros1
from robot_recorder.bags.db3_file import FileTopic
from robot_recorder.bags.files import open_regular
from robot_recorder.bags.ros1_records import DAMAGED, Connection, Fields, Record, RecordType
from robot_recorder.bags.ros1_types import Ros1Types, full_type
from robot_recorder.model.errors import BagError
from robot_recorder.model.qos import OfferedQos

MAGIC = ros1.MAGIC
STORAGE = "rosbag_v2"  # the name that rosbag2's plugin for these bags has
UNREADABLE = "ros1 without a readable definition"  # encoding of what cannot be converted
_HELD_BYTES = 128_000_000  # most bytes of messages held back to put earlier ones before them
_NEVER_NS = 2**63 - 1


class _Chunk(NamedTuple):
    """A chunk of messages.

    Attributes:
        at: offset of its record.
        start_ns, end_ns: first and last receive time.
        counts: uint32[n, 2], connections with their messages.
    """

    at: int
    start_ns: int
    end_ns: int
    counts: npt.NDArray[np.uint32]


class _Content(NamedTuple):
    """What is in a bag: its connections by id, its chunks, and why it may be incomplete."""

    connections: dict[int, Connection]
    chunks: list[_Chunk]
    problem: str = ""


class Ros1File:
    """An open ROS 1 bag; the caller closes it.

    Attributes:
        path: of the file.
        problem: why not all of it can be read; grows while messages are read; empty: nothing.
    """

    def __init__(self, path: Path) -> None:
        """
        Raises:
            BagError: the file is not a ROS 1 bag of format 2.0, or nothing in it can be read.
        """
        self.path = path
        self._unconverted: Counter[tuple[str, str]] = Counter()
        self._why: dict[str, str] = {}
        try:
            self._file = open_regular(path)
        except OSError as error:
            raise BagError(f"{path} cannot be read: {error.strerror}") from error
        try:
            found = _content(self._file.fileno(), path)
        except BaseException:
            self._file.close()
            raise
        self.problem = found.problem
        self._connections, self._chunks = found.connections, found.chunks
        kinds = tuple((c.type, c.definition) for c in self._connections.values())
        self._types, named = _types(kinds)
        self._kinds = dict(zip(self._connections, named, strict=True))

    def topics(self) -> list[FileTopic]:
        """Return the topics in the order of the file; connections of one topic and type as one."""
        counts: Counter[int] = Counter()
        for chunk in self._chunks:
            for id, count in chunk.counts.tolist():
                counts[id] += count
        found: dict[tuple[str, str, str], FileTopic] = {}
        for id, connection in self._connections.items():
            name, text = self._kinds[id]
            encoding = "cdr" if text else UNREADABLE
            offer = OfferedQos(
                durability="transient_local" if connection.latched else "volatile"
            ).to_dict()
            key = connection.topic, name, encoding
            before = found.get(key) or FileTopic(*key, text, "ros2msg" if text else "", [], "", 0)
            qos = before.qos if offer in before.qos else [*before.qos, offer]
            found[key] = before._replace(qos=qos, messages=before.messages + counts[id])
        return list(found.values())

    def span(self) -> tuple[int, int]:
        """Return the first and last receive time, ns; zeros when there are no messages."""
        chunks = [chunk for chunk in self._chunks if len(chunk.counts)]
        if not chunks:
            return 0, 0
        return min(c.start_ns for c in chunks), max(c.end_ns for c in chunks)

    def messages(self, topics: set[str], from_ns: int) -> Iterator[tuple[int, str, str, bytes]]:
        """Yield (time in ns, topic, type, CDR bytes) in time order.

        A message that cannot be converted has no bytes; ``unconverted`` counts it. Chunks that
        cannot be read are left out, and ``problem`` tells.

        Args:
            topics: names of the topics to read.
            from_ns: earliest receive time; 0: all.
        """
        wanted = {
            id for id, c in self._connections.items() if c.topic in topics and self._kinds[id][1]
        }
        for key in [key for key in self._unconverted if key[0] in topics]:
            del self._unconverted[key]
        chunks = [
            c for c in self._chunks if c.end_ns >= from_ns and wanted & {*c.counts[:, 0].tolist()}
        ]
        starts = [chunk.start_ns for chunk in chunks]
        # later[i]: earliest receive time in the chunks after i.
        later = np.minimum.accumulate([*starts[1:], _NEVER_NS][::-1])[::-1].tolist()
        held: list[tuple[int, int, memoryview]] = []
        for chunk, later_ns in zip(chunks, later if chunks else (), strict=True):
            held += self._wanted(chunk, wanted, from_ns)
            held.sort(key=itemgetter(0))  # stable: messages of one time keep the order of the file
            ready = bisect_left(held, later_ns, key=itemgetter(0))
            if sum(len(data) for *_, data in held) > _HELD_BYTES:
                ready = len(held)
            for at_ns, id, data in held[:ready]:
                yield at_ns, self._connections[id].topic, self._kinds[id][0], self._cdr(id, data)
            held = held[ready:]

    def unconverted(self) -> list[str]:
        """Return a sentence for each topic with messages, among those read, that are not CDR."""
        return [
            f"{topic}: {count} messages cannot be converted from ROS 1's {kind} ({self._why[kind]})"
            for (topic, kind), count in sorted(self._unconverted.items())
        ]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _wanted(
        self, chunk: _Chunk, wanted: set[int], from_ns: int
    ) -> list[tuple[int, int, memoryview]]:
        """Return time, connection and bytes of a chunk's messages, up to where it is damaged."""
        found = []
        try:
            for record in _records(self._file.fileno(), chunk.at):
                if record.op != RecordType.MESSAGE:
                    continue
                id, at_ns = ros1.u32(record.fields[b"conn"]), ros1.time_ns(record.fields[b"time"])
                if id in wanted and at_ns >= from_ns:
                    found.append((at_ns, id, record.data))
        except DAMAGED as error:
            if not self.problem:
                self.problem = f"{self.path} is damaged near byte {chunk.at}: {error}"
        return found

    def _cdr(self, id: int, data: memoryview) -> bytes:
        """Convert a message; empty: it cannot be converted, and is counted."""
        kind = self._kinds[id][0]
        try:
            return self._types.to_cdr(kind, data)
        except ValueError as error:
            self._unconverted[self._connections[id].topic, kind] += 1
            self._why.setdefault(kind, str(error))
            return b""


def conversion(path: Path) -> str:
    """Say how a ROS 1 bag becomes one of rosbag2, for what only those can do."""
    target = path.with_name(path.name.partition(".bag")[0] or "converted")
    return f"`rosbags-convert --src {path} --dst {target}` makes a rosbag2 bag of it"


@lru_cache(maxsize=8)
def _types(kinds: tuple[tuple[str, str], ...]) -> tuple[Ros1Types, tuple[tuple[str, str], ...]]:
    """Return types, and the name and definition of each (type, definition); a bag is opened often.

    A definition that is not understood becomes empty.
    """
    types, named = Ros1Types(), []
    for name, definition in kinds:
        try:
            named.append(types.add(name, definition))
        except ValueError:
            named.append((full_type(name), ""))
    return types, tuple(named)


def _content(fd: int, path: Path) -> _Content:
    """Read what is in a bag from its index, or else from its chunks.

    Raises:
        BagError: it cannot be read.
    """
    begin = os.pread(fd, 64, 0)
    if not begin.startswith(ros1.VERSION_2):
        version = begin[len(MAGIC) :].split(b"\n")[0][:8].decode(errors="replace")
        raise BagError(
            f"{path} is a ROS 1 bag of format {version}, not 2.0: `rosbag fix` writes it as 2.0"
        )
    size = os.fstat(fd).st_size
    index_at = 0
    try:
        fields, _, _ = _head(fd, len(ros1.VERSION_2), size)
        if fields.get(b"encryptor"):
            raise BagError(f"{path} is encrypted: `rosbag decrypt` writes a copy that is not")
        index_at = ros1.u64(fields[b"index_pos"])
        counts = ros1.u32(fields[b"conn_count"]), ros1.u32(fields[b"chunk_count"])
        if index_at:
            return _indexed(fd, index_at, size, *counts)
    except DAMAGED:
        pass
    why = "was damaged or cut off later" if index_at else "was not ended"
    return _scanned(path, os.fstat(fd).st_mtime_ns, size, why)


def _indexed(fd: int, at: int, size: int, connections: int, chunks: int) -> _Content:
    """Read the index at the end of a bag.

    Raises:
        ValueError, LookupError, struct.error: it is missing or damaged.
    """
    found = _Content({}, [])
    for _ in range(connections):
        fields, data_at, length = _head(fd, at, size, RecordType.CONNECTION)
        added = ros1.connection(fields, _read(fd, data_at, length))
        found.connections[added.id] = added
        at = data_at + length
    for _ in range(chunks):
        fields, data_at, length = _head(fd, at, size, RecordType.CHUNK_INFO)
        counts = np.frombuffer(_read(fd, data_at, length), "<u4").reshape(-1, 2)
        times = ros1.time_ns(fields[b"start_time"]), ros1.time_ns(fields[b"end_time"])
        found.chunks.append(_Chunk(ros1.u64(fields[b"chunk_pos"]), *times, counts))
        at = data_at + length
    if not set().union(*(c.counts[:, 0].tolist() for c in found.chunks)) <= {*found.connections}:
        raise ValueError("its index lacks a connection")
    found.chunks.sort(key=lambda chunk: chunk.at)
    return found


@lru_cache(maxsize=8)
def _scanned(path: Path, changed_ns: int, size: int, why: str) -> _Content:
    """Read all chunks of a bag without an index; what is found is kept, as a bag is opened often.

    Args:
        path: of the file.
        changed_ns: when the file was last changed, a part of the key under which it is kept.
        size: of the file, bytes.
        why: why there is no index.

    Raises:
        BagError: there are no messages.
    """
    connections: dict[int, Connection] = {}
    chunks, left = [], ""
    with open_regular(path) as file:
        fd, at = file.fileno(), len(ros1.VERSION_2)
        try:
            while at < size:
                fields, data_at, length = _head(fd, at, size, cut=True)
                if fields[b"op"][0] == RecordType.CHUNK:
                    chunks.append(_scanned_chunk(fd, at, connections))
                    if not length:  # the chunk that was being written takes the rest of the file
                        break
                at = data_at + length
        except DAMAGED as error:
            left = f"; nothing behind byte {at} of {size} can be read ({error})"
    named = [c._replace(counts=c.counts[np.isin(c.counts[:, 0], [*connections])]) for c in chunks]
    lost = sum(int(c.counts[:, 1].sum()) for c in chunks) - sum(
        int(c.counts[:, 1].sum()) for c in named
    )
    left += (
        f"; {lost} messages are left out, because the record of their topic is lost" if lost else ""
    )
    remedy = f"`rosbag reindex {path}` writes the index again"
    if not any(len(chunk.counts) for chunk in named):
        raise BagError(f"{path} has no index, it {why}, and no messages are found in it: {remedy}")
    problem = f"{path} has no index, it {why}: what is there is read{left}; {remedy}"
    return _Content(connections, [c for c in named if len(c.counts)], problem)


def _scanned_chunk(fd: int, at: int, connections: dict[int, Connection]) -> _Chunk:
    """Describe a chunk by its records, and add its connections."""
    counts: Counter[int] = Counter()
    first_ns, last_ns = _NEVER_NS, 0
    try:
        for record in _records(fd, at):
            if record.op == RecordType.CONNECTION:
                added = ros1.connection(record.fields, record.data)
                connections.setdefault(added.id, added)
            elif record.op == RecordType.MESSAGE:
                at_ns = ros1.time_ns(record.fields[b"time"])
                counts[ros1.u32(record.fields[b"conn"])] += 1
                first_ns, last_ns = min(first_ns, at_ns), max(last_ns, at_ns)
    except DAMAGED:  # ``messages`` tells
        pass
    return _Chunk(at, first_ns, last_ns, np.array([*counts.items()], np.uint32).reshape(-1, 2))


def _records(fd: int, at: int) -> Iterator[Record]:
    """Yield the records in a chunk, also in one that the end of the file cuts off.

    Args:
        fd: the file.
        at: offset of the chunk's record.

    Raises:
        ValueError, LookupError, struct.error: the rest is damaged or cut off.
    """
    size = os.fstat(fd).st_size
    fields, data_at, length = _head(fd, at, size, RecordType.CHUNK, cut=True)
    compression, claimed = fields[b"compression"].decode(), ros1.u32(fields[b"size"])
    if not length:  # its sizes are written when it is full
        length = claimed = size - data_at
    if max(length, claimed) > ros1.MOST_CHUNK_BYTES:
        raise ValueError(f"a chunk of {max(length, claimed)} bytes is too large")
    stored = os.pread(fd, length, data_at)
    data = ros1.decompress(compression, stored, claimed)
    yield from ros1.records(memoryview(data))
    if len(data) < claimed:
        raise ValueError(f"a chunk has {len(data)} of {claimed} bytes")


def _head(
    fd: int, at: int, size: int, op: RecordType | None = None, cut: bool = False
) -> tuple[Fields, int, int]:
    """Read the header of a record.

    Args:
        fd: the file.
        at: offset of the record.
        size: of the file, bytes.
        op: expected type; None: any.
        cut: accept a record whose data go beyond the end of the file.

    Returns:
        The fields, and the offset and length of the data.

    Raises:
        ValueError, LookupError, struct.error: there is no such record.
    """
    length = ros1.u32(_read(fd, at, 4))
    if at + length > size:
        raise ValueError("a record's header is longer than the file")
    fields = ros1.parse_fields(_read(fd, at + 4, length))
    data_at = at + 8 + length
    data = ros1.u32(_read(fd, data_at - 4, 4))
    if op is not None and fields[b"op"][0] != op:
        raise ValueError(f"there is no {op.name.lower()} record at byte {at}")
    if data_at + data > size and not cut:
        raise ValueError(f"the record at byte {at} is cut off")
    return fields, data_at, data


def _read(fd: int, at: int, length: int) -> bytes:
    """Return bytes of a file.

    Raises:
        ValueError: the file ends before.
    """
    data = os.pread(fd, length, at)
    if len(data) < length:
        raise ValueError(f"it ends at byte {at + len(data)}")
    return data
