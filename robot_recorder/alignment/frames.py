"""What aligned frames are, one by one and many at once."""

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
    """Mirrors StreamSample.STATUS_*."""

    FRESH = 0
    INTERPOLATED = 1
    HELD = 2
    MISSING = 3


@dataclass(frozen=True)
class FrameSample:
    """One stream's part of a frame.

    Attributes:
        status: how the sample was come by.
        stamp_ns: the chosen sample's corrected stamp; 0 when MISSING.
        skew_ns: ``stamp_ns`` minus the tick; 0 when MISSING.
        values: float64[n] in the order of the stream's layout; empty without numbers.
        window_skew_ns: int64[m]; of a stream with a window, every sample since the last tick.
        window_values: float64[m, n].
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
        index: of a fixed rate the tick's number, ``tick_ns`` is ``index / rate`` since the epoch; of a
            reference stream ``tick_ns`` itself.
        tick_ns: the instant, robot clock.
        samples: one per aligned stream, in profile order.
    """

    index: int
    tick_ns: int
    samples: tuple[FrameSample, ...]

    @property
    def complete(self) -> bool:
        """No stream is held or missing."""
        return all(s.status <= SampleStatus.INTERPOLATED for s in self.samples)


@dataclass(frozen=True)
class Window:
    """A stream's samples since the tick before, of many ticks. Each sample is in exactly one window.

    Attributes:
        splits: int64[ticks + 1]; tick i has the samples ``splits[i]`` up to ``splits[i + 1]``.
        stamps: int64[m], corrected.
        numbers: int64[m], of the samples in their stream.
        values: float64[m, k].
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
        stamps: int64[n], corrected stamp of the chosen sample; 0 when MISSING.
        skews: int64[n], that minus the tick; 0 when MISSING.
        numbers: int64[n], the chosen sample's number in its stream, counted from the first one pushed;
            of two the nearer one; -1 when MISSING.
        values: float64[n, k]; NaN when MISSING.
        window: of a stream that has one.
    """

    status: npt.NDArray[np.uint8]
    stamps: Int64s
    skews: Int64s
    numbers: Int64s
    values: Floats
    window: Window | None = None

    def sample(self, row: int, tick_ns: int) -> FrameSample:
        """One frame's part."""
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
    """Frames of consecutive ticks, by stream.

    Attributes:
        index, ticks: int64[n], as in Frame.
        due: int64[n], receipt of the last sample that the frame had to wait for, or its deadline.
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
        """bool[n]: no stream is held or missing."""
        whole = np.ones(len(self), dtype=bool)
        for column in self.columns:
            whole &= column.status <= SampleStatus.INTERPOLATED
        return whole
