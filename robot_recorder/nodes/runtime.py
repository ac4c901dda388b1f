"""Run a process with nodes: parameters, signals, orderly shutdown."""

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

from robot_recorder.cli.terminal import log_visibly, say_error
from robot_recorder.configuration.find import load_profile, load_tasks
from robot_recorder.configuration.tasks import TaskRegistry
from robot_recorder.messages.installed_types import load_without_generator
from robot_recorder.model.answers import Answer
from robot_recorder.model.errors import ConfigError, RecorderError
from robot_recorder.model.ids import id_problem, shown_id
from robot_recorder.model.streams import RobotProfile
from robot_recorder.model.text import text_problem
from robot_recorder.nodes import heap
from robot_recorder.nodes.log import NodeLog

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# For subscribers that must see every change, not only the newest state.
LATCHED_ALL = QoSProfile(depth=50, durability=DurabilityPolicy.TRANSIENT_LOCAL)


_MOST = 1e9  # maximum of number parameters; about 30 years in seconds

SILENT_S = 3.0  # a status, published once a second, that is older tells that its node is gone

# Clock for timers: a node's own clock, wall clock or /clock, may stand still or be set.
STEADY = Clock(clock_type=ClockType.STEADY_TIME)


class Closable(Protocol):
    """A node or shared object that must be closed before the process ends."""

    def close(self) -> None:
        """Finish all work."""


def parameter(node: Node, name: str, default: Any, description: str) -> Any:
    """Declare a read-only parameter and return its value.

    Raises:
        ConfigError: its type differs from that of the default, or a number is out of range.
    """
    wanted = type(default)
    # ROS reads 2 as an integer and would refuse it if the default is 2.0.
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
        raise ConfigError(f"parameter '{name}' must be a number of at least 0, not {value!r}")
    if value > _MOST or not math.isfinite(value):
        raise ConfigError(f"parameter '{name}' must be at most {_MOST:g}, not {value:g}")
    return wanted(value)


def profile_parameter(node: Node) -> RobotProfile:
    """Load the robot profile that the ``profile`` parameter names."""
    text = "robot profile: a YAML file, or the name of one in config/robots"
    return load_profile(parameter(node, "profile", "g1_sim", text))


def tasks_parameter(node: Node) -> TaskRegistry:
    """Load the task registry that the ``tasks`` parameter names."""
    text = "task registry: a YAML file; empty for the one in config/tasks.yaml"
    return load_tasks(parameter(node, "tasks", "", text))


def episodes_root(node: Node) -> Path:
    """Return the root directory that the ``root`` parameter names."""
    text = "root directory of the episodes"
    root = parameter(node, "root", os.environ.get("ROBOT_RECORDER_ROOT", "episodes"), text)
    if problem := text_problem("root", root, "parameter 'root'"):
        raise ConfigError(problem)
    return Path(root).expanduser().absolute()


def robot_name(node: Node, profile: RobotProfile) -> str:
    """Return the robot's name: the namespace if there is one, else the name in the profile.

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
    """Log an answer: as information if it is positive, else as a warning."""
    say = NodeLog(node).info if answer.ok else NodeLog(node).warning
    say(answer.reason)


def run(build: Callable[[], tuple[Sequence[Node], Sequence[Closable]]]) -> int:
    """Build nodes, spin them until SIGINT or SIGTERM, then close them in order.

    Args:
        build: called after rclpy is initialised; returns the nodes and the objects to close.

    Returns:
        Exit code: 0: success; 1: a closed object has ``failed``, or a bug; 2: bad configuration.
    """
    log_visibly()
    heap.keep_whole()
    load_without_generator()
    # rclpy's handlers would shut the context down before the recording is finalised.
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
        heap.collect_seldom()
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
    except Exception:  # logged, because its text may hold control characters
        logging.getLogger(__name__).exception(
            "a bug of robot_recorder ended this program: please report it"
        )
        return 1
    finally:
        rclpy.try_shutdown()


def _wake_on_signals(executor: SingleThreadedExecutor) -> None:
    """Let signals wake the executor, which waits in C code, so that it need not poll."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def wake() -> None:
        while os.read(reader, 64):
            executor.wake()

    threading.Thread(target=wake, name="signals", daemon=True).start()


def spin_once(executor: SingleThreadedExecutor, node: Node, timeout_s: float = 1.0) -> None:
    """Run one callback; an error is logged, and the node goes on."""
    try:
        executor.spin_once(timeout_sec=timeout_s)
    except ExternalShutdownException:
        raise
    except Exception:
        NodeLog(node).failure("a callback failed")
