"""The interface of bag writers, and the choice of an implementation by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

from robot_recorder.bags.splitting import NO_LIMITS, FileLimits
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.extensions import WRITERS_GROUP, extensions
from robot_recorder.model.topics import Channel, Sample


class BagWriter(Protocol):
    """Writer of one bag. Every method except ``abandon`` raises BagError when writing fails.

    What a writer repeats at the head of a later file is its own affair: ``write`` gets every message once.
    """

    def open(self, directory: Path, custom_data: dict[str, str]) -> None:
        """Create the bag directory, which must not exist yet, and begin the bag."""

    def add_topic(self, channel: Channel) -> None:
        """Declare a topic; must precede its messages."""

    def write(self, samples: list[Sample]) -> None:
        """Write messages, byte for byte."""

    def sync(self) -> None:
        """Flush everything written so far to the disk, as far as the implementation can."""

    def close(self) -> None:
        """Complete the bag, including ``metadata.yaml``."""

    def abandon(self) -> None:
        """Close the files after an error, without writing any more. Raises nothing."""


# Why mcap is the default: docs/writers.md
_WRITERS = ("mcap", "rosbag2_py")


def writer_factory(name: str, limits: FileLimits = NO_LIMITS) -> Callable[[], BagWriter]:
    """Return the constructor of a writer by its name: a shipped one, or one of another package.

    Args:
        name: of the writer.
        limits: of each file of a bag.

    Raises:
        ConfigError: the writer is unknown, not installed, or cannot split files; the message says
            what to do.
    """
    if name == "mcap":
        return partial(_new_mcap_writer, limits)
    if name == "rosbag2_py":
        return _rosbag2(limits)
    added: dict[str, Callable[[], BagWriter]] = extensions(WRITERS_GROUP).found
    if name not in added:
        raise ConfigError(f"unknown writer '{name}'; known: {', '.join([*_WRITERS, *added])}")
    if limits:
        raise ConfigError(
            f"writer '{name}' does not split files: leave max_file_mb and max_file_s at 0, "
            "or take writer:=mcap"
        )
    return added[name]


def _new_mcap_writer(limits: FileLimits) -> BagWriter:
    from robot_recorder.bags.mcap_writer import McapWriter

    return McapWriter(limits)


def _rosbag2(limits: FileLimits) -> Callable[[], BagWriter]:
    try:
        from robot_recorder.bags.rosbag2_writer import Rosbag2Writer
    except ImportError as error:
        raise ConfigError(
            f"writer 'rosbag2_py' cannot be used ({error}): "
            "apt install ros-$ROS_DISTRO-rosbag2-py, or take writer:=mcap"
        ) from error
    Rosbag2Writer(limits)  # raises now what it cannot do
    return partial(Rosbag2Writer, limits)
