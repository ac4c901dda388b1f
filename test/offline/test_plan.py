"""Plans for aligning a bag: by its own profile, a given one, or a guess."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from support.bags import PROFILE, T0, small_robot
from support.pictures import raw
from support.samples import wrench, write_bag

from robot_recorder.alignment.frames import SampleStatus
from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.configuration.profile import parse_profile
from robot_recorder.encoding.picture_encoder import new_encoder
from robot_recorder.episodes.episode import Episode
from robot_recorder.messages.image_messages import COMPRESSED, RAW
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.streams import FrameClock, Policy
from robot_recorder.model.topics import BagTopic, Channel, Sample
from robot_recorder.offline.align import align_episode
from robot_recorder.offline.guess_bag import profile_yaml
from robot_recorder.offline.plan import make_plan


def test_a_bag_is_aligned_by_the_profile_it_carries(tmp_path: Path) -> None:
    given = {"profile_yaml": PROFILE, "namespace": "/robot_07"}
    path = small_robot(tmp_path / "bag", 2, 0.0, "/robot_07/", **given)
    plan = make_plan(Episode.open(path))
    assert not plan.guessed and plan.absent == ()
    assert plan.topics["joints"] == "/robot_07/joint_states"
    assert plan.frame_clock(None, "") == FrameClock(20.0)
    assert all(reader.text == "header" for reader in plan.readers.values())


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
    assert plan.readers["skin"].text == "header"
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


ENCODED = """
robot: arm
streams:
  head: {topic: head/image, type: sensor_msgs/msg/Image, role: observation, rate_hz: 30, encode: jpeg}
"""


@pytest.mark.parametrize("encoded", [True, False])
@pytest.mark.parametrize("topic", ["/head/image", "/robot_7/head/image"])
def test_a_camera_is_found_as_it_was_recorded(tmp_path: Path, topic: str, encoded: bool) -> None:
    pixels = np.zeros((4, 6, 3), np.uint8)
    message, name, kind = raw(pixels, "rgb8"), topic, RAW
    if encoded:
        profile = parse_profile(ENCODED, "arm.yaml")
        assert profile.streams[0].encode is not None
        message = new_encoder(profile.streams[0].encode, 30.0).encode(message)
        name, kind = f"{topic}/compressed", COMPRESSED
    channel, writer = Channel(BagTopic(name, kind)), McapWriter()
    writer.open(tmp_path / "bag", {})
    writer.add_topic(channel)
    writer.write([Sample(channel, message, T0 + n, T0 + n) for n in range(5)])
    writer.close()
    plan = make_plan(Episode.open(tmp_path / "bag"), parse_profile(ENCODED, "arm.yaml"))
    (stream,) = plan.aligned
    assert stream.type == kind and plan.topics == {"head": name} and plan.absent == ()
