"""The aligner: policies, statuses, watermarks, deadlines, odd stamps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.samples import WRENCH, wrench

from robot_recorder.core.aligner import MAX_AHEAD_NS, Aligner, slerp
from robot_recorder.core.frames import Frame, SampleStatus
from robot_recorder.core.streams import Policy, Role, StreamConfig

MS = 1_000_000
T0 = 1_700_000_000_000_000_000  # on the tick grid of 10, 20, 25, 50 Hz


def stream(
    policy: Policy, tolerance_ms: float = 30, type_name: str = WRENCH, latency_ms: float = 0
) -> StreamConfig:
    return StreamConfig(
        f"s_{policy.value}", "t", type_name, Role.OBSERVATION, 100, True, policy,
        round(tolerance_ms * MS), round(latency_ms * MS),
    )  # fmt: skip


class Run:
    """An aligner with its frames."""

    def __init__(self, *streams: StreamConfig, rate_hz: float = 10, deadline_ms: int = 200) -> None:
        self.frames: list[Frame] = []
        self.aligner = Aligner(streams, rate_hz, deadline_ms * MS, self.frames.append)

    def push(
        self, at_ms: float, value: float = 0.0, lane: int = 0, received_ms: float | None = None
    ) -> None:
        stamp = T0 + round(at_ms * MS)
        received = stamp if received_ms is None else T0 + round(received_ms * MS)
        self.aligner.push(lane, stamp, received, wrench(stamp, (value,) * 6))

    def sample(self, tick_ms: float, lane: int = 0):
        return next(f.samples[lane] for f in self.frames if f.tick_ns == T0 + round(tick_ms * MS))


def test_nearest_takes_the_closer_one_with_its_signed_skew() -> None:
    run = Run(stream(Policy.NEAREST))
    for at, value in ((0, 0), (90, 1), (105, 2), (205, 3)):
        run.push(at, value)
    sample = run.sample(100)
    assert (sample.status, sample.skew_ns, sample.values[0]) == (SampleStatus.FRESH, 5 * MS, 2)


def test_nearest_prefers_the_past_when_equally_near() -> None:
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


def test_linear_interpolates_between_its_neighbours() -> None:
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


def test_a_stamp_on_the_tick_is_taken_as_it_is() -> None:
    for policy in (Policy.NEAREST, Policy.PREVIOUS, Policy.LINEAR):
        run = Run(stream(policy, tolerance_ms=1))
        for at, value in ((0, 0), (100, 7)):
            run.push(at, value)
        sample = run.sample(100)
        assert (sample.status, sample.skew_ns, sample.values[0]) == (SampleStatus.FRESH, 0, 7)


def test_a_silent_stream_is_held_then_told() -> None:
    run = Run(stream(Policy.NEAREST), stream(Policy.NEAREST))
    run.push(0, 1, lane=0)
    run.push(0, 2, lane=1)
    for at in range(10, 1000, 10):
        run.push(at, 3, lane=0)
    sample = run.sample(500, lane=1)
    assert (sample.status, sample.skew_ns, sample.values[0]) == (SampleStatus.HELD, -500 * MS, 2)
    assert not run.frames[-1].complete


def test_a_stream_never_heard_is_missing() -> None:
    run = Run(stream(Policy.NEAREST), stream(Policy.LINEAR))
    for at in range(0, 500, 10):
        run.push(at)
    sample = run.sample(100, lane=1)
    assert (sample.status, sample.stamp_ns, len(sample.values)) == (SampleStatus.MISSING, 0, 0)


def test_a_frame_leaves_as_soon_as_the_slowest_stream_passed_its_tick() -> None:
    run = Run(stream(Policy.NEAREST), stream(Policy.NEAREST))
    run.push(0, lane=0)
    run.push(0, lane=1)
    run.push(110, lane=0)
    assert len(run.frames) == 1
    run.push(101, lane=1, received_ms=111)
    assert len(run.frames) == 2


def test_latency_is_taken_off_the_stamp() -> None:
    run = Run(stream(Policy.NEAREST, latency_ms=12))
    for at, value in ((12, 0), (112, 1), (230, 2)):
        run.push(at, value)
    sample = run.sample(100)
    assert (sample.skew_ns, sample.values[0]) == (0, 1)


def test_out_of_order_within_the_deadline_changes_nothing() -> None:
    run = Run(stream(Policy.LINEAR), stream(Policy.NEAREST, tolerance_ms=500))
    run.push(0, 0, lane=0)
    run.push(0, 0, lane=1)
    run.push(110, 20, lane=0)
    run.push(90, 10, lane=0, received_ms=111)
    run.push(120, lane=1)
    assert run.sample(100).values[0] == pytest.approx(15)
    assert run.aligner.counts[0].out_of_order == 1


def test_duplicates_future_stamps_and_late_ones_are_counted_and_left_out() -> None:
    run = Run(stream(Policy.NEAREST))
    for at in (0, 0, 50, 100, 300, 400):
        run.push(at)
    run.push(20, received_ms=400)
    stamp = T0 + 400 * MS
    run.aligner.push(0, stamp + MAX_AHEAD_NS + 1, stamp, wrench(stamp))
    counts = run.aligner.counts[0]
    assert (counts.duplicate, counts.late, counts.ahead) == (1, 1, 1)
    assert counts.received == counts.accepted + counts.duplicate + counts.late + counts.ahead


def test_rubbish_is_missing_and_counted() -> None:
    run = Run(stream(Policy.NEAREST))
    run.aligner.push(0, T0, T0, b"\0\1\0\0rubbish")
    run.aligner.advance(T0 + 10**9)
    assert run.frames[0].samples[0].status is SampleStatus.MISSING
    assert run.aligner.counts[0].undecodable == 1


def test_a_long_pause_of_everything_skips_ticks_and_says_so() -> None:
    run = Run(stream(Policy.NEAREST))
    run.push(0)
    run.push(3_600_000)
    run.push(3_600_100)
    assert run.aligner.skipped_ticks > 35_000
    assert len(run.frames) < 200
    assert run.sample(3_600_000).status is SampleStatus.FRESH


def test_ticks_lie_on_one_grid_at_odd_rates() -> None:
    run = Run(stream(Policy.NEAREST), rate_hz=29.97)
    for at in range(0, 2000, 10):
        run.push(at)
    for frame in run.frames:
        assert abs(frame.tick_ns - frame.index * 10**9 / 29.97) < 1000  # float's own error out here
    steps = np.diff([f.tick_ns for f in run.frames])
    assert steps.max() - steps.min() <= 1


def test_joints_are_matched_by_name() -> None:
    rclpy = pytest.importorskip("rclpy.serialization")
    from sensor_msgs.msg import JointState

    config = stream(Policy.LINEAR, type_name="sensor_msgs/msg/JointState")
    frames: list[Frame] = []
    aligner = Aligner([config], 10, 200 * MS, frames.append)
    for at, names, position in ((0, "ab", (0, 0)), (90, "ab", (10, 100)), (110, "ba", (200, 20))):
        stamp = T0 + at * MS
        message = JointState(name=list(names), position=[float(p) for p in position])
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
        aligner.push(0, stamp, stamp, bytes(rclpy.serialize_message(message)))
    assert list(frames[-1].samples[0].values) == pytest.approx([15, 150])


def test_slerp_takes_the_shorter_arc() -> None:
    half = math.sin(math.pi / 4)
    quarter_turn = np.array([0, 0, half, half])
    middle = slerp(np.array([0, 0, 0, 1.0]), -quarter_turn, 0.5)
    assert abs(
        middle @ np.array([0, 0, math.sin(math.pi / 8), math.cos(math.pi / 8)])
    ) == pytest.approx(1)
    assert np.linalg.norm(slerp(quarter_turn, quarter_turn, 0.3)) == pytest.approx(1)


arrivals = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 3000), st.integers(0, 400)),
    min_size=1,
    max_size=120,
)


@settings(deadline=None, max_examples=150)
@given(arrivals)
def test_whatever_arrives(events: list[tuple[int, int, int]]) -> None:
    """Any stamps with any delays: ticks rise by one, skews fit, every sample is accounted for."""
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
            # the value is the stamp in ms, so what a frame says can be held against when it was
            says_ms = sample.values[0] - (frame.tick_ns - T0) / MS
            expected_ms = 0 if sample.status is SampleStatus.INTERPOLATED else sample.skew_ns / MS
            assert says_ms == pytest.approx(expected_ms, abs=1e-6)
    for counts in run.aligner.counts:
        assert counts.received == counts.accepted + counts.duplicate + counts.late + counts.ahead


lanes = st.lists(st.integers(0, 1000), min_size=1, max_size=40, unique=True).map(sorted)


@settings(deadline=None, max_examples=100)
@given(lanes, lanes, st.randoms(use_true_random=False))
def test_how_streams_interleave_does_not_matter_within_the_deadline(first, second, random) -> None:
    """Each stream in its own order, but one ahead of the other at will: the same frames."""
    in_order = sorted([(at, 0) for at in first] + [(at, 1) for at in second])
    left, right, mixed = list(first), list(second), []
    while left or right:
        lane = int(not left or (bool(right) and random.random() < 0.5))
        mixed.append(((left, right)[lane].pop(0), lane))
    results = []
    for order in (in_order, mixed):
        run = Run(stream(Policy.LINEAR), stream(Policy.NEAREST), rate_hz=50, deadline_ms=5000)
        for lane in (0, 1):  # both begin, so that both runs have the same first tick
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


def test_memory_is_bounded() -> None:
    run = Run(stream(Policy.NEAREST), stream(Policy.NEAREST), deadline_ms=100)
    run.push(0, lane=1)
    for at in range(0, 20_000, 1):
        run.push(at)
    assert len(run.aligner._lanes[0].stamps) < 250
