"""Write an MCAP file again with its chunks compressed with zstd, and compare the two message by message.

Messages that are compressed already, pictures and video, go into chunks of their own, which stay as they
are. Within its channel each message keeps its place; readers sort by log time across chunks anyway.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_recorder.bags import mcap_records as mcap
from robot_recorder.bags.mcap_copy import McapCopy, NewChunk, messages_of
from robot_recorder.bags.mcap_index import McapIndex
from robot_recorder.bags.mcap_records import Op
from robot_recorder.messages.image_messages import COMPRESSED
from robot_recorder.messages.video_messages import VIDEO_TYPES
from robot_recorder.model.errors import BagError

DENSE = frozenset({COMPRESSED, *VIDEO_TYPES})  # types that are not compressed again
PACKED = "it is compressed already"  # why a file is left alone
_LEVEL = 3  # more costs many times the CPU for a few percent
_GROUP_BYTES = 4 << 20  # of records, from which new chunks are made: what a reader holds in memory
_WORTH = 0.95  # a chunk that stays larger than this share is stored as it is


@dataclass(frozen=True)
class PackedSize:
    """The size of a data file, bytes: as it is, and as it would be without compression."""

    size: int
    plain: int


def packed_size(path: Path) -> PackedSize:
    """Return the size of an MCAP file with and without the compression of its chunks.

    Raises:
        BagError: the file cannot be read.
    """
    index = McapIndex.open(path)
    size = len(index.data)
    return PackedSize(size, size + sum(c.size - c.stored_size for c in index.chunks))


def left_alone(path: Path) -> str:
    """Return why a file is not to be compressed; empty: it is.

    Raises:
        BagError: the file cannot be read.
    """
    index = McapIndex.open(path)
    if index.problem:
        return index.problem
    if any(chunk.compression for chunk in index.chunks):
        return PACKED
    dense, used = _dense(index), {id for id, count in index.counts().items() if count}
    if not used:
        return "it holds no message"
    if used <= dense:
        return "it holds nothing but pictures that are compressed already"
    return ""


def _dense(index: McapIndex) -> set[int]:
    """Return the ids of the channels whose messages are compressed already."""
    names = {id: schema.name for id, schema in index.schemas.items()}
    return {id for id, channel in index.channels.items() if names.get(channel.schema_id) in DENSE}


def compress_file(
    source: Path, target: Path, pace: Callable[[int], None] = lambda done: None
) -> None:
    """Write a compressed copy of an MCAP file, read it back from the disk, and compare all messages.

    Args:
        source: file to read.
        target: file to create.
        pace: called with the bytes of the source done, each time some MB are; may wait, or raise.

    Raises:
        BagError: the source is damaged or has what cannot be kept, or the copy differs from it.
        OSError: the copy cannot be written; it may exist.
    """
    index = McapIndex.open(source)
    index.verify = True
    if index.problem:
        raise BagError(index.problem)
    library, metadata = _outside(index)
    dense, seen = _dense(index), _Digests()
    file = McapCopy(target, index.schemas, index.channels, library)
    try:
        plain, packed = NewChunk(), NewChunk()
        for chunk in index.chunks:
            for id, log_ns, record in messages_of(index, chunk):
                seen.add(id, record)
                (plain if id in dense else packed).add(id, log_ns, record)
            if len(plain.records) + len(packed.records) >= _GROUP_BYTES:
                _write(file, plain, packed)
                plain, packed = NewChunk(), NewChunk()
                pace(chunk.offset + chunk.length)
        _write(file, plain, packed)
        pace(len(index.data))
        file.finish(metadata)
    finally:
        file.close()
    _forget(target)
    if _read_back(target, pace) != seen.values():
        raise BagError(
            f"{source} is left as it is: a compressed copy of it, read back, differs: is the disk failing?"
        )


class _Digests:
    """A hash of each channel's messages, with their times and numbers, in the order of the file."""

    def __init__(self) -> None:
        self._of: dict[int, Any] = {}

    def add(self, id: int, record: memoryview) -> None:
        if id not in self._of:
            self._of[id] = hashlib.blake2b()
        self._of[id].update(record)

    def values(self) -> dict[int, str]:
        return {id: digest.hexdigest() for id, digest in self._of.items()}


def _write(file: McapCopy, plain: NewChunk, packed: NewChunk) -> None:
    if packed.index:
        file.add(packed, _packed(packed.records))
    if plain.index:
        file.add(plain)


def _packed(records: bytes | bytearray) -> bytes | None:
    import zstandard

    found = zstandard.ZstdCompressor(level=_LEVEL).compress(records)
    return found if len(found) < _WORTH * len(records) else None


def _read_back(path: Path, pace: Callable[[int], None]) -> dict[int, str]:
    index, found, waited = McapIndex.open(path), _Digests(), 0
    index.verify = True
    for chunk in index.chunks:
        for id, _, record in messages_of(index, chunk):
            found.add(id, record)
        if chunk.offset - waited > _GROUP_BYTES:
            waited = chunk.offset
            pace(len(index.data))
    return found.values()


def _forget(path: Path) -> None:
    """Drop a file's pages from memory, so that it is read back from the disk; only a hint to the kernel."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def _outside(index: McapIndex) -> tuple[str, dict[str, dict[str, str]]]:
    """Return the library in a file's header, and its metadata records.

    Raises:
        BagError: it has what would be lost: attachments, damaged bytes, records of others.
    """
    data, at = index.data, len(mcap.MAGIC)
    library, metadata = "", {}  # type: str, dict[str, dict[str, str]]
    kept = (Op.SCHEMA, Op.CHANNEL, Op.CHUNK, Op.MESSAGE_INDEX, Op.MESSAGE)
    try:
        while data[at] not in (Op.DATA_END, Op.FOOTER):
            op, length = mcap.HEAD.unpack_from(data, at)
            begin, end = at + mcap.HEAD.size, at + mcap.HEAD.size + length
            if op == Op.HEADER:
                profile, library = mcap.read_header(data[begin:end])
                if profile != "ros2":
                    raise BagError(f"{index.path} has the profile {profile!r:.40} instead of ros2")
            elif op == Op.METADATA:
                name, values = mcap.read_metadata(data[begin:end])
                metadata[name] = values
            elif op not in kept:
                raise BagError(f"{index.path} has records that would be lost (opcode {op})")
            at = end
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise BagError(f"{index.path} is damaged at byte {at}") from error
    return library, metadata
