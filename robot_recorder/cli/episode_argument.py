"""The argument that names an episode: a bag, a file in it, or a folder, which means its newest episode."""

from __future__ import annotations

import os
import re
from datetime import datetime
from pathlib import Path

_START = re.compile(r"_(\d{8}T\d{6}_\d{3})")  # in an episode's id
HELP = "bag directory or data file, from any recorder; of a folder, the newest episode; default: episodes"


def chosen_episode(path: Path) -> Path:
    """Return the bag directory that a path means.

    Raises:
        BagError: there is no bag at the path or directly below it.
    """
    from robot_recorder.bags.bag import bag_of, read_bag
    from robot_recorder.bags.metadata import METADATA_FILE

    if path.is_file() and (directory := bag_of(path)) != path:
        return directory
    if os.path.lexists(path / METADATA_FILE):
        return path
    episodes = [
        p.parent for p in path.glob(f"*/{METADATA_FILE}") if not p.parent.name.startswith(".")
    ]
    episodes = [p for p in episodes if p.suffix != ".partial"]
    if not episodes:
        read_bag(path)  # raises unless it is a data file, and says what is there
        return path
    return max(episodes, key=_started)


def _started(path: Path) -> float:
    """Return the start in s since the epoch: from the id, or else from the metadata file's time stamp."""
    from robot_recorder.bags.metadata import METADATA_FILE

    found = _START.search(path.name)
    if found:
        try:
            start = datetime.strptime(found[1] + "000+0000", "%Y%m%dT%H%M%S_%f%z")
            return start.timestamp()
        except ValueError:
            pass
    return (path / METADATA_FILE).stat().st_mtime
