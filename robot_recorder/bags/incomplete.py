"""Find bags without ``metadata.yaml``, without loading what reads them: most roots have none."""

from __future__ import annotations

import os
import time
from pathlib import Path

from robot_recorder.bags.metadata import METADATA_FILE
from robot_recorder.model.errors import BagError
from robot_recorder.model.ids import PARTIAL

_QUIET_S = 60.0  # a file written to more recently may still be recording


def incomplete(root: Path, quiet: bool = True) -> list[Path]:
    """Return the folders in a root that hold data files and no ``metadata.yaml``.

    Args:
        root: directory of episodes.
        quiet: skip folders written to within the last minute.
    """
    found = []
    for folder in sorted(p for p in root.iterdir() if p.is_dir() and p.name[0] != "."):
        if folder.suffix == PARTIAL or os.path.lexists(folder / METADATA_FILE):
            continue
        from robot_recorder.bags.bag import found_files  # of what can be read

        try:
            files = found_files(folder)
        except BagError:
            continue
        newest = max(file.stat().st_mtime for file in files)
        if not quiet or time.time() - newest > _QUIET_S:
            found.append(folder)
    return found
