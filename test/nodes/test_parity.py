"""Frames aligned live equal those aligned again from the bag, to the last bit.

Holds also: synchronizer.py, layout_messages.py, live_streams.py.
"""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

from support.robot import Bench, process
from support.rough_robot import PROFILE, ROUGH, RoughRobot

from robot_recorder.alignment.certificate import Certificate
from robot_recorder.alignment.frame_messages import decode_frame
from robot_recorder.alignment.frames import Frame, SampleStatus
from robot_recorder.bags.reader import read_messages
from robot_recorder.episodes.episode import Episode
from robot_recorder.offline.align import Alignment, align_episode
from robot_recorder.offline.plan import make_plan

pytestmark = pytest.mark.alone

LATE_S = 9.0  # until the wrench's clock is known and the silence is over


def record(tmp_path: Path, clock: str) -> Episode:
    profile = tmp_path / "rough.yaml"
    profile.write_text(PROFILE.format(clock=clock))
    with (
        Bench("rough") as bench,
        RoughRobot("rough") as robot,
        process("record", "rough", profile=profile, root=tmp_path / "root"),
    ):
        bench.wait("all streams", lambda: bench.status is not None and bench.ready(), 30)
        robot.mark()
        begun = time.monotonic()
        assert bench.start(pre_roll_s=1.0).success
        bench.wait("a long enough episode", lambda: time.monotonic() > begun + LATE_S, 30)
        stopped = bench.stop()
        assert stopped.success, stopped.message
    return Episode.open(Path(stopped.path))


def live_frames(episode: Episode) -> list[Frame]:
    found = [
        decode_frame(m.data)[0] for m in read_messages(episode.path, {"/rough/synchronizer/frames"})
    ]
    assert [f.tick_ns for f in found] == sorted({f.tick_ns for f in found})
    return found


def same(one: Frame, other: Frame) -> list[int]:
    """Return the indexes of the streams that differ."""
    assert (one.index, one.tick_ns, one.complete) == (other.index, other.tick_ns, other.complete)
    return [
        place
        for place, (a, b) in enumerate(zip(one.samples, other.samples, strict=True))
        if (a.status, a.stamp_ns, a.skew_ns) != (b.status, b.stamp_ns, b.skew_ns)
        or differ(a.values, b.values)
        or a.window_skew_ns.tobytes() != b.window_skew_ns.tobytes()
        or differ(a.window_values, b.window_values)
    ]


def differ(live: np.ndarray, again: np.ndarray) -> bool:
    """Tell whether values differ in any bit.

    A body that nobody had named yet has no values live, and NaN when its name is known from the bag.
    """
    known = live.shape[-1]
    return live.tobytes() != again[..., :known].tobytes() or not np.isnan(again[..., known:]).all()


@pytest.mark.parametrize("clock", ["frame_rate_hz: 30", "frame_clock: head"])
def test_a_bag_aligned_again_gives_the_live_frames(tmp_path: Path, clock: str) -> None:
    episode = record(tmp_path, clock)
    plan = make_plan(episode)
    aligned = align_episode(episode, plan, plan.frame_clock(None, ""))
    assert not aligned.problem and not plan.guessed
    assert plan.absent == ("glove/joint_states",)
    live, again = live_frames(episode), {f.tick_ns: f for f in aligned.frames}
    # The first live frames may use samples from before the bag begins.
    settled_ns = int(episode.facts["start_ns"]) - 500_000_000
    common = [f for f in live if f.tick_ns > settled_ns]
    assert len(common) > 0.8 * LATE_S * (30 if "rate" in clock else 13)
    assert [f.tick_ns for f in common if f.tick_ns not in again] == []
    assert {f.tick_ns: d for f in common if (d := same(f, again[f.tick_ns]))} == {}
    assert_rough(aligned, common)
    assert_certified(episode.certificate, aligned.certificate)


def assert_rough(aligned: Alignment, live: list[Frame]) -> None:
    """Check that the recorded data had the intended defects; otherwise nothing is compared."""
    names = [s.name for s in aligned.streams]
    statuses = {name: {f.samples[place].status for f in live} for place, name in enumerate(names)}
    assert SampleStatus.HELD in statuses["wrist"], "its silence"
    assert SampleStatus.INTERPOLATED in statuses["joints"]
    counts = dict(zip(names, aligned.counts))
    assert counts["joints"].out_of_order > 10
    wrench = [f.samples[names.index("wrench")] for f in live]
    assert sum(len(s.window_skew_ns) for s in wrench) > 0.9 * 250 * LATE_S * 0.8
    known = [s.skew_ns for s in wrench[len(wrench) // 2 :] if s.status != SampleStatus.MISSING]
    # Ignores moments in which this machine was busy.
    assert sorted(map(abs, known))[len(known) * 9 // 10] < 8_000_000, "its clock is corrected"


def assert_certified(live: Certificate | None, again: Certificate) -> None:
    """Compare all figures that both certificates can know."""
    assert live is not None and live.frames > 0
    assert live.unreadable == 0, live.unreadable_why
    assert again.unreadable is None, "unknown for frames that are aligned again"
    assert live.absent is not None and live.absent <= 2, live.summary
    assert live.streams.keys() == again.streams.keys()
    for name, stream in again.streams.items():
        assert asdict(live.streams[name]) == asdict(stream), name
    assert replace(live, streams={}, unreadable=None) == replace(again, streams={})
    wrench = live.streams["wrench"]
    manners = ROUGH["wrist/wrench"]
    assert wrench.clock == "device" and wrench.offset_ms is not None
    expected_ms = 1e3 * (-manners.offset_s + manners.latency_s)
    assert abs(wrench.offset_ms - expected_ms) < 3
    wrist = live.streams["wrist"]
    assert wrist.held > 0 and wrist.longest_gap_ms > 1000
    assert any("silent" in text for text in wrist.findings())
    hand, glove, finger = (live.streams[name] for name in ("hand", "glove", "finger"))
    assert 0 < hand.missing < live.frames and hand.frames == live.frames
    assert glove.missing == live.frames and glove.count == 0
    assert live.complete == 0, "the glove has no publisher"
    stamps = {name: stream.stamp.partition(";")[0] for name, stream in live.streams.items()}
    assert stamps["targets"] == "DDS source stamp" and stamps["joints"] == "header"
    assert stamps["turned"] == stamps["moved"] == "pose.position.x"
    turned, bodies = live.streams["turned"], live.streams["bodies"]
    assert turned.clock == "device" and turned.missing < 0.2 * live.frames
    assert any("left/x" in note for note in bodies.layout_notes)
    assert bodies.missing < 0.1 * live.frames
    assert finger.count > 0 and finger.held + finger.missing < 0.5 * live.frames
