"""The ticks of frames: on a grid, or those of a reference stream."""

from __future__ import annotations

import numpy as np
import pytest
from support.aligned import T0, Run, accounted, stream, three
from support.samples import wrench

from robot_recorder.alignment.frames import SampleStatus
from robot_recorder.alignment.lane import MAX_SAMPLES
from robot_recorder.model.streams import Policy

MS = 1_000_000


@pytest.mark.parametrize("hours", [1, 30_000])
def test_a_long_pause_of_all_streams_skips_ticks_and_counts_them(hours: int) -> None:
    run = Run(stream(Policy.NEAREST))
    run.push(0)
    run.push(hours * 3_600_000)
    run.push(hours * 3_600_000 + 100)
    assert abs(run.aligner.skipped_ticks - hours * 36_000) < 200
    assert len(run.frames) < 200
    assert run.sample(hours * 3_600_000).status is SampleStatus.FRESH


def test_ticks_lie_on_one_grid_at_fractional_rates() -> None:
    run = Run(stream(Policy.NEAREST), rate_hz=29.97)
    for at in range(0, 2000, 10):
        run.push(at)
    for frame in run.frames:
        assert (
            abs(frame.tick_ns - frame.index * 10**9 / 29.97) < 1000
        )  # rounding error of a float this large
    steps = np.diff([f.tick_ns for f in run.frames])
    assert steps.max() - steps.min() <= 1


def test_a_reference_stream_defines_the_ticks() -> None:
    run = Run(*three(), rate_hz=None, reference="s_nearest", deadline_ms=300)
    images = [0, 33, 70, 71, 140]
    for at in range(0, 300, 5):
        run.push(at, at, lane=2)
        if at - 5 in (0, 35, 70, 75, 140):
            shown = images[(0, 35, 70, 75, 140).index(at - 5)]
            run.push(shown, shown, lane=0, received_ms=at)
    run.aligner.finish()
    assert [f.tick_ns - T0 for f in run.frames] == [at * MS for at in images]
    assert all(f.samples[0].skew_ns == 0 for f in run.frames)
    assert run.sample(33, lane=2).values[0] == pytest.approx(33)


def test_a_fast_reference_is_thinned_to_the_rate() -> None:
    run = Run(stream(Policy.NEAREST), rate_hz=10, reference="s_nearest")
    for at in range(0, 3000, 20):
        run.push(at + at % 3)
    steps = np.diff([f.tick_ns for f in run.frames]) / MS
    assert len(steps) > 20 and steps.min() >= 75 and steps.max() <= 110


def test_without_its_reference_nothing_is_emitted_and_memory_is_bounded() -> None:
    run = Run(*three(), rate_hz=None, reference="s_nearest")
    at = np.arange(0, 3 * MAX_SAMPLES)
    for first in range(0, len(at), 500):
        stamps = (T0 + at[first : first + 500] * MS).tolist()
        run.aligner.push(2, stamps, stamps, [wrench(s) for s in stamps])
        run.aligner.advance(stamps[-1])
    run.aligner.lanes[2].absorb()
    assert not run.frames
    assert run.aligner.counts[2].overflow == 2 * MAX_SAMPLES
    accounted(run)


def test_a_late_reference_sample_makes_no_frame_and_is_counted() -> None:
    run = Run(*three(), rate_hz=None, reference="s_nearest", deadline_ms=250)
    for at in range(0, 2000, 50):
        run.push(at, lane=2)
        run.push(at, lane=1)
        run.push(at - 300, lane=0, received_ms=at)
    run.aligner.finish()
    assert run.frames == [] and run.aligner.counts[0].tickless == 40
