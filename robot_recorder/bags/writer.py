"""The writer port: what the recorder needs of a bag format, and where its adapters are chosen."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from robot_recorder.model.errors import ConfigError
from robot_recorder.model.topics import Channel, Sample


class BagWriter(Protocol):
    """Writes one bag. Every method raises BagError when the disk does not take it."""

    def open(self, directory: Path, custom_data: dict[str, str]) -> None:
        """Create the bag directory, which must not exist, and begin."""

    def add_topic(self, channel: Channel) -> None:
        """Declare a topic; must precede its messages."""

    def write(self, samples: Sequence[Sample]) -> None:
        """Write messages, byte for byte."""

    def sync(self) -> None:
        """Bring everything written so far to the disk, as far as the format can."""

    def close(self) -> None:
        """Leave a complete bag, ``metadata.yaml`` included."""

    def abandon(self) -> None:
        """Let go of the files after an error, without writing any more. Raises nothing."""


# Why mcap is the default: docs/writers.md
_WRITERS = {"mcap": "mcap_writer.McapWriter", "rosbag2_py": "rosbag2_writer.Rosbag2Writer"}


def writer_factory(name: str) -> Callable[[], BagWriter]:
    """What makes writers of one adapter.

    Raises:
        ConfigError: unknown or not installed; the message says how to get it.
    """
    if name not in _WRITERS:
        raise ConfigError(f"unknown writer '{name}'; known: {', '.join(_WRITERS)}")
    # Imported now, not at the first start, which has to be instant.
    module, _, factory = _WRITERS[name].partition(".")
    try:
        found: Callable[[], BagWriter] = getattr(
            importlib.import_module(f"robot_recorder.bags.{module}"), factory
        )
    except ImportError as error:
        raise ConfigError(
            f"writer '{name}' can not be used ({error}): "
            f"apt install ros-$ROS_DISTRO-{name.replace('_', '-')}, or take writer:=mcap"
        ) from error
    return found
