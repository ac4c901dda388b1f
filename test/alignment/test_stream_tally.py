"""Figures of one stream, from its stamps and receive times."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from support.tallied import CAMERA

from robot_recorder.alignment.stream_tally import StreamTally
from robot_recorder.clocks.robot_clock import restamp_by
from robot_recorder.model.streams import SourceClockKind

MS = 1_000_000
T0 = 1_700_000_000_000_000_000


def test_one_stamp_that_is_far_off_does_not_spoil_the_figures() -> None:
    stamps = [i * 100 / 3 for i in range(300)]
    stamps[100] = 3.6e9
    tally = StreamTally(CAMERA)
    at = T0 + (np.arange(300) * 100 * MS) // 3
    tally.push(T0 + (np.array(stamps) * MS).astype(np.int64), at)
    tally.push(np.zeros(5, dtype=np.int64), at[-1] + np.arange(5) * 33 * MS)
    figures = tally.figures(T0, int(at[-1]) + 132 * MS)
    assert (figures.out_of_order, figures.duplicates, figures.disorder_ns) == (0, 0, 0)
    assert figures.longest_gap_ns < 70 * MS
    quiet = StreamTally(CAMERA)
    later = np.concatenate((at, at[-1] + 3600 * 10**9 + np.arange(9) * 33 * MS))
    quiet.push(later, later)
    assert abs(quiet.figures(T0, int(later[-1])).longest_gap_ns - 3600 * 10**9) < 40 * MS


def test_jumps_of_the_machines_clock_do_not_affect_a_device_clock() -> None:
    at = T0 + np.arange(300) * 33 * MS
    jump = restamp_by([(int(at[150]), 5000 * MS)])
    device = StreamTally(replace(CAMERA, clock=SourceClockKind.DEVICE))
    device.push(at - 700 * MS, at, jump)
    own = StreamTally(CAMERA)
    own.push(at + np.where(np.arange(300) < 150, 0, 5000 * MS), at + 5 * MS, jump)
    for figures in (device.figures(T0, int(at[-1])), own.figures(T0, int(at[-1]))):
        assert figures.events == () and figures.out_of_order == 0
        assert figures.longest_gap_ns < 40 * MS


def test_figures_do_not_depend_on_batches() -> None:
    rng = np.random.default_rng(0)
    stamps = T0 + (np.arange(500) * 10 * MS) + rng.integers(-15 * MS, 15 * MS, 500)
    stamps[100] = stamps[99]
    receives = np.maximum.accumulate(stamps + 20 * MS)
    one, many = StreamTally(CAMERA), StreamTally(CAMERA)
    one.push(stamps, receives)
    for first in range(0, 500, 7):
        many.push(stamps[first : first + 7], receives[first : first + 7])
    assert one.figures(T0, int(receives[-1])) == many.figures(T0, int(receives[-1]))


def test_a_gap_shows_in_stamps_and_receive_times() -> None:
    """One broken stamp, or a burst after a network delay, is not a gap."""
    at = T0 + np.arange(300) * 10 * MS
    broken = at.copy()
    broken[100], broken[101] = -1000 * MS, 5000 * MS
    early = at.copy()
    early[200] += 5000 * MS
    burst = np.maximum.accumulate(np.where((at - T0) % (500 * MS) == 0, at, T0))
    for stamps, receives in ((broken, at), (early, at), (at, np.maximum(at, burst) + 500 * MS)):
        tally = StreamTally(CAMERA)
        tally.push(stamps, np.maximum.accumulate(receives))
        figures = tally.figures(int(receives[0]), int(receives[-1]))
        assert figures.longest_gap_ns < 60 * MS, figures
    silent = np.delete(at, slice(100, 180))
    tally = StreamTally(CAMERA)
    tally.push(silent, silent + MS)
    assert tally.figures(T0, int(at[-1])).longest_gap_ns == 810 * MS
