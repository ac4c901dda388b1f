"""A profile guessed from the topics of a bag."""

from __future__ import annotations

import numpy as np
import pytest
from support.bags import T0

from robot_recorder.configuration.profile import parse_profile
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.streams import Role
from robot_recorder.offline.guess import TopicSummary, guess_profile
from robot_recorder.offline.guess_roles import guessed_role


def at(times_s: object) -> np.ndarray:
    return T0 + np.round(np.asarray(times_s, dtype=np.float64) * 1e9).astype(np.int64)


def topic(
    name: str, times: np.ndarray, type_name: str = "b/msg/C", late_ms: int = 0
) -> TopicSummary:
    return TopicSummary(name, type_name, len(times), np.sort(times), late_ms * 1_000_000)


def test_a_bag_with_too_little_data_for_a_guess_is_refused_with_the_remedy() -> None:
    with pytest.raises(
        ConfigError, match=r"no topic with messages at a steady rate.*/a: .*--profile"
    ):
        guess_profile("short", [TopicSummary("/a", "b/msg/C", 1)], 0.0)
    for name in ("null", "yes", "7", "épisode", "---"):
        assert parse_profile(
            guess_profile(name, [TopicSummary("/a", "b/msg/C", 50)], 1.0).text, "g"
        )
    odd = [TopicSummary("/x", "b/srv/Add_Event", 50), TopicSummary("/a", "b/msg/C", 50)]
    assert len(parse_profile(guess_profile("r", odd, 1.0).text, "g").streams) == 1


def test_the_guess_recognises_commands_and_leaves_out_other_topics() -> None:
    text = guess_profile(
        "My Robot 2!",
        [
            TopicSummary("/arm/joint_commands", "sensor_msgs/msg/JointState", 1000),
            TopicSummary("/tf", "tf2_msgs/msg/TFMessage", 1000),
            TopicSummary("/rosout", "rcl_interfaces/msg/Log", 1000),
            TopicSummary("/synchronizer/frames", "robot_recorder/msg/AlignedFrame", 300),
            TopicSummary("/map", "nav_msgs/msg/OccupancyGrid", 1),
            TopicSummary("/cam/image_raw", "sensor_msgs/msg/Image", 249),
            TopicSummary("/cam2/image_raw", "sensor_msgs/msg/Image", 173),
        ],
        10.0,
    )
    profile = parse_profile(text.text, "guess")
    assert profile.robot == "my_robot_2"
    assert {s.name: (s.role, s.rate_hz) for s in profile.streams} == {
        "arm_joint_commands": (Role.ACTION, 100),
        "cam": (Role.OBSERVATION, 25),
        "cam2": (Role.OBSERVATION, 17.3),
    }


@pytest.mark.parametrize(
    ("times", "hz"),
    [
        (at(np.arange(0, 8, 0.01)), 100),
        (at(np.arange(0, 8, 0.01) + np.random.default_rng(0).normal(0, 0.02, 800)), 100),
        (at(np.delete(np.arange(0, 8, 1 / 30), slice(60, 75))), 30),
        (at(np.arange(0, 8, 1.0)), 1),
        (at(np.repeat(np.arange(0, 8, 0.1), 3)), 30),
    ],
)  # fmt: skip
def test_a_topic_with_a_steady_rate_becomes_a_stream(times: np.ndarray, hz: float) -> None:
    guess = guess_profile("r", [topic("/a", times)], 8.0)
    assert parse_profile(guess.text, "g").streams[0].rate_hz == pytest.approx(hz, rel=0.1)
    assert not guess.left_out


@pytest.mark.parametrize(
    ("times", "why"),
    [
        (at(3 + np.arange(39) / 100), "its 39 messages did not come at a steady rate"),
        (T0 + np.arange(300) * 5, "its 300 messages are too close together to tell a rate"),
        (at([0.3, 0.9, 4.0, 4.1, 7.0, 7.2]), "its 6 messages did not come at a steady rate"),
        (at([1.0, 2.0]), "it has 2 messages in 8.0 s"),
        (at([1.0] * 40), "too close together"),
        (at(np.concatenate([np.arange(0, 1, 0.01), np.arange(7, 8, 0.01)])), "a steady rate"),
    ],
)  # fmt: skip
def test_a_topic_without_a_steady_rate_is_left_out_with_a_reason(
    times: np.ndarray, why: str
) -> None:
    steady = topic("/steady", at(np.arange(0, 8, 0.01)))
    guess = guess_profile("r", [topic("/joy", times), steady], 8.0)
    assert (
        why in guess.left_out["/joy"]
        and f'left out: "/joy": {guess.left_out["/joy"]}' in guess.text
    )
    assert [s.topic for s in parse_profile(guess.text, "g").streams] == ["/steady"]
    with pytest.raises(ConfigError, match=f"/joy: .*{why}"):
        guess_profile("r", [topic("/joy", times)], 8.0)


@pytest.mark.parametrize("word", ["leader", "lead", "master", "gello"])
def test_leaders_are_actions_and_paired_with_their_followers(word: str) -> None:
    times, joints = at(np.arange(0, 4, 0.02)), "sensor_msgs/msg/JointState"
    names = [f"/{word}_left/joints", f"/{word}_right/joints", "/arm_left/joints", "/arm_right/joints",
             "/leading_edge", "/remaster"]  # fmt: skip
    text = guess_profile("r", [topic(n, times, joints) for n in names], 4.0).text
    found = {s.topic: s for s in parse_profile(text, "g").streams}
    assert {n for n, s in found.items() if s.role is Role.ACTION} == set(names[:2])
    assert found[names[0]].of == "arm_left_joints" and found[names[1]].of == "arm_right_joints"


def test_a_guess_with_disorder_has_a_deadline_that_waits_for_it() -> None:
    late = topic("/late", at(np.arange(0, 4, 0.02)), late_ms=400)
    profile = parse_profile(guess_profile("r", [late], 4.0).text, "g")
    assert profile.streams[0].disorder_ns == 400_000_000 and profile.deadline_ns > 400_000_000


@pytest.mark.parametrize(
    ("topic", "type_name", "role"),
    [
        ("/arm_sdk", "unitree_hg/msg/LowCmd", Role.ACTION),
        ("/lowstate", "unitree_hg/msg/LowState", Role.OBSERVATION),
        ("/hand/ctrl/l", "inspire_hand_msgs/msg/InspireHandCtrl", Role.ACTION),
        ("/leader_pose", "geometry_msgs/msg/PoseStamped", Role.ACTION),
        ("/right", "trajectory_msgs/msg/JointTrajectory", Role.ACTION),
        ("/controller/state", "control_msgs/msg/JointTrajectoryControllerState", Role.OBSERVATION),
        ("/arm/set", "bodyctrl_msgs/msg/CmdSetMotorPosition", Role.ACTION),
        ("/arm/status", "bodyctrl_msgs/msg/MotorStatusMsg", Role.OBSERVATION),
    ],
)
def test_commands_are_known_by_the_names_of_topics_and_types(
    topic: str, type_name: str, role: Role
) -> None:
    assert guessed_role(topic, type_name) is role
