"""Good recordings of other robots are accepted, and everything that cannot be judged is listed.

Holds also: quality/audit.py.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from support import cases
from support.bags import IMAGE
from support.made import bag, swings
from support.pictures import compressed
from support.samples import T0

from robot_recorder.configuration.profile import parse_profile
from robot_recorder.model.check_result import Level
from robot_recorder.model.streams import RobotProfile
from robot_recorder.offline.check import check_episode
from robot_recorder.quality import video_decoder
from robot_recorder.quality.verdict import QualityReport, Verdict


def profile(**streams: str) -> RobotProfile:
    """Return a profile of joint streams, given the other keys of each stream by name."""
    lines = [
        f"  {name}: {{type: sensor_msgs/msg/JointState, rate_hz: 100, {more}}}"
        for name, more in streams.items()
    ]
    return parse_profile("\n".join(["robot: aloha", "streams:", *lines]), "test")


LEADERS = {
    "lead_l": "topic: leader_left/joint_states, role: action",
    "lead_r": "topic: leader_right/joint_states, role: action",
}
ALOHA = profile(
    right="topic: follower_right/joint_states, role: observation",
    left="topic: follower_left/joint_states, role: observation",
    **LEADERS,
)


def aloha(path: Path, *left_out: str) -> Path:
    """Write a bag of two arms with the same joint names, each 30 ms behind its own leader."""
    topics = {
        "/follower_right/joint_states": swings(2.0, 0.03),
        "/follower_left/joint_states": swings(0.0, 0.03),
        "/leader_left/joint_states": swings(0.0),
        "/leader_right/joint_states": swings(2.0),
    }
    return bag(path, {t: m for t, m in topics.items() if t not in left_out})


def figures(report: QualityReport, check: str) -> dict[str, float]:
    return {r.stream: r.figure for r in report.results if r.check == check}


def test_two_arms_with_the_same_joint_names_are_compared_with_their_own_leaders(
    tmp_path: Path,
) -> None:
    report = check_episode(aloha(tmp_path / "two"), ALOHA).report
    assert report.verdict is Verdict.ACCEPT, report.sentence
    lags = figures(report, "tracking_lag")
    assert set(lags) == {"left", "right"} and all(0.02 < lag < 0.04 for lag in lags.values())
    assert set(figures(report, "joint_frozen")) == {"left", "right"} and not report.broken


def test_an_arm_without_a_leader_is_named_and_not_compared_with_another_leader(
    tmp_path: Path,
) -> None:
    path = aloha(tmp_path / "half", "/leader_right/joint_states")
    report = check_episode(path, profile(
        right="topic: follower_right/joint_states, role: observation",
        left="topic: follower_left/joint_states, role: observation",
        lead_l=LEADERS["lead_l"],
    )).report  # fmt: skip
    assert report.verdict is Verdict.ACCEPT, report.sentence
    assert set(figures(report, "tracking_lag")) == {"left"}
    (said,) = [b for b in report.broken if b.startswith("tracking of right: ")]
    assert "'of: right'" in said


def test_the_profile_can_pair_commands_with_their_followers(tmp_path: Path) -> None:
    swapped = profile(
        right="topic: follower_right/joint_states, role: observation",
        left="topic: follower_left/joint_states, role: observation",
        **{n: f"{m}, of: {o}" for (n, m), o in zip(LEADERS.items(), ("right", "left"))},
    )
    report = check_episode(aloha(tmp_path / "swapped"), swapped).report
    assert {"tracking_error"} <= set(report.reasons), "as the profile says, wrong as it is"


OPTIONAL = """
robot: bare
streams:
  joints: {topic: joint_states, type: sensor_msgs/msg/JointState, role: observation, rate_hz: 100, required: false}
  hand: {topic: hand, type: sensor_msgs/msg/JointState, role: observation, rate_hz: 100, required: false}
"""


def test_an_episode_without_any_recorded_stream_is_rejected(tmp_path: Path) -> None:
    path = bag(tmp_path / "nothing", {}, profile_yaml=OPTIONAL, namespace="/", episode_id="e",
               start_ns=str(T0), stop_ns=str(T0 + 4 * 10**9))  # fmt: skip
    report = check_episode(path).report
    assert report.verdict is Verdict.REJECT and report.reasons[0] == "nothing_recorded"
    assert report.sentence.startswith("reject: not one stream was recorded: start the robot's")


def test_missing_and_unknown_streams_are_listed(tmp_path: Path) -> None:
    video = [
        (
            T0 + i * 50_000_000,
            compressed(bytes([0, 0, 0, 1]) + bytes([i]) * 200, "theora", T0 + i * 50_000_000),
        )
        for i in range(80)
    ]
    scans = [(T0 + i * 50_000_000, bytes(40)) for i in range(80)]
    text = (
        OPTIONAL
        + """
  eye: {topic: eye/image/compressed, type: sensor_msgs/msg/CompressedImage, role: observation, rate_hz: 20}
  lidar: {topic: scan, type: acme_msgs/msg/Scan, role: observation, rate_hz: 20}
