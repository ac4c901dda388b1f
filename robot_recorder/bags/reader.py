"""Read a rosbag2 bag message by message, without ROS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robot_recorder.bags.columns import Column, bag_topics, read_columns


@dataclass(frozen=True)
class BagMessage:
    """One message of a bag.

    Attributes:
        topic: fully qualified name.
        type: message type, package/msg/Name.
        receive_ns: receive time, ns since the epoch.
        data: CDR bytes as received.
    """

    topic: str
    type: str
    receive_ns: int
    data: bytes


def read_messages(path: Path, topics: set[str] | None = None) -> Iterator[BagMessage]:
    """Yield the messages of a bag by receive time; memory stays bounded by a few chunks.

    Of a topic with messages of several types, only those of the first type are yielded.

    Args:
        path: bag directory or data file.
        topics: names of the topics to read; None: all.

    Raises:
        BagError: the bag cannot be read. Everything readable has been yielded before.
    """
    types = {t: kind for t, (kind, _) in bag_topics(path).items() if topics is None or t in topics}
    if not types:
        return
    for segment in read_columns(path, set(types)):
        for topic, number, column in _in_order(segment.columns):
            at_ns = int(column.receives[number])
            yield BagMessage(topic, types[topic], at_ns, column.payloads[number])


def _in_order(columns: dict[str, Column]) -> Iterator[tuple[str, int, Column]]:
    """Yield topic, index and column of each message, by time."""
    names = sorted(columns)
    times = np.concatenate([columns[name].receives for name in names]) if names else np.empty(0)
    whose = np.repeat(np.arange(len(names)), [len(columns[name].receives) for name in names])
    numbers = np.concatenate([np.arange(len(columns[name].receives)) for name in names] or [whose])
    for at in np.argsort(times, kind="stable").tolist():
        name = names[whose[at]]
        yield name, int(numbers[at]), columns[name]
