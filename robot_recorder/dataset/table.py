"""Aligned frames as a file: NumPy's npz, or a Parquet table. docs/alignment.md lists what is in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from robot_recorder.alignment.frames import FrameColumn, SampleStatus
from robot_recorder.bags.files import replaced
from robot_recorder.model.errors import ConfigError
from robot_recorder.offline.align import Alignment

SUFFIXES = (".npz", ".parquet")


def write_table(alignment: Alignment, path: Path) -> None:
    """Write all frames of a bag; replaces the file only once it is whole.

    Args:
        path: its suffix says the kind: ``.npz`` or ``.parquet``.

    Raises:
        ConfigError: another suffix, or the file can not be written.
        ModuleNotFoundError: Parquet, and pyarrow is not installed.
    """
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"{path}: the table is {' or '.join(SUFFIXES)}, by the file's suffix")
    if path.suffix == ".parquet":
        import pyarrow  # noqa: F401  # before anything is written: it may be missing
    with replaced(path) as partial, open(partial, "wb") as file:
        (_write_npz if path.suffix == ".npz" else _write_parquet)(alignment, file)


def table_facts(alignment: Alignment) -> dict[str, Any]:
    """What describes a table, for JSON: the frame clock, the streams and the certificate."""
    certificate = alignment.certificate
    return {
        "rate_hz": certificate.rate_hz,
        "reference": certificate.reference,
        "status": {status.name.lower(): int(status) for status in SampleStatus},
        "streams": [
            {
                "name": stream.name,
                "topic": certificate.streams[stream.name].topic
                if stream.name in certificate.streams
                else stream.topic,
                "type": stream.type,
                "role": stream.role.value,
                "policy": stream.policy.value,
                "value_names": list(names),
            }
            for stream, names in zip(alignment.streams, alignment.value_names, strict=True)
        ],
        "certificate": certificate.to_dict(),
    }


def _arrays(alignment: Alignment) -> dict[str, np.ndarray]:
    frames = alignment.frames
    arrays: dict[str, np.ndarray] = {
        "index": frames.index,
        "tick_ns": frames.ticks,
        "complete": frames.complete,
    }
    for stream, names, column in zip(
        alignment.streams, alignment.value_names, frames.columns, strict=True
    ):
        for key, array in _stream_arrays(column).items():
            arrays[f"{stream.name}.{key}"] = array
        arrays[f"{stream.name}.names"] = np.array(names, dtype=np.str_)
    return arrays


def _stream_arrays(column: FrameColumn) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {
        "status": column.status,
        "stamp_ns": column.stamps,
        "skew_ns": column.skews,
        "sample": column.numbers,
        "values": column.values,
    }
    if column.window is not None:
        arrays["window_splits"] = column.window.splits
        arrays["window_stamp_ns"] = column.window.stamps
        arrays["window_values"] = column.window.values
    return arrays


def _write_npz(alignment: Alignment, file: Any) -> None:
    facts = np.array(json.dumps(table_facts(alignment)))
    np.savez(file, facts=facts, **_arrays(alignment))  # type: ignore[arg-type]


def _write_parquet(alignment: Alignment, file: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {}
    arrays = _arrays(alignment)
    for key, array in arrays.items():
        stream, _, what = key.rpartition(".")
        if what in ("names", "window_stamp_ns", "window_values"):
            continue  # the names are in the facts; windows are lists, below
        if what == "window_splits":
            splits = pa.array(array.astype(np.int32))
            stamps = pa.array(arrays[f"{stream}.window_stamp_ns"])
            rows = _rows(pa, arrays[f"{stream}.window_values"])
            columns[f"{stream}.window_stamp_ns"] = pa.ListArray.from_arrays(splits, stamps)
            columns[f"{stream}.window_values"] = pa.ListArray.from_arrays(splits, rows)
        else:
            columns[key] = _rows(pa, array) if array.ndim == 2 else pa.array(array)
    table = pa.table(columns)
    facts = json.dumps(table_facts(alignment)).encode()
    table = table.replace_schema_metadata({b"robot_recorder": facts})
    pq.write_table(table, file)


def _rows(pa: Any, array: np.ndarray) -> Any:
    """float64[n, k] as lists of k numbers."""
    if array.shape[1] == 0:  # no such fixed-size list can be read back by every reader
        return pa.array([[]] * len(array), type=pa.list_(pa.float64()))
    return pa.FixedSizeListArray.from_arrays(pa.array(array.ravel()), array.shape[1])
