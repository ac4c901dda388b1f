"""Put an MCAP file together from chunks of another one: copied as they are, or made anew.

Channel ids stay those of the other file, so that a chunk can be copied without looking into it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from robot_recorder.bags import mcap_records as mcap
from robot_recorder.bags.mcap_file import Summary
from robot_recorder.bags.mcap_index import McapIndex
from robot_recorder.bags.mcap_records import ChannelRecord, ChunkInfo, SchemaRecord

# The recorder's files number the messages of each channel from 0, and gaps are losses. In a part of
# a file they begin anywhere: another name in the header says so.
LIBRARY = "robot_recorder copy"
_PIECE = 1 << 22
_NOT_HERE = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)


class NewChunk:
    """Records that become one chunk.

    Attributes:
        records: its messages.
        index: where in the records they are.
    """

    def __init__(self) -> None:
        self.records = bytearray()
        self.index: mcap.Index = {}

    def add(self, id: int, log_ns: int, record: bytes | memoryview) -> None:
        """Append a message of a channel."""
        mcap.note(self.index, id, log_ns, len(self.records))
        self.records += record


def messages_of(index: McapIndex, chunk: ChunkInfo) -> Iterator[tuple[int, int, memoryview]]:
    """Yield channel id, log time and record of each message of a chunk, in the order of the file."""
    if not index.count(chunk):
        return
    buffer, first = index.records(chunk)
    places = sorted(
        (at, log_ns, id) for id, found in index.entries(chunk) for log_ns, at in found.tolist()
    )
    with memoryview(buffer) as view:
        for at, log_ns, id in places:
            begin = first + at
            _, length = mcap.HEAD.unpack_from(view, begin)
            yield id, log_ns, view[begin : begin + mcap.HEAD.size + length]


class McapCopy:
    """An MCAP file being written. Every method raises OSError when writing fails.

    Attributes:
        counts: messages by channel id.
        copied_bytes: of chunks that were copied as they were.
        chunks: the chunks so far.
    """

    def __init__(
        self,
        path: Path,
        schemas: Mapping[int, SchemaRecord],
        channels: Mapping[int, ChannelRecord],
        library: str = LIBRARY,
    ) -> None:
        """Create the file, which must not exist yet.

        Args:
            path: of the file.
            schemas: by id.
            channels: by id; messages of others must not be added.
            library: name in the header.
        """
        self.counts: dict[int, int] = dict.fromkeys(channels, 0)
        self.copied_bytes = 0
        self.chunks: list[ChunkInfo] = []
        self._schemas, self._channels = dict(schemas), dict(channels)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o600)
        self._at = 0
        # Not in a chunk: rosbag2's reader takes a first one without messages for the end.
        records = [mcap.schema(s) for s in schemas.values()]
        records += [mcap.channel(c) for c in channels.values()]
        self._write(mcap.MAGIC + mcap.header("ros2", library) + b"".join(records))

    def _write(self, data: bytes | bytearray) -> None:
        left = memoryview(data)
        while left:
            done = os.write(self._fd, left)
            self._at += done
            left = left[done:]

    def add(self, chunk: NewChunk, compressed: bytes | None = None) -> None:
        """Append a new chunk.

        Args:
            chunk: its messages.
            compressed: its records, compressed with zstd; None: not compressed.
        """
        info, head, after = mcap.chunk(chunk.index, chunk.records, self._at, compressed)
        self._write(head)
        self._write(chunk.records if compressed is None else compressed)
        self._write(after)
        self.chunks.append(info)
        for id, entries in chunk.index.items():
            self.counts[id] += len(entries) // mcap.ENTRY.size

    def copy(self, source: int, chunk: ChunkInfo, counts: Mapping[int, int]) -> None:
        """Append a chunk of another file with its message indexes, without looking into it.

        Args:
            source: file descriptor of the other file.
            chunk: where it is there.
            counts: its messages by channel id.
        """
        moved = self._at - chunk.offset
        size = chunk.length + chunk.index_length
        self._at += copy_bytes(source, self._fd, chunk.offset, size)
        offsets = {id: at + moved for id, at in chunk.index_offsets.items()}
        self.chunks.append(
            ChunkInfo(
                chunk.start_ns, chunk.end_ns, chunk.offset + moved, chunk.length, chunk.size,
                chunk.stored_size, chunk.compression, offsets, chunk.index_length,
            )
        )  # fmt: skip
        self.copied_bytes += size
        for id, count in counts.items():
            self.counts[id] += count

    def finish(self, metadata: Mapping[str, Mapping[str, str]] | None = None) -> None:
        """Write metadata records and the index, flush everything to the disk, and close the file."""
        summary = Summary(
            self._schemas, self._channels, [mcap.chunk_index(c) for c in self.chunks],
            mcap.span(self.chunks), self.counts,
        )  # fmt: skip
        self._write(summary.ending(self._at, metadata or {}))
        os.fsync(self._fd)
        self.close()

    def close(self) -> None:
        """Close the file, finished or not; further calls do nothing."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


def copy_bytes(source: int, target: int, offset: int, size: int) -> int:
    """Append bytes of a file to another, in the kernel where it can, which shares blocks where it can.

    Args:
        source, target: file descriptors; the target's position is moved.
        offset, size: which bytes of the source.

    Returns:
        ``size``.

    Raises:
        OSError: they cannot be copied, or the source is too short.
    """
    left, in_kernel = size, True
    while left:
        at = offset + size - left
        try:
            if in_kernel:
                done = os.copy_file_range(source, target, min(left, 1 << 30), at)
            else:
                data = os.pread(source, min(left, _PIECE), at)
                done = os.write(target, data) if data else 0
        except OSError as error:
            if not in_kernel or error.errno not in _NOT_HERE:
                raise
            in_kernel = False
            continue
        if not done:
            if in_kernel:  # some file systems answer so instead of with an error
                in_kernel = False
                continue
            raise OSError(errno.EIO, "the source became shorter while it was copied")
        left -= done
    return size
