"""What of a robot that is working can be shown in rviz: by its profile, and by what it publishes."""

from __future__ import annotations

import time

import rclpy
from rclpy.exceptions import InvalidNamespaceException
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import String

from robot_recorder.configuration.find import load_profile
from robot_recorder.messages.urdf import parse_urdf
from robot_recorder.model.errors import ConfigError, DecodeError
from robot_recorder.nodes.log import NodeLog
from robot_recorder.nodes.runtime import LATCHED
from robot_recorder.rviz.layout import RvizContent, cameras, observed_joints, resolved_sensors
from robot_recorder.rviz.placement import FRAME
from robot_recorder.rviz.stage import LaunchArguments, described

_LISTEN_S = 5.0  # at most; a latched description comes as soon as its publisher is discovered
_DISCOVERY_S = 2.0  # after it, or without it: who publishes transforms shows about then


def look_at_robot(wish: LaunchArguments) -> RvizContent:
    """Listen for the description, and for who says where the links are.

    Raises:
        ConfigError: no such profile, no such namespace, or the wish's description cannot be read.
        DecodeError: that description is no URDF.
    """
    profile, namespace = load_profile(wish.live), wish.namespace
    description = described(wish.description)
    heard, everybodys, own = _listen(namespace, wait=not description)
    description = description or heard
    # /tf is everybody's, and robots are alike: one with a namespace is drawn by its own transforms, or by
    # those of a robot_state_publisher of the viewer's. Without a description there is only what is there.
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
        own if namespace else everybodys,
        own_tf,
        "",
    )


def _listen(namespace: str, wait: bool) -> tuple[str, bool, bool]:
    """A description; whether somebody publishes on /tf; whether somebody does on the namespace's tf."""
    context = rclpy.Context()
    rclpy.init(context=context, args=[])  # the command line is that of `ros2 launch`
    try:
        node = rclpy.create_node("rviz_setup", namespace=namespace or None, context=context)
    except InvalidNamespaceException as error:
        context.try_shutdown()
        raise ConfigError(f"namespace:={namespace} can be none: {error}") from error
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
        everybodys, own = (node.count_publishers(f"{n}/tf") > 0 for n in ("", namespace))
        return texts[-1] if texts else "", everybodys, own and bool(namespace)
    finally:
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()
