"""The writer port: what the recorder needs of a bag format, and where its adapters are chosen."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from robot_recorder.core.errors import ConfigError
from robot_recorder.core.topics import BagTopic


class BagWriter(Protocol):
    """Writes one bag. Every method raises BagError when the disk does not take it."""

    def open(self, directory: Path, custom_data: dict[str, str]) -> None:
        """Create the bag directory, which must not exist, and begin."""

    def add_topic(self, topic: BagTopic) -> None:
        """Declare a topic; must precede its messages."""

    def write(self, topic: str, data: bytes, receive_ns: int, send_ns: int) -> None:
        """Write one message's bytes as they are."""

    def sync(self) -> None:
        """Bring everything written so far to the disk, as far as the format can."""

    def close(self) -> None:
        """Leave a complete bag, ``metadata.yaml`` included."""


# by the Python module it needs: (how to get that, our adapter); in order of preference
_WRITERS = {
    "mcap": ("pip install mcap (rosdep key mcap-ros2-support)", "mcap_writer.McapWriter"),
    "rosbag2_py": ("apt install ros-$ROS_DISTRO-rosbag2-py", "rosbag2_writer.Rosbag2Writer"),
}


def writer_factory(name: str) -> Callable[[], BagWriter]:
    """What makes writers of one adapter, or of the first one that works for "auto".

    Raises:
        ConfigError: unknown or not installed; the message says how to get it.
    """
    if name not in ("auto", *_WRITERS):
        raise ConfigError(f"unknown writer '{name}'; known: auto, {', '.join(_WRITERS)}")
    problems = []
    for candidate in _WRITERS if name == "auto" else (name,):
        how, adapter = _WRITERS[candidate]
        try:
            # Imported now, not at the first start, which has to be instant.
            module, _, factory = adapter.partition(".")
            found: Callable[[], BagWriter] = getattr(
                importlib.import_module(f"robot_recorder.storage.{module}"), factory
            )
            return found
        except ImportError as error:
            problems.append(f"writer '{candidate}' can not be used ({error}): {how}")
    raise ConfigError("; ".join(problems))
