"""The aligner: statuses, watermarks, windows, and frames that do not depend on batches.

Holds also: frames.py.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.aligned import T0, Run, accounted, stream, three
from support.samples import wrench

from robot_recorder.alignment import interpolation, sample_choice
from robot_recorder.alignment import lane as lane_module
from robot_recorder.alignment.aligner import Aligner
from robot_recorder.alignment.frames import Frame, SampleStatus
from robot_recorder.model.streams import FrameClock, Policy

MS = 1_000_000


def test_a_silent_stream_is_held() -> None:
    run = Run(stream(Policy.NEAREST), stream(Policy.NEAREST))
    run.push(0, 1, lane=0)
    run.push(0, 2, lane=1)
    for at in range(10, 1000, 10):
        run.push(at, 3, lane=0)
    sample = run.sample(500, lane=1)
    assert (sample.status, sample.skew_ns, sample.values[0]) == (SampleStatus.HELD, -500 * MS, 2)
    assert not run.frames[-1].complete


def test_a_stream_without_samples_is_missing() -> None:
    run = Run(stream(Policy.NEAREST), stream(Policy.LINEAR))
    for at in range(0, 500, 10):
        run.push(at)
    sample = run.sample(100, lane=1)
    assert (sample.status, sample.stamp_ns, len(sample.values)) == (SampleStatus.MISSING, 0, 0)


def test_a_frame_is_emitted_once_the_slowest_stream_has_passed_its_tick() -> None:
    run = Run(stream(Policy.NEAREST), stream(Policy.NEAREST))
    run.push(0, lane=0)
    run.push(0, lane=1)
    run.push(110, lane=0)
    assert len(run.frames) == 1
    run.push(101, lane=1, received_ms=111)
    assert len(run.frames) == 2


arrivals = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 3000), st.integers(0, 400)),
    min_size=1,
    max_size=120,
)


@settings(deadline=None, max_examples=60)
@given(arrivals)
def test_any_stamps_and_delays_give_consistent_frames(events: list[tuple[int, int, int]]) -> None:
    """Ticks rise by one, skews fit the stamps, every sample is accounted for."""
    policies = (Policy.NEAREST, Policy.PREVIOUS, Policy.LINEAR)
    run = Run(*(stream(p) for p in policies), rate_hz=50)
    for lane, at, delay in sorted(events, key=lambda e: e[1] + e[2]):
        run.push(at, at, lane, at + delay)
    run.aligner.advance(T0 + 10_000 * MS)
    indices = [f.index for f in run.frames]
    assert indices == list(range(indices[0], indices[0] + len(indices)))
    for frame in run.frames:
        for policy, sample in zip(policies, frame.samples):
            if sample.status is SampleStatus.MISSING:
                assert len(sample.values) == 0
                continue
            assert sample.skew_ns == sample.stamp_ns - frame.tick_ns
            if policy is Policy.PREVIOUS or sample.status is SampleStatus.HELD:
                assert sample.skew_ns <= 0
            if sample.status is SampleStatus.FRESH:
                assert abs(sample.skew_ns) <= 30 * MS
            # the value is the stamp in ms, to compare a frame's values with its stamps
            says_ms = sample.values[0] - (frame.tick_ns - T0) / MS
            expected_ms = 0 if sample.status is SampleStatus.INTERPOLATED else sample.skew_ns / MS
            assert says_ms == pytest.approx(expected_ms, abs=1e-6)
    accounted(run)


lanes = st.lists(st.integers(0, 1000), min_size=1, max_size=40, unique=True).map(sorted)


@settings(deadline=None, max_examples=40)
@given(lanes, lanes, st.randoms(use_true_random=False))
def test_how_streams_interleave_within_the_deadline_does_not_matter(first, second, random) -> None:
    """Each stream in its own order, but interleaved at random: the same frames."""
    in_order = sorted([(at, 0) for at in first] + [(at, 1) for at in second])
    left, right, mixed = list(first), list(second), []
    while left or right:
        lane = int(not left or (bool(right) and random.random() < 0.5))
        mixed.append(((left, right)[lane].pop(0), lane))
    results = []
    for order in (in_order, mixed):
        run = Run(stream(Policy.LINEAR), stream(Policy.NEAREST), rate_hz=50, deadline_ms=5000)
        for lane in (0, 1):  # both streams begin, so that both runs have the same first tick
            run.push(-10, -10, lane, received_ms=1000)
        for at, lane in order:
            run.push(at, at, lane, received_ms=1000)
        run.aligner.advance(T0 + 20_000 * MS)
        results.append(run.frames)
    assert len(results[0]) == len(results[1])
    for one, other in zip(*results):
        assert one.tick_ns == other.tick_ns
        for a, b in zip(one.samples, other.samples):
            assert (a.status, a.stamp_ns, list(a.values)) == (b.status, b.stamp_ns, list(b.values))


def same(one: list[Frame], other: list[Frame]) -> None:
    """Check that frames are equal to the last bit."""
    assert [f.index for f in one] == [f.index for f in other]
    for a, b in zip(one, other):
        assert a.tick_ns == b.tick_ns
        for x, y in zip(a.samples, b.samples):
            assert (x.status, x.stamp_ns, x.skew_ns) == (y.status, y.stamp_ns, y.skew_ns)
            assert x.values.tobytes() == y.values.tobytes()
            assert x.window_skew_ns.tobytes() == y.window_skew_ns.tobytes()
            assert x.window_values.tobytes() == y.window_values.tobytes()


@settings(deadline=None, max_examples=40)
@given(arrivals, st.randoms(use_true_random=False))
def test_any_order_of_arrival_within_the_deadline_gives_the_same_frames(events, random) -> None:
    """Also within streams, as far as their profile allows disorder."""
    results = []
    for shuffled in (False, True):
        run = Run(*three(disorder_ms=5000), rate_hz=50, deadline_ms=5000)
        order = sorted({(at, lane) for lane, at, _ in events} | {(0, 0), (0, 1), (0, 2)})
        if shuffled:
            random.shuffle(order)
        for at, lane in order:
            run.push(at, at, lane, received_ms=3000)
        run.aligner.advance(T0 + 20_000 * MS)
        accounted(run)
        results.append(run.frames)
    same(*results)


@settings(deadline=None, max_examples=60)
@given(arrivals, st.lists(st.integers(1, 30), min_size=1), st.sampled_from(["", "s_nearest"]))
def test_frames_do_not_depend_on_batches(events, sizes, reference) -> None:
    """Sample by sample as live, or in batches as from a bag: the same frames to the last bit."""
    order = sorted(events, key=lambda e: e[1] + e[2])
    one = Run(*three(), rate_hz=50, reference=reference)
    for lane, at, delay in order:
        one.push(at, at, lane, at + delay)
    one.aligner.finish()
    many, left = Run(*three(), rate_hz=50, reference=reference), list(order)
    while left:
        batch, left = left[: sizes[0]], left[sizes[0] :]
        sizes = sizes[1:] + sizes[:1]
        for lane in range(3):
            part = [
                (T0 + at * MS, T0 + (at + delay) * MS, at) for n, at, delay in batch if n == lane
            ]
            stamps, receives = [p[0] for p in part], [p[1] for p in part]
            data = [wrench(p[0], (p[2],) * 6) for p in part]
            many.aligner.push(lane, stamps, receives, data)
        many.aligner.advance(T0 + (batch[-1][1] + batch[-1][2]) * MS)
    many.aligner.finish()
    first = max(f.frames[0].index if f.frames else 0 for f in (one, many))
    same(*([f for f in run.frames if f.index >= first] for run in (one, many)))
    accounted(one)
    accounted(many)


@settings(deadline=None, max_examples=60)
@given(arrivals, st.booleans(), st.integers(1, 60))
def test_the_compiled_part_changes_neither_frames_nor_counts(events, tidy: bool, size: int) -> None:
    order = sorted(events, key=lambda e: (e[1] if tidy else e[1] + e[2], e[0]))
    runs = []
    for compiled in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            if not compiled:
                patch.setattr(sample_choice, "_choose", None)
                patch.setattr(sample_choice, "_pick", None)
                patch.setattr(interpolation, "_blend", None)
                patch.setattr(lane_module, "_settle", None)
            run = Run(*three(), stream(Policy.SLERP), rate_hz=50)
            for at in range(0, len(order), size):
                batch = order[at : at + size]
                for lane in range(4):
                    mine = [e for e in batch if e[0] == min(lane, 2)]
                    stamps = [T0 + e[1] * MS for e in mine]
                    receives = [T0 + (e[1] if tidy else e[1] + e[2]) * MS for e in mine]
                    data = [wrench(stamp, (e[1],) * 6) for stamp, e in zip(stamps, mine)]
                    run.aligner.push(lane, stamps, receives, data)
                run.aligner.advance(receives_until(batch, tidy))
            accounted(run)
        runs.append(run)
    same(*(run.frames for run in runs))
    assert runs[0].aligner.counts == runs[1].aligner.counts


def receives_until(batch: list[tuple[int, int, int]], tidy: bool) -> int:
    """Return when the last of some events was received, ns."""
    return T0 + max(at if tidy else at + delay for _, at, delay in batch) * MS


@settings(deadline=None, max_examples=40)
@given(arrivals)
def test_windows_contain_every_sample_once(events) -> None:
    run = Run(*three(), rate_hz=50)
    pushed = set()
    for lane, at, delay in sorted(events, key=lambda e: e[1] + e[2]):
        run.push(at, at, lane, at + delay)
        if lane == 2:
            pushed.add(at)
    run.aligner.finish()
    run.aligner.advance(T0 + 20_000 * MS)
    seen = [float(v) for f in run.frames for v in f.samples[2].window_values.reshape(-1, 6)[:, 0]]
    assert len(seen) == len(set(seen))
    assert set(seen) == pushed
    for frame in run.frames:
        assert (frame.samples[2].window_skew_ns <= 0).all()


def test_without_streams_there_is_nothing_to_align() -> None:
    aligner = Aligner([], FrameClock(30.0), 10**8, lambda frames: None)
    aligner.advance(T0)
    aligner.finish()
