"""What an aligned frame is, and how its bytes are read back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from robot_recorder.core.cdr import CdrReader


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
    """

    status: SampleStatus
    stamp_ns: int
    skew_ns: int
    values: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Frame:
    """All streams aligned to one tick.

    Attributes:
        index: tick number; ``tick_ns`` is ``index / rate`` since the epoch.
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


def decode_frame(data: bytes) -> tuple[Frame, tuple[str, ...]]:
    """Read an AlignedFrame message; returns the frame and its stream names.

    Raises:
        DecodeError: the bytes end early.
    """
    reader = CdrReader(data)
    tick_ns = reader.stamp_ns()
    reader.skip_bytes()
    index = reader.i64()
    reader.u8()
    names, samples = [], []
    for _ in range(reader.u32()):
        names.append(reader.text())
        status = SampleStatus(reader.u8())
        stamp_ns = reader.stamp_ns()
        skew_ns = reader.i64()
        samples.append(FrameSample(status, stamp_ns, skew_ns, reader.double_sequence()))
    return Frame(index, tick_ns, tuple(samples)), tuple(names)
