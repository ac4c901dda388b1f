"""Aligned frames as NumPy's npz."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from robot_recorder.dataset.arrays import frame_arrays, frame_metadata
from robot_recorder.offline.align import Alignment

SUFFIX = ".npz"


def write_npz(alignment: Alignment, path: Path) -> None:
    """Write the arrays, with their metadata as JSON text in ``facts``.

    Raises:
        OSError: the file cannot be written.
    """
    facts = np.array(json.dumps(frame_metadata(alignment)))
    with open(path, "wb") as file:
        np.savez(file, facts=facts, **frame_arrays(alignment))  # type: ignore[arg-type]
