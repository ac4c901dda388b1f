"""The index of an MCAP file: where each of its messages is, without reading them.

Source: https://mcap.dev/spec, sections "Summary" and "Message Index".
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from robot_recorder.core.arrays import Int64s
from robot_recorder.core.errors import BagError
from robot_recorder.storage import mcap_records as mcap
from robot_recorder.storage.mcap_records import ChannelRecord, ChunkInfo, Op, SchemaRecord
from robot_recorder.storage.mcap_scan import decompress

_INDEX_HEAD = struct.Struct("<BQHI")  # of a message index: head, channel, bytes of its entries
_I64 = np.dtype("<i8")
_FOOTER = mcap.HEAD.size + 20 + len(mcap.MAGIC)


class McapIndex:
    """An MCAP file with an index, mapped into memory."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path = path
        self.data = data
        self.channels: dict[int, ChannelRecord] = {}
        self.schemas: dict[int, SchemaRecord] = {}
        self.chunks: list[ChunkInfo] = []
        self.messages = 0
        self.found = 0

    @classmethod
    def open(cls, path: Path) -> McapIndex | None:
        """None: it has none, or not for all of its messages."""
        try:
            with open(path, "rb") as file:  # mapped until the last payload is forgotten
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise BagError(f"{path} can not be read: {error}") from error
        found = cls(path, data)
        try:
            return found if found._read_summary() else None
        except (struct.error, UnicodeDecodeError, ValueError):
            return None

    def _read_summary(self) -> bool:
        data = self.data
        if len(data) < _FOOTER or data[-len(mcap.MAGIC) :] != mcap.MAGIC:
            return False
        (start,) = struct.unpack_from("<Q", data, len(data) - _FOOTER + mcap.HEAD.size)
        at, end = start, len(data) - _FOOTER
        while start and at < end:
            op, length = mcap.HEAD.unpack_from(data, at)
            content = data[at + mcap.HEAD.size : at + mcap.HEAD.size + length]
            at += mcap.HEAD.size + length
            if op == Op.CHANNEL:
                channel = mcap.read_channel(content)
                self.channels[channel.id] = channel
            elif op == Op.SCHEMA:
                schema = mcap.read_schema(content)
                self.schemas[schema.id] = schema
            elif op == Op.CHUNK_INDEX:
                self.chunks.append(mcap.read_chunk_index(content))
            elif op == Op.STATISTICS:
                (self.messages,) = struct.unpack_from("<Q", content)
        self.chunks.sort(key=lambda c: c.offset)
        # A summary need not repeat channels and schemas.
        named = {id for chunk in self.chunks for id in chunk.index_offsets}
        known = {id for id, c in self.channels.items() if c.schema_id in self.schemas}
        whole = all(chunk.index_length for chunk in self.chunks if chunk.size)
        return bool(self.messages and self.chunks) and whole and named <= known

    def counts(self) -> dict[int, int]:
        """Messages by channel id, by how long the message indexes are; the data is not read."""
        found: dict[int, int] = {}
        for chunk in self.chunks:
            places = sorted((at, id) for id, at in chunk.index_offsets.items())
            ends = [at for at, _ in places[1:]] + [chunk.offset + chunk.length + chunk.index_length]
            for (at, id), end in zip(places, ends, strict=True):
                found[id] = found.get(id, 0) + (end - at - _INDEX_HEAD.size) // 16
        return found

    def entries(self, chunk: ChunkInfo) -> Iterator[tuple[int, Int64s]]:
        """Of each channel in a chunk int64[n, 2]: its messages' log times and places in the records."""
        at = chunk.offset + chunk.length
        end = at + chunk.index_length
        while at < end:
            op, length, id, size = _INDEX_HEAD.unpack_from(self.data, at)
            if op == Op.MESSAGE_INDEX:
                self.found += size // 16
                yield (
                    id,
                    np.frombuffer(self.data, _I64, size // 8, at + _INDEX_HEAD.size).reshape(-1, 2),
                )
            at += mcap.HEAD.size + length

    def records(self, chunk: ChunkInfo) -> tuple[memoryview | mmap.mmap, int]:
        """A buffer with a chunk's records, and where in it they begin."""
        at = chunk.offset + mcap.HEAD.size
        head = mcap.read_chunk_head(self.data[at : at + 100])
        if head.compression == "":
            return self.data, at + head.records_at
        stored = self.data[at + head.records_at : at + head.records_at + head.stored_size]
        records = decompress(head, stored)
        if records is None:
            raise BagError(
                f"{self.path} is damaged at byte {chunk.offset}: a chunk can not be unpacked"
            )
        return memoryview(records), 0
