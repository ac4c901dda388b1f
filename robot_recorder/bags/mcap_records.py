"""Encode and decode MCAP records.

Source: https://mcap.dev/spec. All integers are little-endian; a record is an opcode, a 64 bit
length, and its content. ``offset`` is a byte offset in the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

import numpy as np

try:  # part of the package that is compiled where it can be, for processors that have an instruction for it
    from robot_recorder.bags._crc import crc32 as _crc32
except ImportError:
    from zlib import crc32 as _crc32

crc32 = _crc32
MAGIC = b"\x89MCAP0\r\n"

HEAD = struct.Struct("<BQ")  # opcode, length
MESSAGE = struct.Struct("<BQHIQQ")  # head, channel, sequence, log time, publish time
MESSAGE_FIXED = MESSAGE.size - HEAD.size
ENTRY = struct.Struct("<QQ")  # of a message in its chunk's index: log time, offset in the records
_CHUNK = struct.Struct("<QQQI")  # start, end, uncompressed size, CRC
CHUNK_HEAD_SIZE = HEAD.size + _CHUNK.size + 4 + 8  # bytes before an uncompressed chunk's records
_U16, _U32, _U64 = struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<Q")


class Op(IntEnum):
    """Record opcodes."""

    HEADER = 1
    FOOTER = 2
    SCHEMA = 3
    CHANNEL = 4
    MESSAGE = 5
    CHUNK = 6
    MESSAGE_INDEX = 7
    CHUNK_INDEX = 8
    ATTACHMENT = 9
    ATTACHMENT_INDEX = 10
    STATISTICS = 11
    METADATA = 12
    METADATA_INDEX = 13
    SUMMARY_OFFSET = 14
    DATA_END = 15
    # Opcodes from 128 on are private, and other readers skip them. This one marks damaged bytes.
    DAMAGED = 0xE0


class SchemaRecord(NamedTuple):
    """A schema record: a message type."""

    id: int
    name: str
    encoding: str
    data: bytes


class ChannelRecord(NamedTuple):
    """A channel record: a topic."""

    id: int
    schema_id: int
    topic: str
    message_encoding: str
    metadata: dict[str, str]


class ChunkHead(NamedTuple):
    """The fields of a chunk before its records. Times in ns, sizes in bytes."""

    start_ns: int
    end_ns: int
    size: int
    crc: int
    compression: str
    stored_size: int
    records_at: int  # offset of the records in the chunk's content


REPEATED = 1 << 15  # in the id of a channel with what its file repeats of earlier ones
_REPEATED_MARK = {"robot_recorder": "repeated"}


def repeated(c: ChannelRecord) -> ChannelRecord:
    """Return the channel of what a file repeats of earlier ones, for the same topic."""
    return c._replace(id=c.id | REPEATED, metadata=c.metadata | _REPEATED_MARK)


def is_repeated(c: ChannelRecord) -> bool:
    """Tell whether a channel has what its file repeats of earlier ones."""
    return c.metadata.items() >= _REPEATED_MARK.items()


def genuine(c: ChannelRecord) -> ChannelRecord:
    """Return a channel without the mark of ``repeated``; its id stays."""
    return c._replace(metadata={k: v for k, v in c.metadata.items() if k not in _REPEATED_MARK})


@dataclass
class ChunkInfo:
    """A chunk's entry in the index at the end of its file.

    Attributes:
        start_ns, end_ns: first and last log time.
        offset, length: of the whole chunk record, bytes.
        size, stored_size: of its records, uncompressed and as stored, bytes.
        compression: name of the compression; empty: uncompressed.
        index_offsets: offset of the message index by channel id.
        index_length: total length of its message indexes, bytes.
    """

    start_ns: int
    end_ns: int
    offset: int
    length: int
    size: int
    stored_size: int
    compression: str = ""
    index_offsets: dict[int, int] = field(default_factory=dict)
    index_length: int = 0


def span(chunks: list[ChunkInfo]) -> tuple[int, int]:
    """Return the first and last log time in chunks, ns; zeros when there are no messages."""
    used = [c for c in chunks if c.end_ns]  # a chunk may hold only schemas and channels
    return min((c.start_ns for c in used), default=0), max((c.end_ns for c in used), default=0)


def record(op: int, content: bytes) -> bytes:
    """Encode a record from its opcode and content."""
    return HEAD.pack(op, len(content)) + content


def text(value: str) -> bytes:
    """Encode a string with its length."""
    data = value.encode()
    return _U32.pack(len(data)) + data


def _map(pairs: Iterable[bytes]) -> bytes:
    content = b"".join(pairs)
    return _U32.pack(len(content)) + content


def _text_map(values: Mapping[str, str]) -> bytes:
    return _map(text(k) + text(v) for k, v in values.items())


def _id_map(values: Mapping[int, int]) -> bytes:
    return _map(_U16.pack(k) + _U64.pack(v) for k, v in values.items())


def header(profile: str, library: str) -> bytes:
    """Encode a header record."""
    return record(Op.HEADER, text(profile) + text(library))


def schema(s: SchemaRecord) -> bytes:
    """Encode a schema record."""
    data = _U32.pack(len(s.data)) + s.data
    return record(Op.SCHEMA, _U16.pack(s.id) + text(s.name) + text(s.encoding) + data)


def channel(c: ChannelRecord) -> bytes:
    """Encode a channel record."""
    ids = struct.pack("<HH", c.id, c.schema_id)
    names = text(c.topic) + text(c.message_encoding)
    return record(Op.CHANNEL, ids + names + _text_map(c.metadata))


Index = dict[int, bytearray]
"""A chunk's messages by channel id: an ``ENTRY`` of each."""


