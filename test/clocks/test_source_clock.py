"""Stamps of a source, as times of the robot clock."""

from __future__ import annotations

import numpy as np
from support.source_stamps import stream

from robot_recorder.clocks.source_clock import ClockSetting, SourceClock
from robot_recorder.model.streams import Policy, Role, SourceClockKind, StreamConfig

NS = 1_000_000_000
T0 = 1_700_000_000 * NS


def config(kind: SourceClockKind) -> StreamConfig:
    return StreamConfig(
        "s", "s", "x/msg/Y", Role.OBSERVATION, 100.0, policy=Policy.NEAREST,
        tolerance_ns=10**7, latency_ns=2_000_000, clock=kind,
    )  # fmt: skip


def test_stamps_of_a_device_are_corrected_after_the_first_second() -> None:
    stamps, receives = stream(offset_s=0.5, drift_ppm=100)
    clock = SourceClock(config(SourceClockKind.DEVICE))
    corrected, known = clock.correct(stamps, receives)
    assert not known[0] and known[-1] and known.sum() > 2800
    truth = T0 + (np.arange(3000) * NS // 100)
    error = (corrected - truth)[known]
    assert np.abs(error).max() < 1_500_000 and np.abs(error[-1000:]).max() < 300_000


def test_recorded_settings_reproduce_the_corrected_stamps() -> None:
    stamps, receives = stream(offset_s=0.5, drift_ppm=100)
    live = SourceClock(config(SourceClockKind.DEVICE))
    settings_used: list[ClockSetting] = []
    parts = []
    for first in range(0, 3000, 7):
        part = slice(first, first + 7)
        parts.append(live.correct(stamps[part], receives[part])[0])
        settings_used += live.changes
        live.changes = []
    again = SourceClock(config(SourceClockKind.DEVICE), settings_used)
    corrected, known = again.correct(stamps, receives)
    assert (corrected[known] == np.concatenate(parts)[known]).all()


def test_stamps_of_the_robot_clock_are_checked_but_not_corrected() -> None:
    stamps, receives = stream(offset_s=0.5)
    clock = SourceClock(config(SourceClockKind.ROBOT))
    corrected, known = clock.correct(stamps, receives)
    clock.end()
    assert known.all() and (corrected == stamps - 2_000_000).all()
    assert clock.model.estimate is not None
    assert abs(clock.model.estimate.offset_ns / NS - 0.502) < 0.001
    unstamped, _ = clock.correct(np.zeros(3, dtype=np.int64), receives[:3])
    assert (unstamped == receives[:3] - 2_000_000).all()
