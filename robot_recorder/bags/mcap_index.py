"""Locate the messages of an MCAP file by its index, or by reading through the file.

Source: https://mcap.dev/spec, sections "Summary" and "Message Index". Every part of the index is
optional; files without it are read as well.
"""

from __future__ import annotations

import mmap
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from robot_recorder.bags import mcap_records as mcap
from robot_recorder.bags.files import open_regular
from robot_recorder.bags.mcap_chunk import unpack_chunk
from robot_recorder.bags.mcap_records import (
    ChannelRecord,
    ChunkHead,
    ChunkInfo,
    Op,
    SchemaRecord,
    is_repeated,
)
from robot_recorder.bags.mcap_scan import walk
from robot_recorder.model.arrays import Int64s
from robot_recorder.model.errors import BagError

_INDEX_HEAD = struct.Struct("<BQHI")  # of a message index: head, channel, bytes of its entries
_I64 = np.dtype("<i8")
_FOOTER = mcap.HEAD.size + 20 + len(mcap.MAGIC)
_LONGEST_HEAD = 100  # bytes; no chunk head is longer
_RUN_MESSAGES, _RUN_BYTES = 20_000, 16_000_000  # of messages outside of chunks, treated as a chunk
_RUBBISH = (struct.error, UnicodeDecodeError, ValueError)


