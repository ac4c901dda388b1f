"""Open a bag: a directory, a directory without ``metadata.yaml``, or a single data file.

Everything that reads a bag goes through this module, so that all commands accept the same paths and
report the same errors.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from robot_recorder.bags import db3_file, ros1_file
from robot_recorder.bags.db3_file import Db3File, FileTopic
from robot_recorder.bags.files import by_number, open_regular, what_is
from robot_recorder.bags.mcap_index import McapIndex
from robot_recorder.bags.mcap_records import MAGIC
from robot_recorder.bags.metadata import (
    METADATA_FILE,
    BagSummary,
    build_metadata,
    custom_data_of,
    parse_qos,
    read_metadata,
    repeats_of,
    without_repeats,
)
from robot_recorder.bags.ros1_file import Ros1File
from robot_recorder.model.errors import BagError
from robot_recorder.model.streams import NS_PER_S

SUFFIXES = (".mcap", db3_file.SUFFIX)
_PACKED = ".zstd"
_STORAGES = {MAGIC: "mcap", db3_file.MAGIC: "sqlite3", ros1_file.MAGIC: ros1_file.STORAGE}
_SHOWN = 5  # file names listed in an error about a folder
_TOLERANCE_NS = NS_PER_S  # allowed difference between metadata and messages
_KEEP_FREE = 1_000_000_000  # bytes left free on the disk that a compressed file is unpacked to
_REMEDY = "give a bag directory, an .mcap, .db3 or .bag file, or a folder of episodes"

DataFile = McapIndex | Db3File | Ros1File


@dataclass(frozen=True)
class OpenBag:
    """A bag with open data files.

    Attributes:
        path: bag directory or data file.
        metadata: content of ``metadata.yaml``, or metadata derived from the data files.
        files: open data files, in order.
        packed: whether each message is compressed separately with zstd.
    """

    path: Path
    metadata: dict[str, Any]
    files: list[DataFile]
    packed: bool = False

    def topics(self) -> list[FileTopic]:
        """Return the topics of all files, merged by name, type and encoding."""
        found: dict[tuple[str, str, str], FileTopic] = {}
        for topic in (topic for file in self.files for topic in topics_of(file)):
            key = topic.name, topic.type, topic.encoding
            before = found.get(key)
            found[key] = (
                topic
                if before is None
                else topic._replace(messages=before.messages + topic.messages)
            )
        return list(found.values())


def full_type(name: str) -> str:
    """Return a type name in its full form: pkg/Name becomes pkg/msg/Name."""
    package, _, rest = name.partition("/")
    return f"{package}/msg/{rest}" if rest and "/" not in rest else name


def topics_of(file: DataFile) -> list[FileTopic]:
    """Return a data file's topics, with full type names."""
    return [topic._replace(type=full_type(topic.type)) for topic in _own_topics(file)]


def _own_topics(file: DataFile) -> list[FileTopic]:
    """Return a data file's topics, with type names as the file spells them."""
    if not isinstance(file, McapIndex):
        return file.topics()
    counts, found = file.counts(), []
    for channel in file.channels.values():
        schema = file.schemas.get(channel.schema_id)
        name, encoding = (schema.name, schema.encoding) if schema else ("", "")
        text = schema.data.decode(errors="replace") if schema else ""
        found.append(FileTopic(
            channel.topic, name, channel.message_encoding, text, encoding,
            channel.metadata.get("offered_qos_profiles", ""),
            channel.metadata.get("topic_type_hash", ""), counts.get(channel.id, 0),
        ))  # fmt: skip
    return found


@contextmanager
def opened(path: Path) -> Iterator[OpenBag]:
    """Open a bag for reading.

    Raises:
        BagError: the path is not a bag, or one of its files cannot be read.
    """
    metadata, _ = read_bag(path)
    mode = str(metadata.get("compression_mode") or "").lower()
    with ExitStack() as stack:
        files: list[DataFile] = []
        for file, repeated in zip(data_files(path, metadata), _repeats(path, metadata)):
            if mode == "file" and file.suffix == _PACKED:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                file = _unpacked(file, folder)
            files.append(open_file(file))
            _close_after(stack, files[-1])
            if isinstance(data := files[-1], McapIndex) and repeated:
                data.leave_out(repeated)
        yield OpenBag(path, metadata, files, mode == "message")


def _repeats(path: Path, metadata: dict[str, Any]) -> list[dict[str, int]]:
    """Return what each data file repeats of earlier ones; a file opened by itself repeats nothing."""
    return repeats_of(metadata) if path.is_dir() else [{}]


