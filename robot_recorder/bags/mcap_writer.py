"""The default bag writer: MCAP in batches, flushed to the disk on every ``sync``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from robot_recorder.bags.block_file import BlockFile
from robot_recorder.bags.files import sync_directory
from robot_recorder.bags.mcap_file import BUFFER_BYTES, McapFile
from robot_recorder.bags.mcap_index import McapIndex
from robot_recorder.bags.metadata import (
    BagSummary,
    build_metadata,
    dump_yaml,
    topic_metadata,
    write_metadata,
)
from robot_recorder.model.errors import BagError
from robot_recorder.model.topics import BagTopic, Channel, Sample


class McapWriter:
    """A BagWriter for rosbag2 bags with one MCAP file, in our own implementation of MCAP."""

    def __init__(self) -> None:
        self._directory = Path()
        self._file: BlockFile | None = None
        self._name = ""
        self._mcap: McapFile | None = None
        self._custom_data: dict[str, str] = {}
        self._topics: list[BagTopic] = []

    def open(self, directory: Path, custom_data: dict[str, str]) -> None:
        """Create the bag directory and its MCAP file."""
        self._directory, self._custom_data = directory, custom_data
        path = directory / f"{directory.name}_0.mcap"
        try:
            directory.mkdir(mode=0o700, parents=True)  # the caller sets the mode with files.share
            self._file = BlockFile(path, BUFFER_BYTES)
            self._mcap, self._name = McapFile(self._file), path.name
            sync_directory(directory.parent)
        except OSError as error:
            self.abandon()
            with suppress(OSError):  # it is not empty, or was not made
                directory.rmdir()  # an empty directory would look like an episode
            raise BagError(f"cannot create the bag {directory}: {error.strerror}") from error

    def add_topic(self, channel: Channel) -> None:
        """Declare a topic; must precede its messages."""
        assert self._mcap is not None
        self._mcap.add_channel(channel)
        # The topic as it is now, like in the channel record: readers compare the two.
        self._topics.append(channel.bag_topic)

    def write(self, samples: Sequence[Sample]) -> None:
        """Write messages, byte for byte."""
        assert self._mcap is not None
        try:
            self._mcap.add_messages(samples)
        except OSError as error:
            raise self._failed(error) from error

    def sync(self) -> None:
        """Flush all messages to the disk."""
        assert self._mcap is not None
        try:
            self._mcap.sync()
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Write the index and ``metadata.yaml``, and check the finished file."""
        assert self._mcap is not None and self._file is not None
        try:
            self._mcap.sync()
            counts = [self._mcap.counts[id] for id in self._mcap.channels]
            summary = BagSummary(self._name, *self._mcap.span, counts)
            topics = [topic_metadata(topic) for topic in self._topics]
            metadata = build_metadata(topics, summary, self._custom_data)
            # With this record, rosbag2 opens the .mcap file without its directory.
            self._mcap.finish({"rosbag2": {"serialized_metadata": dump_yaml(metadata)}})
            self._file.check()
            self._file.close()  # before opening another: file descriptors may have run out
            self._look_at_the_end()
            write_metadata(self._directory, metadata)
        except OSError as error:
            raise self._failed(error) from error
        finally:
            self._file.close()

    def _look_at_the_end(self) -> None:
        """Compare the finished file's index with the counts written, without reading its data.

        Raises:
            BagError: another program or a failing disk has changed the file.
        """
        assert self._mcap is not None
        path = self._directory / self._name
        written = {id: count for id, count in self._mcap.counts.items() if count}
        index = McapIndex.open(path, walk=False) if written else None
        found = index.counts() if index is not None else {}
        if found != written:
            raise BagError(
                f"{path} holds {sum(found.values())} messages by its index, but "
                f"{sum(written.values())} were written: was it changed by another program, or is "
                "the disk failing?"
            )

    def abandon(self) -> None:
        """Close the file without writing any more."""
        if self._file is not None:
            self._file.close()

    def _failed(self, error: OSError) -> BagError:
        return BagError(
            f"writing {self._directory} failed: {error.strerror}; check the disk's space and health"
        )
