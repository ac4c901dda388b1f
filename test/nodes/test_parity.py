"""Frames aligned live equal those aligned again from the bag, to the last bit.

Holds also: synchronizer.py, layout_messages.py, live_streams.py.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("rclpy")

import rclpy
from support.robot import Bench, process
from support.rough_robot import PROFILE, ROUGH, RoughRobot
from support.samples import T0, wrench

from robot_recorder.alignment.certificate import Certificate
from robot_recorder.alignment.frame_messages import decode_frame
from robot_recorder.alignment.frames import Frame, SampleStatus
from robot_recorder.bags.reader import read_messages
from robot_recorder.configuration.find import load_profile
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.topics import Batch, Sample
from robot_recorder.msg import ClockModels
from robot_recorder.nodes.ingest import Ingest
from robot_recorder.nodes.synchronizer import SynchronizerNode, frames_depth
from robot_recorder.offline.align import Alignment, align_episode
from robot_recorder.offline.plan import make_plan

LATE_S = 9.0  # until the wrench's clock is known and the silence is over


def record(tmp_path: Path, clock: str, listens: bool) -> Episode:
    profile = tmp_path / "rough.yaml"
    profile.write_text(PROFILE.format(clock=clock))
    with (
        Bench("rough", listens) as bench,
        RoughRobot("rough") as robot,
        process("record", "rough", profile=profile, root=tmp_path / "root", max_file_s=2.0),
    ):
        bench.wait("all streams", lambda: bench.status is not None and bench.ready(), 30)
        robot.mark()
        begun = time.monotonic()
        assert bench.start(pre_roll_s=1.0).success
        bench.wait("a long enough episode", lambda: time.monotonic() > begun + LATE_S, 30)
        # Soon after a second begins: the correction made then is told after the stop, if frames are held.
        bench.wait("the middle of a second", lambda: 0.2 < time.time() % 1 < 0.5)
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


@pytest.mark.alone
@pytest.mark.parametrize(
    ("clock", "listens"), [("frame_rate_hz: 30", False), ("frame_clock: head", True)]
)
def test_a_bag_aligned_again_gives_the_live_frames(
    tmp_path: Path, clock: str, listens: bool
) -> None:
    episode = record(tmp_path, clock, listens)
    assert len(episode.metadata["files"]) >= 4, "also across the cuts of a split episode"
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


MS = 1_000_000
SMALL = """
robot: arm
frame_rate_hz: 50
deadline_ms: 100
streams:
  wrench: {topic: wrench, type: geometry_msgs/msg/WrenchStamped, role: observation, rate_hz: 100}
"""


class Frames:
    """Stands for the publisher of frames: notes when each was published, by the time of batches.

    Attributes:
        listeners: how many subscribe, the recorder of the same process included.
    """

    topic_name = "/synchronizer/frames"

    def __init__(self) -> None:
        self.now_ns, self.listeners = 0, 1
        self.ticks: list[int] = []
        self.data: list[bytes] = []
        self.delays: list[int] = []
        self.clocks: list[ClockModels] = []  # what was told of clocks meanwhile

    def publish(self, data: bytes) -> None:
        tick_ns = decode_frame(data)[0].tick_ns
        self.ticks.append(tick_ns)
        self.data.append(data)
        self.delays.append(self.now_ns - tick_ns)

    def get_subscription_count(self) -> int:
        return self.listeners


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    profile = tmp_path_factory.mktemp("small") / "small.yaml"
    profile.write_text(SMALL)
    rclpy.init(args=["--ros-args", "-p", f"profile:={profile}"])
    yield
    rclpy.shutdown()


def published(steps: list[tuple[int, bool, int]]) -> Frames:
    """Return what is published in 2 s of batches of 10 ms: (other listeners, hurry, clock set by ns) of each."""
    ingest = Ingest("holding")
    ingest.reads = lambda topic: True  # type: ignore[method-assign]
    node, frames = SynchronizerNode(ingest), Frames()
    node._frames = frames  # type: ignore[assignment]
    node._clocks = SimpleNamespace(publish=frames.clocks.append)  # type: ignore[assignment]
    (channel,) = (reader.channel for reader in ingest._readers.values())
    now = T0
    for others, hurry, shift_ns in steps:
        now += 10 * MS + shift_ns
        frames.now_ns, frames.listeners = now, 1 + others
        at = now - 5 * MS
        sample = Sample(channel, wrench(at), at, at)
        for sink in ingest._sinks:
            sink(Batch([sample], shift_ns=shift_ns, until_ns=now, hurry=hurry))
        assert ingest.prompt == bool(others)
    assert node._failed == 0
    node.destroy_node()
    ingest.close()
    return frames


LISTENED = (1, False, 0)


@settings(
    deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from([False] * 9 + [True]), st.just(0)),
        min_size=150,
        max_size=150,
    )
)
def test_who_listens_and_who_hurries_changes_no_frame(
    small: None, steps: list[tuple[int, bool, int]]
) -> None:
    """None is lost or doubled; while others listen none is held, and none longer than a second."""
    alone = [(0, False, 0)] * 120
    found = published([*alone, *steps, *alone, LISTENED])
    usual = published([LISTENED] * (2 * len(alone) + len(steps) + 1))
    assert found.ticks == usual.ticks and len(usual.ticks) > 100
    assert found.data == usual.data
    assert max(found.delays) <= max(usual.delays) + 1020 * MS
    held = published([(0, False, 0)] * 200)
    assert held.ticks == usual.ticks[: len(held.ticks)]
    assert min(held.delays[5:]) >= 980 * MS


@pytest.mark.parametrize("by_s", [-20, 20])
def test_frames_from_before_the_clock_was_set_are_published(small: None, by_s: int) -> None:
    before, after = [(0, False, 0)] * 140, [(0, False, 0)] * 200
    frames = published([*before, (0, False, by_s * 10**9), *after])
    usual = published([LISTENED] * len(before))
    assert frames.ticks[: len(usual.ticks)] == usual.ticks
    *_, last = frames.clocks
    told_ns = last.header.stamp.sec * 10**9 + last.header.stamp.nanosec
    assert T0 + by_s * 10**9 + 1400 * MS < told_ns, "anew as soon as it is set"
    assert [m.seconds for m in last.models] == [0], (
        "an estimate is one of the clock as it is set now"
    )
    later = frames.ticks[len(usual.ticks) :]
    assert len(later) > 20 and all(t > T0 + by_s * 10**9 + 1400 * MS for t in later)


@pytest.mark.parametrize(
    ("clock", "depth"),
    [("frame_rate_hz: 30", 100), ("frame_rate_hz: 250", 500), ("frame_clock: wrench", 200)],
)
def test_readers_get_all_frames_that_go_at_once(tmp_path: Path, clock: str, depth: int) -> None:
    path = tmp_path / "robot.yaml"
    path.write_text(SMALL.replace("frame_rate_hz: 50", clock))
    assert frames_depth(load_profile(str(path))) == depth