def _close_after(stack: ExitStack, file: DataFile) -> None:
    """Close a data file at the end of a block; an MCAP file needs no closing."""
    if not isinstance(file, McapIndex):
        stack.callback(file.close)


def open_file(file: Path) -> DataFile:
    """Open a data file: MCAP, sqlite3, or a ROS 1 bag.

    Raises:
        BagError: the file cannot be read.
    """
    storage = storage_of(file)
    if storage == ros1_file.STORAGE:
        return Ros1File(file)
    return Db3File(file) if storage == "sqlite3" else McapIndex.open(file)


def is_ros1(path: Path) -> bool:
    """Tell whether a path is a ROS 1 bag.

    Raises:
        BagError: it is a file that cannot be read.
    """
    return path.is_file() and storage_of(path) == ros1_file.STORAGE


def bag_of(path: Path) -> Path:
    """Return the bag directory that a data file is in, or else the path itself.

    Raises:
        BagError: the path is a file that cannot be read.
    """
    beside = path.is_file() and (path.parent / METADATA_FILE).is_file()
    return path.parent if beside and not is_ros1(path) else path


def read_bag(path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Read a bag's metadata from ``metadata.yaml``, or derive it from the data files.

    Message counts are those of the messages that are read: without what a file repeats of earlier ones.

    Returns:
        The metadata, and a sentence for each point where ``metadata.yaml`` contradicts the files.

    Raises:
        BagError: the path is not a bag, or it cannot be read.
    """
    if os.path.lexists(path / METADATA_FILE):
        metadata, notes = _corrected(path, read_metadata(path))
        return without_repeats(metadata), notes
    return without_repeats(_described(found_files(path))), ()


def data_files(path: Path, metadata: dict[str, Any]) -> list[Path]:
    """Return the paths of a bag's data files.

    Raises:
        BagError: a file that the metadata names is missing.
    """
    if not path.is_dir():
        return [path]
    found = []
    for name in metadata["relative_file_paths"]:
        own = path / PurePath(str(name)).name  # other recorders may write absolute paths
        packed = own.with_name(own.name + _PACKED)
        if not own.exists() and not packed.exists():
            raise BagError(
                f"{path} lacks {own.name}, which its {METADATA_FILE} names: copy the bag again"
            )
        found.append(own if own.exists() else packed)
    return found


def found_files(path: Path) -> list[Path]:
    """Return the data files at a path without ``metadata.yaml``: the file, or those in the folder.

    Raises:
        BagError: there are no data files; the message says what the path is.
    """
    try:
        kind = what_is(os.stat(path).st_mode)
        if kind == "file" and storage_of(path):
            return [path]
        inside = sorted(path.iterdir(), key=by_number) if kind == "folder" else []
    except FileNotFoundError:
        raise BagError(f"{path} does not exist: {_REMEDY}") from None
    except OSError as error:
        raise BagError(f"{path} cannot be read: {error.strerror}") from error
    files = [p for p in inside if p.suffix in SUFFIXES and p.is_file()]
    if not files:
        raise BagError(f"{path} is {_what(path, kind, inside)}: {_REMEDY}")
    storages = {storage_of(file) for file in files}
    if len(storages) > 1:
        raise BagError(
            f"{path} has no {METADATA_FILE}, and both .mcap and .db3 files: give one of the files"
        )
    return files


def _what(path: Path, kind: str, inside: list[Path]) -> str:
    """Describe a path that is not a bag."""
    if kind == "file":
        size = path.stat().st_size
        return f"a file of {size} bytes that is no MCAP file, rosbag2 database or ROS 1 bag"
    if kind != "folder":
        return f"a {kind}, not a bag"
    if not inside:
        return "an empty folder, not a bag"
    names = ", ".join(p.name for p in inside[:_SHOWN])
    more = f" and {len(inside) - _SHOWN} more" if len(inside) > _SHOWN else ""
    return f"not a bag but a folder of {names}{more}"


def storage_of(file: Path) -> str:
    """Return a data file's storage by its first bytes: "mcap", "sqlite3", "rosbag_v2"; empty: none.

    Raises:
        BagError: the file cannot be read.
    """
    try:
        with open_regular(file) as data:
            begin = data.read(max(map(len, _STORAGES)))
    except OSError as error:
        raise BagError(f"{file} cannot be read: {error.strerror}") from error
    return next((name for magic, name in _STORAGES.items() if begin.startswith(magic)), "")


def _described(files: list[Path]) -> dict[str, Any]:
    """Build metadata from data files, with full type names."""
    with ExitStack() as stack:
        data = [open_file(file) for file in files]
        for file in data:
            _close_after(stack, file)
        found = describe(files, data)
    for entry in found["topics_with_message_count"]:
        entry["topic_metadata"]["type"] = full_type(entry["topic_metadata"]["type"])
    return found


def describe(files: list[Path], data: list[DataFile]) -> dict[str, Any]:
    """Build ``metadata.yaml`` content from open data files, with type names as in the files."""
    topics: list[dict[str, Any]] = []
    found: list[BagSummary] = []
    for number, (path, file) in enumerate(zip(files, data, strict=True)):
        counts: Counter[int] = Counter()
        for topic in _own_topics(file):
            described = topic_of(topic)
            if described not in topics:
                topics.append(described)
            counts[topics.index(described)] += topic.messages
        repeated = file.repeats() if number and isinstance(file, McapIndex) else {}
        in_order = [counts[index] for index in range(len(topics))]
        found.append(BagSummary(path.name, *file.span(), in_order, repeated))
    storage = storage_of(files[0]) or "mcap"  # an MCAP file with a damaged beginning
    return {**build_metadata(topics, found, {}), "storage_identifier": storage}


def topic_of(topic: FileTopic) -> dict[str, Any]:
    """Return a topic's entry for ``metadata.yaml``."""
    return {
        "name": topic.name,
        "type": topic.type,
        "serialization_format": topic.encoding,
        "offered_qos_profiles": parse_qos(topic.qos),
        "type_description_hash": topic.hash,
    }


def _corrected(path: Path, metadata: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return metadata with full type names, and storage and time span as in the data files."""
    entries = [
        {**entry, "topic_metadata": {**entry["topic_metadata"],
                                     "type": full_type(entry["topic_metadata"]["type"])}}
        for entry in metadata["topics_with_message_count"]
    ]  # fmt: skip
    metadata = {**metadata, "topics_with_message_count": entries}
    if "episode_id" in custom_data_of(metadata):  # our own recording: file and metadata agree
        return metadata, ()
    try:
        files = data_files(path, metadata)
        if metadata.get("storage_identifier") not in _STORAGES.values() and files:
            metadata["storage_identifier"] = storage_of(files[0])
        if str(metadata.get("compression_mode") or "").lower() in ("file", "message") or not files:
            return metadata, ()
        with ExitStack() as stack:
            spans = []
            for file in map(open_file, files):
                _close_after(stack, file)
                spans.append(file.span())
    except BagError:
        return metadata, ()  # reading the messages will raise the same error
    return _with_span(metadata, [span for span in spans if span[1]])


def _with_span(
    metadata: dict[str, Any], spans: list[tuple[int, int]]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    if not spans:
        return metadata, ()
    first, last = min(s[0] for s in spans), max(s[1] for s in spans)
    said_first = metadata["starting_time"]["nanoseconds_since_epoch"]
    said = metadata["duration"]["nanoseconds"]
    if abs(said - (last - first)) <= _TOLERANCE_NS and abs(said_first - first) <= _TOLERANCE_NS:
        return metadata, ()
    corrected = {
        **metadata,
        "starting_time": {"nanoseconds_since_epoch": first},
        "duration": {"nanoseconds": last - first},
    }
    note = (
        f"{METADATA_FILE} says it lasts {said / NS_PER_S:.3f} s from "
        f"{said_first / NS_PER_S:.3f} s on, but its messages span "
        f"{(last - first) / NS_PER_S:.3f} s from {first / NS_PER_S:.3f} s on"
    )
    return corrected, (note,)


def _unpacked(file: Path, folder: Path) -> Path:
    """Unpack a data file that was compressed as a whole into a folder.

    Raises:
        BagError: the file cannot be unpacked, or the disk has too little room.
    """
    import zstandard

    target = folder / file.name.removesuffix(_PACKED)
    try:
        room = shutil.disk_usage(folder).free - _KEEP_FREE
        with open_regular(file) as source, open(target, "wb") as sink:
            for part in zstandard.ZstdDecompressor().read_to_iter(source):
                room -= len(part)
                if room < 0:
                    raise BagError(
                        f"{file} does not fit on the disk of {folder} when unpacked: free space"
                    )
                sink.write(part)
    except (OSError, zstandard.ZstdError) as error:
        raise BagError(f"{file} cannot be unpacked: {error}") from error
    return target
