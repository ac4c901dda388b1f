"""Remove shared memory that killed processes left: Fast DDS keeps it until the machine is started anew.

Every process with a node has a segment below /dev/shm, half a megabyte and with a profile for large images far more.
Beside it lies a file on which its owner holds a lock for as long as it lives. Ports are few, and used again.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from pathlib import Path

_FOLDER = Path("/dev/shm")
_LOCK = re.compile(r"(fast(?:dds|rtps)_[0-9a-f]{16})_el")
_YOUNG_S = 60.0  # its owner may be about to lock it


def remove_leftovers(folder: Path = _FOLDER) -> int:
    """Remove segments whose owner is dead; return their bytes. Those of others than this user stay.

    Args:
        folder: of the segments; where there is none, nothing is done.
    """
    try:
        names = os.listdir(folder)
    except OSError:  # no such folder: not Linux, or another middleware
        return 0
    found = (match for name in names if (match := _LOCK.fullmatch(name)))
    return sum(_remove(folder / match[0], folder / match[1]) for match in found)


def _remove(lock: Path, segment: Path) -> int:
    """Remove one segment if its lock is free; return its bytes."""
    try:
        fd = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:  # gone meanwhile, or another user's
        return 0
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if time.time() - os.fstat(fd).st_mtime < _YOUNG_S:
            return 0
        size = segment.lstat().st_size if segment.exists() else 0
        segment.unlink(missing_ok=True)
        lock.unlink(missing_ok=True)
    except OSError:  # its owner lives, or another user's
        return 0
    finally:
        os.close(fd)
    return size
