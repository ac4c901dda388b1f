"""Making an MCAP file whole again that was never finished, or is damaged.

In place: what is sound stays where it is, what is not is wrapped into a record that every reader
skips, and the index is written anew. Nothing is copied, so a full disk is hardly in the way.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from robot_recorder.bags import mcap_records as mcap
from robot_recorder.bags.mcap_file import CHUNK_BYTES, LIBRARY, Declarations, Summary
from robot_recorder.bags.mcap_records import Op
from robot_recorder.bags.mcap_scan import ScanResult, scan
from robot_recorder.model.errors import BagError, DiskError

_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


def repair(path: Path, known: Declarations) -> ScanResult:
    """Finish a file; nothing happens to one that is sound.

    Args:
        known: from elsewhere; it helps where the file's own are unreadable.

    Returns:
        What was found before the repair; its chunks and counts are those of the repaired file.

    Raises:
        BagError: there is no message in it.
        DiskError: the disk does not take the index.
    """
    found = scan(path)
    found.schemas = {**known.schemas, **found.schemas}
    found.channels = {**known.channels, **found.channels}
    found.channels = {k: c for k, c in found.channels.items() if c.schema_id in found.schemas}
    nameless = set(found.counts) - set(found.channels)
    if nameless or not found.counts:
        why = f"its channels {sorted(nameless)} have no name" if nameless else "it has no message"
        raise BagError(f"{path} ({path.stat().st_size} bytes) can not be repaired: {why}")
    while not found.sound:
        try:
            _finish(path, found)
            break
        except OSError as error:
            if error.errno not in _FULL or not _give_up_last_chunk(found):
                raise DiskError(f"repairing {path} failed: {error.strerror}") from error
    return found


def _give_up_last_chunk(found: ScanResult) -> bool:
    """Make room for the index on a full disk: the end of an episode for the use of the rest."""
    if len(found.chunks) < 2 or found.given_up > CHUNK_BYTES:
        return False
    last = found.chunks.pop()
    for id, count in found.chunk_counts.pop().items():
        found.counts[id] -= count
        found.gaps[id] = found.gaps.get(id, 0) + count
    found.given_up += last.length
    found.end = last.offset
    found.patches = [(at, data) for at, data in found.patches if at < last.offset]
    found.damaged = [(at, size) for at, size in found.damaged if at < last.offset]
    return True


def _finish(path: Path, found: ScanResult) -> None:
    with open(path, "r+b") as file:
        if not found.begins_well:
            # Ours is the only header that can be put back: it is always the same.
            begin = mcap.MAGIC + mcap.header("ros2", LIBRARY)
            if found.chunks[0].offset != len(begin):
                raise BagError(
                    f"{path} can not be repaired: its header is broken, and not one of ours"
                )
            file.write(begin)
        end = found.end
        for at, length in reversed(found.damaged):
            if length < mcap.HEAD.size:  # only at the end
                end = at
            else:
                file.seek(at)
                file.write(mcap.HEAD.pack(Op.DAMAGED, length - mcap.HEAD.size))
        file.truncate(end)  # flushes what was written before
        for at, data in found.patches:
            file.seek(at)
            file.write(data)
        file.seek(end)
        data_end = mcap.data_end()
        chunks = [mcap.chunk_index(c) for c in found.chunks]
        times = mcap.span(found.chunks)
        summary = Summary(found.schemas, found.channels, chunks, times, found.counts)
        file.write(data_end + summary.to_bytes(end + len(data_end)))
        file.flush()
        os.fsync(file.fileno())
