"""The scene node: publishes forces, touch and an overlay of labels and health for rviz.

It works with a running robot and with an episode being played. It subscribes to sensors only while
its markers have subscribers, and uses only the newest messages.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import rclpy
from rclpy.node import Node
from visualization_msgs.msg import MarkerArray

from robot_recorder.model.errors import ConfigError, DecodeError
from robot_recorder.nodes.log import NodeLog
from robot_recorder.nodes.newest_message import Newest
from robot_recorder.nodes.runtime import STEADY, parameter, profile_parameter, run
from robot_recorder.nodes.scene_live import Live
from robot_recorder.nodes.scene_markers import Markers
from robot_recorder.rviz.overlay import Situation, overlay_lines, overlay_shapes
from robot_recorder.rviz.placement import Placement
from robot_recorder.rviz.scene import SensorScene, SensorStream
from robot_recorder.rviz.tactile import PADS, parse_pads
from robot_recorder.rviz.wrench import WrenchScale


class Source(Protocol):
    """The source of the scene: a robot or an episode.

    Attributes:
        streams: streams that are drawn.
        placement: place of the overlay; None: unknown so far.
        lifetime_s: lifetime of markers, s; 0: forever.
    """

    streams: list[SensorStream]
    placement: Placement | None
    lifetime_s: int

    def listen(self, watched: bool) -> None:
        """Start or stop listening, when the first viewer comes or the last one leaves."""

    def now_s(self) -> float:
        """Return the current time of the streams, s."""

    def situation(self) -> Situation:
        """Return the content of the overlay."""


class SceneNode(Node):
    """Publishes ``scene/markers``."""

    def __init__(self) -> None:
        """Create the node.

        Raises:
            ConfigError: a parameter is invalid.
            BagError: the episode cannot be read.
        """
        super().__init__("scene")
        # In no executor: messages are taken when they are needed.
        self._listener = rclpy.create_node(
            "scene_listener", enable_rosout=False, start_parameter_services=False
        )
        text = "bag directory being played; empty: the running robot"
        episode = parameter(self, "episode", "", text)
        rate_hz = parameter(self, "rate_hz", 20.0, "maximum rate of marker arrays, Hz")
        if not 0.1 <= rate_hz <= 200:
            raise ConfigError(f"parameter 'rate_hz' must be from 0.1 to 200, not {rate_hz:g}")
        self._frame = parameter(
            self, "frame", "", "frame of the overlay; empty: the root of the robot description"
        )
        pads = parameter(self, "pads", PADS, "FRAME:X,Y ...: distance of taxels, m")
        scale = WrenchScale(
            parameter(self, "m_per_n", 0.008, "length of an arrow of 1 N"),
            parameter(self, "m_per_nm", 0.05, "length of an arrow of 1 N m"),
            parameter(self, "red_n", 40.0, "force that is drawn in red, N") or 1.0,
        )
        self._beside = parameter(
            self, "beside", True,
            "draw an operator beside the robot if the description lacks the frame; else in that frame",
        )  # fmt: skip
        self._source = self._make_source(episode)
        self._scene = SensorScene(self._source.streams, scale, parse_pads(pads))
        self._markers = Markers(self._source.lifetime_s)
        self._inputs: dict[str, Newest] = {}
        self._watchers = 0
        self._reported: set[str] = set()  # streams with a message that could not be decoded
        self._publisher = self.create_publisher(MarkerArray, "scene/markers", 10)
        self.create_timer(1 / rate_hz, self._look, clock=STEADY)

    def _make_source(self, episode: str) -> Source:
        if not episode:
            return Live(self, profile_parameter(self))
        # Reading bags needs packages that may be missing on a robot.
        from robot_recorder.nodes.scene_replay import Replay

        return Replay(self, self._listener, Path(episode).expanduser())

    def _look(self) -> None:
        watchers = self._publisher.get_subscription_count()
        if bool(watchers) != bool(self._watchers):
            self._listen(watched=bool(watchers))
        someone_came, self._watchers = watchers > self._watchers, watchers
        if not watchers:
            return
        now_s = self._source.now_s()
        for stream in self._source.streams:
            for data in self._inputs[stream.name].take():
                try:
                    self._scene.see(stream, data, now_s)
                except DecodeError as error:
                    if stream.name not in self._reported:
                        self._reported.add(stream.name)
                        NodeLog(self).warning(f"{stream.name}: {error}")
        place = self._source.placement or Placement()
        lines = overlay_lines(self._source.situation())
        self._scene.placement = place if self._beside else None
        overlay = overlay_shapes(lines, self._frame or place.frame, 0.0, 0.0, place.z_m)
        array = self._markers.array([*self._scene.shapes(now_s), *overlay], someone_came)
        if array.markers:
            self._publisher.publish(array)

    def _listen(self, watched: bool) -> None:
        for newest in self._inputs.values():
            newest.close()
        self._inputs = {}
        self._scene.forget()
        self._source.listen(watched)
        if watched:
            for stream in self._source.streams:
                self._inputs[stream.name] = Newest(self._listener, stream.topic, stream.type)

    def close(self) -> None:
        """Delete the markers, so that no outdated ones stay visible."""
        if self._watchers:
            self._publisher.publish(self._markers.nothing())
        self._listener.destroy_node()


def main() -> int:
    """Run ``ros2 run robot_recorder scene``; return the exit code."""

    def build() -> tuple[list[Node], list[Any]]:
        node = SceneNode()
        return [node], [node]

    return run(build)
