"""The node ``agent``: a station agent that also hears the recorder, so that the centre sees its robot live."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

from rclpy.node import Node

from robot_recorder.floor.agent.agent import StationAgent
from robot_recorder.floor.agent.live import LimpingStream, RecorderView
from robot_recorder.floor.agent.settings import load_settings
from robot_recorder.model.errors import ConfigError
from robot_recorder.msg import EpisodeStatus, StreamStatus
from robot_recorder.nodes.log import NodeLog
from robot_recorder.nodes.runtime import LATCHED, episodes_root, parameter, run

_STATES = {
    EpisodeStatus.STATE_IDLE: "idle",
    EpisodeStatus.STATE_RECORDING: "recording",
    EpisodeStatus.STATE_FINALISING: "finalising",
}
_HEALTH = {
    getattr(StreamStatus, name): name.removeprefix("HEALTH_").lower().replace("_", " ")
    for name in dir(StreamStatus)
    if name.startswith("HEALTH_")
}


class AgentNode(Node):
    """Runs a station agent and passes ``recorder/status`` on to it."""

    def __init__(self) -> None:
        """Create the node and start the agent.

        Raises:
            ConfigError: a parameter or the agent's configuration is invalid.
        """
        super().__init__("agent")
        config = parameter(self, "config", "", "configuration of the agent: a YAML file")
        if not config:
            raise ConfigError("parameter 'config' is missing: give the agent's YAML file")
        root = episodes_root(self)
        root.mkdir(parents=True, exist_ok=True)
        log = NodeLog(self)
        settings = load_settings(Path(config).expanduser())

        def say(text: str) -> None:
            (log.warning if text.startswith("alarm: ") else log.info)(text)

        self.agent = StationAgent(root, settings, say)
        self.create_subscription(EpisodeStatus, "recorder/status", self._on_status, LATCHED)
        self.agent.start()
        log.info(f"sending {root} to {settings.centre} as {settings.site}/{settings.robot}")

    def close(self) -> None:
        """Stop the agent; what was being sent goes on at the next start."""
        self.agent.stop()

    def _on_status(self, status: EpisodeStatus) -> None:
        self.agent.live.hear(recorder_view(status))


def recorder_view(status: Any) -> RecorderView:
    """Return what a status of the recorder says, in the agent's words."""
    is_recording = status.state == EpisodeStatus.STATE_RECORDING
    return RecorderView(
        state=_STATES.get(status.state, "unknown"),
        episode=status.episode_id if is_recording else None,
        task=status.task or None,
        operator=status.operator_name or None,
        streams=tuple(map(_limping, (s for s in status.streams if s.health))),
        is_losing=bool(is_recording and (status.dropped or status.lost_dds or status.limping)),
    )


def _limping(stream: Any) -> LimpingStream:
    return LimpingStream(
        stream.name,
        _HEALTH.get(stream.health, str(stream.health)),
        stream.rate_hz if math.isfinite(stream.rate_hz) else None,
        stream.expected_hz or None,
    )


def main() -> int:
    """Run the node."""

    def build() -> tuple[list[Node], list[AgentNode]]:
        node = AgentNode()
        return [node], [node]

    return run(build)


if __name__ == "__main__":
    sys.exit(main())
