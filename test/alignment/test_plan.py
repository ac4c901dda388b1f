"""How a bag is to be aligned: by its own profile, a given one, or a guess."""

from __future__ import annotations

from pathlib import Path

import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from support.bags import PROFILE, T0, small_robot
from support.samples import wrench, write_bag

from robot_recorder.alignment.episode import align_episode
from robot_recorder.alignment.guess import TopicFacts, guess_profile
from robot_recorder.alignment.plan import make_plan, profile_yaml
from robot_recorder.core.errors import ConfigError
from robot_recorder.core.frames import SampleStatus
from robot_recorder.core.profile import parse_profile
from robot_recorder.core.streams import FrameClock, Policy, Role
from robot_recorder.storage.episodes import Episode
from robot_recorder.storage.mcap_writer import McapWriter


def test_a_bag_is_aligned_by_the_profile_it_carries(tmp_path: Path) -> None:
    given = {"profile_yaml": PROFILE, "namespace": "/robot_07"}
    path = small_robot(tmp_path / "bag", 2, 0.0, "/robot_07/", **given)
    plan = make_plan(Episode.open(path))
    assert not plan.guessed and plan.absent == ()
    assert plan.topics["joints"] == "/robot_07/joint_states"
    assert plan.frame_clock(None, "") == FrameClock(20.0)
    assert plan.stamped == {"joints", "wrench", "camera"}


def test_a_bag_of_others_gets_a_guess_a_person_can_correct(tmp_path: Path) -> None:
    episode = Episode.open(small_robot(tmp_path / "bag", 2))
    plan = make_plan(episode)
    assert plan.guessed
    streams = {s.topic: s for s in plan.profile.streams}
    assert streams["/joint_states"].policy is Policy.LINEAR
    assert streams["/camera/image/compressed"].rate_hz == 20
    text = profile_yaml(episode)
    assert parse_profile(text, "guess") == parse_profile(text, "again")
    assert "# Guessed" in text


def test_a_stream_never_takes_another_ones_topic(tmp_path: Path) -> None:
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


def test_bags_that_tell_too_little_for_a_guess_are_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match=r"no topic with messages.*--profile"):
        guess_profile("short", [TopicFacts("/a", "b/msg/C", 1)], 0.0)
    for name in ("null", "yes", "7", "épisode", "---"):
        assert parse_profile(guess_profile(name, [TopicFacts("/a", "b/msg/C", 50)], 1.0), "g")
    odd = [TopicFacts("/x", "b/srv/Add_Event", 50), TopicFacts("/a", "b/msg/C", 50)]
    assert len(parse_profile(guess_profile("r", odd, 1.0), "g").streams) == 1


def test_the_guess_knows_commands_and_leaves_out_what_is_no_sensor() -> None:
    text = guess_profile(
        "My Robot 2!",
        [
            TopicFacts("/arm/joint_commands", "sensor_msgs/msg/JointState", 1000),
            TopicFacts("/tf", "tf2_msgs/msg/TFMessage", 1000),
            TopicFacts("/rosout", "rcl_interfaces/msg/Log", 1000),
            TopicFacts("/synchronizer/frames", "robot_recorder/msg/AlignedFrame", 300),
            TopicFacts("/map", "nav_msgs/msg/OccupancyGrid", 1),
            TopicFacts("/cam/image_raw", "sensor_msgs/msg/Image", 249),
            TopicFacts("/cam2/image_raw", "sensor_msgs/msg/Image", 173),
        ],
        10.0,
    )
    profile = parse_profile(text, "guess")
    assert profile.robot == "my_robot_2"
    assert {s.name: (s.role, s.rate_hz) for s in profile.streams} == {
        "arm_joint_commands": (Role.ACTION, 100),
        "cam": (Role.OBSERVATION, 25),
        "cam2": (Role.OBSERVATION, 17.3),
    }


def test_a_reference_is_a_stream_or_a_topic(tmp_path: Path) -> None:
    path = small_robot(
        tmp_path / "bag",
        2,
        profile_yaml=PROFILE.replace("frame_rate_hz: 20", "frame_clock: camera"),
    )
    plan = make_plan(Episode.open(path))
    assert plan.frame_clock(None, "") == FrameClock(None, "camera")
    assert plan.frame_clock(10.0, "/camera/image/compressed") == FrameClock(10.0, "camera")
    assert plan.frame_clock(None, "none") == FrameClock(30.0)
    with pytest.raises(ConfigError, match=r"'head' is no aligned stream.*camera \(/camera/image"):
        plan.frame_clock(None, "head")


def test_a_profile_of_another_robot_is_refused_by_name(tmp_path: Path) -> None:
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


def test_types_nobody_knows_are_read_field_by_field(tmp_path: Path) -> None:
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


def test_of_a_bag_of_a_moment_a_profile_is_guessed_all_the_same(tmp_path: Path) -> None:
    write_bag(
        McapWriter(), tmp_path / "bag", [("/w", wrench(T0), T0), ("/w", wrench(T0 + 1), T0 + 1)]
    )
    assert make_plan(Episode.open(tmp_path / "bag")).profile.streams[0].rate_hz == 10_000
