"""Find out what rviz can show of a running robot, from its profile and its topics."""

from __future__ import annotations

import time

import rclpy
from rclpy.exceptions import InvalidNamespaceException
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import String

from robot_recorder.configuration.find import load_profile
from robot_recorder.messages.markers import MARKER_ARRAY
from robot_recorder.messages.urdf import parse_urdf
from robot_recorder.model.errors import ConfigError, DecodeError
from robot_recorder.nodes.log import NodeLog
from robot_recorder.nodes.runtime import LATCHED
from robot_recorder.rviz.layout import RvizContent, cameras, observed_joints, resolved_sensors
from robot_recorder.rviz.placement import FRAME
from robot_recorder.rviz.scene import without_place
from robot_recorder.rviz.stage import LaunchArguments, described

_LISTEN_S = 5.0  # timeout; a latched description arrives when its publisher is discovered
_DISCOVERY_S = 2.0  # enough to discover publishers of transforms


def look_at_robot(wish: LaunchArguments) -> RvizContent:
    """Listen for the robot description and for publishers of transforms.

    Args:
        wish: arguments of the launch file.

    Raises:
        ConfigError: profile or namespace is invalid, or the given description cannot be read.
        DecodeError: the given description is not valid URDF.
    """
    profile, namespace = load_profile(wish.live), wish.namespace
    description = described(wish.description)
    received, shared, own = _listen(namespace, wait=not description)
    description = description or received
    # All robots share /tf and may have the same frame names. A robot with a namespace is therefore
    # drawn by its own transforms or, if there is a description, by a robot_state_publisher here.
    own_tf = bool(namespace) and (own or bool(description))
    topics = {
        s.name: s.topic if s.topic.startswith("/") else f"{namespace}/{s.topic}"
        for s in profile.streams
    }
    return RvizContent(
        namespace,
        description,
        parse_urdf(description).roots[0] if description else FRAME,
        next((topics[s.name] for s in observed_joints(profile)), ""),
        tuple(resolved_sensors(profile, topics)),
        tuple(cameras(profile, topics)),
        own if namespace else shared,
        own_tf,
        "",
        without_place=tuple(without_place(profile)),
        markers=frozenset(topics[s.name] for s in profile.streams if s.type == MARKER_ARRAY),
    )


def _listen(namespace: str, wait: bool) -> tuple[str, bool, bool]:
    """Return a robot description, and whether /tf and the namespace's tf have publishers."""
    context = rclpy.Context()
    rclpy.init(context=context, args=[])  # the command line is that of `ros2 launch`
    try:
        node = rclpy.create_node("rviz_setup", namespace=namespace or None, context=context)
    except InvalidNamespaceException as error:
        context.try_shutdown()
        raise ConfigError(f"namespace:={namespace} is invalid: {error}") from error
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    texts: list[str] = []

    def take(message: String) -> None:
        try:
            parse_urdf(message.data)
        except DecodeError as error:
            NodeLog(node).warning(str(error))
        else:
            texts.append(message.data)

    try:
        node.create_subscription(String, "robot_description", take, LATCHED)
        end = time.monotonic() + (_LISTEN_S if wait else 0.0)
        while not texts and time.monotonic() < end:
            executor.spin_once(timeout_sec=0.05)
        end = time.monotonic() + _DISCOVERY_S
        while time.monotonic() < end:
            executor.spin_once(timeout_sec=0.05)
        shared, own = (node.count_publishers(f"{n}/tf") > 0 for n in ("", namespace))
        return texts[-1] if texts else "", shared, own and bool(namespace)
    finally:
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()
