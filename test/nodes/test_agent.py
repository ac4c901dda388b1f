"""The node ``agent``."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from robot_recorder.cli.processes import node_command
from robot_recorder.floor.agent.live import LimpingStream
from robot_recorder.msg import EpisodeStatus, StreamStatus
from robot_recorder.nodes.agent import recorder_view


def test_a_status_of_the_recorder_is_told_in_the_agents_words() -> None:
    status = EpisodeStatus(state=EpisodeStatus.STATE_RECORDING, episode_id="e", task="lift")
    status.streams = [
        StreamStatus(name="cam", health=StreamStatus.HEALTH_WRONG_TYPE, rate_hz=12.0),
        StreamStatus(name="arm", health=StreamStatus.HEALTH_OK),
    ]
    view = recorder_view(status)
    assert (view.state, view.episode, view.task, view.operator) == ("recording", "e", "lift", None)
    assert view.streams == (LimpingStream("cam", "wrong type", 12.0, None),) and not view.is_losing


@pytest.mark.parametrize(
    "field, value", [("dropped", 1), ("lost_dds", 3), ("limping", ["cam: slow"])]
)
def test_losses_count_only_while_an_episode_is_recorded(field: str, value: object) -> None:
    status = EpisodeStatus(state=EpisodeStatus.STATE_RECORDING, episode_id="e")
    setattr(status, field, value)
    assert recorder_view(status).is_losing
    status.state = EpisodeStatus.STATE_IDLE
    view = recorder_view(status)
    assert not view.is_losing and view.episode is None and view.state == "idle"


def test_a_wrong_configuration_ends_it_with_the_line(tmp_path: Path) -> None:
    (tmp_path / "agent.yaml").write_text("site: berlin\n")
    for config, says in (
        ("", "'config' is missing"),
        (str(tmp_path / "agent.yaml"), "agent.yaml:1"),
    ):
        parameters = {"config": f"'{config}'", "root": str(tmp_path / "root")}
        done = subprocess.run(
            node_command("agent", parameters), capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 2 and says in done.stderr
