"""Recorder, synchronizer and labeller in one process, sharing one ingest."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node

from robot_recorder.nodes.ingest import Ingest
from robot_recorder.nodes.labeller import LabellerNode
from robot_recorder.nodes.recorder import RecorderNode
from robot_recorder.nodes.runtime import run
from robot_recorder.nodes.synchronizer import SynchronizerNode


def main() -> int:
    """Entry point of ``ros2 run robot_recorder record``."""

    def build() -> tuple[list[Node], list[Any]]:
        labeller, ingest = LabellerNode(), Ingest("ingest")
        recorder, synchronizer = RecorderNode(ingest), SynchronizerNode(ingest)
        ingest.start()
        # The recorder finalises while the ingest still delivers; the ingest ends last.
        return [recorder, synchronizer, labeller], [recorder, ingest]

    return run(build)
