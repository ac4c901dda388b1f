"""Cut a span of time out of MCAP files, copying as little as possible.

A file that lies wholly inside the span is cloned where the file system shares blocks, or else linked: two
names of the same bytes, so that either may be deleted. Chunks wholly inside are copied as they are; only chunks over an end of the span are made anew.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from robot_recorder.bags import mcap_records as mcap
from robot_recorder.bags.latched import MOST_LATCHED
from robot_recorder.bags.mcap_copy import McapCopy, NewChunk, copy_bytes, messages_of
from robot_recorder.bags.mcap_index import McapIndex
from robot_recorder.bags.mcap_records import ChannelRecord, ChunkInfo, Op, SchemaRecord
from robot_recorder.bags.metadata import parse_qos
from robot_recorder.model.arrays import Int64s
from robot_recorder.model.errors import BagError

_NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS)
_FICLONE = 0x40049409  # linux/fs.h
_LATCHED = ("transient_local", 1)
# Messages that add up rather than replace each other, also those of one publisher.
_ADDS_UP = frozenset({"tf2_msgs/msg/TFMessage"})


@dataclass(frozen=True)
class CutResult:
    """What a cut has written.

    Attributes:
        files: the new files, in order.
        linked_bytes: of files that are links to the old ones.
        copied_bytes: of chunks and files that were copied as they are.
        made_bytes: of everything else.
        origins: the old file of each new one.
    """

    files: tuple[Path, ...]
    linked_bytes: int = 0
    copied_bytes: int = 0
    made_bytes: int = 0
    origins: tuple[Path, ...] = ()


class _OldFile(NamedTuple):
    """An open file to cut from."""

    path: Path
    fd: int
    file: McapIndex


class _Latched(NamedTuple):
    """A latched message that holds where the span begins."""

    schema: SchemaRecord
    channel: ChannelRecord
    number: int
    send_ns: int
    data: bytes


def cut_files(
    files: Sequence[Path],
    folder: Path,
    from_ns: int,
    to_ns: int,
    progress: Callable[[float], None] = lambda share: None,
) -> CutResult:
    """Write the messages received from ``from_ns`` to ``to_ns``, both included, into new files.

    The first file begins with the latched messages that hold then, received at ``from_ns``.

    Args:
        files: MCAP files of a bag, in order.
        folder: where the new files go; they are named after it.
        from_ns, to_ns: receive times, ns.
        progress: called with the share that is done, 0 to 1.

    Raises:
        BagError: a file cannot be read, or no message was received in that span.
        OSError: the new files cannot be written; some of them may exist.
    """
    with ExitStack() as stack:
        sources = [stack.enter_context(_opened(path)) for path in files]
        for source in sources:
            if source.file.problem and not _is_later(source, to_ns):
                raise BagError(source.file.problem)
        inside = [
            s
            for s in sources
            if any(_counts(s.file, c, from_ns, to_ns) for c in _overlapping(s, from_ns, to_ns))
        ]
        if not inside:
            raise BagError(f"{files[0].parent} has no messages in this span")
        latched = _latched_before(sources, from_ns)
        done: list[Path] = []
        linked = copied = made = 0
        for number, source in enumerate(inside):
            target = folder / f"{folder.name}_{number}.mcap"
            size = os.fstat(source.fd).st_size
            begin = _lacking(source, latched, from_ns) if number == 0 else []
            if _is_whole(source, from_ns, to_ns) and not begin:
                if _linked(source, target):
                    linked += size
                else:
                    copied += size
            else:
                as_is = _write_part(source, target, (from_ns, to_ns), begin)
                copied += as_is
                made += target.stat().st_size - as_is
            done.append(target)
            progress((number + 1) / len(inside))
        origins = tuple(source.path for source in inside)
        return CutResult(tuple(done), linked, copied, made, origins)


@contextmanager
def _opened(path: Path) -> Iterator[_OldFile]:
    """Open a file and its index; both are of the same file, even if another takes its name meanwhile."""
    for _ in range(3):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise BagError(f"{path} cannot be read: {error.strerror}") from error
        try:
            index = McapIndex.open(path)
            if os.path.samestat(os.fstat(fd), os.stat(path)):
                yield _OldFile(path, fd, index)
                return
        finally:
            os.close(fd)
    raise BagError(f"{path} is being replaced again and again: try later")


def _overlapping(source: _OldFile, from_ns: int, to_ns: int) -> list[ChunkInfo]:
    index = source.file
    return [
        c for c in index.chunks if index.count(c) and c.start_ns <= to_ns and c.end_ns >= from_ns
    ]


def _is_inside(chunk: ChunkInfo, from_ns: int, to_ns: int) -> bool:
    return from_ns <= chunk.start_ns and chunk.end_ns <= to_ns


def _is_whole(source: _OldFile, from_ns: int, to_ns: int) -> bool:
    first, last = source.file.span()
    return from_ns <= first and last <= to_ns


def _is_later(source: _OldFile, to_ns: int) -> bool:
    """Return whether a file begins behind a span: nothing of it is needed, be it damaged."""
    return any(source.file.count(chunk) for chunk in source.file.chunks) and (
        source.file.span()[0] > to_ns
    )


def _counts(index: McapIndex, chunk: ChunkInfo, from_ns: int, to_ns: int) -> dict[int, int]:
    """Return the messages of a chunk in a span by channel id, without those that have none."""
    found: dict[int, int] = {}
    for id, entries in index.entries(chunk):
        count = int(_within(entries, from_ns, to_ns).sum())
        if count:
            found[id] = found.get(id, 0) + count
    return found


def _within(entries: Int64s, from_ns: int, to_ns: int) -> npt.NDArray[np.bool_]:
    inside: npt.NDArray[np.bool_] = (entries[:, 0] >= from_ns) & (entries[:, 0] <= to_ns)
    return inside


def _linked(source: _OldFile, target: Path) -> bool:
    """Make a file of the same bytes, on the disk once if that is possible; return whether it was."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    fd = os.open(target, flags, 0o600)
    try:
        fcntl.ioctl(fd, _FICLONE, source.fd)  # a copy that shares its blocks: xfs, btrfs
        os.fsync(fd)
        return True
    except OSError:
        target.unlink()
    finally:
        os.close(fd)
    try:
        os.link(source.path, target, follow_symlinks=False)
        if os.path.samestat(os.fstat(source.fd), os.lstat(target)):
            return True
        target.unlink()  # another file has taken its name: take the one that was looked at
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
    fd = os.open(target, flags, 0o600)
    try:
        copy_bytes(source.fd, fd, 0, os.fstat(source.fd).st_size)
        os.fsync(fd)
    finally:
        os.close(fd)
    return False


