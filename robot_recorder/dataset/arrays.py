"""Aligned frames as named arrays, with metadata. docs/alignment.md lists the names."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_recorder.alignment.frames import FrameColumn, SampleStatus
from robot_recorder.offline.align import Alignment


def frame_arrays(alignment: Alignment) -> dict[str, np.ndarray]:
    """Return the frames of an alignment as arrays, one row per frame, by ``<stream>.<what>``."""
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


def frame_metadata(alignment: Alignment) -> dict[str, Any]:
    """Return the metadata of the arrays for JSON: frame clock, streams, certificate."""
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
