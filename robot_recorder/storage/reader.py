"""Reading of any rosbag2 bag, with nothing of ROS installed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rosbags.rosbag2 import Reader
from rosbags.rosbag2.errors import ReaderError

from robot_recorder.core.errors import BagError


@dataclass(frozen=True)
class BagMessage:
    """One message of a bag.

    Attributes:
        topic: fully qualified name.
        type: as package/msg/Name.
        receive_ns: when it was received, ns since the epoch.
        data: CDR bytes, as they were on the wire.
    """

    topic: str
    type: str
    receive_ns: int
    data: bytes


def read_messages(path: Path, topics: set[str] | None = None) -> Iterator[BagMessage]:
    """Messages of a bag directory in order of receipt; memory stays bounded by a few chunks.

    Args:
        path: the bag directory.
        topics: only these; all when None.

    Raises:
        BagError: it can not be read; what could be read has been yielded.
    """
    try:
        with Reader(path) as reader:
            wanted = [c for c in reader.connections if topics is None or c.topic in topics]
            if not wanted:
                return
            for connection, receive_ns, data in reader.messages(wanted):
                yield BagMessage(connection.topic, connection.msgtype, receive_ns, bytes(data))
    except (ReaderError, OSError) as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> BagError:
    """What to say about a bag whose files can not be read."""
    return BagError(
        f"{path} can not be read: {error}. If a copy was cut off, copy it again; a damaged MCAP file can be "
        "mended with `mcap recover`"
    )
