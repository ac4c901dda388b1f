"""The interface of bag writers, and the choice of an implementation by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from robot_recorder.model.errors import ConfigError
from robot_recorder.model.extensions import WRITERS_GROUP, extensions
from robot_recorder.model.topics import Channel, Sample


class BagWriter(Protocol):
    """Writer of one bag. Every method except ``abandon`` raises BagError when writing fails."""

    def open(self, directory: Path, custom_data: dict[str, str]) -> None:
        """Create the bag directory, which must not exist yet, and begin the bag."""

    def add_topic(self, channel: Channel) -> None:
        """Declare a topic; must precede its messages."""

    def write(self, samples: Sequence[Sample]) -> None:
        """Write messages, byte for byte."""

    def sync(self) -> None:
        """Flush everything written so far to the disk, as far as the implementation can."""

    def close(self) -> None:
        """Complete the bag, including ``metadata.yaml``."""

    def abandon(self) -> None:
        """Close the files after an error, without writing any more. Raises nothing."""


# Why mcap is the default: docs/writers.md
_WRITERS = {"mcap": "mcap_writer.McapWriter", "rosbag2_py": "rosbag2_writer.Rosbag2Writer"}


def writer_factory(name: str) -> Callable[[], BagWriter]:
    """Return the constructor of a writer by its name: a shipped one, or one of another package.

    Raises:
        ConfigError: the writer is unknown, or not installed; the message says how to install it.
    """
    added: dict[str, Callable[[], BagWriter]] = {}
    if name not in _WRITERS:
        added = extensions(WRITERS_GROUP).found
    if name not in _WRITERS and name not in added:
        raise ConfigError(f"unknown writer '{name}'; known: {', '.join([*_WRITERS, *added])}")
    # Import now, because the first recording has to start at once.
    return added[name] if name in added else _shipped(name)


def _shipped(name: str) -> Callable[[], BagWriter]:
    module, _, factory = _WRITERS[name].partition(".")
    try:
        found: Callable[[], BagWriter] = getattr(
            importlib.import_module(f"robot_recorder.bags.{module}"), factory
        )
    except ImportError as error:
        raise ConfigError(
            f"writer '{name}' cannot be used ({error}): "
            f"apt install ros-$ROS_DISTRO-{name.replace('_', '-')}, or take writer:=mcap"
        ) from error
    return found