def _write_part(
    source: _OldFile, target: Path, span: tuple[int, int], latched: Sequence[_Latched]
) -> int:
    """Write the part of a file in a span, behind latched messages; return the bytes copied as they are."""
    index = source.file
    chunks = _overlapping(source, *span)
    counts = [_counts(index, chunk, *span) for chunk in chunks]
    ids = {id for found in counts for id in found}
    channels = {id: index.channels[id] for id in sorted(ids)}
    schemas = {c.schema_id: index.schemas[c.schema_id] for c in channels.values()}
    begin = _encoded(latched, span[0], index, schemas, channels)
    file = McapCopy(target, schemas, channels)
    try:
        if latched:
            file.add(begin)
        for chunk, found in zip(chunks, counts, strict=True):
            if not found:
                continue
            # What a reader went through itself has no index in the file to copy.
            if _is_inside(chunk, *span) and chunk.index_length:
                file.copy(source.fd, chunk, found)
            else:
                file.add(_selected(index, chunk, *span))
        file.finish()
        return file.copied_bytes
    except BaseException:
        file.close()
        raise


def _selected(index: McapIndex, chunk: ChunkInfo, from_ns: int, to_ns: int) -> NewChunk:
    """Return a chunk of another one's messages in a span."""
    found = NewChunk()
    for id, log_ns, record in messages_of(index, chunk):
        if from_ns <= log_ns <= to_ns:
            found.add(id, log_ns, record)
    return found


# -- latched messages


def _is_latched(channel: ChannelRecord) -> bool:
    return any(offer.get("durability") in _LATCHED for offer in _offers(channel))


def _offers(channel: ChannelRecord) -> list[dict[str, object]]:
    offers = parse_qos(channel.metadata.get("offered_qos_profiles", ""))
    return [offer for offer in offers if isinstance(offer, dict)]


