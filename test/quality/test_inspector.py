"""The inspector makes a report of any bytes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bags import angle, joint_state
from support.samples import T0, wrench
from support.samples import joint_state as named_joints

from robot_recorder.configuration.profile import parse_profile
from robot_recorder.configuration.tasks import parse_tasks
from robot_recorder.model.quality_result import Level
from robot_recorder.model.streams import RobotProfile
from robot_recorder.quality.checks.cameras import PictureFigures
from robot_recorder.quality.checks.joints import JointJump
from robot_recorder.quality.checks.wrench import WrenchBias
from robot_recorder.quality.inspector import STRETCH_NS, Inspector
from robot_recorder.quality.report import QualityReport, Verdict

NS = 1_000_000_000
PROFILE = """
robot: arm
{quality}
streams:
  joints: {{topic: joint_states, type: sensor_msgs/msg/JointState, role: observation, rate_hz: 100}}
  wrench: {{topic: wrench, type: geometry_msgs/msg/WrenchStamped, role: observation, rate_hz: 100}}
  camera: {{topic: eye/image/compressed, type: sensor_msgs/msg/CompressedImage, role: observation, rate_hz: 10}}
  info: {{topic: eye/camera_info, type: sensor_msgs/msg/CameraInfo, role: context, rate_hz: 10}}