"""
    )
    path = bag(tmp_path / "blind", {
        "/joint_states": swings(0.0), "/eye/image/compressed": (IMAGE, video),
        "/scan": ("acme_msgs/msg/Scan", scans), "/other": swings(1.0), "/silent": (IMAGE, []),
    }, profile_yaml=text, namespace="/", episode_id="e")  # fmt: skip
    report = check_episode(path).report
    assert report.verdict is Verdict.ACCEPT, report.sentence
    said = "\n".join(report.broken)
    assert "hand: nothing was recorded on " in said
    assert "eye: " in said and "in an unsupported encoding" in said
    assert "lidar: acme_msgs/msg/Scan is not understood, only its timing is checked" in said
    assert "/other (sensor_msgs/msg/JointState): no stream of the profile" in said
    assert "/silent (sensor_msgs/msg/CompressedImage): it has no messages" in said
    assert len(report.broken) == 5
    assert json.loads(json.dumps(report.to_dict()))["broken"] == list(report.broken)


def test_a_guessed_profile_never_leads_to_a_rejection(tmp_path: Path) -> None:
    kind, messages = swings(0.0, seconds=8.0)
    silent = [m for m in messages if not 3.0 < (m[0] - T0) / 1e9 < 4.5]
    burst = [(at, data) for at, data in messages if 3.0 < (at - T0) / 1e9 < 3.4]
    path = bag(
        tmp_path / "foreign", {"/joint_states": (kind, silent), "/other/joints": (kind, burst)}
    )
    report = check_episode(path).report
    assert report.verdict is Verdict.REVIEW, report.sentence
    assert all(r.level <= Level.WARN for r in report.results), report.findings
    (gap,) = [r for r in report.findings if r.check == "gap"]
    assert "(the profile is guessed)" in gap.sentence
    assert any("/other/joints" in b and "did not come at a steady rate" in b for b in report.broken)


def two_drivers(path: Path, hand_every: int = 1) -> Path:
    """Write a bag in which an arm's and a hand's driver share a topic, each at 100 Hz."""
    messages = []
    for k in range(300):
        at = cases.T0 + k * cases.STEP
        arm = cases.joint_state(at, ["arm_1", "arm_2"], cases.swing(k, 2))
        messages.append(("/joint_states", at, arm))
        if k % hand_every == 0:
            hand = cases.joint_state(at + 2_000_000, ["thumb"], cases.swing(k, 1))
            messages.append(("/joint_states", at + 2_000_000, hand))
    return cases.write_bag(path, {"/joint_states": cases.JOINT_STATE}, messages)


def test_a_declared_rate_may_be_that_of_each_driver_or_their_sum(tmp_path: Path) -> None:
    both, slow = two_drivers(tmp_path / "both"), two_drivers(tmp_path / "slow", hand_every=4)
    each = profile(joints="topic: joint_states, role: observation")
    for rate_hz in (100, 200):
        declared = parse_profile(each.text.replace("rate_hz: 100", f"rate_hz: {rate_hz}"), "test")
        report = check_episode(both, declared).report
        assert report.verdict is Verdict.ACCEPT, report.sentence
    report = check_episode(slow, each).report
    assert figures(report, "rate")["joints"] > 0.2
    (finding,) = [r for r in report.findings if r.check == "rate"]
    assert "of 2 drivers together" in finding.sentence


VIDEO_PROFILE = """
robot: arm
streams:
  joints: {topic: joint_states, type: sensor_msgs/msg/JointState, role: observation, rate_hz: 100}
  eye: {topic: eye/video, type: foxglove_msgs/msg/CompressedVideo, role: observation, rate_hz: 30}
"""


def video_bag(path: Path, packets: list[bytes], codec: str = "h264") -> Path:
    """Write a bag of a moving arm, and of a video of the same length."""
    from support.videos import RATE, video

    from robot_recorder.messages.video_messages import VIDEO

    stamps = [T0 + n * 10**9 // RATE for n in range(len(packets))]
    sent = [(t + 5_000_000, video(data, codec, t)) for t, data in zip(stamps, packets)]
    moves = swings(0.0, seconds=len(packets) / RATE)
    return bag(path, {"/joint_states": moves, "/eye/video": (VIDEO, sent)})


@pytest.mark.parametrize("codec", ["h264", "h265", "av1"])
def test_defects_of_a_camera_are_found_in_its_video(tmp_path: Path, codec: str) -> None:
    videos = pytest.importorskip("support.videos")
    moving, encoded = videos.moving, videos.encoded
    profile = parse_profile(VIDEO_PROFILE, "p")
    good = encoded(moving(150), codec, gop=30)
    broken = [*good]
    for number in range(40, 150, 30):
        broken[number] = broken[number][: len(broken[number]) // 2]
    black = [p // 12 if 60 <= n < 120 else p for n, p in enumerate(moving(150))]
    cases = {
        "": good,
        "camera_frozen": encoded([*moving(30), *[videos.scene(29)] * 120], codec, gop=30),
        "camera_undecodable": broken,
        "camera_black": encoded(black, codec, gop=30),
        "camera_size": [*good[:60], *encoded(moving(90, 160, 120), codec, gop=30)],
    }
    for check, packets in cases.items():
        report = check_episode(video_bag(tmp_path / f"bag{check}", packets, codec), profile).report
        found = {r.check: r.level for r in report.results if r.level is not Level.PASS}
        camera = {name: level for name, level in found.items() if name.startswith("camera_")}
        assert camera == ({check: Level.FAIL} if check else {}), (check, report.sentence)


def test_without_pyav_only_the_timing_of_a_video_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = pytest.importorskip("support.videos")
    path = video_bag(tmp_path / "bag", videos.encoded(videos.moving(60)))
    monkeypatch.setitem(sys.modules, "av", None)
    video_decoder.pyav.cache_clear()
    try:
        report = check_episode(path, parse_profile(VIDEO_PROFILE, "p")).report
    finally:
        monkeypatch.undo()
        video_decoder.pyav.cache_clear()
    said = "eye: 60 pictures not decoded (video is not decoded without PyAV: apt install python3-av"
    assert [b for b in report.broken if b.startswith(said) and "only their timing" in b]
    assert report.verdict is Verdict.ACCEPT and "rate" in {r.check for r in report.results}
