"""The records of a ROS 1 bag, format 2.0 (http://wiki.ros.org/Bags/Format/2.0).

The file is a sequence of records. A record is a header of named fields, then data. Connections and
messages are inside chunks, which may be compressed. An index at the end repeats the connections
and says which chunk holds how many messages of each.
"""

from __future__ import annotations

import bz2
import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

MAGIC = b"#ROSBAG V"
VERSION_2 = b"#ROSBAG V2.0\n"
MOST_CHUNK_BYTES = 256_000_000  # uncompressed; chunks usually have 0.8 MB, or one large message
# Raised by everything here for invalid bytes.
DAMAGED = (ValueError, LookupError, OverflowError, struct.error)

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_TIME = struct.Struct("<II")


class RecordType(IntEnum):
    """The types of records."""

    MESSAGE = 2
    BAG_HEADER = 3
    INDEX = 4
    CHUNK = 5
    CHUNK_INFO = 6
    CONNECTION = 7


Fields = dict[bytes, bytes]


class Record(NamedTuple):
    """One record.

    Attributes:
        op: type, one of ``RecordType``.
        fields: values by name.
        data: the bytes behind the header.
        end: offset of the next record.
    """

    op: int
    fields: Fields
    data: memoryview
    end: int


class Connection(NamedTuple):
    """The messages of one publisher on one topic.

    Attributes:
        id: number in the bag.
        topic: topic name.
        type: message type, package/Name.
        definition: message definition, followed by those of its parts.
        latched: whether the publisher latched its messages.
    """

    id: int
    topic: str
    type: str
    definition: str
    latched: bool


def u32(data: bytes | memoryview, at: int = 0) -> int:
    """Return an unsigned number of 4 bytes."""
    return int(_U32.unpack_from(data, at)[0])


def u64(data: bytes) -> int:
    """Return an unsigned number of 8 bytes."""
    return int(_U64.unpack(data)[0])


def time_ns(data: bytes) -> int:
    """Return a time, ns since the epoch."""
    seconds, nanoseconds = _TIME.unpack(data)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


def parse_fields(data: bytes | memoryview) -> Fields:
    """Return the fields of a header.

    Raises:
        ValueError: the header is invalid.
    """
    data, at, found = bytes(data), 0, {}
    while at < len(data):
        end = at + 4 + u32(data, at)
        name, equals, value = data[at + 4 : end].partition(b"=")
        if end > len(data) or not equals:
            raise ValueError("a record's header is invalid")
        found[name] = value
        at = end
    return found


def records(data: memoryview) -> Iterator[Record]:
    """Yield the records in a chunk.

    Raises:
        ValueError, LookupError, struct.error: the rest is damaged or cut off.
    """
    at = 0
    while at < len(data):
        begin = at + 4 + u32(data, at)
        fields = parse_fields(data[at + 4 : begin])
        end = begin + 4 + u32(data, begin)
        if end > len(data):
            raise ValueError("it is cut off inside a record")
        yield Record(fields[b"op"][0], fields, data[begin + 4 : end], end)
        at = end


def connection(fields: Fields, data: bytes | memoryview) -> Connection:
    """Return the connection that a record declares.

    Raises:
        ValueError, LookupError, struct.error: the record is invalid.
    """
    own = parse_fields(data)
    return Connection(
        u32(fields[b"conn"]),
        fields[b"topic"].decode(errors="replace"),
        own[b"type"].decode(errors="replace"),
        own.get(b"message_definition", b"").decode(errors="replace"),
        own.get(b"latching") == b"1",
    )


def decompress(compression: str, stored: bytes, size: int) -> bytes:
    """Return a chunk's records, or the readable first part of a chunk that is cut off.

    Args:
        compression: "none", "bz2" or "lz4".
        stored: bytes in the file.
        size: uncompressed size that the chunk claims, bytes.

    Raises:
        ValueError: the compression is unknown, the data are damaged, or there is too much of it.
    """
    most = min(max(size, 1), MOST_CHUNK_BYTES)
    try:
        if compression == "none":
            return stored
        if compression == "bz2":
            records = bz2.BZ2Decompressor().decompress(stored, most + 1)
        elif compression == "lz4":
            import lz4.frame

            records = bytes(lz4.frame.LZ4FrameDecompressor().decompress(stored, most + 1))
        else:
            raise ValueError(f"its compression {compression!r} is unknown")
    except (OSError, RuntimeError, EOFError) as error:
        raise ValueError(f"it cannot be decompressed: {error}") from error
    if len(records) > most:
        raise ValueError(f"it has more than {most} bytes uncompressed")
    return records
