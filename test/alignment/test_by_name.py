"""Streams whose messages name different joints: each group of joints has its own samples.

Holds also: layouts.py.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.samples import T0, joint_state

from robot_recorder.alignment.aligner import Aligner
from robot_recorder.alignment.frames import Frame, Frames, SampleStatus
from robot_recorder.alignment.layouts import MOST_NAMES
from robot_recorder.model.payloads import Messages
from robot_recorder.model.streams import FrameClock, Policy, Role, StreamConfig

MS = 1_000_000
ARM, HAND = ("a0", "a1", "a2"), ("h0", "h1")
JOINTS = "sensor_msgs/msg/JointState"
Sent = tuple[int, bytes]  # stamp, ns; message


def config(policy: Policy = Policy.LINEAR, tolerance_ms: float = 30, **more) -> StreamConfig:
    return StreamConfig(
        "joints", "t", JOINTS, Role.OBSERVATION, 100, True, policy, round(tolerance_ms * MS), **more
    )


def aligned(
    sent: list[Sent], stream: StreamConfig | None = None, at_once: int = 1, rate_hz: float = 50
) -> tuple[list[Frame], Aligner]:
    """Align messages that are received when they are stamped, in batches of a given size."""
    frames: list[Frame] = []

    def take(found: Frames) -> None:
        frames.extend(found)

    aligner = Aligner([stream or config()], FrameClock(rate_hz), 200 * MS, take)
    for at in range(0, len(sent), at_once):
        part = sent[at : at + at_once]
        stamps = [stamp for stamp, _ in part]
        payloads = [data for _, data in part]
        receives = np.maximum.accumulate(stamps).tolist()
        aligner.push(0, stamps, receives, Messages(payloads) if at_once > 1 else payloads)
        aligner.advance(max(receives))
    aligner.finish()
    return frames, aligner


def column(frames: list[Frame], aligner: Aligner, name: str) -> np.ndarray:
    """Return one value of all frames; NaN where a frame lacks it."""
    place = (aligner.value_names[0] or ()).index(name)
    return np.array(
        [
            s.values[place] if len(s.values) > place else np.nan
            for s in (f.samples[0] for f in frames)
        ]
    )


def at(seconds: float) -> int:
    return T0 + round(seconds * 1e9)


def slope(t: float, names: tuple[str, ...]) -> list[float]:
    """Return joint positions on straight lines, so that interpolation is exact."""
    return [t * (1 + ord(name[0]) + int(name[1:])) for name in names]


def two_drivers(seconds: float = 3.0) -> list[Sent]:
    sent = []
    for k in range(int(seconds * 200)):
        t = k * 0.005
        names = ARM if k % 2 else HAND
        sent.append((at(t), joint_state(at(t), names, slope(t, names))))
    return sent


@pytest.mark.parametrize("policy", [Policy.LINEAR, Policy.NEAREST, Policy.PREVIOUS])
def test_two_drivers_of_one_topic_are_both_in_every_frame(policy: Policy) -> None:
    frames, aligner = aligned(two_drivers(), config(policy))
    assert len(frames) > 140
    inner = frames[2:-2]
    good = {SampleStatus.FRESH, SampleStatus.INTERPOLATED}
    assert {f.samples[0].status for f in inner} <= good
    for name in (*ARM, *HAND):
        found = column(inner, aligner, f"position/{name} (rad)")
        true = [slope((f.tick_ns - T0) / 1e9, (name,))[0] for f in inner]
        off = np.abs(found - true)
        assert off.max() < (1e-6 if policy is Policy.LINEAR else 3.0), name
    assert aligner.counts[0].mismatched == 0
    assert any(w.startswith("2 drivers publish it") for w in aligner.lanes[0].decoder.words)


def test_a_silent_driver_is_held_while_the_other_continues() -> None:
    sent = [s for s in two_drivers() if s[0] < at(1) or b"a0" in s[1]]
    frames, aligner = aligned(sent)
    late = [f for f in frames if f.tick_ns > at(1.2)]
    assert {f.samples[0].status for f in late} == {SampleStatus.HELD}
    assert late[-1].samples[0].skew_ns < -1_500 * MS
    held = column(late, aligner, "position/h0 (rad)")
    moving = column(late, aligner, "position/a0 (rad)")
    assert len(set(held)) == 1 and len(set(moving)) == len(late)


def test_a_driver_that_begins_late_does_not_affect_earlier_frames() -> None:
    sent = [s for s in two_drivers() if s[0] > at(1) or b"a0" in s[1]]
    frames, aligner = aligned(sent)
    assert all(f.complete for f in frames[1:])
    hand = column(frames, aligner, "position/h0 (rad)")
    early = np.array([f.tick_ns < at(1) for f in frames])
    assert np.isnan(hand[early]).all() and np.isfinite(hand[~early][2:]).all()


def test_a_field_sent_at_times_is_nan_in_the_other_frames() -> None:
    sent = []
    for k in range(300):
        t, filled = k * 0.01, 100 < k < 200
        values = slope(t, ARM)
        message = joint_state(
            at(t), ARM, values, values if filled else (), values if k > 150 else ()
        )
        sent.append((at(t), message))
    frames, aligner = aligned(sent)
    assert all(f.complete for f in frames) and len(frames) > 145
    words = aligner.lanes[0].decoder.words
    assert any(w.startswith("velocity of a0") and "in 99 of 300 messages" in w for w in words)
    assert any(w.startswith("effort of a0") and "in 149 of 300 messages" in w for w in words)
    ticks = np.array([(f.tick_ns - T0) / 1e9 for f in frames])
    for field, unit, first, last in (
        ("position", "rad", 0, 3), ("velocity", "rad/s", 1.01, 1.99), ("effort", "N m", 1.51, 3),
    ):  # fmt: skip
        found = column(frames, aligner, f"{field}/a1 ({unit})")
        there = (ticks >= first) & (ticks <= last)
        assert np.isfinite(found[there]).all(), field
        assert np.isnan(found[~there]).all(), field
        assert np.abs(found[there] - [slope(t, ("a1",))[0] for t in ticks[there]]).max() < 1e-6


def test_joints_added_later_widen_the_frames() -> None:
    more = (*ARM, "z7")
    sent = []
    for k in range(200):
        names = ARM if k < 100 else more
        sent.append((at(k / 100), joint_state(at(k / 100), names, slope(k / 100, names))))
    frames, aligner = aligned(sent)
    assert all(f.complete for f in frames) and len(frames) > 95
    assert aligner.value_names[0] == tuple(f"position/{n} (rad)" for n in more)
    assert [len(f.samples[0].values) for f in frames] == sorted(
        len(f.samples[0].values) for f in frames
    )
    assert np.isfinite(column(frames, aligner, "position/a0 (rad)")).all()
    z7 = column(frames, aligner, "position/z7 (rad)")
    assert np.isfinite(z7).sum() in range(48, 52)


def test_equal_stamps_of_two_drivers_are_not_duplicates() -> None:
    sent = []
    for k in range(200):
        for names in (ARM, HAND):
            sent.append((at(k / 100), joint_state(at(k / 100), names, slope(k / 100, names))))
    frames, aligner = aligned(sent, at_once=4)
    assert aligner.counts[0].duplicate == 0
    assert all(f.complete for f in frames[1:])
    assert np.isfinite(column(frames, aligner, "position/h1 (rad)")[1:]).all()


def test_messages_without_names_are_ignored() -> None:
    sent = [(at(0.001 * k), joint_state(at(0.001 * k), (), ())) for k in range(10)]
    sent += [
        (at(0.02 + k / 100), joint_state(at(0.02 + k / 100), ARM, (1, 2, 3))) for k in range(50)
    ]
    frames, aligner = aligned(sent)
    assert len(frames) > 20 and frames[-1].complete
    assert aligner.value_names[0] == tuple(f"position/{n} (rad)" for n in ARM)


@pytest.mark.parametrize("names", [(), ("left", "right", "lift")])
def test_joints_without_names_get_numbers_or_names_of_the_profile(names: tuple[str, ...]) -> None:
    sent = [(at(k / 100), joint_state(at(k / 100), (), (1, 2, k))) for k in range(100)]
    frames, aligner = aligned(sent, config(joint_names=names))
    labels = names or ("0", "1", "2")
    assert aligner.value_names[0] == tuple(f"position/{label} (rad)" for label in labels)
    assert len(frames) > 45 and all(f.complete for f in frames)
    assert aligner.counts[0].undecodable == 0
    notes = aligner.lanes[0].decoder.notes
    assert notes == [] if names else "fill name[]" in notes[0]


def test_random_names_do_not_fill_the_memory() -> None:
    rng = np.random.default_rng(0)
    sent = []
    for k in range(400):
        names = [f"j{n}" for n in rng.integers(0, 10**9, 200)]
        sent.append((at(k / 100), joint_state(at(k / 100), names, np.zeros(200).tolist())))
    frames, aligner = aligned(sent, at_once=50)
    assert len(aligner.value_names[0] or ()) <= MOST_NAMES
    assert aligner.counts[0].mismatched > 300
    assert len(frames) > 100  # refused messages do not stop the ticks


@st.composite
def odd_drivers(draw: st.DrawFn) -> list[Sent]:
    """Draw messages with any joints and fields, some undecodable, late, or with equal stamps."""
    sets = draw(st.lists(st.sets(st.sampled_from("abcde"), max_size=4), min_size=1, max_size=4))
    sent, stamp = [], T0
    for _ in range(draw(st.integers(5, 60))):
        stamp += draw(st.sampled_from((0, 1, 5, 11, 40))) * MS
        late = draw(st.sampled_from((0, 0, 0, 12))) * MS
        names = draw(st.permutations(sorted(draw(st.sampled_from(sets)))))
        values = [draw(st.floats(-3, 3)) for _ in names]
        fields = [values if draw(st.booleans()) else () for _ in range(2)]
        data = joint_state(stamp - late, names, values, *fields)
        if draw(st.integers(0, 9)) == 0:
            data = data[: draw(st.integers(12, len(data)))]
        sent.append((stamp - late, data))
    return sent


def test_a_message_that_ends_at_the_usual_size_is_unreadable_in_batches_too() -> None:
    """It differs from the usual one in the last count only."""
    usual = joint_state(T0 + 88 * MS, ["c"], [1.0], (), ())
    cut_off = joint_state(T0 + 365 * MS, ["c"], [2.0], (), [3.0])[: len(usual)]
    other = joint_state(T0 + 423 * MS, ["a", "c"], [4.0, 5.0], (), ())
    sent = [(T0 + 88 * MS, usual), (T0 + 365 * MS, cut_off), (T0 + 423 * MS, other)]
    runs = [aligned(sent, config(Policy.LINEAR), at_once) for at_once in (1, 2)]
    for frames, aligner in runs:
        assert [f.tick_ns for f in frames] == [f.tick_ns for f in runs[0][0]]
        assert frames[-1].samples[0].status is SampleStatus.HELD
        assert column(frames, aligner, "position/c (rad)").tolist() == [1.0] * len(frames)


@settings(deadline=None, max_examples=40)
@given(
    odd_drivers(),
    st.sampled_from([Policy.LINEAR, Policy.NEAREST, Policy.PREVIOUS]),
    st.sampled_from([2, 3, 7, 1000]),
    st.sampled_from([0, 15 * MS]),
    st.booleans(),
)
def test_frames_do_not_depend_on_batches(
    sent: list[Sent], policy: Policy, at_once: int, disorder_ns: int, window: bool
) -> None:
    stream = config(policy, disorder_ns=disorder_ns, window=window)
    one, first = aligned(sent, stream)
    many, other = aligned(sent, stream, at_once)
    assert first.value_names == other.value_names
    assert [f.tick_ns for f in one] == [f.tick_ns for f in many]
    assert first.skipped_ticks == other.skipped_ticks
    width = len(first.value_names[0] or ())

    def wide(rows: np.ndarray) -> bytes:
        rows = np.atleast_2d(rows)
        return np.pad(rows, ((0, 0), (0, width - rows.shape[1])), constant_values=np.nan).tobytes()

    for mine, theirs in zip(one, many):
        a, b = mine.samples[0], theirs.samples[0]
        assert (a.status, a.stamp_ns, a.skew_ns) == (b.status, b.stamp_ns, b.skew_ns)
        assert wide(a.values) == wide(b.values)
        assert a.window_skew_ns.tolist() == b.window_skew_ns.tolist()
        if len(a.window_skew_ns):
            assert wide(a.window_values) == wide(b.window_values)
