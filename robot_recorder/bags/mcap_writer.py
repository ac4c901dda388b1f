"""The default bag writer: MCAP in batches, flushed to the disk on every ``sync``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from robot_recorder.bags import mcap_records as mcap
from robot_recorder.bags.block_file import BlockFile
from robot_recorder.bags.files import OUT_OF_FILES, sync_directory
from robot_recorder.bags.mcap_file import BUFFER_BYTES, McapFile
from robot_recorder.bags.mcap_index import McapIndex
from robot_recorder.bags.metadata import (
    BagSummary,
    build_metadata,
    dump_yaml,
    topic_metadata,
    write_metadata,
)
from robot_recorder.bags.splitting import NO_LIMITS, FileLimits, Splitter
from robot_recorder.model.errors import BagError
from robot_recorder.model.topics import BagTopic, Channel, Sample


class _DataFile:
    """One MCAP file of the bag, until it is closed."""

    def __init__(self, path: Path) -> None:
        """
        Args:
            path: file to create; must not exist yet.

        Raises:
            OSError: it cannot be created.
        """
        self.path = path
        self.file = BlockFile(path, BUFFER_BYTES)
        self.mcap = McapFile(self.file)

    def finish(self, custom_data: dict[str, str], topics: Sequence[BagTopic] = ()) -> BagSummary:
        """Write the index, flush, close and check the file; return what it holds.

        Args:
            custom_data: of the bag, for readers that open this file without its directory.
            topics: of all its channels, in order, for the same readers; empty: they take the channels.

        Raises:
            OSError: writing failed.
            BagError: another program or a failing disk has changed the file.
        """
        try:
            self.mcap.sync()
            summary = self._summary()
            described = [topic_metadata(topic) for topic in topics]
            listed = summary if topics else replace(summary, counts=())
            metadata = build_metadata(described, listed, custom_data)
            # With this record, rosbag2 opens the .mcap file without its directory.
            self.mcap.finish({"rosbag2": {"serialized_metadata": dump_yaml(metadata)}})
            self.file.check()
        finally:
            self.file.close()  # before opening another: file descriptors may have run out
        self._look_at_the_end()
        return summary

    def _summary(self) -> BagSummary:
        counts: Counter[int] = Counter()
        repeated: Counter[str] = Counter()
        for id, count in self.mcap.counts.items():
            counts[id & ~mcap.REPEATED] += count
            if id & mcap.REPEATED:
                repeated[self.mcap.channels[id].topic] += count
        in_order = [counts[id] for id in sorted(counts)]
        return BagSummary(self.path.name, *self.mcap.span, in_order, repeated)

    def _look_at_the_end(self) -> None:
        """Compare the finished file's index with the counts written, without reading its data.

        Raises:
            BagError: another program or a failing disk has changed the file.
        """
        written = {id: count for id, count in self.mcap.counts.items() if count}
        index = McapIndex.open(self.path, walk=False) if written else None
        found = index.counts() if index is not None else {}
        if found != written:
            raise BagError(
                f"{self.path} holds {sum(found.values())} messages by its index, but "
                f"{sum(written.values())} were written: was it changed by another program, or is "
                "the disk failing?"
            )


class McapWriter:
    """A BagWriter for rosbag2 bags with MCAP files, in our own implementation of MCAP."""

    def __init__(self, limits: FileLimits = NO_LIMITS) -> None:
        """
        Args:
            limits: of each file; without any, the bag has one file.
        """
        self._directory = Path()
        self._data: _DataFile | None = None
        self._custom_data: dict[str, str] = {}
        self._channels: dict[Channel, BagTopic] = {}
        self._new: list[Channel] = []  # not declared in the current file yet
        self._splitter = Splitter(limits)
        self._finished: list[Future[BagSummary]] = []  # one for each earlier file
        # Finishes earlier files: flushing them takes as long as the disk likes.
        self._finisher: ThreadPoolExecutor | None = None

    def open(self, directory: Path, custom_data: dict[str, str]) -> None:
        """Create the bag directory and its first MCAP file."""
        self._directory, self._custom_data = directory, custom_data
        try:
            directory.mkdir(mode=0o700, parents=True)  # the caller sets the mode with files.share
            self._data = _DataFile(self._path(0))
            sync_directory(directory.parent)
        except OSError as error:
            self.abandon()
            with suppress(OSError):  # it is not empty, or was not made
                directory.rmdir()  # an empty directory would look like an episode
            raise BagError(f"cannot create the bag {directory}: {error.strerror}") from error

    def _path(self, number: int) -> Path:
        return self._directory / f"{self._directory.name}_{number}.mcap"

    def add_topic(self, channel: Channel) -> None:
        """Declare a topic; must precede its messages."""
        # The topic as it is now, in every file: readers compare channels with the metadata.
        self._channels[channel] = channel.bag_topic
        self._new.append(channel)  # its first message may begin a file

    def _declare_new(self) -> None:
        assert self._data is not None
        before = self._data.file.position
        for channel in self._new:
            self._data.mcap.add_channel(channel, self._channels[channel])
        self._new.clear()
        self._splitter.take(2 * (self._data.file.position - before))  # again in the summary

    def write(self, samples: list[Sample]) -> None:
        """Write messages, byte for byte."""
        assert self._data is not None
        try:
            first = 0
            while first < len(samples):
                end = self._splitter.fitting(samples, first)
                if end == first:
                    self._begin_file(samples[first].receive_ns)
                    continue
                self._declare_new()
                whole = end - first == len(samples)
                self._data.mcap.add_messages(samples if whole else samples[first:end])
                first = end
        except OSError as error:
            raise self._failed(error) from error

    def _begin_file(self, at_ns: int) -> None:
        """Begin the next file, and let another thread finish the current one.

        The new one begins with all topics, and the latched messages that a late subscriber would get.
        """
        assert self._data is not None
        try:
            data = _DataFile(self._path(len(self._finished) + 1))
        except OSError as error:
            if error.errno not in OUT_OF_FILES:
                raise
            self._splitter.postpone()  # the take goes on in the current file
            return
        data.mcap.declare_again(self._data.mcap)
        self._finisher = self._finisher or ThreadPoolExecutor(1, "bag_finisher")
        self._finished.append(self._finisher.submit(self._finish, self._data))
        self._data, declared = data, data.file.position
        data.mcap.add_repeats(self._splitter.repeats(at_ns))
        self._splitter.begin(data.file.position + declared)  # declared again in the summary

    def _finish(self, data: _DataFile) -> BagSummary:
        # Its topics are in its channels; like rosbag2, only the last file lists them in its metadata.
        summary = data.finish(self._custom_data)
        sync_directory(self._directory)  # the name of the next file
        return summary

    def sync(self) -> None:
        """Flush all messages to the disk."""
        assert self._data is not None
        try:
            self._data.mcap.sync()
            for future in self._finished:
                future.result()
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Write the index and ``metadata.yaml``, and check the finished files."""
        assert self._data is not None
        try:
            self._declare_new()
            earlier = [future.result() for future in self._finished]
            topics = list(self._channels.values())
            files = [*earlier, self._data.finish(self._custom_data, topics)]
            described = [topic_metadata(topic) for topic in topics]
            write_metadata(self._directory, build_metadata(described, files, self._custom_data))
        except OSError as error:
            raise self._failed(error) from error
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close the files without writing any more."""
        if self._finisher is not None:
            self._finisher.shutdown()
        if self._data is not None:
            self._data.file.close()

    def _failed(self, error: OSError) -> BagError:
        return BagError(
            f"writing {self._directory} failed: {error.strerror}; check the disk's space and health"
        )