def note(index: Index, id: int, log_ns: int, offset: int) -> None:
    """Add a message to a chunk's index."""
    index.setdefault(id, bytearray()).extend(ENTRY.pack(log_ns, offset))


def chunk(
    index: Index,
    records: bytes | bytearray | memoryview,
    offset: int,
    compressed: bytes | None = None,
) -> tuple[ChunkInfo, bytes, bytes]:
    """Encode the parts of a chunk around its records.

    Args:
        index: its messages.
        records: its records.
        offset: of the chunk in the file.
        compressed: the records as stored, compressed with zstd; None: stored as they are.

    Returns:
        Its entry in the file's index, the bytes before its records, and those after.
    """
    times = np.frombuffer(b"".join(index.values()), "<u8")[::2]
    start_ns, end_ns = (int(times.min()), int(times.max())) if len(times) else (0, 0)
    size, name = len(records), "" if compressed is None else "zstd"
    stored = size if compressed is None else len(compressed)
    fixed = _CHUNK.pack(start_ns, end_ns, size, crc32(records)) + text(name)
    fixed += _U64.pack(stored)
    head = HEAD.pack(Op.CHUNK, len(fixed) + stored) + fixed
    info = ChunkInfo(start_ns, end_ns, offset, len(head) + stored, size, stored, name)
    return info, head, message_indexes(info, index)


def message_indexes(info: ChunkInfo, index: Index) -> bytes:
    """Encode the message index records that follow a chunk, and put their offsets into ``info``."""
    parts, begin = [], info.offset + info.length
    at = begin
    for id, entries in index.items():
        parts.append(record(Op.MESSAGE_INDEX, struct.pack("<HI", id, len(entries)) + entries))
        info.index_offsets[id] = at
        at += len(parts[-1])
    info.index_length = at - begin
    return b"".join(parts)


def metadata(name: str, values: Mapping[str, str]) -> bytes:
    """Encode a metadata record."""
    return record(Op.METADATA, text(name) + _text_map(values))


def data_end() -> bytes:
    """Encode the end of the data. Its CRC is 0, not computed: every chunk has its own."""
    return record(Op.DATA_END, _U32.pack(0))


def chunk_index(c: ChunkInfo) -> bytes:
    """Encode a chunk index record."""
    where = struct.pack("<QQQQ", c.start_ns, c.end_ns, c.offset, c.length)
    sizes = text(c.compression) + struct.pack("<QQ", c.stored_size, c.size)
    return record(
        Op.CHUNK_INDEX, where + _id_map(c.index_offsets) + _U64.pack(c.index_length) + sizes
    )


def statistics(
    schemas: int,
    chunks: int,
    metadata_count: int,
    times: tuple[int, int],
    counts: Mapping[int, int],
) -> bytes:
    """Encode a statistics record.

    Args:
        schemas: number of schemas.
        chunks: number of chunks.
        metadata_count: number of metadata records.
        times: first and last log time, ns.
        counts: messages by channel id.
    """
    fixed = struct.pack(
        "<QHIIIIQQ", sum(counts.values()), schemas, len(counts), 0, metadata_count, chunks,
        *times,
    )  # fmt: skip
    return record(Op.STATISTICS, fixed + _id_map(counts))


