"""The skew certificate of a dataset's episodes, summed up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from robot_recorder.alignment.frames import SampleStatus
from robot_recorder.dataset.aligned import SourceStream
from robot_recorder.dataset.frames import DatasetFrames


@dataclass(frozen=True)
class SkewSummary:
    """How well one stream meets the frames of an episode; None: unknown.

    Attributes:
        p50_ms, p95_ms, max_ms: of the absolute skew, of frames where the stream is not missing.
        held, missing: share of the frames, 0 to 1.
        topic, type, role: as in the robot profile; empty: unknown.
        rate_hz: expected.
    """

    p50_ms: float | None
    p95_ms: float | None
    max_ms: float | None
    held: float | None
    missing: float | None
    topic: str = ""
    type: str = ""
    role: str = ""
    rate_hz: float | None = None


@dataclass(frozen=True)
class SyncSummary:
    """The skew certificate of one episode of a dataset, summed up.

    Attributes:
        frames: their number.
        streams: by name.
    """

    frames: int
    streams: Mapping[str, SkewSummary]

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> SyncSummary:
        """Read what ``asdict`` made plain."""
        return cls(plain["frames"], {n: SkewSummary(**s) for n, s in plain["streams"].items()})


def summarise(frames: DatasetFrames, streams: Sequence[SourceStream] = ()) -> SyncSummary:
    """Sum up the skews of an episode's frames.

    Args:
        frames: of the episode.
        streams: of its source, for their topics and rates.
    """
    names, known = frames.schema.streams, {s.name: s for s in streams}
    status, skews_s = frames.sync()
    skews = np.abs(skews_s) * 1000
    found = {
        name: _skew_of(skews[:, at], status[:, at], known.get(name))
        for at, name in enumerate(names)
    }
    return SyncSummary(len(status), found)


def _skew_of(skews: np.ndarray, status: np.ndarray, stream: SourceStream | None) -> SkewSummary:
    """Sum up one stream: absolute skews float[n], ms, and SampleStatus int[n]."""
    there = skews[status != SampleStatus.MISSING]
    p50, p95, most = np.percentile(there, (50, 95, 100)).tolist() if len(there) else [None] * 3
    held, missing = (
        float(np.mean(status == s)) if len(status) else None
        for s in (SampleStatus.HELD, SampleStatus.MISSING)
    )
    if stream is None:
        return SkewSummary(p50, p95, most, held, missing)
    return SkewSummary(
        p50, p95, most, held, missing, stream.topic, stream.type, stream.role.value, stream.rate_hz
    )


@dataclass(frozen=True)
class StreamFacts:
    """A stream in all episodes; None or empty: unknown.

    Attributes:
        p50_ms, p95_ms: of the median episode.
        worst_ms, max_ms: p95 of the worst episode, and the largest of all.
        held, missing: share of all frames, 0 to 1.
        topics, types, roles: in any episode.
        rates_hz: expected ones.
    """

    p50_ms: float | None
    p95_ms: float | None
    worst_ms: float | None
    max_ms: float | None
    held: float | None
    missing: float | None
    topics: frozenset[str]
    types: frozenset[str]
    roles: frozenset[str]
    rates_hz: frozenset[float]

    @classmethod
    def of(cls, name: str, summaries: Iterable[SyncSummary]) -> StreamFacts:
        """Sum up a stream over episodes."""
        found = [(s.frames, s.streams[name]) for s in summaries if name in s.streams]
        p50s = [s.p50_ms for _, s in found if s.p50_ms is not None]
        p95s = [s.p95_ms for _, s in found if s.p95_ms is not None]
        most = [s.max_ms for _, s in found if s.max_ms is not None]
        return cls(
            median(p50s) if p50s else None, median(p95s) if p95s else None,
            max(p95s, default=None), max(most, default=None),
            _mean((n, s.held) for n, s in found), _mean((n, s.missing) for n, s in found),
            frozenset(s.topic for _, s in found if s.topic),
            frozenset(s.type for _, s in found if s.type),
            frozenset(s.role for _, s in found if s.role),
            frozenset(s.rate_hz for _, s in found if s.rate_hz is not None),
        )  # fmt: skip


def _mean(shares: Iterable[tuple[int, float | None]]) -> float | None:
    """Return the mean of shares by their frames; None: none is known."""
    known = [(frames, share) for frames, share in shares if share is not None and frames]
    total = sum(frames for frames, _ in known)
    return sum(frames * share for frames, share in known) / total if known else None
