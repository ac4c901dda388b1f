"""Where each message of an MCAP file is: by its own index, or by walking through the file.

Source: https://mcap.dev/spec, sections "Summary" and "Message Index". An index is an offer: a file may
leave out any part of it, and is read all the same.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from robot_recorder.bags import mcap_records as mcap
from robot_recorder.bags.files import open_regular
from robot_recorder.bags.mcap_records import (
    ChannelRecord,
    ChunkHead,
    ChunkInfo,
    Op,
    SchemaRecord,
)
from robot_recorder.bags.mcap_scan import decompress, walk
from robot_recorder.model.arrays import Int64s
from robot_recorder.model.errors import BagError

_INDEX_HEAD = struct.Struct("<BQHI")  # of a message index: head, channel, bytes of its entries
_I64 = np.dtype("<i8")
_FOOTER = mcap.HEAD.size + 20 + len(mcap.MAGIC)
_LONGEST_HEAD = 100  # bytes of a chunk that stand before its records
_RUN_MESSAGES, _RUN_BYTES = 20_000, 16_000_000  # outside of chunks, taken together as one
_RUBBISH = (struct.error, UnicodeDecodeError, ValueError)


class McapIndex:
    """An MCAP file mapped into memory, and where its messages are.

    Attributes:
        chunks: of the file; a run of messages that stand outside of chunks counts as one, too.
        messages: how many there are by the file's statistics; None: it has none.
        problem: why the file could not be walked to its end; empty when it could, or need not be.
        verify: compare the checksum of each chunk that is read.
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

    @classmethod
    def open(cls, path: Path, walk: bool = True) -> McapIndex:
        """
        Args:
            walk: read a file without a usable index once; otherwise it has no chunks then.

        Raises:
            BagError: it is not an MCAP file, or cannot be read.
        """
        try:
            with open_regular(path) as file:  # mapped until the last payload is forgotten
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:
            raise BagError(
                f"{path} is empty: its recording had not begun, or the copy failed"
            ) from error
        except OSError as error:
            raise BagError(f"{path} can not be read: {error.strerror or error}") from error
        if data[: len(mcap.MAGIC)] != mcap.MAGIC:
            raise BagError(f"{path} is not an MCAP file, or its first bytes are damaged")
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
        """Whether the summary tells where every message is."""
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
        # A summary need not repeat channels and schemas, nor need a chunk have message indexes, nor a
        # message stand in a chunk: then fewer messages are indexed than there are.
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
        """Find every message without an index: reads all of the file once."""
        run: mcap.Index = {}
        at = begin = len(mcap.MAGIC)
        while True:
            op, end = self._record(at)
            full = False
            if op == Op.MESSAGE and end:
                if not run:
                    begin = at
                id, log_ns = self._message(at)
                run.setdefault(id, []).extend((log_ns, at))
                full = sum(map(len, run.values())) >= 2 * _RUN_MESSAGES or at - begin > _RUN_BYTES
            if run and (op != Op.MESSAGE or not end or full):
                self._take_run(run, begin, end or at)
                run = {}
            if op in (Op.DATA_END, Op.FOOTER) or not end:
                if not end or self.data[-len(mcap.MAGIC) :] != mcap.MAGIC:
                    self.problem = self.problem or (
                        f"{self.path} is cut off or damaged at byte {at}: `robot-recorder recover` makes "
                        "it whole"
                    )
                return
            try:
                if op == Op.CHUNK:
                    self._walk_chunk(at, end)
                elif op in (Op.CHANNEL, Op.SCHEMA):
                    self._define(op, self.data[at + mcap.HEAD.size : end])
            except (*_RUBBISH, BagError) as error:
                said = str(error) if isinstance(error, BagError) else self._damaged(at)
                self.problem = self.problem or said
            at = end

    def _record(self, at: int) -> tuple[int, int]:
        """Opcode and end of a record; end 0: it is not one, or not all there."""
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
        """Messages outside of chunks: they stand in the file itself."""
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
                index.setdefault(id, []).extend((log_ns, start))
            else:
                self._define(op, bytes(records[start + mcap.HEAD.size : whole]))
        self._take(info, index)
        if whole != len(records):
            raise BagError(self._damaged(at))

    def _take(self, info: ChunkInfo, index: mcap.Index) -> None:
        entries = [
            (id, np.array(found, dtype=np.uint64).astype(np.int64).reshape(-1, 2))
            for id, found in index.items()
        ]
        if entries:
            info.start_ns = min(int(found[:, 0].min()) for _, found in entries)
            info.end_ns = max(int(found[:, 0].max()) for _, found in entries)
        self._walked[info.offset] = entries
        self.chunks.append(info)

    def count(self, chunk: ChunkInfo) -> int:
        """About how many messages are in a chunk."""
        if chunk.offset in self._walked:
            return sum(len(entries) for _, entries in self._walked[chunk.offset])
        return chunk.index_length // 16

    def counts(self) -> dict[int, int]:
        """Messages by channel id, by how long the message indexes are; the data is not read.

        Raises:
            ValueError: an index cannot be where it is said to be.
        """
        found: dict[int, int] = {}
        for chunk in self.chunks:
            if chunk.offset in self._walked:
                sizes = [(id, len(entries)) for id, entries in self._walked[chunk.offset]]
            else:
                sizes = _indexed_sizes(chunk)
            for id, size in sizes:
                found[id] = found.get(id, 0) + size
        return found

    def span(self) -> tuple[int, int]:
        """First and last log time, ns; zeros when there are no messages."""
        used = [chunk for chunk in self.chunks if self.count(chunk)]
        first = min((chunk.start_ns for chunk in used), default=0)
        return first, max((chunk.end_ns for chunk in used), default=0)

    def entries(self, chunk: ChunkInfo) -> Iterator[tuple[int, Int64s]]:
        """Of each channel in a chunk int64[n, 2]: its messages' log times and places in the records."""
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
        """A buffer with a chunk's records, and where in it they begin."""
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
            records = decompress(head, self.data[first : first + head.stored_size])
        except BagError as error:
            raise BagError(f"{self.path}: {error}") from error
        if records is None or (head.crc and zlib.crc32(records) != head.crc):
            raise BagError(self._damaged(chunk.offset))
        return memoryview(records), 0

    def _damaged(self, at: int) -> str:
        return f"{self.path} is damaged at byte {at}: a chunk can not be unpacked"


def _indexed_sizes(chunk: ChunkInfo) -> list[tuple[int, int]]:
    """Channel ids and numbers of messages, from where one message index ends and the next begins."""
    places = sorted((at, id) for id, at in chunk.index_offsets.items())
    end = chunk.offset + chunk.length + chunk.index_length
    ends = [at for at, _ in places[1:]] + [end]
    sizes = [
        (id, (stop - at - _INDEX_HEAD.size) // 16)
        for (at, id), stop in zip(places, ends, strict=True)
    ]
    if any(size < 0 for _, size in sizes):
        raise ValueError("message indexes overlap")
    return sizes
