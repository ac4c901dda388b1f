"""Life of a process with nodes: parameters, signals, an orderly end."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import rclpy
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.signals import SignalHandlerOptions

from robot_recorder.configuration import load_profile, load_tasks
from robot_recorder.core.errors import ConfigError, RecorderError
from robot_recorder.core.start_gate import Verdict
from robot_recorder.core.streams import RobotProfile
from robot_recorder.core.tasks import TaskRegistry

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# For a reader that must see every change, not only the newest state.
LATCHED_ALL = QoSProfile(depth=50, durability=DurabilityPolicy.TRANSIENT_LOCAL)


# For timers: a node's own clock is the wall clock or /clock, and either may stand still or be set.
STEADY = Clock(clock_type=ClockType.STEADY_TIME)


class Closable(Protocol):
    """A node, or something nodes share, with work to finish before the process ends."""

    def close(self) -> None:
        """Finish."""


def parameter(node: Node, name: str, default: Any, description: str) -> Any:
    """Declare a read-only parameter and return its value."""
    wanted = type(default)
    # "2" is a whole number to ROS, and refused where 2.0 is the default.
    descriptor = ParameterDescriptor(
        description=description, read_only=True, dynamic_typing=wanted is float
    )
    try:
        value = node.declare_parameter(name, default, descriptor).value
    except InvalidParameterTypeException as error:
        raise ConfigError(
            f"parameter '{name}' must be of type {wanted.__name__} ({error}); text that looks like a "
            f"number needs quotes: -p {name}:=\"'007'\""
        ) from error
    if wanted is not float:
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise ConfigError(f"parameter '{name}' must be a number from 0 on, not {value!r}")
    return float(value)


def profile_parameter(node: Node) -> RobotProfile:
    """The robot profile that the ``profile`` parameter names."""
    text = "robot profile: a YAML file, or the name of one in config/robots"
    return load_profile(parameter(node, "profile", "g1_sim", text))


def tasks_parameter(node: Node) -> TaskRegistry:
    """The task registry that the ``tasks`` parameter names."""
    text = "task registry: a YAML file; empty for the one in config/tasks.yaml"
    return load_tasks(parameter(node, "tasks", "", text))


def episodes_root(node: Node) -> Path:
    """The folder that the ``root`` parameter names."""
    text = "folder that episodes are written into"
    root = parameter(node, "root", os.environ.get("ROBOT_RECORDER_ROOT", "episodes"), text)
    return Path(root).expanduser().absolute()


def robot_name(node: Node, profile: RobotProfile) -> str:
    """The robot's name: the namespace if there is one, else the profile's."""
    return node.get_namespace().strip("/").replace("/", "_") or profile.robot


def log_verdict(node: Node, verdict: Verdict) -> None:
    """Write a yes or no into the log."""
    # Two lines on purpose: rclpy refuses to log with another severity from the same line.
    if verdict.ok:
        node.get_logger().info(verdict.reason)
    else:
        node.get_logger().warning(verdict.reason)


def run(build: Callable[[], tuple[Sequence[Node], Sequence[Closable]]]) -> int:
    """Spin what ``build`` makes until SIGINT or SIGTERM, then close it in order.

    Args:
        build: called once rclpy is up; returns the nodes to spin and what to close at the end.

    Returns:
        The process's exit code: 0; 1 when something shared has ``failed``; 2 when the configuration
        is wrong.
    """
    # rclpy's own handlers would tear the context down under a recording that has to be finalised.
    rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
    ending = False

    def end(*_: Any) -> None:
        nonlocal ending
        ending = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    try:
        nodes, closables = build()
        executor = SingleThreadedExecutor()
        _wake_on_signals(executor)
        for node in nodes:
            executor.add_node(node)
        try:
            while not ending:
                _spin_once(executor, nodes[0])
        except ExternalShutdownException:
            pass
        finally:
            for closable in closables:
                closable.close()
        return int(any(getattr(closable, "failed", False) for closable in closables))
    except RecorderError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 2
    finally:
        rclpy.try_shutdown()


def _wake_on_signals(executor: SingleThreadedExecutor) -> None:
    """Let a signal end the executor's wait, which Python alone can not: so it need not look all the time."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def wake() -> None:
        while os.read(reader, 64):
            executor.wake()

    threading.Thread(target=wake, name="signals", daemon=True).start()


def _spin_once(executor: SingleThreadedExecutor, node: Node) -> None:
    """Serve one callback. One that fails is reported and costs its caller an answer, not the take."""
    try:
        executor.spin_once(timeout_sec=1.0)
    except ExternalShutdownException:
        raise
    except Exception:
        node.get_logger().error(f"a callback failed:\n{traceback.format_exc()}")
