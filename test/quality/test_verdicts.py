"""Good recordings of other people's robots are not rejected, and what cannot be judged is said."""

from __future__ import annotations

from pathlib import Path

from support.made import bag, swings

from robot_recorder.core.profile import parse_profile
from robot_recorder.core.quality.report import QualityReport, QualityVerdict
from robot_recorder.core.streams import RobotProfile
from robot_recorder.quality.offline import check_episode


def profile(**streams: str) -> RobotProfile:
    """A profile of joint streams: by name, what stands in the mapping beside the type."""
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
    """Two arms with the same joint names, each 30 ms behind its own leader."""
    topics = {
        "/follower_right/joint_states": swings(2.0, 0.03),
        "/follower_left/joint_states": swings(0.0, 0.03),
        "/leader_left/joint_states": swings(0.0),
        "/leader_right/joint_states": swings(2.0),
    }
    return bag(path, {t: m for t, m in topics.items() if t not in left_out})


def figures(report: QualityReport, check: str) -> dict[str, float]:
    return {r.stream: r.figure for r in report.results if r.check == check}


def test_two_arms_with_the_same_joint_names_are_each_held_to_their_own_leader(
    tmp_path: Path,
) -> None:
    report = check_episode(aloha(tmp_path / "two"), ALOHA).report
    assert report.verdict is QualityVerdict.ACCEPT, report.sentence
    lags = figures(report, "tracking_lag")
    assert set(lags) == {"left", "right"} and all(0.02 < lag < 0.04 for lag in lags.values())
    assert set(figures(report, "joint_frozen")) == {"left", "right"} and not report.broken


def test_an_arm_without_a_leader_is_named_and_not_held_to_the_other_s(tmp_path: Path) -> None:
    path = aloha(tmp_path / "half", "/leader_right/joint_states")
    report = check_episode(path, profile(
        right="topic: follower_right/joint_states, role: observation",
        left="topic: follower_left/joint_states, role: observation",
        lead_l=LEADERS["lead_l"],
    )).report  # fmt: skip
    assert report.verdict is QualityVerdict.ACCEPT, report.sentence
    assert set(figures(report, "tracking_lag")) == {"left"}
    (said,) = [b for b in report.broken if b.startswith("tracking of right: ")]
    assert "'of: right'" in said


def test_the_profile_can_say_what_follows_what(tmp_path: Path) -> None:
    swapped = profile(
        right="topic: follower_right/joint_states, role: observation",
        left="topic: follower_left/joint_states, role: observation",
        **{n: f"{m}, of: {o}" for (n, m), o in zip(LEADERS.items(), ("right", "left"))},
    )
    report = check_episode(aloha(tmp_path / "swapped"), swapped).report
    assert {"tracking_error"} <= set(report.reasons), "as the profile says, wrong as it is"
