"""Make bags of data files without ``metadata.yaml``: after a crash, a download, from Foxglove."""

from __future__ import annotations

import os
import struct
from collections import Counter
from pathlib import Path
from typing import BinaryIO

from robot_recorder.bags import mcap_records as mcap
from robot_recorder.bags.bag import (
    DataFile,
    describe,
    found_files,
    is_ros1,
    open_file,
    storage_of,
)
from robot_recorder.bags.columns import CDR
from robot_recorder.bags.mcap_file import CHUNK_BYTES, LIBRARY, Summary
from robot_recorder.bags.mcap_index import McapIndex
from robot_recorder.bags.mcap_records import ChunkInfo
from robot_recorder.bags.metadata import (
    METADATA_FILE,
    read_metadata,
    without_repeats,
    write_metadata,
)
from robot_recorder.bags.read_back import confirm
from robot_recorder.bags.ros1_file import conversion
from robot_recorder.model.errors import BagError, DiskError

_ASIDE = METADATA_FILE + ".unreadable"


def is_whole(path: Path) -> bool:
    """Tell whether a directory has readable metadata."""
    try:
        read_metadata(path)
    except BagError:
        return False
    return True


def complete(path: Path) -> tuple[Path, str]:
    """Make a bag of a single data file, or of a directory without readable ``metadata.yaml``.

    The original files stay unchanged. Files that another library cannot read in full are copied
    into new ones. The bag of a single file is a new directory beside it.

    Returns:
        The bag directory, and a sentence about its content.

    Raises:
        BagError: there are no data files or messages, the other library reads too few messages, or it
            is a ROS 1 bag.
        DiskError: the bag cannot be written.
    """
    if is_ros1(path):
        raise BagError(
            f"{path} is a ROS 1 bag, which is read as it is: nothing is recovered from it. "
            f"`rosbag reindex {path}` writes its index again; {conversion(path)}"
        )
    files = found_files(path)
    try:
        directory = path if path.is_dir() else _around(path)
        if os.path.lexists(directory / METADATA_FILE):
            os.replace(directory / METADATA_FILE, directory / _ASIDE)
        files = [directory / file.name for file in files]
        problems = _describe(directory, files)
        by = "" if problems else _confirmed(directory)
        if not by:
            files = [_copied(file) for file in files]
            problems += _describe(directory, files)
            by = _confirmed(directory)
    except OSError as error:
        raise DiskError(f"{path} cannot be made a bag: {error.strerror or error}") from error
    # Without the remedy, which is what is being done.
    problems = [problem.partition(": `robot-recorder recover")[0] for problem in problems]
    count = without_repeats(read_metadata(directory))["message_count"]
    if not by or not count:
        (directory / METADATA_FILE).unlink()
        why = "; ".join(dict.fromkeys(problems)) or "there is no message in it"
        if count:
            why = f"another library does not find the {count} messages in it"
        raise BagError(f"{directory} cannot be made a bag: {why}")
    told = [f"recovered {directory.name}: {count} messages, {by}", *dict.fromkeys(problems)]
    return directory, "; ".join(told)


def _around(file: Path) -> Path:
    """Make a directory beside a file, and link the file into it."""
    directory = file.with_suffix("")
    if directory.exists():
        raise BagError(f"{file}: {directory} already exists: move it away first")
    directory.mkdir()
    os.link(file, directory / file.name)
    return directory


def _describe(directory: Path, files: list[Path]) -> list[str]:
    """Write ``metadata.yaml``, and return why files could not be read in full.

    Every chunk is unpacked here first, within bounds: other libraries unpack without a limit.
    """
    data = [open_file(file) for file in files]
    try:
        write_metadata(directory, describe(files, data))
        return [problem for file in data if (problem := file.problem or _damage(file))]
    finally:
        _close(data)


def _damage(file: DataFile) -> str:
    """Return why a chunk cannot be unpacked; empty: all chunks can."""
    if not isinstance(file, McapIndex):
        return ""
    file.verify = True
    for chunk in file.chunks:
        try:
            file.records(chunk)
        except (BagError, struct.error, ValueError) as error:
            return str(error)
    return ""


def _close(files: list[DataFile]) -> None:
    for file in files:
        if not isinstance(file, McapIndex):
            file.close()


def _confirmed(directory: Path) -> str:
    """Read a bag with another library; describe the result, empty if it finds other counts."""
    metadata = read_metadata(directory)
    topics = [entry["topic_metadata"] for entry in metadata["topics_with_message_count"]]
    if any(topic["serialization_format"] != CDR for topic in topics):
        return f"not read back: rosbags reads no bag with other messages than {CDR}"
    counts: dict[str, int] = {}
    for topic, entry in zip(topics, metadata["topics_with_message_count"]):
        counts[topic["name"]] = counts.get(topic["name"], 0) + entry["message_count"]
    try:
        reader = confirm(directory, counts)
    except BagError:
        return ""
    return f"read back by {reader}" if reader else "not read back: pip install rosbags"


def _copied(file: Path) -> Path:
    """Write a fully indexed copy beside an MCAP file; return an sqlite3 file unchanged."""
    if storage_of(file) != "mcap":
        return file
    target = file.with_name(f"{file.stem}.recovered.mcap")
    copy_with_indexes(McapIndex.open(file), target)
    return target


def copy_with_indexes(source: McapIndex, target: Path) -> None:
    """Copy all readable messages of an MCAP file into a new, fully indexed one.

    Raises:
        OSError: the target cannot be written.
    """
    records = bytearray()
    index: mcap.Index = {}
    written: list[int] = []  # channel id of each message
    with open(target, "wb") as file:
        file.write(mcap.MAGIC + mcap.header("ros2", LIBRARY))
        for schema in source.schemas.values():
            records += mcap.schema(schema)
        for channel in source.channels.values():
            records += mcap.channel(channel)
        infos: list[ChunkInfo] = []
        for chunk in source.chunks:
            for id, record in _records(source, chunk):
                log_ns = mcap.MESSAGE.unpack_from(record)[4]
                mcap.note(index, id, log_ns, len(records))
                records += record
                written.append(id)
                if len(records) >= CHUNK_BYTES:
                    infos.append(_write_chunk(file, index, records))
                    records, index = bytearray(), {}
        if index or not infos:
            infos.append(_write_chunk(file, index, records))
        chunks = [mcap.chunk_index(info) for info in infos]
        counts = dict(Counter(written))
        begin = mcap.data_end()
        summary = Summary(source.schemas, source.channels, chunks, mcap.span(infos), counts)
        at = file.tell() + len(begin)
        file.write(begin + summary.to_bytes(at))
        file.flush()
        os.fsync(file.fileno())


def _records(source: McapIndex, chunk: ChunkInfo) -> list[tuple[int, bytes]]:
    """Return a chunk's channel ids and message records in file order; empty for a damaged chunk."""
    try:
        buffer, first = source.records(chunk)
    except (BagError, struct.error, ValueError):
        return []
    places = sorted((int(at), id) for id, found in source.entries(chunk) for at in found[:, 1])
    found = []
    for at, id in places:
        _, length = mcap.HEAD.unpack_from(buffer, first + at)
        found.append((id, bytes(buffer[first + at : first + at + mcap.HEAD.size + length])))
    return found


def _write_chunk(file: BinaryIO, index: mcap.Index, records: bytearray) -> ChunkInfo:
    data = bytes(records)
    info, head, after = mcap.chunk(index, data, file.tell())
    file.write(head + data + after)
    return info
