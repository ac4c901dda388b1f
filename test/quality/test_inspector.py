"""The inspector makes a report of any bytes."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bags import angle, joint_state
from support.inspected import PROFILE, Eyes, feed, picture, profile, report
from support.samples import T0, wrench

from robot_recorder.configuration.profile import parse_profile
from robot_recorder.configuration.tasks import parse_tasks
from robot_recorder.model.check_result import Level
from robot_recorder.quality.checks.joints import JointJump
from robot_recorder.quality.checks.wrench import WrenchBias
from robot_recorder.quality.inspector import STRETCH_NS, Inspector
from robot_recorder.quality.verdict import Verdict

NS = 1_000_000_000


def test_a_good_episode_is_accepted_and_everything_was_looked_at() -> None:
    eyes = Eyes()
    inspector = Inspector(profile(), None, eyes)
    feed(inspector)
    found = report(inspector)
    assert found.verdict is Verdict.ACCEPT and not found.broken, found
    checks = {(r.check, r.stream) for r in found.results}
    assert {("frozen", "joints"), ("joint_jump", "joints"), ("wrench_spikes", "wrench"),
            ("camera_black", "camera"), ("camera_frozen", "camera"), ("never_moved", "")} <= checks  # fmt: skip
    assert [round((t - T0) / NS) for t in eyes.looked] == [0, 2], "a look now and then is enough"


def test_a_check_that_breaks_is_named_and_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("bang")

    monkeypatch.setattr(JointJump, "finish", broken)
    inspector = Inspector(profile(), None, Eyes())
    feed(inspector)
    found = report(inspector)
    assert found.verdict is Verdict.ACCEPT
    assert found.broken == ("joint_jump joints: RuntimeError: bang",)
    monkeypatch.setattr(JointJump, "add", broken)
    inspector = Inspector(profile(), None, Eyes())
    feed(inspector)
    found = report(inspector)
    assert found.verdict is Verdict.ACCEPT and any("bang" in b for b in found.broken)
    assert any(r.check == "wrench_spikes" for r in found.results), "the other checks continue"


def test_pictures_that_there_was_no_time_for_are_reported() -> None:
    eyes = Eyes()
    eyes.settled = False
    inspector = Inspector(profile(), None, eyes)
    feed(inspector)
    assert any("pictures" in b for b in report(inspector).broken)


def test_a_check_that_is_switched_off_is_not_built_and_budgets_apply() -> None:
    task = parse_tasks(
        "tasks: {lift: {instruction: Lift., expected_s: [20, 30], quality: {frozen: off, budget: {fail: 1}}}}"
    ).find("lift")
    inspector = Inspector(profile("quality: {wrench_bias: off, too_short: warn}"), task, Eyes())
    feed(inspector)
    found = report(inspector)
    assert not {"wrench_bias", "frozen"} & {r.check for r in found.results}
    short = next(r for r in found.results if r.check == "too_short")
    assert short.level is Level.WARN, "it would fail if the profile had not capped it"


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_random_bytes_never_raise(data: st.DataObject) -> None:
    inspector = Inspector(profile(), None, Eyes())
    for stream in inspector._profile.streams:
        good = {
            "joints": joint_state(T0, 0.1, 0.2), "wrench": wrench(T0),
            "camera": picture(T0, 1), "info": bytes(64),
        }[stream.name]  # fmt: skip
        for _ in range(3):
            messages = data.draw(
                st.lists(
                    st.one_of(
                        st.binary(max_size=80),
                        st.just(good),
                        st.builds(
                            lambda n, b, good=good: good[:n] + b,
                            st.integers(0, len(good)),
                            st.binary(max_size=8),
                        ),
                    ),
                    min_size=1,
                    max_size=5,
                )
            )
            stamps = np.array(
                data.draw(
                    st.lists(
                        st.integers(-(2**62), 2**62), min_size=len(messages), max_size=len(messages)
                    )
                ),
                dtype=np.int64,
            )
            receives = T0 + np.arange(len(messages), dtype=np.int64)
            inspector.add(stream, stamps, receives, messages)
    assert report(inspector, 1.0).sentence


def info(width: int, height: int) -> bytes:
    """Return a CameraInfo up to the last field that is read."""
    return b"\0\1\0\0" + bytes(8) + (1).to_bytes(4, "little") + bytes(4) + (
        height.to_bytes(4, "little") + width.to_bytes(4, "little")
    )  # fmt: skip


def description(highest: float) -> bytes:
    text = (
        '<robot name="r"><joint name="joint_0" type="revolute">'
        f'<limit lower="-9" upper="{highest}"/></joint></robot>'
    ).encode() + b"\0"
    return b"\0\1\0\0" + len(text).to_bytes(4, "little") + text


def test_of_two_cameras_in_one_namespace_each_has_its_own_size() -> None:
    kinds = {"image": "Image", "camera_info": "CameraInfo"}
    lines = [
        f"  {what}_{kind}: {{topic: eye/{what}_{kind}, type: sensor_msgs/msg/{type_}, role: observation, rate_hz: 10}}"
        for what in ("color", "depth") for kind, type_ in kinds.items()
    ]  # fmt: skip
    inspector = Inspector(parse_profile("\n".join(["robot: r", "streams:", *lines]), "p"), None)
    stamps = np.array([T0], dtype=np.int64)
    streams = {s.name: s for s in inspector._profile.streams}
    for what, size in (("color", (640, 480)), ("depth", (848, 480))):
        inspector.add(streams[f"{what}_camera_info"], stamps, stamps, [info(*size)])
    assert inspector._size_of("eye/color_image") == (640, 480)
    assert inspector._size_of("eye/depth_image/compressed") == (848, 480)
    assert inspector._size_of("eye/infra") is None, "ambiguous"


def test_joints_are_compared_with_the_description_of_their_own_robot() -> None:
    lines = [
        f"  {side}: {{topic: {side}/joint_states, type: sensor_msgs/msg/JointState, role: observation, rate_hz: 100}}\n"
        f"  {side}_urdf: {{topic: {side}/robot_description, type: std_msgs/msg/String, role: context}}"
        for side in ("left", "right")
    ]  # fmt: skip
    inspector = Inspector(parse_profile("\n".join(["robot: r", "streams:", *lines]), "p"), None)
    streams = {s.name: s for s in inspector._profile.streams}
    stamps = T0 + np.arange(3, dtype=np.int64) * 10_000_000
    for side, highest in (("right", 3.0), ("left", 0.1)):
        inspector.add(streams[f"{side}_urdf"], stamps[:1], stamps[:1], [description(highest)])
        inspector.add(streams[side], stamps, stamps, [joint_state(int(s), 1.0) for s in stamps])
    found = inspector.report(T0, T0, T0 + 6 * NS, None)
    beyond = {r.stream: r.figure for r in found.results if r.check == "joint_limits"}
    assert beyond == {"left": pytest.approx(0.9), "right": 0.0}


LONG = """
robot: arm
streams:
  joints: {topic: joint_states, type: sensor_msgs/msg/JointState, role: observation, rate_hz: 100}
  commands: {topic: joint_commands, type: sensor_msgs/msg/JointState, role: action, rate_hz: 100}
  wrench: {topic: wrench, type: geometry_msgs/msg/WrenchStamped, role: observation, rate_hz: 100}
