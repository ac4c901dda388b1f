"""Confirm a repair or a copy by counting a bag's messages with another library."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from robot_recorder.model.errors import BagError


def confirm(path: Path, counts: Mapping[str, int]) -> str:
    """Read a whole bag with another library and compare the messages per topic.

    Args:
        path: bag directory with ``metadata.yaml``.
        counts: expected messages by topic name.

    Returns:
        The library's name; empty: not confirmed, because no library is installed.

    Raises:
        BagError: the library cannot read the bag, or finds other counts.
    """
    for name, count in _READERS.items():
        if importlib.util.find_spec(name) is None:
            continue
        try:
            found = count(path)
        except Exception as error:  # any exception means that the bag was not read
            raise BagError(f"{path} cannot be read by {name}: {error}") from error
        wrong = [t for t in {*found, *counts} if found.get(t, 0) != counts.get(t, 0)]
        if wrong:
            topic = min(wrong)
            raise BagError(
                f"{path}: {name} reads {found.get(topic, 0)} of {counts.get(topic, 0)} messages of "
                f"{topic}, and {sum(found.values())} of {sum(counts.values())} in all"
            )
        return name
    return ""


def _by_rosbags(path: Path) -> Mapping[str, int]:
    from rosbags.rosbag2 import Reader

    with Reader(path) as reader:
        return Counter(connection.topic for connection, _, _ in reader.messages())


def _by_rosbag2(path: Path) -> Mapping[str, int]:
    import rosbag2_py

    reader = rosbag2_py.SequentialReader()
    reader.open(
        rosbag2_py.StorageOptions(uri=str(path), storage_id="mcap"),
        rosbag2_py.ConverterOptions("cdr", "cdr"),
    )
    found: Counter[str] = Counter()
    while reader.has_next():
        found[reader.read_next()[0]] += 1
    return found


_READERS: dict[str, Callable[[Path], Mapping[str, int]]] = {
    "rosbags": _by_rosbags,
    "rosbag2_py": _by_rosbag2,
}
