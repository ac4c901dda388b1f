"""Scan an MCAP file that may be damaged: find intact chunks, damaged bytes and missing messages."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from robot_recorder.bags import mcap_records as mcap
from robot_recorder.bags.mcap_chunk import unpack_chunk
from robot_recorder.bags.mcap_file import LIBRARY, OUR_BEGIN
from robot_recorder.bags.mcap_records import (
    ChannelRecord,
    ChunkHead,
    ChunkInfo,
    Op,
    SchemaRecord,
)
from robot_recorder.model.errors import BagError

_KNOWN = frozenset(Op)
_PASSED = (Op.METADATA, Op.ATTACHMENT, Op.DAMAGED)  # records whose content is not needed
_SHORTEST_CHUNK = 40
_MOST_HEAD = 100  # bytes of a chunk before its records; the names of compressions are short
# How much is unpacked to find the next chunk behind damage: twice the file, and this. Damage looks like a chunk
# of fitting sizes by chance almost never, but a file that was made for it would take hours.
_SEARCHED_BYTES = 256_000_000
_CHUNK = bytes([Op.CHUNK])
_MAGIC_SIZE = len(mcap.MAGIC)
_CERTAIN = (
    _MAGIC_SIZE + mcap.HEAD.size
)  # bytes of it that tell it from the header of another recorder


@dataclass
class ScanResult:
    """The result of a scan. Offsets and lengths are bytes in the file.

    Attributes:
        schemas, channels: by id.
        chunks: readable chunks, in order.
        patches: (offset, bytes) to write so that all of ``chunks`` are well-formed: the head of an
            unfinished last chunk, message indexes that are missing or broken.
        damaged: (offset, length) of unreadable bytes.
        counts: messages by channel id.
        gaps: missing messages by channel id, from gaps in the sequence numbers of our writer.
        chunk_counts: messages by channel id, for each of ``chunks``.
        unindexed: number of chunks written without message indexes, as some recorders do.
        given_up: bytes of readable chunks that a repair dropped to make room for the index.
        end: offset of the end of the data, where the index belongs.
        begins_well: whether magic and header are valid.
        finished: whether index and footer are valid.
    """

    schemas: dict[int, SchemaRecord] = field(default_factory=dict)
    channels: dict[int, ChannelRecord] = field(default_factory=dict)
    chunks: list[ChunkInfo] = field(default_factory=list)
    patches: list[tuple[int, bytes]] = field(default_factory=list)
    damaged: list[tuple[int, int]] = field(default_factory=list)
    counts: dict[int, int] = field(default_factory=dict)
    gaps: dict[int, int] = field(default_factory=dict)
    chunk_counts: list[dict[int, int]] = field(default_factory=list)
    unindexed: int = 0
    given_up: int = 0
    end: int = _MAGIC_SIZE
    begins_well: bool = False
    finished: bool = False

    @property
    def sound(self) -> bool:
        """Whether the file is intact."""
        return self.begins_well and self.finished and not (self.patches or self.damaged)


def scan(path: Path) -> ScanResult:
    """Read a whole file and check every chunk.

    Raises:
        BagError: the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                return ScanResult(end=0)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Scanner(data).scan()
    except OSError as error:
        raise BagError(f"{path} cannot be read: {error.strerror}") from error


