"""Bag writer on the ``mcap`` library: our own file object, so that every second really is on disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from mcap.writer import CompressionType, Writer

from robot_recorder.core.errors import BagError
from robot_recorder.core.topics import BagTopic
from robot_recorder.storage.files import sync_directory
from robot_recorder.storage.metadata import BagSummary, build_metadata, dump_yaml, write_metadata

if not hasattr(Writer, "flush"):
    raise ImportError("the installed mcap has no Writer.flush; mcap 1.6 has: pip install -U mcap")

_LIBRARY = "robot_recorder"


class McapWriter:
    """Writes rosbag2 MCAP bags; see BagWriter.

    Uncompressed, as rosbag2's default is: camera streams arrive as JPEG already, and the writer
    thread's time is worth more than the disk the rest would save.
    """

    def __init__(self) -> None:
        self._directory = Path()
        self._file: BinaryIO | None = None
        self._writer: Writer | None = None
        self._custom_data: dict[str, str] = {}
        self._topics: dict[str, BagTopic] = {}
        self._channels: dict[str, int] = {}
        self._schemas: dict[str, int] = {}
        self._counts: dict[str, int] = {}
        self._start_ns = 2**63 - 1
        self._end_ns = 0

    def open(self, directory: Path, custom_data: dict[str, str]) -> None:
        self._directory, self._custom_data = directory, custom_data
        try:
            directory.mkdir(parents=True)
            self._file = open(directory / f"{directory.name}_0.mcap", "xb", buffering=1 << 20)
            sync_directory(directory.parent)
        except OSError as error:
            raise BagError(f"can not create the bag {directory}: {error.strerror}") from error
        self._writer = Writer(self._file, chunk_size=1 << 20, compression=CompressionType.NONE)
        self._writer.start(profile="ros2", library=_LIBRARY)

    def add_topic(self, topic: BagTopic) -> None:
        assert self._writer is not None
        if topic.type not in self._schemas:
            self._schemas[topic.type] = self._writer.register_schema(
                topic.type, "ros2msg" if topic.definition else "", topic.definition.encode()
            )
        self._channels[topic.name] = self._writer.register_channel(
            topic.name,
            "cdr",
            self._schemas[topic.type],
            {
                "offered_qos_profiles": dump_yaml([q.to_dict() for q in topic.offered_qos]),
                "topic_type_hash": topic.type_hash,
            },
        )
        self._topics[topic.name] = topic
        self._counts[topic.name] = 0

    def write(self, topic: str, data: bytes, receive_ns: int, send_ns: int) -> None:
        assert self._writer is not None
        try:
            self._writer.add_message(self._channels[topic], receive_ns, data, send_ns)
        except OSError as error:
            raise self._failed(error) from error
        self._counts[topic] += 1
        self._start_ns = min(self._start_ns, receive_ns)
        self._end_ns = max(self._end_ns, receive_ns)

    def sync(self) -> None:
        assert self._writer is not None and self._file is not None
        try:
            self._writer.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        assert self._writer is not None and self._file is not None
        summary = BagSummary(Path(self._file.name).name, self._start_ns, self._end_ns, self._counts)
        metadata = build_metadata(
            list(self._topics.values()),
            summary,
            self._custom_data,
            os.environ.get("ROS_DISTRO", ""),
        )
        try:
            # rosbag2 opens a lone .mcap file by this record, without the directory around it.
            self._writer.add_metadata("rosbag2", {"serialized_metadata": dump_yaml(metadata)})
            self._writer.finish()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            write_metadata(self._directory, metadata)
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> BagError:
        return BagError(
            f"writing {self._directory} failed: {error.strerror}; check the disk's space and health"
        )
