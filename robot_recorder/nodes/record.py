"""Composition root: builds the nodes that record, with all they are made of, in one process or in three."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node

from robot_recorder.model.errors import ConfigError
from robot_recorder.nodes.ingest import Ingest
from robot_recorder.nodes.labeller import LabellerNode
from robot_recorder.nodes.quality_topic import QualityTopic
from robot_recorder.nodes.recorder import RecorderNode
from robot_recorder.nodes.recorder_setup import (
    claim,
    episode_store,
    own_channels,
    recorder_settings,
)
from robot_recorder.nodes.runtime import profile_parameter, robot_name, run, tasks_parameter
from robot_recorder.nodes.synchronizer import SynchronizerNode
from robot_recorder.recorder.recorder import Recorder

Built = tuple[list[Node], list[Any]]  # nodes to spin, and what is closed at the end, in this order


def recorder_node(ingest: Ingest) -> RecorderNode:
    """The recorder's node: parameters, store, streams and inspector.

    Args:
        ingest: not started yet; may be shared with other nodes of the process.

    Raises:
        ConfigError: naming the parameter or the stream, and the fix.
    """
    node = RecorderNode()
    profile, tasks = profile_parameter(node), tasks_parameter(node)
    quality, store = QualityTopic(node), episode_store(node)
    robot = robot_name(node, profile)
    settings = recorder_settings(node, tasks, quality.pictures)
    own = own_channels(node, ingest)
    recorder = Recorder(robot, profile, store, settings, ingest.clock, own, node.get_namespace())
    recorder.claim = claim(node, store, robot)
    for stream in profile.streams:
        try:
            channel = ingest.subscribe(stream.topic, stream.type, stream.qos)
        except ConfigError as error:
            raise ConfigError(f"stream '{stream.name}': {error}") from error
        recorder.streams.watch(channel, stream)
    ingest.add_sink(recorder.on_batch)
    node.start(recorder, ingest, quality)
    return node


def record() -> int:
    """Entry point of ``ros2 run robot_recorder record``: recorder, synchronizer and labeller share an ingest."""

    def build() -> Built:
        labeller, ingest = LabellerNode(), Ingest("ingest")
        recorder, synchronizer = recorder_node(ingest), SynchronizerNode(ingest)
        ingest.start()
        # The recorder finalises while the ingest still delivers; the ingest ends last.
        return [recorder, synchronizer, labeller], [recorder, ingest]

    return run(build)


def recorder() -> int:
    """Entry point of ``ros2 run robot_recorder recorder``."""

    def build() -> Built:
        ingest = Ingest("recorder_ingest")
        node = recorder_node(ingest)
        ingest.start()
        return [node], [node, ingest]

    return run(build)


def synchronizer() -> int:
    """Entry point of ``ros2 run robot_recorder synchronizer``."""

    def build() -> Built:
        ingest = Ingest("synchronizer_ingest")
        node = SynchronizerNode(ingest)
        ingest.start()
        return [node], [ingest]

    return run(build)


def labeller() -> int:
    """Entry point of ``ros2 run robot_recorder labeller``."""
    return run(lambda: ([LabellerNode()], []))
