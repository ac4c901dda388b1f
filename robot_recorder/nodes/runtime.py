"""Life of a process with nodes: parameters, signals, an orderly end."""

from __future__ import annotations

import logging
import math
import os
import signal
import sys
import threading
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

from robot_recorder.cli.console import log_visibly, say_error
from robot_recorder.configuration.find import load_profile, load_tasks
from robot_recorder.configuration.tasks import TaskRegistry
from robot_recorder.model.answers import Answer
from robot_recorder.model.errors import ConfigError, RecorderError
from robot_recorder.model.ids import id_problem, shown_id
from robot_recorder.model.streams import RobotProfile
from robot_recorder.model.text import text_problem
from robot_recorder.nodes import heap
from robot_recorder.nodes.log import NodeLog

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# For a reader that must see every change, not only the newest state.
LATCHED_ALL = QoSProfile(depth=50, durability=DurabilityPolicy.TRANSIENT_LOCAL)


_MOST = 1e9  # of any parameter that is a number: three decades of seconds

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
    if wanted not in (int, float):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise ConfigError(f"parameter '{name}' must be a number from 0 on, not {value!r}")
    if value > _MOST or not math.isfinite(value):
        raise ConfigError(f"parameter '{name}' must be at most {_MOST:g}, not {value:g}")
    return wanted(value)


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
    if problem := text_problem("root", root, "parameter 'root'"):
        raise ConfigError(problem)
    return Path(root).expanduser().absolute()


def robot_name(node: Node, profile: RobotProfile) -> str:
    """The robot's name: the namespace if there is one, else the profile's.

    Raises:
        ConfigError: it cannot be part of an episode's id.
    """
    name = node.get_namespace().strip("/").replace("/", "_") or profile.robot
    if problem := text_problem("robot", name, "the robot's name, from its namespace,"):
        raise ConfigError(problem)
    if problem := id_problem(name):
        raise ConfigError(
            f"robot {shown_id(name)} cannot be part of an episode's id: {problem}; correct the profile's "
            "robot, or give the nodes a namespace"
        )
    return name


def log_answer(node: Node, answer: Answer) -> None:
    """Write a yes or no into the log."""
    say = NodeLog(node).info if answer.ok else NodeLog(node).warning
    say(answer.reason)


def run(build: Callable[[], tuple[Sequence[Node], Sequence[Closable]]]) -> int:
    """Spin what ``build`` makes until SIGINT or SIGTERM, then close it in order.

    Args:
        build: called once rclpy is up; returns the nodes to spin and what to close at the end.

    Returns:
        The process's exit code: 0; 1 when something shared has ``failed``; 2 when the configuration
        is wrong.
    """
    log_visibly()
    heap.keep_whole()
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
                spin_once(executor, nodes[0])
        except ExternalShutdownException:
            pass
        finally:
            for closable in closables:
                closable.close()
        return int(any(getattr(closable, "failed", False) for closable in closables))
    except RecorderError as error:
        say_error(f"error: {error}")
        return 2
    except Exception:  # its text is from anywhere: it is not to be printed as it is
        logging.getLogger(__name__).exception("a fault of robot_recorder ended this program")
        return 1
    finally:
        rclpy.try_shutdown()


def _wake_on_signals(executor: SingleThreadedExecutor) -> None:
    """Let a signal end the executor's wait, which Python alone cannot: so it need not look all the time."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def wake() -> None:
        while os.read(reader, 64):
            executor.wake()

    threading.Thread(target=wake, name="signals", daemon=True).start()


def spin_once(executor: SingleThreadedExecutor, node: Node, timeout_s: float = 1.0) -> None:
    """Serve one callback. One that fails is reported, and costs neither the take nor the next one."""
    try:
        executor.spin_once(timeout_sec=timeout_s)
    except ExternalShutdownException:
        raise
    except Exception:
        NodeLog(node).failure("a callback failed")
