"""Write an MCAP file: chunks of messages, then the index that makes it quick to open.

It replaces the ``mcap`` library's writer, because messages come in batches: that takes a third of
the CPU per message (docs/writers.md), and a robot needs nothing but numpy and yaml.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from robot_recorder.bags import mcap_records as mcap
from robot_recorder.bags.block_file import BlockFile
from robot_recorder.bags.mcap_records import ChannelRecord, Op, SchemaRecord
from robot_recorder.bags.metadata import channel_metadata, topic_metadata
from robot_recorder.model.topics import BagTopic, Channel, Sample

try:  # part of the package that is compiled where it can be
    from robot_recorder.bags._records import put_messages as _put_messages
except ImportError:
    _put_messages = None

LIBRARY = "robot_recorder"
OUR_BEGIN = mcap.MAGIC + mcap.header("ros2", LIBRARY)  # always the same, so it can be restored
CHUNK_BYTES = 1 << 20
BUFFER_BYTES = 2 * CHUNK_BYTES


@dataclass
class Declarations:
    """Schemas and channels by id, numbered from 1 in the order in which topics are added."""

    schemas: dict[int, SchemaRecord] = field(default_factory=dict)
    channels: dict[int, ChannelRecord] = field(default_factory=dict)

    def add(
        self, topic: dict[str, Any], definition: str
    ) -> tuple[SchemaRecord | None, ChannelRecord]:
        """Add a topic under a new channel id.

        Args:
            topic: output of ``topic_metadata``.
            definition: message definition; empty: unknown.

        Returns:
            The schema, None if already added, and the channel.
        """
        known = next((s for s in self.schemas.values() if s.name == topic["type"]), None)
        encoding = "ros2msg" if definition else ""
        schema = known or SchemaRecord(
            len(self.schemas) + 1, topic["type"], encoding, definition.encode()
        )
        self.schemas[schema.id] = schema
        number = sum(id < mcap.REPEATED for id in self.channels) + 1
        channel = ChannelRecord(number, schema.id, topic["name"], "cdr", channel_metadata(topic))
        self.channels[channel.id] = channel
        return None if known else schema, channel


class McapFile:
    """An MCAP file being written. Everything up to the last ``sync`` is on the disk.

    It is not compressed: camera streams arrive as JPEG, and compressing the rest would cost more
    CPU than the disk space is worth.
    """

    def __init__(self, file: BlockFile) -> None:
        """
        Args:
            file: empty file to write to.
        """
        self.counts: dict[int, int] = {}
        self.span = (0, 0)  # first and last receive time, ns; zeros: no message
        self._chunks: list[bytes] = []  # chunk index records, as bytes to save memory
        self._declared = Declarations()
        self._file = file
        self._chunk_at = -1  # offset of the current chunk in the buffer; negative: no chunk
        self._index: mcap.Index = {}
        self._ids: dict[Channel, int] = {}
        file.append(OUR_BEGIN)

    def add_channel(self, channel: Channel, topic: BagTopic) -> None:
        """Declare a topic; its records go into the current chunk, where a CRC covers them.

        Args:
            channel: of the messages to come.
            topic: its description.
        """
        schema, record = self._declared.add(topic_metadata(topic), topic.definition)
        if schema is not None:
            self._append(mcap.schema(schema))
        self.counts[record.id] = 0
        self._ids[channel] = record.id
        self._append(mcap.channel(record))

    def declare_again(self, before: McapFile) -> None:
        """Declare all topics of an earlier file of the bag, under the same ids."""
        self._ids = dict(before._ids)
        for schema in before._declared.schemas.values():
            self._declared.schemas[schema.id] = schema
            self._append(mcap.schema(schema))
        for id, record in before.channels.items():
            if not id & mcap.REPEATED:
                self.channels[id], self.counts[id] = record, 0
                self._append(mcap.channel(record))

    def add_messages(self, samples: list[Sample]) -> None:
        """Append messages, and write each chunk that becomes full.

        Each message's sequence is its number in its channel, from 0, so that losses show after
        damage.
        """
        file, done = self._file, 0
        while done < len(samples):
            at, limit = self._make_room(mcap.MESSAGE.size + len(samples[done].data))
            done, file.end = put_messages(
                samples, done, self._ids, self.counts, self._index, file.buffer, at, limit,
                self._records_at,
            )  # fmt: skip

    def add_repeats(self, samples: list[Sample]) -> None:
        """Append messages that an earlier file of the bag has, too, in channels of their own."""
        genuine = self._ids
        self._ids = {s.channel: genuine[s.channel] | mcap.REPEATED for s in samples}
        for channel, id in self._ids.items():
            record = mcap.repeated(self.channels[genuine[channel]])
            self.channels[id], self.counts[id] = record, 0
            self._append(mcap.channel(record))
        self.add_messages(samples)
        self._ids = genuine

    @property
    def channels(self) -> dict[int, ChannelRecord]:
        """Declared channels by id."""
        return self._declared.channels

    @property
    def _records_at(self) -> int:
        return self._chunk_at + mcap.CHUNK_HEAD_SIZE

    def _make_room(self, size: int) -> tuple[int, int]:
        """Reserve room for ``size`` bytes of a chunk.

        Returns:
            Their buffer offset, and the offset up to which records may follow without a new call.
        """
        file = self._file
        # Never write a chunk without messages: rosbag2's reader takes a first one for the end.
        if self._index and file.end - self._records_at + size > CHUNK_BYTES:
            self._end_chunk()
        if self._chunk_at < 0:
            self._chunk_at = file.end
            file.reserve(mcap.CHUNK_HEAD_SIZE)
            file.end += mcap.CHUNK_HEAD_SIZE
        file.reserve(size)
        return file.end, max(self._records_at + CHUNK_BYTES, file.end + size)

    def _append(self, record: bytes) -> None:
        self._make_room(len(record))
        self._file.append(record)

    def _end_chunk(self) -> None:
        """Complete the current chunk and write it to the file."""
        if self._chunk_at < 0:
            return
        file, begin, first = self._file, self._chunk_at, self._records_at
        with memoryview(file.buffer) as view:
            offset = file.position - (file.end - begin)
            info, head, after = mcap.chunk(self._index, view[first : file.end], offset)
        file.buffer[begin:first] = head
        file.append(after)
        file.commit()
        self._chunks.append(mcap.chunk_index(info))
        if info.end_ns:
            first, last = self.span if self.span[1] else (info.start_ns, info.end_ns)
            self.span = min(first, info.start_ns), max(last, info.end_ns)
        self._chunk_at, self._index = -1, {}

    def sync(self) -> None:
        """Flush all messages to the disk."""
        if self._index:
            self._end_chunk()
            self._file.sync()

    def finish(self, metadata: dict[str, dict[str, str]]) -> None:
        """Write metadata records and the index, and flush everything to the disk.

        Args:
            metadata: records by name.
        """
        self._end_chunk()
        summary = Summary(
            self._declared.schemas, self.channels, self._chunks, self.span, self.counts
        )
        self._file.append(summary.ending(self._file.position, metadata))
        self._file.sync()


def put_messages_python(
    samples: list[Sample],
    done: int,
    ids: dict[Channel, int],
    counts: dict[int, int],
    index: mcap.Index,
    buffer: mmap.mmap,
    at: int,
    limit: int,
    first: int,
) -> tuple[int, int]:
    """Write the records of messages into a buffer.

    Args:
        samples: the messages.
        done: number of those that have been written before.
        ids: channel ids.
        counts: messages of each id so far; changed.
        index: of the chunk; changed.
        buffer: to write to.
        at: where the next record begins.
        limit: end of the room for records.
        first: where the records of the chunk begin.

    Returns:
        The number of messages written by now, and where the last record ends.

    Raises:
        KeyError: a message's channel has no id.
        struct.error, OverflowError: a number does not fit its place.
    """
    for channel, data, receive_ns, send_ns, _ in samples[done:]:
        length = len(data)
        end = at + mcap.MESSAGE.size + length
        if end > limit:
            break
        id = ids[channel]
        mcap.MESSAGE.pack_into(
            buffer, at, int(Op.MESSAGE), mcap.MESSAGE_FIXED + length, id, counts[id], receive_ns, send_ns
        )  # fmt: skip
        counts[id] += 1
        buffer[end - length : end] = data
        mcap.note(index, id, receive_ns, at - first)
        at, done = end, done + 1
    return done, at


put_messages = _put_messages or put_messages_python


@dataclass(frozen=True)
class Summary:
    """Summary section at the end of a file, which makes it quick to open.

    Attributes:
        schemas: by id.
        channels: by id.
        chunks: chunk index records, as bytes.
        span: first and last receive time, ns.
        counts: messages by channel id.
    """

    schemas: dict[int, SchemaRecord]
    channels: dict[int, ChannelRecord]
    chunks: list[bytes]
    span: tuple[int, int]
    counts: dict[int, int]

    def ending(self, offset: int, metadata: Mapping[str, Mapping[str, str]]) -> bytes:
        """Return the bytes from behind the last chunk to the end of the file.

        Args:
            offset: file offset behind the last chunk.
            metadata: metadata records by name.
        """
        data, indexes = b"", []
        for name, values in metadata.items():
            record = mcap.metadata(name, values)
            indexes.append(mcap.metadata_index(offset + len(data), len(record), name))
            data += record
        data += mcap.data_end()
        return data + self.to_bytes(offset + len(data), indexes)

    def to_bytes(self, offset: int, metadata_indexes: Sequence[bytes] = ()) -> bytes:
        """Return the bytes from the summary section to the end of the file.

        Args:
            offset: file offset of the summary section.
            metadata_indexes: metadata index records.
        """
        counts = {id: self.counts.get(id, 0) for id in self.channels}
        groups = [
            (Op.SCHEMA, [mcap.schema(s) for s in self.schemas.values()]),
            (Op.CHANNEL, [mcap.channel(c) for c in self.channels.values()]),
            (Op.STATISTICS, [mcap.statistics(len(self.schemas), len(self.chunks), len(metadata_indexes), self.span, counts)]),
            (Op.METADATA_INDEX, list(metadata_indexes)),
            (Op.CHUNK_INDEX, self.chunks),
        ]  # fmt: skip
        return mcap.tail(offset, groups)
