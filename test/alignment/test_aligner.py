"""The aligner: policies, statuses, watermarks, deadlines, invalid stamps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.samples import WRENCH, wrench

from robot_recorder.alignment.aligner import Aligner
from robot_recorder.alignment.frames import Frame, Frames, SampleStatus
from robot_recorder.alignment.lane import MAX_AHEAD_NS, MAX_SAMPLES
from robot_recorder.model.streams import FrameClock, Policy, Role, SourceClockKind, StreamConfig

MS = 1_000_000
T0 = 1_700_000_000_000_000_000  # on the tick grid of 10, 20, 25, 50 Hz


def stream(
    policy: Policy, tolerance_ms: float = 30, type_name: str = WRENCH, **more
) -> StreamConfig:
    more = {
        k.replace("_ms", "_ns"): round(v * MS) if k.endswith("_ms") else v for k, v in more.items()
    }
    return StreamConfig(
        f"s_{policy.value}", "t", type_name, Role.OBSERVATION, 100, True, policy,
        round(tolerance_ms * MS), **more,
    )  # fmt: skip


class Run:
    """An aligner, and the frames it has emitted."""

    def __init__(
        self,
        *streams: StreamConfig,
        rate_hz: float | None = 10,
        deadline_ms: int = 200,
        reference: str = "",
    ) -> None:
        self.frames: list[Frame] = []
        clock = FrameClock(rate_hz, reference)
        self.aligner = Aligner(streams, clock, deadline_ms * MS, self._take)

    def _take(self, frames: Frames) -> None:
        self.frames += list(frames)

    def push(
        self, at_ms: float, value: float = 0.0, lane: int = 0, received_ms: float | None = None
    ) -> None:
        stamp = T0 + round(at_ms * MS)
        received = stamp if received_ms is None else T0 + round(received_ms * MS)
        self.give(lane, stamp, received, wrench(stamp, (value,) * 6))

    def give(self, lane: int, stamp: int, received: int, data: bytes) -> None:
        self.aligner.advance(received)
        self.aligner.push(lane, [stamp], [received], [data])
        self.aligner.advance(received)

    def sample(self, tick_ms: float, lane: int = 0):
        return next(f.samples[lane] for f in self.frames if f.tick_ns == T0 + round(tick_ms * MS))


def test_nearest_takes_the_closer_sample_with_its_signed_skew() -> None:
    run = Run(stream(Policy.NEAREST))
    for at, value in ((0, 0), (90, 1), (105, 2), (205, 3)):
        run.push(at, value)
    sample = run.sample(100)
    assert (sample.status, sample.skew_ns, sample.values[0]) == (SampleStatus.FRESH, 5 * MS, 2)


def test_nearest_prefers_the_earlier_of_two_equally_near_samples() -> None:
    run = Run(stream(Policy.NEAREST))
    for at, value in ((0, 0), (95, 1), (105, 2)):
        run.push(at, value)
    assert run.sample(100).skew_ns == -5 * MS


def test_previous_never_uses_the_future() -> None:
    run = Run(stream(Policy.PREVIOUS, tolerance_ms=50))
    for at, value in ((0, 0), (70, 1), (100.001, 2), (201, 3)):
        run.push(at, value)
    assert run.sample(100).values[0] == 1
    assert all(f.samples[0].skew_ns <= 0 for f in run.frames)


def test_linear_interpolates_between_the_neighbouring_samples() -> None:
    run = Run(stream(Policy.LINEAR))
    for at, value in ((0, 0), (90, 10), (110, 20)):
        run.push(at, value)
    sample = run.sample(100)
    assert sample.status is SampleStatus.INTERPOLATED
    assert sample.values[0] == pytest.approx(15)


def test_linear_does_not_bridge_a_gap_longer_than_its_tolerance() -> None:
    run = Run(stream(Policy.LINEAR, tolerance_ms=15))
    for at, value in ((0, 0), (90, 10), (110, 20)):
        run.push(at, value)
    sample = run.sample(100)
    assert (sample.status, sample.values[0], sample.skew_ns) == (SampleStatus.HELD, 10, -10 * MS)


def test_a_sample_stamped_on_the_tick_is_not_interpolated() -> None:
    for policy in (Policy.NEAREST, Policy.PREVIOUS, Policy.LINEAR):
        run = Run(stream(policy, tolerance_ms=1))
        for at, value in ((0, 0), (100, 7)):
            run.push(at, value)
        sample = run.sample(100)
        assert (sample.status, sample.skew_ns, sample.values[0]) == (SampleStatus.FRESH, 0, 7)


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


def accounted(run: Run) -> None:
    """Check that every sample is used, superseded, left out for a reason, or still kept."""
    run.aligner.finish()
    for lane in run.aligner.lanes:
        counts = lane.counts
        assert counts.received == lane.unused + sum(
            (counts.used, counts.superseded, counts.duplicate, counts.ahead, counts.no_clock,
             counts.overflow)
        )  # fmt: skip


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


def test_undecodable_samples_are_left_out_and_counted() -> None:
    run = Run(stream(Policy.NEAREST))
    run.give(0, T0, T0, b"\0\1\0\0rubbish")
    run.push(10, 7)
    run.aligner.advance(T0 + 10**9)
    assert run.sample(0).status is SampleStatus.MISSING  # a sample came, so it was not a pause
    assert run.sample(100).values[0] == 7  # of the next best sample
    assert run.aligner.counts[0].undecodable == 1


def test_a_stream_with_only_undecodable_samples_is_missing() -> None:
    run = Run(stream(Policy.NEAREST), stream(Policy.LINEAR))
    for at in range(0, 400, 20):
        run.give(0, T0 + at * MS, T0 + at * MS, b"\0\1\0\0rubbish")
        run.push(at, lane=1)
    assert all(f.samples[0].status is SampleStatus.MISSING for f in run.frames)
    assert len(run.frames) > 2


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


def test_joints_are_matched_by_name() -> None:
    rclpy = pytest.importorskip("rclpy.serialization")
    from sensor_msgs.msg import JointState

    config = stream(Policy.LINEAR, type_name="sensor_msgs/msg/JointState")
    run = Run(config)
    for at, names, position in ((0, "ab", (0, 0)), (90, "ab", (10, 100)), (110, "ba", (200, 20))):
        stamp = T0 + at * MS
        message = JointState(name=list(names), position=[float(p) for p in position])
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
        run.give(0, stamp, stamp, bytes(rclpy.serialize_message(message)))
    assert list(run.sample(100).values) == pytest.approx([15, 150])


arrivals = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 3000), st.integers(0, 400)),
    min_size=1,
    max_size=120,
)


@settings(deadline=None, max_examples=150)
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


@settings(deadline=None, max_examples=100)
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


def three(**more) -> tuple[StreamConfig, ...]:
    return (
        stream(Policy.NEAREST, **more),
        stream(Policy.PREVIOUS, **more),
        stream(Policy.LINEAR, window=True, **more),
    )


@settings(deadline=None, max_examples=100)
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


@settings(deadline=None, max_examples=150)
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


@settings(deadline=None, max_examples=100)
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


def test_a_late_reference_sample_makes_no_frame_and_is_counted() -> None:
    run = Run(*three(), rate_hz=None, reference="s_nearest", deadline_ms=250)
    for at in range(0, 2000, 50):
        run.push(at, lane=2)
        run.push(at, lane=1)
        run.push(at - 300, lane=0, received_ms=at)
    run.aligner.finish()
    assert run.frames == [] and run.aligner.counts[0].tickless == 40


def test_without_streams_there_is_nothing_to_align() -> None:
    aligner = Aligner([], FrameClock(30.0), 10**8, lambda frames: None)
    aligner.advance(T0)
    aligner.finish()


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
