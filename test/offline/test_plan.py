"""Plans for aligning a bag: by its own profile, a given one, or a guess."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from support.bags import PROFILE, T0, small_robot
from support.samples import wrench, write_bag

from robot_recorder.alignment.frames import SampleStatus
from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.configuration.profile import parse_profile
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.streams import FrameClock, Policy, Role
from robot_recorder.offline.align import align_episode
from robot_recorder.offline.guess import TopicSummary, guess_profile
from robot_recorder.offline.plan import make_plan, profile_yaml


def test_a_bag_is_aligned_by_the_profile_it_carries(tmp_path: Path) -> None:
    given = {"profile_yaml": PROFILE, "namespace": "/robot_07"}
    path = small_robot(tmp_path / "bag", 2, 0.0, "/robot_07/", **given)
    plan = make_plan(Episode.open(path))
    assert not plan.guessed and plan.absent == ()
    assert plan.topics["joints"] == "/robot_07/joint_states"
    assert plan.frame_clock(None, "") == FrameClock(20.0)
    assert plan.stamped == {"joints", "wrench", "camera"}


def test_a_bag_without_a_profile_gets_an_editable_guess(tmp_path: Path) -> None:
    episode = Episode.open(small_robot(tmp_path / "bag", 2))
    plan = make_plan(episode)
    assert plan.guessed
    streams = {s.topic: s for s in plan.profile.streams}
    assert streams["/joint_states"].policy is Policy.LINEAR
    assert streams["/camera/image/compressed"].rate_hz == 20
    text = profile_yaml(episode)
    assert parse_profile(text, "guess") == parse_profile(text, "again")
    assert "# Guessed" in text


def test_a_stream_never_takes_the_topic_of_another(tmp_path: Path) -> None:
    text = PROFILE.replace("topic: wrist/wrench", "topic: left/joint_states")
    text = text.replace("geometry_msgs/msg/WrenchStamped", "sensor_msgs/msg/JointState")
    for facts, prefix in (
        ({"namespace": "/g1"}, "/g1/left/"),
        ({}, "/left/"),
        ({}, "/other/left/"),
    ):
        path = small_robot(tmp_path / prefix.strip("/").replace("/", "_"), 1, 0.0, prefix, **facts)
        plan = make_plan(Episode.open(path), parse_profile(text, "p"))
        assert len(set(plan.topics.values())) == len(plan.topics), plan.topics
        assert plan.topics.get("wrench", "").endswith("left/joint_states")


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


def test_a_reference_is_given_by_stream_name_or_topic(tmp_path: Path) -> None:
    path = small_robot(
        tmp_path / "bag",
        2,
        profile_yaml=PROFILE.replace("frame_rate_hz: 20", "frame_clock: camera"),
    )
    plan = make_plan(Episode.open(path))
    assert plan.frame_clock(None, "") == FrameClock(None, "camera")
    assert plan.frame_clock(10.0, "/camera/image/compressed") == FrameClock(10.0, "camera")
    assert plan.frame_clock(None, "none") == FrameClock(30.0)
    with pytest.raises(
        ConfigError, match=r"'head' is not an aligned stream.*camera \(/camera/image"
    ):
        plan.frame_clock(None, "head")


def test_the_profile_of_another_robot_is_refused(tmp_path: Path) -> None:
    episode = Episode.open(small_robot(tmp_path / "bag", 1))
    other = parse_profile(
        PROFILE.replace("joint_states", "x")
        .replace("wrist/wrench", "y")
        .replace("camera/image", "z"),
        "o",
    )
    with pytest.raises(ConfigError, match=r"none of the topics of profile small.*--profile"):
        make_plan(episode, other)
    some = parse_profile(PROFILE.replace("joint_states", "missing/topic"), "some")
    assert make_plan(episode, some).absent == ("missing/topic",)


def test_unknown_types_are_read_field_by_field(tmp_path: Path) -> None:
    store = get_typestore(Stores.ROS2_JAZZY)
    definition = "std_msgs/Header header\nfloat32[] cells\nint16 level\nstring note\n"
    store.register(get_types_from_msg(definition, "acme_msgs/msg/Skin"))
    skin = store.types["acme_msgs/msg/Skin"]
    stamp = store.types["builtin_interfaces/msg/Time"]
    head = store.types["std_msgs/msg/Header"]
    import numpy as np

    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/skin", "acme_msgs/msg/Skin", typestore=store)
        for i in range(100):
            at = T0 + i * 20_000_000
            message = skin(
                header=head(stamp=stamp(*divmod(at, 10**9)), frame_id=""),
                cells=np.array([i, 2 * i], dtype=np.float32), level=-i, note="x",
            )  # fmt: skip
            writer.write(connection, at + 10**6, store.serialize_cdr(message, "acme_msgs/msg/Skin"))
    episode = Episode.open(tmp_path / "bag")
    plan = make_plan(episode)
    assert plan.stamped == {"skin"}
    found = align_episode(episode, plan, FrameClock(10.0))
    assert found.value_names == (("cells/0 (?)", "cells/1 (?)", "level (?)"),)
    column = found.frames.columns[0]
    assert (column.status == SampleStatus.FRESH).all()
    assert (column.values[:, 1] == 2 * column.values[:, 0]).all()
    assert (column.values[:, 2] == -column.values[:, 0]).all()


def test_no_rate_is_guessed_from_a_very_short_bag(tmp_path: Path) -> None:
    write_bag(
        McapWriter(), tmp_path / "bag", [("/w", wrench(T0), T0), ("/w", wrench(T0 + 1), T0 + 1)]
    )
    with pytest.raises(
        ConfigError, match="/w: its 2 messages are too close together to tell a rate"
    ):
        make_plan(Episode.open(tmp_path / "bag"))


def at(times_s: object) -> np.ndarray:
    return T0 + np.round(np.asarray(times_s, dtype=np.float64) * 1e9).astype(np.int64)


def topic(
    name: str, times: np.ndarray, type_name: str = "b/msg/C", late_ms: int = 0
) -> TopicSummary:
    return TopicSummary(name, type_name, len(times), np.sort(times), late_ms * 1_000_000)


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
