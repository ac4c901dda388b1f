"""Bag writer of our own: MCAP in batches, and every second really on disk."""

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
    """Writes rosbag2 MCAP bags; see BagWriter."""

    def __init__(self) -> None:
        self._directory = Path()
        self._file: BlockFile | None = None
        self._name = ""
        self._mcap: McapFile | None = None
        self._custom_data: dict[str, str] = {}
        self._topics: list[BagTopic] = []

    def open(self, directory: Path, custom_data: dict[str, str]) -> None:
        self._directory, self._custom_data = directory, custom_data
        path = directory / f"{directory.name}_0.mcap"
        try:
            directory.mkdir(mode=0o700, parents=True)  # its owner shares it, see files.share
            self._file = BlockFile(path, BUFFER_BYTES)
            self._mcap, self._name = McapFile(self._file), path.name
            sync_directory(directory.parent)
        except OSError as error:
            self.abandon()
            with suppress(OSError):  # it is not empty, or was not made
                directory.rmdir()  # leave nothing that looks like an episode
            raise BagError(f"can not create the bag {directory}: {error.strerror}") from error

    def add_topic(self, channel: Channel) -> None:
        assert self._mcap is not None
        self._mcap.add_channel(channel)
        self._topics.append(channel.bag_topic)  # as the channel says it: readers compare the two

    def write(self, samples: Sequence[Sample]) -> None:
        assert self._mcap is not None
        try:
            self._mcap.add_messages(samples)
        except OSError as error:
            raise self._failed(error) from error

    def sync(self) -> None:
        assert self._mcap is not None
        try:
            self._mcap.sync()
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        assert self._mcap is not None and self._file is not None
        try:
            self._mcap.sync()
            counts = [self._mcap.counts[id] for id in self._mcap.channels]
            summary = BagSummary(self._name, *self._mcap.span, counts)
            topics = [topic_metadata(topic) for topic in self._topics]
            metadata = build_metadata(topics, summary, self._custom_data)
            # rosbag2 opens a lone .mcap file by this record, without the directory around it.
            self._mcap.finish({"rosbag2": {"serialized_metadata": dump_yaml(metadata)}})
            self._file.check()
            self._file.close()  # one file at a time, as there may be no more
            self._look_at_the_end()
            write_metadata(self._directory, metadata)
        except OSError as error:
            raise self._failed(error) from error
        finally:
            self._file.close()

    def _look_at_the_end(self) -> None:
        """Compare the finished file's own index with what was written; its data is not read again.

        Raises:
            BagError: somebody or something else has changed the file.
        """
        assert self._mcap is not None
        path = self._directory / self._name
        written = {id: count for id, count in self._mcap.counts.items() if count}
        index = McapIndex.open(path, walk=False) if written else None
        found = index.counts() if index is not None else {}
        if found != written:
            raise BagError(
                f"{path} holds {sum(found.values())} messages by its index, {sum(written.values())} were "
                "written: was it changed by another program, or is the disk failing?"
            )

    def abandon(self) -> None:
        if self._file is not None:
            self._file.close()

    def _failed(self, error: OSError) -> BagError:
        return BagError(
            f"writing {self._directory} failed: {error.strerror}; check the disk's space and health"
        )
