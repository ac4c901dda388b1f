"""Build and run the nodes that record, in one process or in three."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node

from robot_recorder.messages.encoded import recorded_profile
from robot_recorder.nodes.ingest import Ingest
from robot_recorder.nodes.labeller import LabellerNode
from robot_recorder.nodes.live_streams import recorded_live_stream
from robot_recorder.nodes.quality_topic import QualityTopic
from robot_recorder.nodes.recorder import RecorderNode
from robot_recorder.nodes.recorder_setup import (
    claim,
    compresses,
    encoders_of,
    episode_store,
    own_channels,
    recorder_settings,
)
from robot_recorder.nodes.runtime import profile_parameter, robot_name, run, tasks_parameter
from robot_recorder.nodes.synchronizer import SynchronizerNode
from robot_recorder.recorder.recorder import Recorder

Built = tuple[list[Node], list[Any]]  # nodes to spin, and objects to close in this order


def recorder_node(ingest: Ingest) -> RecorderNode:
    """Build the recorder node and everything it needs.

    Args:
        ingest: not started yet; may be shared with other nodes of the process.

    Raises:
        ConfigError: a parameter or stream is invalid; the message names it and the fix.
    """
    node = RecorderNode()
    profile, tasks = profile_parameter(node), tasks_parameter(node)
    quality, store = QualityTopic(node), episode_store(node)
    robot = robot_name(node, profile)
    settings = recorder_settings(node, tasks, quality.pictures)
    own = own_channels(node, ingest)
    streams = [recorded_live_stream(ingest, stream) for stream in profile.streams]
    recorder = Recorder(
        robot, recorded_profile(profile), store, settings, ingest.clock, own, node.get_namespace(),
        encoders_of(node, streams),
    )  # fmt: skip
    recorder.claim = claim(node, store, robot)
    for stream in streams:
        recorder.streams.watch(stream)
    ingest.add_sink(recorder.on_batch)
    node.compress = compresses(node)
    node.start(recorder, ingest, quality)
    return node


def record() -> int:
    """Run ``ros2 run robot_recorder record``: recorder, synchronizer, labeller with one ingest."""

    def build() -> Built:
        labeller, ingest = LabellerNode(), Ingest("ingest")
        recorder, synchronizer = recorder_node(ingest), SynchronizerNode(ingest)
        ingest.start()
        # The ingest must be closed last: the recorder finalises while it still delivers.
        return [recorder, synchronizer, labeller], [recorder, ingest]

    return run(build)


def recorder() -> int:
    """Run ``ros2 run robot_recorder recorder``; return the exit code."""

    def build() -> Built:
        ingest = Ingest("recorder_ingest")
        node = recorder_node(ingest)
        ingest.start()
        return [node], [node, ingest]

    return run(build)


def synchronizer() -> int:
    """Run ``ros2 run robot_recorder synchronizer``; return the exit code."""

    def build() -> Built:
        ingest = Ingest("synchronizer_ingest")
        node = SynchronizerNode(ingest)
        ingest.start()
        return [node], [ingest]

    return run(build)


def labeller() -> int:
    """Run ``ros2 run robot_recorder labeller``; return the exit code."""
    return run(lambda: ([LabellerNode()], []))
