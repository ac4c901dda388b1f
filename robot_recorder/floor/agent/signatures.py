"""What stands for files that did not change: size, times and inode, which are quicker to read than content.

The time of the last change of the inode is among them, because programs set the other one back.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

from robot_recorder.bags.metadata import METADATA_FILE
from robot_recorder.floor.manifest import data_files


def metadata_signature(episode: Path) -> str:
    """Return what stands for an episode's ``metadata.yaml``; empty: it is missing, or a link."""
    try:
        found = os.lstat(episode / METADATA_FILE)
    except OSError:
        return ""
    # Every change replaces the file, so two of them within one tick of its clock differ in the inode.
    return (
        f"{found.st_mtime_ns}-{found.st_ctime_ns}-{found.st_size}-{found.st_ino}"
        if stat.S_ISREG(found.st_mode)
        else ""
    )


def files_signature(episode: Path) -> str:
    """Return what stands for an episode's data files.

    Raises:
        OSError: one cannot be looked at.
    """
    found = [(path.name, os.lstat(path)) for path in data_files(episode)]
    return json.dumps(
        [[name, f.st_size, f.st_mtime_ns, f.st_ctime_ns, f.st_ino] for name, f in found]
    )
