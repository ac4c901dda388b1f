"""Bag writer that uses ``rosbag2_py`` of a ROS 2 distribution.

Checked against rosbag2 0.15 (Humble), 0.26 (Jazzy) and 0.32 (Kilted). Their signatures differ, so
that the newest is tried first.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rosbag2_py

from robot_recorder.bags.files import sync_file
from robot_recorder.bags.metadata import dump_yaml
from robot_recorder.configuration.find import config_directory
from robot_recorder.model.errors import BagError
from robot_recorder.model.topics import Channel, Sample


class Rosbag2Writer:
    """A BagWriter that writes through rosbag2's SequentialWriter.

    rosbag2 has no flush: the messages in its current MCAP chunk (64 KiB, config/rosbag2_mcap.yaml)
    reach the file later, so that ``sync`` flushes less than that of McapWriter. rosbag2 itself
    looks up message definitions and type hashes.
    """

    def __init__(self) -> None:
        self._writer: Any = None
        self._directory = Path()
        self._write: Any = None

    def open(self, directory: Path, custom_data: dict[str, str]) -> None:
        """Create the bag directory through rosbag2."""
        self._directory = directory
        # No cache: the recorder has its own queue, and counts a message as written on return.
        options: dict[str, Any] = {
            "uri": str(directory),
            "storage_id": "mcap",
            "max_cache_size": 0,
            "storage_config_uri": str(config_directory() / "rosbag2_mcap.yaml"),
        }
        try:
            storage = rosbag2_py.StorageOptions(**options, custom_data=custom_data)
        except TypeError:  # Humble has no custom_data; it is added to metadata.yaml afterwards
            storage = rosbag2_py.StorageOptions(**options)
        self._writer = rosbag2_py.SequentialWriter()
        try:
            directory.parent.mkdir(parents=True, exist_ok=True)
            self._writer.open(storage, rosbag2_py.ConverterOptions("cdr", "cdr"))
        except (OSError, RuntimeError) as error:
            raise BagError(f"cannot create the bag {directory}: {error}") from error

    def add_topic(self, channel: Channel) -> None:
        """Declare a topic; must precede its messages."""
        topic = channel.bag_topic
        common = {"name": topic.name, "type": topic.type, "serialization_format": "cdr"}
        text = dump_yaml([q.to_dict() for q in topic.offered_qos]) if topic.offered_qos else ""
        if hasattr(rosbag2_py, "to_rclcpp_qos_vector"):
            described = rosbag2_py.TopicMetadata(
                id=0,
                **common,
                offered_qos_profiles=rosbag2_py.to_rclcpp_qos_vector(text, 9) if text else [],
                type_description_hash=topic.type_hash,
            )
        else:  # Humble only understands QoS text with integer policies: leave it out, use defaults
            described = rosbag2_py.TopicMetadata(**common)
        try:
            self._writer.create_topic(described)
        except RuntimeError as error:
            raise self._failed(error) from error

    def write(self, samples: Sequence[Sample]) -> None:
        """Write messages, byte for byte."""
        try:
            for channel, data, receive_ns, send_ns, _ in samples:
                if self._write is not None:
                    self._write(channel.topic, data, receive_ns, send_ns)
                else:
                    self._write = self._find_write(channel.topic, data, receive_ns, send_ns)
        except RuntimeError as error:
            raise self._failed(error) from error

    def _find_write(self, topic: str, data: bytes, receive_ns: int, send_ns: int) -> Any:
        """Write the first message with the newest signature that works; return that function."""
        writer = self._writer

        def kilted(topic: str, data: bytes, receive_ns: int, send_ns: int) -> None:
            # By keyword: a small positional send stamp would be taken for a sequence number.
            writer.write(topic, data, recv_timestamp=receive_ns, send_timestamp=send_ns)

        def jazzy(topic: str, data: bytes, receive_ns: int, send_ns: int) -> None:
            writer.write(topic, data, receive_ns, send_ns)

        def humble(topic: str, data: bytes, receive_ns: int, send_ns: int) -> None:
            writer.write(topic, data, receive_ns)

        for way in (kilted, jazzy, humble):
            try:
                way(topic, data, receive_ns, send_ns)
                return way
            except TypeError:
                continue
        raise BagError(
            "SequentialWriter.write of this rosbag2_py has an unknown signature; use writer:=mcap"
        )

    def sync(self) -> None:
        """Flush the files; messages in rosbag2's current chunk are not in them yet."""
        try:
            for path in self._directory.glob("*.mcap"):
                sync_file(path)
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Close the bag through rosbag2, which writes ``metadata.yaml``."""
        try:
            if hasattr(self._writer, "close"):
                self._writer.close()
            self._writer = None  # the oldest Humble closes in its destructor
            self.sync()
        except RuntimeError as error:
            raise self._failed(error) from error
        finally:
            self._writer = None

    def abandon(self) -> None:
        """Release the writer."""
        self._writer = None

    def _failed(self, error: Exception) -> BagError:
        return BagError(
            f"writing {self._directory} failed: {error}; check the disk's space and health"
        )