class _Scanner:
    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.found = ScanResult()
        self._numbers: dict[int, int] = {}
        self._numbered = True
        self._search_left = 2 * len(data) + _SEARCHED_BYTES

    def scan(self) -> ScanResult:
        data, found = self.data, self.found
        at = found.end = self._begin()
        while at < len(data):
            op, end = self._record_at(at)
            if op == Op.DATA_END:
                found.finished = self._is_summary(end)
                if found.finished:
                    self._take_summary(end)
                break
            taken = self._take(op, at, end)
            if taken:
                at = found.end = taken
                continue
            resumed = self._find_chunk(at + mcap.HEAD.size)  # room for the wrapping record
            if resumed < 0:
                found.end = self._take_torn(at)
                break
            found.damaged.append((at, resumed - at))
            at = found.end = resumed
        return found

    def _begin(self) -> int:
        op, end = self._record_at(_MAGIC_SIZE)
        try:
            profile, library = mcap.read_header(self._content(_MAGIC_SIZE, end))
            good = self.data[:_MAGIC_SIZE] == mcap.MAGIC and op == Op.HEADER and profile == "ros2"
        except (struct.error, UnicodeDecodeError):
            good, library = False, ""
        self.found.begins_well = good
        self._numbered = not good or library == LIBRARY
        if good:
            return end
        first = self._find_chunk(0)
        # The damage may go on into the first chunk, which is then given up, too.
        if (
            first >= len(OUR_BEGIN) + mcap.HEAD.size
            and self.data[:_CERTAIN] == OUR_BEGIN[:_CERTAIN]
        ):
            self.found.damaged.append((len(OUR_BEGIN), first - len(OUR_BEGIN)))
        return max(0, first)

    def _record_at(self, at: int) -> tuple[int, int]:
        """Return opcode and end offset of a record; end 0: incomplete."""
        if at + mcap.HEAD.size > len(self.data):
            return 0, 0
        op, length = mcap.HEAD.unpack_from(self.data, at)
        end = at + mcap.HEAD.size + length
        return op, end if end <= len(self.data) else 0

    def _content(self, at: int, end: int) -> bytes:
        return self.data[at + mcap.HEAD.size : end]

    def _take(self, op: int, at: int, end: int) -> int:
        """Take a record, a chunk with its message indexes; return the end offset, 0: invalid."""
        if not end or op not in _KNOWN:
            return 0
        if op == Op.CHUNK:
            return self._take_chunk(at, end)
        return end if op in _PASSED or self._take_definition(op, at, end) else 0

    def _take_definition(self, op: int, at: int, end: int) -> bool:
        """Take a schema or channel outside of a chunk, as other writers place them."""
        try:
            return self._define(op, self._content(at, end))
        except (struct.error, UnicodeDecodeError):
            return False

    def _define(self, op: int, content: bytes) -> bool:
        if op == Op.SCHEMA:
            schema = mcap.read_schema(content)
            self.found.schemas.setdefault(schema.id, schema)
        elif op == Op.CHANNEL:
            channel = mcap.read_channel(content)
            self.found.channels.setdefault(channel.id, channel)
        else:
            return False
        return True

    def _chunk(self, at: int, end: int) -> tuple[ChunkHead, bytes] | None:
        """Return head and records of a chunk; None: damaged."""
        head = self._chunk_head(at, end)
        if head is None:
            return None
        records = unpack_chunk(head, self._content(at + head.records_at, end))
        if records is None or head.crc:
            return None if records is None else (head, records)
        # rosbag2 writes no CRC: check that the chunk consists of records from beginning to end.
        last = max((end for _, _, end in walk(records)), default=0)
        return (head, records) if last and last == len(records) else None

    def _chunk_head(self, at: int, end: int) -> ChunkHead | None:
        """Return the head of a chunk; None: it is not one, or its sizes do not fit."""
        begin = at + mcap.HEAD.size
        try:
            head = mcap.read_chunk_head(self.data[begin : min(end, begin + _MOST_HEAD)])
        except (struct.error, UnicodeDecodeError):
            return None
        return head if begin + head.records_at + head.stored_size == end else None

    def _take_chunk(self, at: int, end: int) -> int:
        chunk = self._chunk(at, end)
        if chunk is None:
            return 0
        head, records = chunk
        try:
            index = self._take_records(records)
        except (struct.error, UnicodeDecodeError):
            return 0
        info, right, _ = mcap.chunk(index, records, at)
        if head.compression == "":
            # The CRC covers only the records: compare the head with values computed from them.
            if (head.start_ns, head.end_ns, head.size) != (info.start_ns, info.end_ns, info.size):
                self.found.patches.append((at, right))
        else:
            info = ChunkInfo(
                head.start_ns, head.end_ns, at, end - at, head.size, head.stored_size,
                head.compression,
            )  # fmt: skip
        info.index_offsets, info.index_length = {}, 0
        self._add_chunk(info, index)
        after = self._take_indexes(info, index, end)
        if not after and self._goes_on(end):
            info.index_offsets, info.index_length = {}, 0
            self.found.unindexed += 1
            return end
        if not after:
            indexes = mcap.message_indexes(info, index)
            self.found.patches.append((end, indexes))
            after = end + len(indexes)
        return after

    def _goes_on(self, at: int) -> bool:
        """Tell whether a record that may follow an unindexed chunk is at this offset."""
        op, end = self._record_at(at)
        if op == Op.CHUNK:
            return bool(end) and self._chunk(at, end) is not None
        return bool(end) and op in (Op.SCHEMA, Op.CHANNEL, Op.METADATA, Op.DATA_END)

    def _add_chunk(self, info: ChunkInfo, index: mcap.Index) -> None:
        self.found.chunks.append(info)
        self.found.chunk_counts.append({id: len(e) // mcap.ENTRY.size for id, e in index.items()})

    def _take_indexes(self, info: ChunkInfo, index: mcap.Index, at: int) -> int:
        """Take a chunk's message indexes; return their end offset, 0: missing or wrong."""
        begin = at
        for _ in index:
            op, end = self._record_at(at)
            if op != Op.MESSAGE_INDEX or not end:
                return 0
            try:
                id, entries = mcap.read_message_index(self._content(at, end))
                same = _sorted(entries) == _sorted(index.get(id, b""))
            except struct.error:
                return 0
            if not same:
                return 0
            info.index_offsets[id] = at
            at = end
        info.index_length = at - begin
        return at

    def _take_records(self, records: bytes) -> mcap.Index:
        """Count a chunk's messages and return their index.

        Raises:
            struct.error, UnicodeDecodeError: a record is invalid; nothing has been counted.
        """
        found = self.found
        index: mcap.Index = {}
        spans = list(walk(records))
        for op, at, end in spans:  # before counting, because it may fail
            if op != Op.MESSAGE:
                self._define(op, records[at + mcap.HEAD.size : end])
        for op, at, _ in spans:
            if op != Op.MESSAGE:
                continue
            _, _, id, number, log_ns, _ = mcap.MESSAGE.unpack_from(records, at)
            mcap.note(index, id, log_ns, at)
            found.counts[id] = found.counts.get(id, 0) + 1
            missing = number - self._numbers.get(id, 0)
            if missing > 0 and self._numbered:
                found.gaps[id] = found.gaps.get(id, 0) + missing
            self._numbers[id] = number + 1
        return index

    def _find_chunk(self, start: int) -> int:
        """Return the offset of the next intact chunk; -1: no more chunks that can be found."""
        at = self.data.find(_CHUNK, start)
        while at >= 0:
            _, end = self._record_at(at)
            if end - at > _SHORTEST_CHUNK and self._is_chunk(at, end):
                return at
            at = self.data.find(_CHUNK, at + 1)
        return -1

    def _is_chunk(self, at: int, end: int) -> bool:
        """Tell whether an intact chunk is at this offset, as long as the search has not cost too much."""
        head = self._chunk_head(at, end)
        if head is None:
            return False
        self._search_left -= max(end - at, head.size if head.compression else 0)
        return self._search_left >= 0 and self._chunk(at, end) is not None

    def _is_summary(self, at: int) -> bool:
        """Tell whether an intact summary begins at this offset."""
        footer_size = mcap.HEAD.size + 20 + _MAGIC_SIZE
        summary, end = self.data[at:], self.data[-footer_size:]
        if at == 0 or len(summary) < footer_size or end[-_MAGIC_SIZE:] != mcap.MAGIC:
            return False
        (crc,) = struct.unpack_from("<I", end, footer_size - _MAGIC_SIZE - 4)
        return crc in (0, mcap.crc32(summary[: -_MAGIC_SIZE - 4]))

    def _take_summary(self, at: int) -> None:
        """Take schemas and channels from the summary: the chunk that had them may be damaged."""
        while at < len(self.data):
            op, end = self._record_at(at)
            if op not in (Op.SCHEMA, Op.CHANNEL) or not self._take_definition(op, at, end):
                return
            at = end

    def _take_torn(self, at: int) -> int:
        """Take the whole messages of an unfinished chunk at the end of the file.

        Returns:
            The end offset of the data.
        """
        left = self.data[at:]
        torn = b""
        try:
            op, _ = mcap.HEAD.unpack_from(left)
            head = mcap.read_chunk_head(left[mcap.HEAD.size :])
            if op == Op.CHUNK and head.compression == "":
                records = left[mcap.HEAD.size + head.records_at :]
                # Skip a complete chunk: its CRC has already failed.
                if len(records) < head.stored_size:
                    torn = records[: max((end for _, _, end in walk(records)), default=0)]
            index = self._take_records(torn)
        except (struct.error, UnicodeDecodeError):
            index = {}
        if not index:
            self.found.damaged.append((at, len(left)))
            return at + len(left)
        info, begin, after = mcap.chunk(index, torn, at)
        self._add_chunk(info, index)
        self.found.patches += [(at, begin), (at + info.length, after)]
        return at + info.length + len(after)


def walk(records: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield opcode, start and end offset of a chunk's records, up to the first invalid one."""
    at, size = 0, len(records)
    while at + mcap.HEAD.size <= size:
        op, length = mcap.HEAD.unpack_from(records, at)
        end = at + mcap.HEAD.size + length
        if end > size or op not in (Op.SCHEMA, Op.CHANNEL, Op.MESSAGE):
            return
        if op == Op.MESSAGE and length < mcap.MESSAGE_FIXED:
            return
        yield op, at, end
        at = end


def _sorted(entries: bytes | bytearray) -> list[tuple[int, ...]]:
    return sorted(mcap.ENTRY.iter_unpack(entries))