"""


def long_take(seconds: int) -> Iterator[list[tuple[str, np.ndarray, list[bytes]]]]:
    """Yield a second of joints that follow their commands; one stands still from 59 to 62 s."""
    for second in range(seconds):
        at = second + np.arange(100) / 100
        stamps = T0 + np.round(at * NS).astype(np.int64)
        follows = np.where((at > 59) & (at < 62), angle(59.0), angle(at - 0.06))
        done, told = (
            [joint_state(*x) for x in zip(stamps.tolist(), one.tolist(), other.tolist())]
            for one, other in ((follows, angle(at + 5 - 0.06)), (angle(at), angle(at + 5)))
        )
        noise = 2.0 + np.random.default_rng(second).normal(0, 0.1, (100, 6))
        forces = [wrench(int(s), tuple(row)) for s, row in zip(stamps, noise)]
        yield [("joints", stamps, done), ("commands", stamps, told), ("wrench", stamps, forces)]


def test_folding_does_not_change_the_report_and_keeps_traces_of_a_minute() -> None:
    """Traces are folded minute by minute while recording, perhaps only at the end by ``check``."""
    seconds = 200
    at_once, live = (Inspector(parse_profile(LONG, "p"), None) for _ in range(2))
    streams = {s.name: s for s in at_once._profile.streams}
    most = 0
    for second, parts in enumerate(long_take(seconds)):
        for inspector in (at_once, live):
            for name, stamps, messages in parts:
                inspector.add(streams[name], stamps, stamps + 1000, messages)
        if second % 7 == 0:
            live.advance(T0, T0 + (second + 1) * NS)
        rows = [len(numbers.trace) for numbers in live._numbers.values()]
        rows += [len(c._trace) for c in live._checks if isinstance(c, WrenchBias)]
        most = max(most, *rows)
    assert most <= 50 * (STRETCH_NS / NS + 25), (
        "a stretch, the overlap, the time to settle, a step of 7 s"
    )
    found = report(live, seconds)
    assert found == report(at_once, seconds) and not found.broken
    figures = {r.check: r.figure for r in found.results if r.stream in ("joints", "wrench", "")}
    assert figures["tracking_lag"] == pytest.approx(0.06, abs=0.01)
    assert figures["joint_frozen"] > 2.0, "also across the border of two stretches"
    assert figures["wrench_bias"] == pytest.approx(2 * 3**0.5, abs=0.2)
    assert figures["idle_head"] < 0.3 and figures["idle_tail"] < 0.3


def test_a_bag_whose_times_span_years_is_not_processed_minute_by_minute() -> None:
    inspector = Inspector(parse_profile(LONG, "p"), None)
    joints = inspector._profile.streams[0]
    stamps = np.array([T0, T0 + 3600 * 86_400 * NS], dtype=np.int64)
    inspector.add(joints, stamps, stamps, [joint_state(int(s), 0.1) for s in stamps])
    began = time.process_time()
    found = inspector.report(T0, T0, int(stamps[-1]), None)
    assert found.results and time.process_time() - began < 20
    assert any("days: was a clock set?" in what for what in found.broken), found


SKIN = """
  skin: {topic: skin, type: acme_msgs/msg/Skin, role: observation, rate_hz: 9}
  spare: {topic: spare, type: acme_msgs/msg/Skin, role: observation, rate_hz: 9, required: false}
"""
CARRIES = "no values: acme_msgs/msg/Skin carries bytes (data)"


def test_a_required_stream_without_values_is_a_warning_and_an_optional_one_is_named() -> None:
    whole = parse_profile(PROFILE.format(quality="") + SKIN, "p")
    unread = {"skin": CARRIES, "spare": CARRIES}
    found = report(Inspector(whole, None, Eyes(), unread=unread))
    (result,) = [r for r in found.findings if r.check == "no_values"]
    assert (result.stream, result.level) == ("skin", Level.WARN)
    assert "acme_msgs/msg/Skin carries bytes (data)" in result.sentence
    assert "'as' and 'map'" in result.sentence
    assert [b for b in found.broken if "is not understood" in b and b.startswith("spare")]
    assert not [b for b in found.broken if b.startswith("skin")]
    off = parse_profile(PROFILE.format(quality="quality: {no_values: off}") + SKIN, "p")
    for inspector in (
        Inspector(off, None, Eyes(), unread=unread),
        Inspector(whole, None, Eyes(), guessed=True, unread=unread),
    ):
        quiet = report(inspector)
        assert not [r for r in quiet.findings if r.check == "no_values"]
        assert [b for b in quiet.broken if b.startswith("skin")]
