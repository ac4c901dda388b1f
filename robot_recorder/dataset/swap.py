"""Put a finished folder in place of another one at once."""

from __future__ import annotations

import ctypes
import os
import shutil
from pathlib import Path

from robot_recorder.bags.files import sync_directory

_AT_FDCWD, _EXCHANGE = -100, 2  # of renameat2(2), Linux


def put_in_place(partial: Path, target: Path) -> None:
    """Rename a folder to its target; a folder that is there is exchanged with it, then deleted.

    Raises:
        OSError: it cannot be renamed.
    """
    if not os.path.lexists(target):
        os.rename(partial, target)
    else:
        if not _exchanged(partial, target):
            old = target.with_name(f"{target.name}.old")
            os.rename(target, old)
            os.rename(partial, target)
            os.rename(old, partial)
        shutil.rmtree(partial)
    sync_directory(target.parent)


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two paths at once; return whether this file system can."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    code = rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE)
    return int(code) == 0
