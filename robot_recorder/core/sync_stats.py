"""How well an episode's frames are aligned, per stream: the first form of the sync certificate."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from robot_recorder.core.frames import Frame, SampleStatus


@dataclass(frozen=True)
class StreamSync:
    """One stream's alignment over an episode.

    Attributes:
        skew_p50_ms, skew_p95_ms, skew_max_ms: of the absolute skew over all frames that have a sample;
            None when none has one.
        fresh, interpolated, held, missing: frames by status.
    """

    skew_p50_ms: float | None
    skew_p95_ms: float | None
    skew_max_ms: float | None
    fresh: int
    interpolated: int
    held: int
    missing: int


class SyncStats:
    """Gathers frames; 16 bytes a frame and stream."""

    def __init__(self) -> None:
        self._skews: dict[str, list[int]] = {}
        self._statuses: dict[str, list[int]] = {}
        self.frames = 0
        self.complete = 0

    def add(self, frame: Frame, names: tuple[str, ...]) -> None:
        """Count one frame."""
        self.frames += 1
        self.complete += frame.complete
        for name, sample in zip(names, frame.samples, strict=True):
            counts = self._statuses.setdefault(name, [0] * len(SampleStatus))
            counts[sample.status] += 1
            if sample.status is not SampleStatus.MISSING:
                self._skews.setdefault(name, []).append(sample.skew_ns)

    def streams(self) -> dict[str, StreamSync]:
        """The figures of every stream seen."""
        return {name: self._stream(name) for name in self._statuses}

    def _stream(self, name: str) -> StreamSync:
        skews = np.abs(np.array(self._skews.get(name, []), dtype=np.float64)) / 1e6
        p50 = p95 = worst = None
        if len(skews):
            p50, p95, worst = (round(float(q), 3) for q in np.percentile(skews, (50, 95, 100)))
        return StreamSync(p50, p95, worst, *self._statuses[name])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "frames": self.frames,
            "complete": self.complete,
            "streams": {name: asdict(sync) for name, sync in self.streams().items()},
        }
