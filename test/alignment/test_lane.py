"""One stream's lane: order, duplicates, stamps in the future, latency, limits of memory.

Holds also: seen_stamps.py, value_reader.py.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.aligned import T0, Run, accounted, stream
from support.samples import wrench

from robot_recorder.alignment import lane as lane_module
from robot_recorder.alignment.aligner import Aligner
from robot_recorder.alignment.frames import Frames, SampleStatus
from robot_recorder.alignment.lane import MAX_AHEAD_NS
from robot_recorder.alignment.sample_choice import SampleChoice
from robot_recorder.alignment.seen_stamps import SeenStamps
from robot_recorder.alignment.stream_decoder import StreamCounts
from robot_recorder.messages.kinds import stream_decoder
from robot_recorder.model.streams import FrameClock, Policy, SourceClockKind

MS = 1_000_000


def test_latency_is_subtracted_from_the_stamp() -> None:
    run = Run(stream(Policy.NEAREST, latency_ms=12))
    for at, value in ((12, 0), (112, 1), (230, 2)):
        run.push(at, value)
    sample = run.sample(100)
    assert (sample.skew_ns, sample.values[0]) == (0, 1)


def test_disorder_within_the_limit_of_the_profile_changes_nothing() -> None:
    for allowed_ms, expected in ((20, 15), (0, 18.182)):
        run = Run(stream(Policy.LINEAR, tolerance_ms=200, disorder_ms=allowed_ms))
        for at, value, received in ((0, 0, 0), (110, 20, 110), (90, 10, 111), (230, 44, 230)):
            run.push(at, value, received_ms=received)
        assert run.sample(100).values[0] == pytest.approx(expected, abs=0.001)
        assert run.aligner.counts[0].out_of_order == 1
        assert run.aligner.counts[0].late == (allowed_ms == 0)


def test_duplicates_future_stamps_and_late_samples_are_counted() -> None:
    run = Run(stream(Policy.NEAREST))
    for at in (0, 0, 50, 100, 300, 400):
        run.push(at)
    run.push(20, received_ms=400)
    stamp = T0 + 400 * MS
    run.give(0, stamp + MAX_AHEAD_NS + 1, stamp, wrench(stamp))
    run.push(510)
    accounted(run)
    counts = run.aligner.counts[0]
    assert (counts.duplicate, counts.late, counts.ahead) == (1, 1, 1)


def test_bytes_of_refused_samples_are_not_kept() -> None:
    ahead, frozen = Run(stream(Policy.NEAREST)), Run(stream(Policy.NEAREST))
    for at in range(0, 60_000, 10):
        ahead.push(at + 3000, received_ms=at)
        frozen.push(5, received_ms=at)
    for run in (ahead, frozen):
        run.aligner.lanes[0].absorb()
        assert len(run.aligner.lanes[0]._reader._payloads) < 250
    assert ahead.aligner.counts[0].ahead == 6000 and frozen.aligner.counts[0].duplicate == 5999


@pytest.mark.parametrize("size", [10, 1000, 12_000])
def test_duplicates_do_not_depend_on_batches(size: int) -> None:
    run = Run(stream(Policy.NEAREST))
    stamps = [T0 + i * MS for i in [*range(6000), *range(6000), *range(5990, 6010)]]
    for first in range(0, len(stamps), size):
        part = stamps[first : first + size]
        receives = [T0 + 20_000 * MS + first + i for i in range(len(part))]
        run.aligner.push(0, part, receives, [wrench(s) for s in part])
        run.aligner.lanes[0].absorb()
    assert run.aligner.counts[0].duplicate == 10


def test_memory_is_bounded() -> None:
    run = Run(stream(Policy.NEAREST), stream(Policy.NEAREST), deadline_ms=100)
    run.push(0, lane=1)
    for at in range(0, 20_000, 1):
        run.push(at)
    lane = run.aligner.lanes[0]
    assert len(lane._kept) < 250 and len(lane._reader._payloads) < 250
    assert len(lane.decoder._values) < 250


def test_a_device_clock_is_corrected() -> None:
    random = np.random.default_rng(1)
    camera = stream(Policy.NEAREST, clock=SourceClockKind.DEVICE, latency_ms=5)
    run = Run(camera, rate_hz=10)
    for at in range(0, 40_000, 20):
        stamp = at * (1 + 100e-6) - 7_000_000  # another epoch, and 100 ppm fast
        received = at + 5 + random.exponential(2)
        run.push(stamp, at, received_ms=received)
    late = [f for f in run.frames if f.tick_ns > T0 + 30_000 * MS]
    assert len(late) > 90
    for frame in late:
        sample = frame.samples[0]
        true_skew_ms = sample.values[0] - (frame.tick_ns - T0) / MS
        assert sample.status is SampleStatus.FRESH
        assert sample.skew_ns / MS == pytest.approx(true_skew_ms, abs=1)
    assert run.aligner.counts[0].no_clock == 50  # the first second


@pytest.mark.parametrize("clock", list(SourceClockKind))
def test_a_restarted_source_clock_is_reported_and_tolerated(clock: SourceClockKind) -> None:
    run = Run(stream(Policy.LINEAR, clock=clock), stream(Policy.NEAREST), rate_hz=20)
    for at in range(0, 20_000, 10):
        jump = -3_600_000 if 8000 <= at < 14_000 else 0
        run.push(at + jump, at, received_ms=at + 1)
        run.push(at, at, lane=1)
    accounted(run)
    ticks = [f.index for f in run.frames]
    assert ticks == list(range(ticks[0], ticks[0] + len(ticks)))
    for frame in run.frames:
        sample, tick_ms = frame.samples[0], (frame.tick_ns - T0) / MS
        if sample.status <= SampleStatus.INTERPOLATED:  # every sample marked good is good
            assert sample.values[0] == pytest.approx(tick_ms, abs=31)
    back = [f for f in run.frames if 17_000 * MS < f.tick_ns - T0 < 19_000 * MS]
    assert all(f.complete for f in back)
    events = [e.text for e in run.aligner.lanes[0].clock.model.events]
    assert len(events) == 2 and all("jumped by" in e for e in events)
    during = [f for f in run.frames if 10_000 * MS < f.tick_ns - T0 < 13_500 * MS]
    assert all(f.complete for f in during) == (clock is SourceClockKind.DEVICE)


@given(st.lists(st.sampled_from([1, 2, 3, 70, 5000]), min_size=1, max_size=8), st.integers(1, 40))
def test_the_last_4096_stamps_are_remembered_in_few_arrays(sizes: list[int], rounds: int) -> None:
    """A camera gives one stamp at a time: kept one by one, they take megabytes."""
    counts = StreamCounts()
    seen, now = SeenStamps(counts), 0
    for size in (s for _ in range(rounds) for s in (*sizes, *[1] * 100)):
        stamps = np.arange(now, now + size)
        seen.add(stamps, np.zeros(size, np.intp))
        seen.forget()
        now += size
    assert len(seen._seen) < 300
    assert min(now, 4096) <= seen._count < 4096 + 5000 + 64
    oldest = max(0, now - 4000)
    again = np.array([oldest, now])
    seen.add(again, np.zeros(2, np.intp))
    assert seen.first_of_each(again, np.zeros(2, np.intp), {}).tolist() == [False, True]
    assert counts.duplicate == 1


def hand(values: int, at: int) -> bytes:
    """Return a message of float64[] a, float64 b."""
    return struct.pack(f"<4sI4x{values + 1}d", b"\0\1\0\0", values, *[float(at)] * values, -1.0)


@pytest.mark.parametrize("size", [1, 30])
def test_the_order_of_values_does_not_depend_on_batches(size: int) -> None:
    config = replace(stream(Policy.NEAREST, disorder_ms=50), type="my/msg/Hand")
    decoder = stream_decoder(config, "float64[] a\nfloat64 b\n")
    assert decoder is not None
    frames: list[Frames] = []
    aligner = Aligner(
        [config], FrameClock(100), 200 * MS, frames.append, decoders={config.name: decoder}
    )
    # The first to arrive has more values than the first to be aligned.
    sent = [(10, 2), (0, 1)] + [(at, 1) for at in range(20, 400, 10)]
    for first in range(0, len(sent), size):
        batch = sent[first : first + size]
        stamps = [T0 + at * MS for at, _ in batch]
        aligner.push(
            0,
            stamps,
            [max(stamp, T0 + 10 * MS) for stamp in stamps],
            [hand(n, at) for at, n in batch],
        )
        aligner.advance(max(stamps))
    aligner.finish()
    assert aligner.value_names == [("a/0 (?)", "b (?)", "a/1 (?)")]


few = st.integers(0, 8)


@given(st.data())
def test_the_compiled_part_settles_as_numpy_does(data: st.DataObject) -> None:
    samples = data.draw(st.lists(st.tuples(few, st.booleans(), st.booleans()), max_size=8))
    ticks = np.array(data.draw(st.lists(few, min_size=1, unique=True).map(sorted)))
    columns = [
        data.draw(st.lists(values, min_size=len(ticks), max_size=len(ticks)))
        for values in (st.integers(0, len(samples)),) + (st.integers(0, len(samples) - 1),) * 2
    ] if samples else [[0] * len(ticks)] * 3  # fmt: skip
    status = [data.draw(st.integers(0, 3)) if samples else 3 for _ in ticks]
    last_tick = data.draw(few)
    found = []
    for settle in (getattr(lane_module, "_settle"), None):  # noqa: B009
        lane: Any = Run(stream(Policy.LINEAR)).aligner.lanes[0]
        if samples:
            stamps = np.array([s[0] for s in samples])
            lane._kept.add(stamps, stamps, np.arange(len(stamps)), stamps * 0, False)
            lane._kept.used[:], lane._kept.homed[:] = zip(*(s[1:] for s in samples))
        lane._last_tick_ns = last_tick
        available, first, second = map(np.array, columns)
        choice = SampleChoice(np.array(status, dtype=np.uint8), first, second)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lane_module, "_settle", settle)
            column, window = lane._settled(ticks, choice, np.sort(available))
        kept = lane._kept.used.tolist(), lane._kept.homed.tolist()
        found.append(([c.tolist() for c in column], window, lane.counts, kept, lane._last_tick_ns))
    assert found[0] == found[1]
    if not samples:
        assert found[0][0] == [[0] * len(ticks), [0] * len(ticks), [-1] * len(ticks)]
