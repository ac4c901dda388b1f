"""Displays of ``config/episode.rviz`` have topics and frames that a recorded robot publishes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.robot import RecorderClient, process

pytest.importorskip("rclpy")
pytest.importorskip("mujoco")

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from support.watcher import Watcher

from robot_recorder.configuration.find import config_directory
from robot_recorder.episodes.episode import Episode
from robot_recorder.messages.installed_types import message_class
from robot_recorder.messages.urdf import parse_urdf
from robot_recorder.nodes.live_robot import look_at_robot
from robot_recorder.rviz.layout import RvizContent, layout_for, look_at
from robot_recorder.rviz.stage import LaunchArguments
from robot_recorder.srv import StartEpisode, StopEpisode

pytestmark = pytest.mark.alone

TEMPLATE = (config_directory() / "episode.rviz").read_text()
LAYOUT = yaml.safe_load(TEMPLATE)
DISPLAYS = LAYOUT["Visualization Manager"]["Displays"]
# Classes of RViz in Jazzy and Kilted (rviz_default_plugins/plugins_description.xml and
# rviz_common/src/rviz_common/panel_factory.cpp) that are useful here, with the types they show.
COMPRESSED = "sensor_msgs/msg/CompressedImage"
SHOWS = {
    "rviz_default_plugins/Grid": "",
    "rviz_default_plugins/TF": "",
    "rviz_default_plugins/RobotModel": "std_msgs/msg/String",
    "rviz_default_plugins/MarkerArray": "visualization_msgs/msg/MarkerArray",
    "rviz_default_plugins/Image": COMPRESSED,  # by the end of its topic's name
}
TOOLS = {"Interact", "MoveCamera", "Select", "FocusCamera", "Measure"}
PANELS = {"Displays", "Views", "Time", "Selection", "Tool Properties", "Transformation", "Help"}
NAMESPACE = "shown"


def topics() -> dict[str, dict[str, Any]]:
    """Return displays with a topic, by name."""
    found = {}
    for display in DISPLAYS:
        topic = display.get("Topic") or display.get("Description Topic")
        if topic:
            found[topic["Value"]] = {**topic, "Class": display["Class"]}
    return found


class World:
    """What was heard on the displays' topics, and what was recorded meanwhile."""

    def __init__(self) -> None:
        self.heard: dict[str, Any] = {}
        self.markers: set[str] = set()
        self.shown: RvizContent | None = None
        self.live: RvizContent | None = None


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Iterator[World]:
    world = World()
    root = tmp_path_factory.mktemp("shown")
    with RecorderClient("operator", NAMESPACE) as operator, ExitStack() as stack:
        stack.enter_context(process("sim_robot", NAMESPACE, cache=model_cache))
        stack.enter_context(process("record", NAMESPACE, profile="g1_sim", root=root))
        stack.enter_context(process("scene", NAMESPACE, profile="g1_sim"))
        for name, topic in topics().items():
            kind = message_class(SHOWS[topic["Class"]])

            def take(data: bytes, name: str = name, kind: Any = kind) -> None:
                world.heard.setdefault(name, deserialize_message(data, kind))

            qos = QoSProfile(
                depth=topic["Depth"],
                reliability=ReliabilityPolicy[
                    topic["Reliability Policy"].upper().replace(" ", "_")
                ],
                durability=DurabilityPolicy[topic["Durability Policy"].upper().replace(" ", "_")],
            )
            # Relative, as RViz subscribes to it.
            operator.node.create_subscription(kind, name, take, qos, raw=True)
        watcher = Watcher(operator)
        operator.wait("the simulated robot", operator.ready, 90)
        started = operator.call(StartEpisode, "recorder/start_episode", pre_roll_s=0.0)
        assert started.success, started.message
        operator.wait("every display's topic", lambda: set(world.heard) == set(topics()))
        ends = {"left_wrist_ft", "right_wrist_ft", "left_palm", "right_palm"}
        operator.wait(
            "forces, touch, a frame for text", lambda: ends | {"pelvis"} <= watcher.frames()
        )
        operator.wait("the recorder's status", watcher.says("RECORDING"))
        operator.wait("healthy streams", watcher.says("all 18 streams fine"))
        world.markers = watcher.frames()
        world.live = look_at_robot(
            LaunchArguments(Path(), live="g1_sim", namespace=f"/{NAMESPACE}")
        )
        operator.wait("pictures in the bag", lambda: operator.status.duration_s > 1.5)
        stopped = operator.call(StopEpisode, "recorder/stop_episode")
        assert stopped.success, stopped.message
    world.shown = look_at(Episode.open(Path(stopped.path)))
    yield world


def test_every_class_exists_in_rviz() -> None:
    manager = LAYOUT["Visualization Manager"]
    assert {d["Class"] for d in DISPLAYS} <= set(SHOWS)
    assert {t["Class"].removeprefix("rviz_default_plugins/") for t in manager["Tools"]} <= TOOLS
    assert {p["Class"].removeprefix("rviz_common/") for p in LAYOUT["Panels"]} <= PANELS
    assert manager["Views"]["Current"]["Class"] == "rviz_default_plugins/Orbit"
    names = [d["Name"] for d in DISPLAYS]
    assert len(set(names)) == len(names)


def test_every_display_gets_messages_of_its_type(world: World) -> None:
    for name, topic in topics().items():
        assert name in world.heard, topic
        assert not name.startswith("/"), "so that it works in any namespace"
    pictures = [m for m in world.heard.values() if hasattr(m, "format")]
    assert len(pictures) == 2 and all(len(bytes(m.data)) > 1000 for m in pictures)


def test_every_frame_is_part_of_the_robot(world: World) -> None:
    links = set(parse_urdf(world.heard["robot_description"].data).links)
    frames = {m.header.frame_id for m in world.heard.values() if hasattr(m, "header")}
    assert len(frames) == 2 and frames <= links
    assert len(world.markers) == 5 and world.markers <= links
    assert LAYOUT["Visualization Manager"]["Global Options"]["Fixed Frame"] in links


def test_what_was_recorded_is_shown_with_the_same_layout(world: World) -> None:
    shown = world.shown
    assert shown is not None
    assert shown.description == world.heard["robot_description"].data
    assert [camera.name for camera in shown.cameras] == ["head_camera", "left_wrist_camera"]
    assert shown.namespace == f"/{NAMESPACE}"
    assert shown.joint_states == f"/{NAMESPACE}/joint_states"
    assert len(shown.sensors) == 8 and not shown.moved
    assert yaml.safe_load(layout_for(shown, TEMPLATE)) == LAYOUT


def test_a_live_robot_is_shown_with_the_same_layout(world: World) -> None:
    live, shown = world.live, world.shown
    assert live is not None and shown is not None
    assert replace(live, frames=shown.frames, own_tf=shown.own_tf) == shown
    assert live.own_tf, "nothing publishes the links' poses yet; if that changes, change this test"
    assert yaml.safe_load(layout_for(live, TEMPLATE)) == LAYOUT
