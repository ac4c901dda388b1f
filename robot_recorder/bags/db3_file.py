"""Read a data file of rosbag2's sqlite3 storage with the rosbags library."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from robot_recorder.bags.files import open_regular
from robot_recorder.model.errors import BagError

SUFFIX = ".db3"
MAGIC = b"SQLite format 3\0"


class FileTopic(NamedTuple):
    """A topic as a data file describes it.

    Attributes:
        name: topic name.
        type: message type.
        encoding: message encoding, usually cdr.
        definition: message definition; empty: unknown.
        definition_encoding: ros2msg or ros2idl; empty: unknown.
        qos: ``offered_qos_profiles``, as YAML text or a list.
        hash: type description hash; empty: unknown.
        messages: number of messages.
    """

    name: str
    type: str
    encoding: str
    definition: str
    definition_encoding: str
    qos: Any
    hash: str
    messages: int


class Db3File:
    """An open rosbag2 database; the caller closes it."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            BagError: the file is not a rosbag2 database, or cannot be read.
        """
        from rosbags.rosbag2 import Reader  # not needed on robots, whose nodes import this module

        self.path = path
        self.problem = ""
        try:
            with open_regular(path) as file:
                if file.read(len(MAGIC)) != MAGIC:
                    raise BagError(f"{path} is not a rosbag2 database")
            self._reader = Reader(path)
            self._reader.open()
        except BagError:
            raise
        except Exception as error:  # sqlite and the library raise many types for invalid files
            raise BagError(f"{path} cannot be read: {error}") from error

    def topics(self) -> list[FileTopic]:
        """Return the topics in the order of the file."""
        return [
            FileTopic(
                c.topic, c.msgtype, c.ext.serialization_format, c.msgdef.data,  # type: ignore[union-attr]
                {"MSG": "ros2msg", "IDL": "ros2idl"}.get(c.msgdef.format.name, ""),
                [], c.digest, c.msgcount,
            )
            for c in self._reader.connections
        ]  # fmt: skip

    def span(self) -> tuple[int, int]:
        """Return the first and last receive time, ns; zeros when there are no messages."""
        if not self._reader.message_count:
            return 0, 0
        return self._reader.start_time, self._reader.end_time - 1

    def messages(self, topics: set[str], from_ns: int) -> Iterator[tuple[int, str, str, bytes]]:
        """Yield (time in ns, topic, type, bytes) in time order.

        Args:
            topics: names of the topics to read.
            from_ns: earliest receive time; 0: all.

        Raises:
            BagError: the rest of the file cannot be read.
        """
        wanted = [c for c in self._reader.connections if c.topic in topics]
        if not wanted:
            return
        try:
            for connection, at_ns, data in self._reader.messages(wanted, start=from_ns or None):
                yield at_ns, connection.topic, connection.msgtype, bytes(data)
        except Exception as error:
            raise BagError(f"the rest of {self.path} cannot be read: {error}") from error

    def close(self) -> None:
        """Close the database."""
        self._reader.close()
