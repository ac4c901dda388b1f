"""A data file of rosbag2's sqlite3 storage, read with the rosbags library."""

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
        encoding: of its messages; cdr, as a rule.
        definition: of its type, in ``definition_encoding``: ros2msg or ros2idl; empty: unknown.
        qos: ``offered_qos_profiles``, as YAML or plain.
        messages: how many there are.
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
    """An open database. Close it."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            BagError: it cannot be read.
        """
        from rosbags.rosbag2 import Reader  # a robot's nodes, which import this module, need none

        self.path = path
        self.problem = ""
        try:
            with open_regular(path) as file:
                if file.read(len(MAGIC)) != MAGIC:
                    raise BagError(f"{path} is not a database of rosbag2")
            self._reader = Reader(path)
            self._reader.open()
        except BagError:
            raise
        except Exception as error:  # whatever sqlite or the library raise about rubbish
            raise BagError(f"{path} cannot be read: {error}") from error

    def topics(self) -> list[FileTopic]:
        """Its topics, in its order."""
        return [
            FileTopic(
                c.topic, c.msgtype, c.ext.serialization_format, c.msgdef.data,  # type: ignore[union-attr]
                {"MSG": "ros2msg", "IDL": "ros2idl"}.get(c.msgdef.format.name, ""),
                [], c.digest, c.msgcount,
            )
            for c in self._reader.connections
        ]  # fmt: skip

    def span(self) -> tuple[int, int]:
        """First and last time, ns; zeros when there are no messages."""
        if not self._reader.message_count:
            return 0, 0
        return self._reader.start_time, self._reader.end_time - 1

    def messages(self, topics: set[str], from_ns: int) -> Iterator[tuple[int, str, str, bytes]]:
        """(time, topic, type, bytes) in order of time.

        Raises:
            BagError: it cannot be read on.
        """
        wanted = [c for c in self._reader.connections if c.topic in topics]
        if not wanted:
            return
        try:
            for connection, at_ns, data in self._reader.messages(wanted, start=from_ns or None):
                yield at_ns, connection.topic, connection.msgtype, bytes(data)
        except Exception as error:
            raise BagError(f"{self.path} cannot be read on: {error}") from error

    def close(self) -> None:
        self._reader.close()