def metadata_index(offset: int, length: int, name: str) -> bytes:
    """Encode a metadata index record."""
    return record(Op.METADATA_INDEX, struct.pack("<QQ", offset, length) + text(name))


def tail(start: int, groups: list[tuple[Op, list[bytes]]]) -> bytes:
    """Encode the summary section, the footer and the closing magic.

    Args:
        start: file offset of the summary section.
        groups: summary records by opcode.
    """
    body, offsets = [], []
    at = start
    for op, records in groups:
        length = sum(map(len, records))
        if length:
            offsets.append(record(Op.SUMMARY_OFFSET, struct.pack("<BQQ", op, at, length)))
        body += records
        at += length
    summary = b"".join(body)
    footer = HEAD.pack(Op.FOOTER, 20) + struct.pack("<QQ", start if summary else 0, at)
    everything = summary + b"".join(offsets) + footer
    return everything + _U32.pack(crc32(everything)) + MAGIC


# -- decoding; content that is too short raises struct.error, invalid UTF-8 UnicodeDecodeError


def _read_text(content: bytes, at: int) -> tuple[str, int]:
    (length,) = _U32.unpack_from(content, at)
    at += _U32.size
    if at + length > len(content):
        raise struct.error("a text extends beyond its record")
    return bytes(content[at : at + length]).decode(), at + length


def read_schema(content: bytes) -> SchemaRecord:
    """Decode the content of a schema record."""
    (id,) = _U16.unpack_from(content)
    name, at = _read_text(content, 2)
    encoding, at = _read_text(content, at)
    (length,) = _U32.unpack_from(content, at)
    return SchemaRecord(id, name, encoding, bytes(content[at + 4 : at + 4 + length]))


def read_channel(content: bytes) -> ChannelRecord:
    """Decode the content of a channel record."""
    id, schema_id = struct.unpack_from("<HH", content)
    topic, at = _read_text(content, 4)
    encoding, at = _read_text(content, at)
    (length,) = _U32.unpack_from(content, at)
    at, end, values = at + 4, at + 4 + length, {}
    while at < end:
        key, at = _read_text(content, at)
        values[key], at = _read_text(content, at)
    return ChannelRecord(id, schema_id, topic, encoding, values)


def read_metadata(content: bytes) -> tuple[str, dict[str, str]]:
    """Decode the content of a metadata record: name, values."""
    name, at = _read_text(content, 0)
    (length,) = _U32.unpack_from(content, at)
    at, end, values = at + 4, at + 4 + length, {}
    while at < end:
        key, at = _read_text(content, at)
        values[key], at = _read_text(content, at)
    return name, values


def read_header(content: bytes) -> tuple[str, str]:
    """Decode the content of a header record: profile, library."""
    profile, at = _read_text(content, 0)
    return profile, _read_text(content, at)[0]


def read_message_index(content: bytes) -> tuple[int, bytes]:
    """Decode the content of a message index record: channel id, and an ``ENTRY`` of each message."""
    id, length = struct.unpack_from("<HI", content)
    (entries,) = struct.unpack_from(f"<{length}s", content, 6)
    return id, entries


def read_chunk_head(content: bytes) -> ChunkHead:
    """Decode the fields of a chunk before its records."""
    start_ns, end_ns, size, crc = _CHUNK.unpack_from(content)
    compression, at = _read_text(content, _CHUNK.size)
    (stored,) = _U64.unpack_from(content, at)
    return ChunkHead(start_ns, end_ns, size, crc, compression, stored, at + _U64.size)


def read_chunk_index(content: bytes) -> ChunkInfo:
    """Decode the content of a chunk index record."""
    start_ns, end_ns, offset, length = struct.unpack_from("<QQQQ", content)
    (size,) = _U32.unpack_from(content, 32)
    offsets = {int(id): int(at) for id, at in struct.iter_unpack("<HQ", content[36 : 36 + size])}
    (index_length,) = _U64.unpack_from(content, 36 + size)
    compression, at = _read_text(content, 44 + size)
    stored_size, records_size = struct.unpack_from("<QQ", content, at)
    return ChunkInfo(
        start_ns,
        end_ns,
        offset,
        length,
        records_size,
        stored_size,
        compression,
        offsets,
        index_length,
    )