def _latched_before(sources: Sequence[_OldFile], from_ns: int) -> list[_Latched]:
    """Return the latched messages that hold at a time, those received first in front."""
    wanted = [_latched_channels(source.file) for source in sources]
    adds_up = {
        key
        for source, keys in zip(sources, wanted, strict=True)
        for id, key in keys.items()
        if key[1] in _ADDS_UP or len(_offers(source.file.channels[id])) > 1
    }
    chunks = [
        (number, chunk)
        for number, source in enumerate(sources)
        for chunk in source.file.chunks
        if wanted[number] and chunk.start_ns < from_ns and source.file.count(chunk)
    ]
    places: dict[tuple[str, str], list[_Latch]] = {}
    # From the end: most topics need their last message only, and an hour has thousands of chunks.
    for number, chunk in sorted(chunks, key=lambda one: one[1].end_ns, reverse=True):
        keys = {
            id: key for id, key in wanted[number].items()
            if (id in chunk.index_offsets or not chunk.index_length)
            and (key in adds_up or key not in places or places[key][0].log_ns <= chunk.end_ns)
        }  # fmt: skip
        for id, entries in sources[number].file.entries(chunk) if keys else ():
            if id in keys:
                found = places.setdefault(keys[id], [])
                found += (
                    _Latch(int(log_ns), number, chunk.offset, int(at), chunk, id)
                    for log_ns, at in entries[entries[:, 0] < from_ns]
                )
                found.sort(key=lambda one: one[:4], reverse=True)  # the last one in front
                if not found:
                    del places[keys[id]]
    held: list[tuple[int, _Latched]] = []
    for key, those in places.items():
        distinct: dict[bytes, tuple[int, _Latched]] = {}
        for one in those:
            message = _read(sources[one.number].file, one.chunk, one.at, one.id)
            distinct.setdefault(message.data, (one.log_ns, message))
            if key not in adds_up or len(distinct) == MOST_LATCHED:
                break
        held += distinct.values()
    return [message for _, message in sorted(held, key=lambda one: one[0])]


class _Latch(NamedTuple):
    """Where a latched message is; sorted, they are in the order in which they were received."""

    log_ns: int
    number: int
    offset: int
    at: int
    chunk: ChunkInfo
    id: int


def _latched_channels(index: McapIndex) -> dict[int, tuple[str, str]]:
    """Return topic and type of the latched channels by id."""
    return {
        id: (channel.topic, index.schemas[channel.schema_id].name)
        for id, channel in index.channels.items()
        if channel.schema_id in index.schemas and _is_latched(channel)
    }


def _read(index: McapIndex, chunk: ChunkInfo, at: int, id: int) -> _Latched:
    buffer, first = index.records(chunk)
    _, length, _, number, _, send_ns = mcap.MESSAGE.unpack_from(buffer, first + at)
    begin = first + at + mcap.MESSAGE.size
    data = bytes(buffer[begin : begin + length - mcap.MESSAGE_FIXED])
    channel = index.channels[id]
    return _Latched(index.schemas[channel.schema_id], channel, number, send_ns, data)


def _lacking(source: _OldFile, latched: Sequence[_Latched], from_ns: int) -> list[_Latched]:
    """Return the latched messages that a first file needs: those it does not begin with itself.

    The later files of an episode do. Where a part begins in front of one, these are in the part.
    """
    index = source.file
    begin_ns = index.span()[0]
    if not latched or begin_ns < from_ns:
        return list(latched)
    there: set[tuple[str, bytes]] = set()
    for chunk in index.chunks:
        if chunk.start_ns > begin_ns:
            continue
        for id, entries in index.entries(chunk):
            for log_ns, at in entries[entries[:, 0] == begin_ns]:
                del log_ns
                there.add((index.channels[id].topic, _read(index, chunk, int(at), id).data))
    return [one for one in latched if (one.channel.topic, one.data) not in there]


def _encoded(
    latched: Sequence[_Latched],
    at_ns: int,
    index: McapIndex,
    schemas: dict[int, SchemaRecord],
    channels: dict[int, ChannelRecord],
) -> NewChunk:
    """Return a chunk of latched messages for a part of a file.

    Args:
        latched: of that or an earlier file.
        at_ns: their receive time.
        index: of that file.
        schemas, channels: of the part; what the messages need is added.
    """
    found = NewChunk()
    for one in latched:
        id = _declared(one, index, schemas, channels)
        length = mcap.MESSAGE_FIXED + len(one.data)
        head = mcap.MESSAGE.pack(int(Op.MESSAGE), length, id, one.number, at_ns, one.send_ns)
        found.add(id, at_ns, head + one.data)
    return found


def _declared(
    one: _Latched,
    index: McapIndex,
    schemas: dict[int, SchemaRecord],
    channels: dict[int, ChannelRecord],
) -> int:
    """Return the id of a message's channel; a new one must not be one that a copied chunk declares."""
    there = {**channels, **index.channels}
    for id, channel in there.items():
        schema = schemas.get(channel.schema_id) or index.schemas.get(channel.schema_id)
        same = schema and (channel.topic, schema.name) == (one.channel.topic, one.schema.name)
        if schema and same and not mcap.is_repeated(channel):  # at a first head nothing is repeated
            schemas[channel.schema_id], channels[id] = schema, channel
            return id
    schema_id = max([*schemas, *index.schemas], default=0) + 1
    id = next(id for id in range(1, mcap.REPEATED) if id not in there)
    schemas[schema_id] = one.schema._replace(id=schema_id)
    channels[id] = mcap.genuine(one.channel)._replace(id=id, schema_id=schema_id)
    return id
