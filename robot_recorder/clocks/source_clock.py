"""Convert a stream's source stamps to robot time.

A fixed latency is subtracted. With ``clock: device``, the clock model corrects the stamps. Without
stamps, the receive time is used.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from robot_recorder.clocks.clock_model import BUCKET_NS, ClockEstimate, ClockModel, by_bucket
from robot_recorder.model.arrays import Int64s
from robot_recorder.model.streams import SourceClockKind, StreamConfig

_NEVER = -(2**62)  # no watermark yet
_MOST_UNSEEN = 100  # most batches collected before the model sees them
_MOST_CHANGES = 100  # most changes kept for the caller


@dataclass(frozen=True)
class ClockSetting:
    """The correction of a stream's stamps from a time on.

    Attributes:
        from_ns: receive time from which it applies, robot clock.
        estimate: offset and drift.
    """

    from_ns: int
    estimate: ClockEstimate


Restamp = Callable[[Int64s, Int64s], Int64s]
"""Removes jumps of the machine's own wall clock from stamps, given stamps and receive times, ns."""


def robot_stamps(
    config: StreamConfig, stamps: Int64s, receives: Int64s, restamp: Restamp | None
) -> Int64s:
    """Return stamps without jumps of the machine's own clock, int64[n], ns.

    Stamps of a device clock are returned unchanged.
    """
    if restamp is None or config.clock is SourceClockKind.DEVICE:
        return stamps
    known = stamps != 0
    moved = stamps.copy()
    moved[known] = restamp(stamps[known], receives[known])
    return moved


class SourceClock:
    """Converter of one stream's stamps, which also checks the stream's clock.

    Corrections change only at whole seconds of the robot clock, and use only samples received
    earlier. So they do not depend on how samples are batched.

    Attributes:
        model: estimator of the clock.
        setting: current correction; None: unknown yet, or not a device clock.
        changes: corrections made, until the caller removes them; at most 100.
        restamp: removes jumps of the machine's own clock; None: no jumps.
    """

    def __init__(
        self,
        config: StreamConfig,
        recorded: Sequence[ClockSetting] | None = None,
        restamp: Restamp | None = None,
        first: ClockEstimate | None = None,
    ) -> None:
        """
        Args:
            config: the stream's profile entry.
            recorded: settings of a live run to use again; None: estimate them.
            restamp: removes jumps of the machine's own clock; None: no jumps.
            first: estimate to use until there is one; None: a device's first second is unknown.
        """
        self._first = first
        self.model = ClockModel(config.clock is SourceClockKind.DEVICE)
        self.setting: ClockSetting | None = None
        self.changes: list[ClockSetting] = []
        self.restamp = restamp
        self._config = config
        self._bucket = -1
        self._bucket_ends_ns = 0
        self._unseen: list[tuple[Int64s, Int64s]] = []
        self._device = config.clock is SourceClockKind.DEVICE
        self._recorded = None if recorded is None else sorted(recorded, key=lambda s: s.from_ns)

    def one(self, stamp_ns: int, receive_ns: int) -> int:
        """Return one stamp corrected by the current setting, ns, to estimate the watermark."""
        latency_ns = self._config.latency_ns
        if stamp_ns == 0:
            return receive_ns - latency_ns
        if not self._device:
            if self.restamp is not None:
                stamp_ns = int(self.restamp(np.array([stamp_ns]), np.array([receive_ns]))[0])
            return stamp_ns - latency_ns
        if self.setting is None:
            return _NEVER
        return stamp_ns + int(self.setting.estimate.offsets(np.array([stamp_ns]))[0]) - latency_ns

    def correct(self, stamps: Int64s, receives: Int64s) -> tuple[Int64s, npt.NDArray[np.bool_]]:
        """Correct stamps, and check the clock.

        Args:
            stamps: int64[n], source stamps, ns; 0: not stamped.
            receives: int64[n], receive times, robot clock, ns, not falling.

        Returns:
            Corrected stamps, int64[n], robot clock, ns; and which are known, bool[n]: those of a
            device are unknown in its first second.
        """
        known = np.ones(len(stamps), dtype=bool)
        stamped = stamps != 0
        if not stamped.all():
            corrected = receives - self._config.latency_ns
            if stamped.any():
                corrected[stamped], known[stamped] = self.correct(
                    stamps[stamped], receives[stamped]
                )
            return corrected, known
        if self._device:
            corrected = self._correct_device(stamps, receives, known)
        else:
            if self.restamp is not None:
                stamps = self.restamp(stamps, receives)
            self._watch(stamps, receives)
            corrected = stamps
        return corrected - self._config.latency_ns, known

    def _correct_device(
        self, stamps: Int64s, receives: Int64s, known: npt.NDArray[np.bool_]
    ) -> Int64s:
        """Correct stamps of a device, and mark unknown ones."""
        corrected = stamps.copy()
        for bucket, part in by_bucket(receives):
            self._set(bucket)
            if self.setting is None:
                known[part] = False
            else:
                corrected[part] += self.setting.estimate.offsets(stamps[part])
            self._watch(stamps[part], receives[part])
        return corrected

    def _watch(self, stamps: Int64s, receives: Int64s) -> None:
        """Collect samples for the model, which gets them one bucket at a time for speed."""
        if receives[-1] >= self._bucket_ends_ns or len(self._unseen) >= _MOST_UNSEEN:
            self._flush()
            self._bucket_ends_ns = int(receives[-1]) // BUCKET_NS * BUCKET_NS + BUCKET_NS
        self._unseen.append((stamps, receives))

    def _flush(self) -> None:
        if self._unseen:
            stamps, receives = (np.concatenate(column) for column in zip(*self._unseen))
            self._unseen = []
            self.model.push(stamps, receives)

    def end(self) -> None:
        """Finish: pass the last samples to the model."""
        self._flush()
        self.model.end()

    def _set(self, bucket: int) -> None:
        """Update the setting at the beginning of a bucket."""
        if bucket == self._bucket:
            return
        self._bucket = bucket
        self._flush()
        self.model.close_before(bucket)
        from_ns = bucket * BUCKET_NS
        if self._recorded is not None:
            at = bisect_right(self._recorded, from_ns, key=lambda s: s.from_ns) - 1
            self.setting = self._recorded[at] if at >= 0 else None
            return
        estimate = self.model.estimate or self._first
        if estimate is not None and (self.setting is None or estimate != self.setting.estimate):
            self.setting = ClockSetting(from_ns, estimate)
            self.changes.append(self.setting)
            del self.changes[:-_MOST_CHANGES]