"""


class Eyes:
    """A looker that measures the same in every picture."""

    def __init__(self, figures: Callable[[int], PictureFigures] | None = None) -> None:
        self.figures = figures or (lambda at: PictureFigures(at, 640, 480, 0.1, 0.0, 0.7))
        self.looked: list[int] = []
        self.settled = True

    def look(self, type_name: str, time_ns: int, message: bytes, tell: Callable) -> None:
        self.looked.append(time_ns)
        tell(self.figures(time_ns))

    def settle(self, timeout_s: float) -> bool:
        return self.settled


def profile(quality: str = "") -> RobotProfile:
    return parse_profile(PROFILE.format(quality=quality), "p")


def picture(stamp_ns: int, number: int, size: int = 5000) -> bytes:
    """Return bytes as large as a CompressedImage, different for every number."""
    body = np.random.default_rng(number).bytes(size - 40)
    sec, nanosec = divmod(stamp_ns, NS)
    return (
        b"\0\1\0\0" + sec.to_bytes(4, "little") + nanosec.to_bytes(4, "little") + bytes(28) + body
    )


def feed(inspector: Inspector, seconds: float = 6.0) -> None:
    """Add the samples of a swinging robot with a camera."""
    streams = {s.name: s for s in inspector._profile.streams}
    for second in range(int(seconds)):
        at = second + np.arange(100) / 100
        stamps = T0 + np.round(at * NS).astype(np.int64)
        joints = [joint_state(int(s), float(angle(x)), 0.3) for s, x in zip(stamps, at)]
        noise = np.random.default_rng(second).normal(0, 0.1, (100, 6))
        forces = [wrench(int(s), tuple(row)) for s, row in zip(stamps, noise)]
        inspector.add(streams["joints"], stamps, stamps + 1000, joints)
        inspector.add(streams["wrench"], stamps, stamps + 1000, forces)
        shots = stamps[::10]
        pictures = [picture(int(s), second * 10 + n) for n, s in enumerate(shots)]
        inspector.add(streams["camera"], shots, shots + 1000, pictures)


def report(inspector: Inspector, seconds: float = 6.0) -> QualityReport:
    return inspector.report(T0, T0, T0 + round(seconds * NS), None)


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


def test_a_picture_of_unusual_size_is_looked_at_at_once() -> None:
    eyes = Eyes(
        lambda at: PictureFigures(at, 640, 480, 1.0 if 2.0 <= (at - T0) / NS < 3.0 else 0.1, 0, 1)
    )
    inspector = Inspector(profile(), None, eyes)
    camera = inspector._profile.streams[2]
    stamps = T0 + np.arange(60, dtype=np.int64) * NS // 10
    sizes = [900 if 20 <= n < 30 else 5000 for n in range(60)]
    pictures = [picture(int(s), n, size) for n, (s, size) in enumerate(zip(stamps, sizes))]
    inspector.add(camera, stamps, stamps, pictures)
    black = next(r for r in report(inspector).results if r.check == "camera_black")
    assert black.figure == pytest.approx(1.0, abs=0.3) and black.level is Level.FAIL
    assert inspector.troubles == {}


def test_an_hour_of_ever_changing_pictures_does_not_fill_the_memory() -> None:
    eyes = Eyes()
    inspector = Inspector(profile(), None, eyes)
    camera = inspector._profile.streams[2]
    looked = {}
    for minute in range(60):
        stamps = T0 + (minute * 600 + np.arange(600, dtype=np.int64)) * NS // 10
        pictures = [bytes(900 if n % 2 else 5000) for n in range(600)]
        inspector.add(camera, stamps, stamps, pictures)
        looked[minute + 1] = len(eyes.looked)
    assert looked[1] > 150, "in a short take every change, up to four times a second"
    assert looked[60] < 2.5 * looked[15] and looked[60] < 3000, "fewer looks the longer it takes"


def test_a_black_camera_is_reported_while_recording() -> None:
    inspector = Inspector(profile(), None, Eyes(lambda at: PictureFigures(at, 640, 480, 1.0, 0, 1)))
    feed(inspector, 1)
    assert inspector.troubles == {"camera": "it shows nothing but black"}


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


def test_one_odd_picture_does_not_count_for_seconds() -> None:
    eyes = Eyes(lambda at: PictureFigures(at, 640, 480, 1.0 if at == T0 + 2 * NS else 0.1, 0, 1))
    inspector = Inspector(profile(), None, eyes)
    stamps = T0 + np.arange(200, dtype=np.int64) * NS // 30
    pictures = [picture(int(s), n, 900 if n == 60 else 5000) for n, s in enumerate(stamps)]
    inspector.add(inspector._profile.streams[2], stamps, stamps, pictures)
    black = next(r for r in report(inspector, 6.6).results if r.check == "camera_black")
    assert 0 < black.figure < 0.4 and black.level is Level.WARN


def test_pictures_that_were_not_looked_at_are_counted() -> None:
    class Blind(Eyes):
        def look(self, type_name: str, time_ns: int, message: bytes, tell: Callable) -> None:
            pass

    inspector = Inspector(profile(), None, Blind())
    feed(inspector)
    assert "camera: 2 pictures were not looked at" in report(inspector).broken


def test_joints_that_appear_later_are_checked_from_then_on() -> None:
    inspector = Inspector(profile(), None, Eyes())
    joints = inspector._profile.streams[0]
    stamps = T0 + np.arange(40, dtype=np.int64) * NS // 100
    empty = joint_state(T0)
    two = [joint_state(int(s), 0.1, 0.2) for s in stamps[:20]]
    three = [joint_state(int(s), 0.1, 0.2, 0.3) for s in stamps[20:]]
    three[10] = joint_state(int(stamps[30]), 0.1, 0.2, float("nan"))
    inspector.add(joints, stamps, stamps, [empty, *two[1:], *three])
    found = report(inspector, 0.4)
    assert not [b for b in found.broken if "joints" in b]
    numbers = next(r for r in found.results if r.check == "not_a_number" and r.stream == "joints")
    assert numbers.figure == 1 and "joint_2" in numbers.sentence


def test_drivers_that_share_a_topic_are_checked_separately() -> None:
    inspector = Inspector(profile(), None, Eyes())
    joints = inspector._profile.streams[0]
    stamps = T0 + np.arange(800, dtype=np.int64) * NS // 200
    messages = []
    for k, stamp in enumerate(stamps.tolist()):
        names = ("a", "b") if k % 2 else ("h",)
        at = 0.4 if k == 401 else np.sin(k / 100)  # one jump of the arm, there and back
        messages.append(named_joints(stamp, names, [float(at)] * len(names)))
    for part in range(0, 800, 90):
        cut = slice(part, part + 90)
        inspector.add(joints, stamps[cut], stamps[cut], messages[cut])
    found = report(inspector, 4.0)
    jumps = [r for r in found.results if r.check == "joint_jump"]
    assert sorted(r.figure for r in jumps) == [0, 2]
    assert all(r.figure == 0 for r in found.results if r.check == "not_a_number")
    moved = next(r for r in found.results if r.check == "never_moved")
    assert moved.figure > 3


@pytest.mark.parametrize("unit", ["", "percent", "deg"])
def test_a_gripper_that_counts_to_a_hundred_is_not_judged_as_an_angle(unit: str) -> None:
    declared = f"joints: {{grip*: {{unit: {unit}}}}}" if unit else ""
    text = PROFILE.format(quality="").replace("rate_hz: 100}", f"rate_hz: 100, {declared}}}", 1)
    inspector = Inspector(parse_profile(text, "test"), None, Eyes())
    joints = inspector._profile.streams[0]
    stamps = T0 + np.arange(600, dtype=np.int64) * NS // 100
    grip = 50 + 50 * np.sin(np.arange(600) / 20)
    messages = [
        named_joints(int(s), ("arm", "gripper"), [float(np.sin(k / 80)), float(grip[k])])
        for k, s in enumerate(stamps)
    ]
    inspector.add(joints, stamps, stamps, messages)
    found = report(inspector, 6.0)
    jump = next(r for r in found.results if r.check == "joint_jump")
    assert jump.figure == 0
    said = [b for b in found.broken if "gripper" in b]
    assert bool(said) == (unit != "deg")  # degrees are converted


def test_joints_without_names_are_a_warning_with_the_remedy() -> None:
    inspector = Inspector(profile(), None, Eyes())
    joints = inspector._profile.streams[0]
    stamps = T0 + np.arange(100, dtype=np.int64) * NS // 100
    messages = [named_joints(int(s), (), [0.1, k / 100]) for k, s in enumerate(stamps)]
    inspector.add(joints, stamps, stamps, messages)
    assert "fill name[]" in inspector.troubles["joints"]
    found = report(inspector, 1.0)
    names = next(r for r in found.findings if r.check == "joint_names")
    assert names.figure == 100 and "fill name[]" in names.sentence
    assert not [r for r in found.findings if r.check == "undecodable"]


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


@pytest.mark.parametrize("at_once", [1, 7, 300])
def test_joints_are_checked_in_order_of_stamps_within_disorder_ms(at_once: int) -> None:
    order = np.argsort(np.arange(300) + np.random.default_rng(0).uniform(0, 20, 300))
    jumps = {}
    for disorder_ms in (0, 200):
        text = (
            "robot: r\nstreams:\n  joints: {topic: j, type: sensor_msgs/msg/JointState, "
            f"role: observation, rate_hz: 100, disorder_ms: {disorder_ms}}}"
        )
        inspector = Inspector(parse_profile(text, "p"), None)
        (stream,) = inspector._profile.streams
        stamps = T0 + order.astype(np.int64) * 10_000_000
        receives = T0 + np.arange(300, dtype=np.int64) * 10_000_000
        messages = [joint_state(int(s), float(np.sin(k / 20))) for s, k in zip(stamps, order)]
        for at in range(0, 300, at_once):
            part = slice(at, at + at_once)
            inspector.add(stream, stamps[part], receives[part], messages[part])
        found = inspector.report(T0, T0, T0 + 3 * NS, None)
        (jumps[disorder_ms],) = [r.figure for r in found.results if r.check == "joint_jump"]
    assert jumps[0] > 0 and jumps[200] == 0
