"""From a stream's source stamps to robot time: fixed latency, the clock model where the profile asks for
it, receipt where there is no stamp."""

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
_MOST_UNSEEN = 100  # parts of samples that the model has not seen
_MOST_CHANGES = 100  # kept for somebody to take


@dataclass(frozen=True)
class ClockSetting:
    """What corrects a stream's stamps from a time on.

    Attributes:
        from_ns: receive stamp of the first sample that it holds for.
    """

    from_ns: int
    estimate: ClockEstimate


Restamp = Callable[[Int64s, Int64s], Int64s]
"""Stamps and receipts to stamps: takes out jumps of the machine's own wall clock."""


def robot_stamps(
    config: StreamConfig, stamps: Int64s, receives: Int64s, restamp: Restamp | None
) -> Int64s:
    """Stamps without the jumps of the machine's own clock; those of a device never had them. int64[n], ns."""
    if restamp is None or config.clock is SourceClockKind.DEVICE:
        return stamps
    known = stamps != 0
    moved = stamps.copy()
    moved[known] = restamp(stamps[known], receives[known])
    return moved


class SourceClock:
    """Corrects one stream's stamps, and watches its clock.

    Corrections change at whole seconds of the robot clock only, and are made from what was received
    before: they do not depend on how samples are batched.
    """

    def __init__(
        self,
        config: StreamConfig,
        recorded: Sequence[ClockSetting] | None = None,
        restamp: Restamp | None = None,
    ) -> None:
        """
        Args:
            recorded: settings that a live run used, to be used again; None: estimate them.
            restamp: for stamps of the machine's own clock; None: it was never set.
        """
        self.model = ClockModel(config.clock is SourceClockKind.DEVICE)
        self.setting: ClockSetting | None = None
        self.changes: list[ClockSetting] = []  # since somebody took them
        self.restamp = restamp
        self._config = config
        self._bucket = -1
        self._bucket_ends_ns = 0
        self._unseen: list[tuple[Int64s, Int64s]] = []
        self._device = config.clock is SourceClockKind.DEVICE
        self._recorded = None if recorded is None else sorted(recorded, key=lambda s: s.from_ns)

    def one(self, stamp_ns: int, receive_ns: int) -> int:
        """Corrected stamp as the last setting has it: good enough to know when to look closer."""
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
        """Corrected stamps.

        Args:
            stamps: int64[n], ns; 0: there is none.
            receives: int64[n], robot clock, ns, not falling.

        Returns:
            int64[n] robot clock, ns; bool[n], which of them are known: a device's clock is not in its
            first second.
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
        """Give them to the model, a bucket at a time: many at once cost little more than one."""
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
        """Say that nothing more comes."""
        self._flush()
        self.model.end()

    def _set(self, bucket: int) -> None:
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
        estimate = self.model.estimate
        if estimate is not None and (self.setting is None or estimate != self.setting.estimate):
            self.setting = ClockSetting(from_ns, estimate)
            self.changes.append(self.setting)
            del self.changes[:-_MOST_CHANGES]
