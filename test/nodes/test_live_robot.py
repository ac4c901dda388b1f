"""What rviz can show of a running robot, by its description and transforms."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.described import URDF

pytest.importorskip("rclpy")

from std_msgs.msg import String
from support.robot import LATCHED, PROFILE, Bench

from robot_recorder.messages.kinds import WRENCH
from robot_recorder.model.errors import ConfigError, DecodeError
from robot_recorder.nodes.live_robot import look_at_robot
from robot_recorder.rviz.layout import Camera
from robot_recorder.rviz.placement import FRAME
from robot_recorder.rviz.scene import SensorStream
from robot_recorder.rviz.stage import LaunchArguments


@pytest.fixture
def profile(tmp_path: Path) -> str:
    (tmp_path / "bench.yaml").write_text(PROFILE)
    return str(tmp_path / "bench.yaml")


def test_a_robot_with_an_invalid_description_is_shown_without_it(profile: str) -> None:
    """Its description has no links; that is logged, and sensors are shown."""
    with Bench("little"):
        shown = look_at_robot(LaunchArguments(Path(), live=profile, namespace="/little"))
    assert (shown.description, shown.frame, shown.moved) == ("", FRAME, False)
    assert shown.joint_states == "/little/joint_states", (
        "the observed joints, not the commanded ones"
    )
    assert shown.sensors == (SensorStream("wrench", "/little/wrist/wrench", WRENCH),)
    assert shown.cameras == (Camera("camera", "/little/camera/image/compressed"),)


@pytest.mark.parametrize("namespace", ["", "/own"])
def test_a_robot_with_description_and_transforms_is_shown_completely(
    profile: str, namespace: str
) -> None:
    with Bench("own") as bench:
        description = bench.node.create_publisher(String, f"{namespace}/robot_description", LATCHED)
        description.publish(String(data=URDF))
        # Only the existence of the publisher matters, not its messages.
        bench.node.create_publisher(String, f"{namespace}/tf", 10)
        shown = look_at_robot(LaunchArguments(Path(), live=profile, namespace=namespace))
    assert (shown.description, shown.frame) == (URDF, "base")
    assert shown.moved and shown.own_tf == bool(namespace)


def test_a_robot_with_a_namespace_does_not_use_the_shared_transforms(profile: str) -> None:
    with Bench("other") as bench:
        bench.node.create_publisher(String, "/tf", 10)
        without = look_at_robot(LaunchArguments(Path(), live=profile, namespace="/seventh"))
        description = bench.node.create_publisher(String, "/seventh/robot_description", LATCHED)
        description.publish(String(data=URDF))
        shown = look_at_robot(LaunchArguments(Path(), live=profile, namespace="/seventh"))
    assert not without.moved and not without.own_tf, "the shared transforms are the only ones"
    assert not shown.moved and shown.own_tf, "a separate robot_state_publisher of the viewer"


def test_invalid_arguments_are_refused(profile: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.urdf"
    broken.write_text("<robot")
    with pytest.raises(ConfigError, match="no_such"):
        look_at_robot(LaunchArguments(Path(), live="no_such"))
    with pytest.raises(ConfigError, match="robot-07"):
        look_at_robot(LaunchArguments(Path(), live=profile, namespace="/robot-07"))
    with pytest.raises(DecodeError, match="robot description"):
        look_at_robot(LaunchArguments(Path(), live=profile, description=str(broken)))
