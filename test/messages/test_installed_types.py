"""Types that are installed on this machine: their classes, headers, definitions and hashes."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")

from robot_recorder.messages import installed_types
from robot_recorder.messages.installed_types import message_class, message_definition
from robot_recorder.model.errors import ConfigError


def test_a_type_is_found_by_its_name() -> None:
    from sensor_msgs.msg import JointState

    assert message_class("sensor_msgs/msg/JointState") is JointState


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no_such_msgs/msg/Thing", "is not installed: apt install ros-.*-no-such-msgs"),
        ("sensor_msgs/msg/Nothing", "package sensor_msgs has no message Nothing"),
        ("sensor_msgs/msg/", "package sensor_msgs has no message"),
    ],
)
def test_a_type_that_is_not_installed_is_an_error_with_the_remedy(name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        message_class(name)


def test_a_definition_holds_every_type_once() -> None:
    text = message_definition("geometry_msgs/msg/WrenchStamped")
    names = [line for line in text.splitlines() if line.startswith("MSG: ")]
    assert sorted(names) == sorted(set(names))
    assert {
        "MSG: geometry_msgs/Wrench",
        "MSG: geometry_msgs/Vector3",
        "MSG: std_msgs/Header",
    } <= set(names)
    assert text.count("=" * 80) == len(names)
    assert message_definition("no_such_msgs/msg/Thing") == ""


def test_the_hash_is_the_one_that_ros_computed() -> None:
    found = installed_types.type_hash("geometry_msgs/msg/WrenchStamped")
    assert found.startswith("RIHS01_") and len(found) == len("RIHS01_") + 64
