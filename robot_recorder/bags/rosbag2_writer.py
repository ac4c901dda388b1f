"""Bag writer that uses ``rosbag2_py`` of a ROS 2 distribution.

Checked against rosbag2 0.15 (Humble), 0.26 (Jazzy), 0.32 (Kilted) and 0.33 (Lyrical). Their signatures differ, so
that the newest is tried first.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import rosbag2_py

from robot_recorder.bags.files import by_number, sync_file
from robot_recorder.bags.metadata import (
    REPEATED,
    custom_data_of,
    offers_text,
    read_metadata,
    write_metadata,
)
from robot_recorder.bags.splitting import NO_LIMITS, FileLimits, Splitter
from robot_recorder.configuration.find import config_directory
from robot_recorder.model.errors import BagError, ConfigError
from robot_recorder.model.topics import Channel, Sample


class Rosbag2Writer:
    """A BagWriter that writes through rosbag2's SequentialWriter.

    rosbag2 has no flush: the messages in its current MCAP chunk (64 KiB, config/rosbag2_mcap.yaml)
    reach the file later, so that ``sync`` flushes less than that of McapWriter. rosbag2 itself
    looks up message definitions and type hashes.
    """

    def __init__(self, limits: FileLimits = NO_LIMITS) -> None:
        """
        Args:
            limits: of each file; without any, the bag has one file.

        Raises:
            ConfigError: this rosbag2_py cannot split files when it is told to.
        """
        if limits and not hasattr(rosbag2_py.SequentialWriter, "split_bagfile"):
            raise ConfigError(
                "rosbag2_py of this distribution cannot split files (Jazzy's can): leave "
                "max_file_mb and max_file_s at 0, or take writer:=mcap"
            )
        self._splitter = Splitter(limits)
        self._repeated: list[dict[str, int]] = [{}]  # messages by topic, for each file
        self._synced: set[Path] = set()  # earlier files, which do not change any more
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
        named = hasattr(rosbag2_py, "to_rclcpp_qos_vector")  # Humble only understands numbers
        offers = [q.to_dict() for q in topic.offered_qos]
        text = offers_text(offers, 9 if named else 5) if offers else ""
        if named:
            described = rosbag2_py.TopicMetadata(
                id=0,
                **common,
                offered_qos_profiles=rosbag2_py.to_rclcpp_qos_vector(text, 9) if text else [],
                type_description_hash=topic.type_hash,
            )
        else:
            described = rosbag2_py.TopicMetadata(**common, offered_qos_profiles=text)
        try:
            self._writer.create_topic(described)
        except RuntimeError as error:
            raise self._failed(error) from error

    def write(self, samples: list[Sample]) -> None:
        """Write messages, byte for byte."""
        try:
            first = 0
            while first < len(samples):
                end = self._splitter.fitting(samples, first)
                if end == first:
                    self._begin_file(samples[first].receive_ns)
                else:
                    self._write_all(samples[first:end])
                first = end
        except RuntimeError as error:
            raise self._failed(error) from error

    def _write_all(self, samples: list[Sample]) -> None:
        for channel, data, receive_ns, send_ns, _ in samples:
            if self._write is not None:
                self._write(channel.topic, data, receive_ns, send_ns)
            else:
                self._write = self._find_write(channel.topic, data, receive_ns, send_ns)

    def _begin_file(self, at_ns: int) -> None:
        """Let rosbag2 close its file and begin the next one with the latched messages."""
        self._writer.split_bagfile()
        repeats = self._splitter.repeats(at_ns)
        self._write_all(repeats)
        self._repeated.append(dict(Counter(sample.channel.topic for sample in repeats)))
        self._splitter.begin(sum(len(sample.data) for sample in repeats))

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
            paths = sorted(set(self._directory.glob("*.mcap")) - self._synced, key=by_number)
            for path in paths:
                sync_file(path)
            self._synced.update(paths[:-1])
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Close the bag through rosbag2, which writes ``metadata.yaml``."""
        try:
            if hasattr(self._writer, "close"):
                self._writer.close()
            self._writer = None  # the oldest Humble closes in its destructor
            self.sync()
            if any(self._repeated):
                self._note_repeats()
        except (RuntimeError, OSError) as error:
            raise self._failed(error) from error
        finally:
            self._writer = None

    def _note_repeats(self) -> None:
        """Add to ``metadata.yaml`` what the files repeat: their channels do not tell."""
        metadata = read_metadata(self._directory)
        custom = {**custom_data_of(metadata), REPEATED: json.dumps(self._repeated)}
        write_metadata(self._directory, {**metadata, "custom_data": custom})

    def abandon(self) -> None:
        """Release the writer."""
        self._writer = None

    def _failed(self, error: Exception) -> BagError:
        return BagError(
            f"writing {self._directory} failed: {error}; check the disk's space and health"
        )
