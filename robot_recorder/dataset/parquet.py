"""Aligned frames as a Parquet table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from robot_recorder.dataset.arrays import frame_arrays, frame_metadata
from robot_recorder.offline.align import Alignment

SUFFIX = ".parquet"


def write_parquet(alignment: Alignment, path: Path) -> None:
    """Write one row per frame, with JSON text in ``robot_recorder`` of the schema's metadata.

    Raises:
        ModuleNotFoundError: pyarrow is not installed.
        OSError: the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {}
    arrays = frame_arrays(alignment)
    for key, array in arrays.items():
        stream, _, what = key.rpartition(".")
        if what in ("names", "window_stamp_ns", "window_values"):
            continue  # names are in the metadata; windows become lists, below
        if what == "window_splits":
            splits = pa.array(array.astype(np.int32))
            stamps = pa.array(arrays[f"{stream}.window_stamp_ns"])
            rows = _rows(pa, arrays[f"{stream}.window_values"])
            columns[f"{stream}.window_stamp_ns"] = pa.ListArray.from_arrays(splits, stamps)
            columns[f"{stream}.window_values"] = pa.ListArray.from_arrays(splits, rows)
        else:
            columns[key] = _rows(pa, array) if array.ndim == 2 else pa.array(array)
    table = pa.table(columns)
    facts = json.dumps(frame_metadata(alignment)).encode()
    table = table.replace_schema_metadata({b"robot_recorder": facts})
    pq.write_table(table, path)


def _rows(pa: Any, array: np.ndarray) -> Any:
    """Convert float64[n, k] to n lists of k numbers."""
    if array.shape[1] == 0:  # some readers fail on fixed-size lists of size 0
        return pa.array([[]] * len(array), type=pa.list_(pa.float64()))
    return pa.FixedSizeListArray.from_arrays(pa.array(array.ravel()), array.shape[1])