class McapIndex:
    """An MCAP file mapped into memory, with the locations of its messages.

    Attributes:
        path: of the file.
        data: the file's bytes.
        channels: by id.
        schemas: by id.
        chunks: chunks of the file; a run of messages outside of chunks also counts as one.
        messages: number of messages by the file's statistics; None: no statistics.
        problem: why the file cannot be read to its end; empty: it can.
        verify: check the CRC of each chunk that is read.
    """

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path = path
        self.data = data
        self.channels: dict[int, ChannelRecord] = {}
        self.schemas: dict[int, SchemaRecord] = {}
        self.chunks: list[ChunkInfo] = []
        self.messages: int | None = None
        self.problem = ""
        self.verify = False
        self._walked: dict[int, list[tuple[int, Int64s]]] = {}  # by the chunk's offset
        self._runs: set[int] = set()
        self._left_out: dict[int, dict[int, Int64s]] = {}  # record offsets, by chunk and channel

    @classmethod
    def open(cls, path: Path, walk: bool = True) -> McapIndex:
        """Map a file and locate its messages.

        Args:
            path: of the file.
            walk: read through a file without a usable index; otherwise it has no chunks.

        Raises:
            BagError: the file is not MCAP, or cannot be read.
        """
        try:
            with open_regular(path) as file:  # stays mapped until the last payload is released
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:
            raise BagError(
                f"{path} is empty: the recording never began, or a copy failed"
            ) from error
        except OSError as error:
            raise BagError(f"{path} cannot be read: {error.strerror or error}") from error
        if data[: len(mcap.MAGIC)] != mcap.MAGIC:
            raise BagError(f"{path} is not an MCAP file, or damaged in its first bytes")
        found = cls(path, data)
        try:
            whole = found._read_summary()
        except _RUBBISH:
            whole = False
        if not whole:
            found.chunks = []
            if walk:
                found._walk()
        return found

    def _read_summary(self) -> bool:
        """Read the summary; return whether it locates every message."""
        data = self.data
        if len(data) < _FOOTER or data[-len(mcap.MAGIC) :] != mcap.MAGIC:
            return False
        (start,) = struct.unpack_from("<Q", data, len(data) - _FOOTER + mcap.HEAD.size)
        at, end = start, len(data) - _FOOTER
        while start and at < end:
            op, length = mcap.HEAD.unpack_from(data, at)
            content = data[at + mcap.HEAD.size : at + mcap.HEAD.size + length]
            at += mcap.HEAD.size + length
            if op in (Op.CHANNEL, Op.SCHEMA):
                self._define(op, content)
            elif op == Op.CHUNK_INDEX:
                self.chunks.append(mcap.read_chunk_index(content))
            elif op == Op.STATISTICS:
                (self.messages,) = struct.unpack_from("<Q", content)
        self.chunks.sort(key=lambda c: c.offset)
        # Channels and schemas in the summary are optional, and so are message indexes and chunks:
        # without them, fewer messages are indexed than the statistics count.
        named = {id for chunk in self.chunks for id in chunk.index_offsets}
        known = {id for id, c in self.channels.items() if c.schema_id in self.schemas}
        once = len({chunk.offset for chunk in self.chunks}) == len(self.chunks)
        counted = sum(self.counts().values())
        return bool(counted) and counted == self.messages and once and named <= known

    def _define(self, op: int, content: bytes) -> None:
        if op == Op.CHANNEL:
            channel = mcap.read_channel(content)
            self.channels.setdefault(channel.id, channel)
        elif op == Op.SCHEMA:
            schema = mcap.read_schema(content)
            self.schemas.setdefault(schema.id, schema)

    def _walk(self) -> None:
        """Locate every message without an index, by reading the whole file once."""
        run: mcap.Index = {}
        at = begin = len(mcap.MAGIC)
        while True:
            op, end = self._record(at)
            full = False
            if op == Op.MESSAGE and end:
                if not run:
                    begin = at
                id, log_ns = self._message(at)
                mcap.note(run, id, log_ns, at)
                messages = sum(map(len, run.values())) // mcap.ENTRY.size
                full = messages >= _RUN_MESSAGES or at - begin > _RUN_BYTES
            if run and (op != Op.MESSAGE or not end or full):
                self._take_run(run, begin, end or at)
                run = {}
            if op in (Op.DATA_END, Op.FOOTER) or not end:
                if not end or self.data[-len(mcap.MAGIC) :] != mcap.MAGIC:
                    self.problem = self.problem or (
                        f"{self.path} is cut off or damaged at byte {at}: "
                        f"`robot-recorder recover {self.path}` makes a bag of what is readable"
                    )
                return
            try:
                if op == Op.CHUNK:
                    self._walk_chunk(at, end)
                elif op in (Op.CHANNEL, Op.SCHEMA):
                    self._define(op, self.data[at + mcap.HEAD.size : end])
            except (*_RUBBISH, BagError) as error:
                why = str(error) if isinstance(error, BagError) else self._damaged(at)
                self.problem = self.problem or why
            at = end

    def _record(self, at: int) -> tuple[int, int]:
        """Return opcode and end offset of a record; end 0: invalid or incomplete."""
        if at + mcap.HEAD.size > len(self.data):
            return 0, 0
        op, length = mcap.HEAD.unpack_from(self.data, at)
        end = at + mcap.HEAD.size + length
        short = op == Op.MESSAGE and length < mcap.MESSAGE_FIXED
        return op, 0 if op == 0 or end > len(self.data) or short else end

    def _message(self, at: int) -> tuple[int, int]:
        _, _, id, _, log_ns, _ = mcap.MESSAGE.unpack_from(self.data, at)
        return id, log_ns

    def _take_run(self, run: mcap.Index, begin: int, end: int) -> None:
        """Add a run of messages outside of chunks, whose offsets are those in the file."""
        self._runs.add(begin)
        self._take(ChunkInfo(0, 0, begin, end - begin, end - begin, end - begin), run)

    def _walk_chunk(self, at: int, end: int) -> None:
        head = self._head(at)
        info = ChunkInfo(
            head.start_ns, head.end_ns, at, end - at, head.size, head.stored_size, head.compression
        )
        buffer, first = self._unpacked(info, head)
        records = bytes(memoryview(buffer)[first : first + head.size])
        index: mcap.Index = {}
        whole = 0
        for op, start, whole in walk(records):
            if op == Op.MESSAGE:
                _, _, id, _, log_ns, _ = mcap.MESSAGE.unpack_from(records, start)
                mcap.note(index, id, log_ns, start)
            else:
                self._define(op, bytes(records[start + mcap.HEAD.size : whole]))
        self._take(info, index)
        if whole != len(records):
            raise BagError(self._damaged(at))

    def _take(self, info: ChunkInfo, index: mcap.Index) -> None:
        entries = [
            (id, np.frombuffer(found, "<u8").astype(np.int64).reshape(-1, 2))
            for id, found in index.items()
        ]
        if entries:
            info.start_ns = min(int(found[:, 0].min()) for _, found in entries)
            info.end_ns = max(int(found[:, 0].max()) for _, found in entries)
        self._walked[info.offset] = entries
        self.chunks.append(info)

    def count(self, chunk: ChunkInfo) -> int:
        """Return the approximate number of messages in a chunk."""
        if chunk.offset in self._walked:
            return sum(len(entries) for _, entries in self._walked[chunk.offset])
        return chunk.index_length // mcap.ENTRY.size

    def counts(self) -> dict[int, int]:
        """Count messages by channel id, from the lengths of the message indexes alone.

        Raises:
            ValueError: the offset of a message index is invalid.
        """
        found: dict[int, int] = {}
        for chunk in self.chunks:
            for id, left_out in self._left_out.get(chunk.offset, {}).items():
                found[id] = found.get(id, 0) - len(left_out)
            if chunk.offset in self._walked:
                sizes = [(id, len(entries)) for id, entries in self._walked[chunk.offset]]
            else:
                sizes = _indexed_sizes(chunk)
            for id, size in sizes:
                found[id] = found.get(id, 0) + size
        return found

    def span(self) -> tuple[int, int]:
        """Return the first and last log time, ns; zeros when there are no messages."""
        used = [chunk for chunk in self.chunks if self.count(chunk)]
        first = min((chunk.start_ns for chunk in used), default=0)
        return first, max((chunk.end_ns for chunk in used), default=0)

    def repeats(self) -> dict[str, int]:
        """Return how many messages of each topic repeat an earlier file, by the file's channels."""
        counts, found = self.counts(), Counter[str]()
        for id, channel in self.channels.items():
            if is_repeated(channel) and counts.get(id):
                found[channel.topic] += counts[id]
        return dict(found)

    def leave_out(self, repeated: Mapping[str, int]) -> None:
        """Leave out the first messages of some topics, which repeat those of an earlier file.

        Args:
            repeated: how many, by topic.

        Raises:
            BagError: the file's index is damaged.
        """
        left = Counter(repeated)
        try:
            for chunk in self.chunks:
                if not left.total():
                    break
                self._leave_out_of(chunk, left)
        except (struct.error, KeyError, ValueError) as error:
            raise BagError(f"{self.path} has a damaged index: {error}") from error
        if self.messages is not None:
            self.messages -= sum(repeated.values()) - left.total()

    def _leave_out_of(self, chunk: ChunkInfo, left: Counter[str]) -> None:
        """Leave the first messages of some topics out of a chunk, and count them off."""
        topics = {id: c.topic for id, c in self.channels.items() if left[c.topic] > 0}
        found = sorted(
            (at, id)
            for id, entries in self.entries(chunk)
            if id in topics
            for at in entries[:, 1].tolist()
        )
        places: dict[int, list[int]] = {}
        for at, id in found:
            if left[topics[id]] > 0:
                left[topics[id]] -= 1
                places.setdefault(id, []).append(at)
        if places:
            self._left_out[chunk.offset] = {id: np.array(at) for id, at in places.items()}

    def entries(self, chunk: ChunkInfo) -> Iterator[tuple[int, Int64s]]:
        """Yield channel id and int64[n, 2] (log time ns, record offset) per channel of a chunk."""
        left_out = self._left_out.get(chunk.offset)
        if not left_out:
            yield from self._all_entries(chunk)
            return
        for id, entries in self._all_entries(chunk):
            if id in left_out:
                entries = entries[~np.isin(entries[:, 1], left_out[id])]
            yield id, entries

    def _all_entries(self, chunk: ChunkInfo) -> Iterator[tuple[int, Int64s]]:
        if chunk.offset in self._walked:
            yield from self._walked[chunk.offset]
            return
        at = chunk.offset + chunk.length
        end = at + chunk.index_length
        while at < end:
            op, length, id, size = _INDEX_HEAD.unpack_from(self.data, at)
            if op == Op.MESSAGE_INDEX:
                yield (
                    id,
                    np.frombuffer(self.data, _I64, size // 8, at + _INDEX_HEAD.size).reshape(-1, 2),
                )
            at += mcap.HEAD.size + length

    def records(self, chunk: ChunkInfo) -> tuple[memoryview | mmap.mmap, int]:
        """Return a buffer with a chunk's records, and the offset at which they begin.

        Raises:
            BagError: the chunk is damaged, or cannot be unpacked.
        """
        if chunk.offset in self._runs:
            return self.data, 0
        buffer, first = self._unpacked(chunk, self._head(chunk.offset))
        return buffer, first

    def _head(self, at: int) -> ChunkHead:
        if at + mcap.HEAD.size > len(self.data) or self.data[at] != Op.CHUNK:
            raise BagError(self._damaged(at))
        return mcap.read_chunk_head(self.data[at + mcap.HEAD.size : at + _LONGEST_HEAD])

    def _unpacked(self, chunk: ChunkInfo, head: ChunkHead) -> tuple[memoryview | mmap.mmap, int]:
        first = chunk.offset + mcap.HEAD.size + head.records_at
        if head.compression == "" and not self.verify:
            return self.data, first
        try:
            records = unpack_chunk(head, self.data[first : first + head.stored_size])
        except BagError as error:
            raise BagError(f"{self.path}: {error}") from error
        if records is None:
            raise BagError(self._damaged(chunk.offset))
        return memoryview(records), 0

    def _damaged(self, at: int) -> str:
        return f"{self.path} is damaged at byte {at}: a chunk cannot be unpacked"


def _indexed_sizes(chunk: ChunkInfo) -> list[tuple[int, int]]:
    """Return channel ids and numbers of messages, from the distances between message indexes."""
    places = sorted((at, id) for id, at in chunk.index_offsets.items())
    end = chunk.offset + chunk.length + chunk.index_length
    ends = [*(at for at, _ in places), end][1:]
    sizes = [
        (id, (stop - at - _INDEX_HEAD.size) // mcap.ENTRY.size)
        for (at, id), stop in zip(places, ends, strict=True)
    ]
    if any(size < 0 for _, size in sizes):
        raise ValueError("message indexes overlap")
    return sizes
