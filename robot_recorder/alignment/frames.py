"""Aligned frames, one by one and as arrays of many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from robot_recorder.model.arrays import Floats, Int64s

NO_INTS: Int64s = np.empty(0, dtype=np.int64)
NO_FLOATS: Floats = np.empty(0)


class SampleStatus(IntEnum):
    """How a sample was obtained; the same numbers as StreamSample.STATUS_*."""

    FRESH = 0
    INTERPOLATED = 1
    HELD = 2
    MISSING = 3


@dataclass(frozen=True)
class FrameSample:
    """One stream's part of a frame.

    Attributes:
        status: how the sample was obtained.
        stamp_ns: corrected stamp of the chosen sample, ns; 0 when MISSING.
        skew_ns: ``stamp_ns`` minus the tick, ns; 0 when MISSING.
        values: float64[n] in the order of the stream's layout; empty for streams without values.
        window_skew_ns: int64[m], skews of all samples since the last tick, for streams with a
            window.
        window_values: float64[m, n], values of these samples.
    """

    status: SampleStatus
    stamp_ns: int
    skew_ns: int
    values: Floats
    window_skew_ns: Int64s
    window_values: Floats


@dataclass(frozen=True)
class Frame:
    """All streams aligned to one tick.

    Attributes:
        index: with a fixed rate the tick's number, where ``tick_ns`` is ``index / rate`` since the
            epoch; with a reference stream ``tick_ns`` itself.
        tick_ns: time of the tick, robot clock, ns.
        samples: one per aligned stream, in profile order.
    """

    index: int
    tick_ns: int
    samples: tuple[FrameSample, ...]

    @property
    def complete(self) -> bool:
        """Whether no stream is held or missing."""
        return all(s.status <= SampleStatus.INTERPOLATED for s in self.samples)


@dataclass(frozen=True)
class Window:
    """One stream's samples between consecutive ticks, for many ticks; each sample is in one window.

    Attributes:
        splits: int64[ticks + 1]; tick i has the samples ``splits[i]`` up to ``splits[i + 1]``.
        stamps: int64[m], corrected stamps, ns.
        numbers: int64[m], numbers of the samples in their stream.
        values: float64[m, k], values of the samples.
    """

    splits: Int64s
    stamps: Int64s
    numbers: Int64s
    values: Floats


@dataclass(frozen=True)
class FrameColumn:
    """One stream's part of many frames.

    Attributes:
        status: uint8[n], SampleStatus.
        stamps: int64[n], corrected stamp of the chosen sample, ns; 0 when MISSING.
        skews: int64[n], stamp minus tick, ns; 0 when MISSING.
        numbers: int64[n], number of the chosen sample, or of the nearer of two, counted from the
            first one pushed; -1 when MISSING.
        values: float64[n, k]; NaN when MISSING.
        window: all samples between ticks; None: the stream has no window.
    """

    status: npt.NDArray[np.uint8]
    stamps: Int64s
    skews: Int64s
    numbers: Int64s
    values: Floats
    window: Window | None = None

    def sample(self, row: int, tick_ns: int) -> FrameSample:
        """Return the stream's part of one frame."""
        status = SampleStatus(int(self.status[row]))
        values = NO_FLOATS if status is SampleStatus.MISSING else self.values[row]
        skews, window_values = NO_INTS, NO_FLOATS
        if self.window is not None:
            part = slice(self.window.splits[row], self.window.splits[row + 1])
            skews, window_values = self.window.stamps[part] - tick_ns, self.window.values[part]
        return FrameSample(
            status, int(self.stamps[row]), int(self.skews[row]), values, skews, window_values
        )


@dataclass(frozen=True)
class Frames:
    """Many frames as arrays, by stream.

    Attributes:
        index, ticks: int64[n], as in Frame.
        due: int64[n], receive time of the last sample that the frame waited for, or its deadline,
            ns.
        columns: one per aligned stream, in profile order.
    """

    index: Int64s
    ticks: Int64s
    due: Int64s
    columns: tuple[FrameColumn, ...]

    def __len__(self) -> int:
        return len(self.ticks)

    def __iter__(self) -> Iterator[Frame]:
        for row, (index, tick) in enumerate(zip(self.index.tolist(), self.ticks.tolist())):
            yield Frame(index, tick, tuple(c.sample(row, tick) for c in self.columns))

    @property
    def complete(self) -> npt.NDArray[np.bool_]:
        """Whether no stream is held or missing, bool[n]."""
        whole = np.ones(len(self), dtype=bool)
        for column in self.columns:
            whole &= column.status <= SampleStatus.INTERPOLATED
        return whole
