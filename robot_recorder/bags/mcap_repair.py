"""Repair an unfinished or damaged MCAP file in place.

Intact records stay where they are, damaged bytes become a record that every reader skips, and the
index is rewritten. Nothing is copied, so that the repair works on an almost full disk.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from robot_recorder.bags import mcap_records as mcap
from robot_recorder.bags.mcap_file import CHUNK_BYTES, OUR_BEGIN, Declarations, Summary
from robot_recorder.bags.mcap_records import Op
from robot_recorder.bags.mcap_scan import ScanResult, scan
from robot_recorder.model.errors import BagError, DiskError

_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


def repair(path: Path, known: Declarations) -> ScanResult:
    """Repair a file; leave an intact one unchanged.

    Args:
        path: file to repair.
        known: schemas and channels from elsewhere, used where the file's own are unreadable.

    Returns:
        The scan before the repair, with chunks and counts as in the repaired file.

    Raises:
        BagError: the file has no messages, or messages of channels without a name.
        DiskError: the index cannot be written.
    """
    found = scan(path)
    found.schemas = {**known.schemas, **found.schemas}
    found.channels = {**known.channels, **found.channels}
    found.channels = {k: c for k, c in found.channels.items() if c.schema_id in found.schemas}
    for id in set(found.counts) - set(found.channels):
        genuine = found.channels.get(id ^ mcap.REPEATED)
        if id & mcap.REPEATED and genuine is not None:
            found.channels[id] = mcap.repeated(genuine)
    nameless = set(found.counts) - set(found.channels)
    if nameless or not found.counts:
        why = f"its channels {sorted(nameless)} have no name" if nameless else "it has no messages"
        raise BagError(f"{path} ({path.stat().st_size} bytes) cannot be repaired: {why}")
    while not found.sound:
        try:
            _finish(path, found)
            break
        except OSError as error:
            if error.errno not in _FULL or not _give_up_last_chunk(found):
                raise DiskError(f"repairing {path} failed: {error.strerror}") from error
    return found


def is_blank(path: Path) -> bool:
    """Tell whether nothing is lost with a file: it is empty, or holds no more than its beginning.

    Raises:
        BagError: the file cannot be read.
    """
    found = scan(path)
    return found.end == 0 or (found.begins_well and not found.counts and not found.damaged)


def _give_up_last_chunk(found: ScanResult) -> bool:
    """Drop the last chunk, to fit the index on a full disk; tell whether that is possible."""
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
            first = found.damaged[0][0] if found.damaged else found.chunks[0].offset
            if len(OUR_BEGIN) not in (first, found.chunks[0].offset):
                raise BagError(
                    f"{path} cannot be repaired: its broken header is of another recorder"
                )
            file.write(OUR_BEGIN)
        end = found.end
        for at, length in reversed(found.damaged):
            if length < mcap.HEAD.size:  # too short for a record; happens only at the end
                end = at
            else:
                file.seek(at)
                file.write(mcap.HEAD.pack(Op.DAMAGED, length - mcap.HEAD.size))
        file.truncate(end)  # also flushes the writes above
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
