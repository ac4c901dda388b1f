"""A robot with bad sensors: late, jittery, with gaps, on their own clocks."""

from __future__ import annotations

import heapq
import math
import random
import threading
import time
from dataclasses import dataclass
from typing import Any

import rclpy
from geometry_msgs.msg import PoseStamped, Transform, WrenchStamped
from rclpy.node import Node
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, JointState, MultiDOFJointState
from std_msgs.msg import Float64MultiArray

NS = 1_000_000_000


@dataclass(frozen=True)
class Manners:
    """How one stream behaves.

    Attributes:
        rate_hz: of its samples.
        offset_s, drift_ppm: of its clock against the machine's.
        latency_s, jitter_s: from sampling to sending; jitter is exponential, so some messages
            overtake.
        lost: share that is never sent.
        silent_s: beginning and end of a silence, s since ``mark``.
        begins_s: beginning of publishing, s since ``mark``.
        restarts_s: time at which its driver is replaced by another one, s since ``mark``.
    """

    rate_hz: float
    offset_s: float = 0.0
    drift_ppm: float = 0.0
    latency_s: float = 0.0
    jitter_s: float = 0.0
    lost: float = 0.0
    silent_s: tuple[float, float] = (0.0, 0.0)
    begins_s: float = -math.inf
    restarts_s: float = math.inf


ROUGH = {
    "joint_states": Manners(200, jitter_s=0.004, lost=0.03),
    "command": Manners(100, latency_s=0.03),
    "wrist/wrench": Manners(250, offset_s=-0.37, drift_ppm=80, latency_s=0.003, jitter_s=0.002),
    "head/image/compressed": Manners(15, latency_s=0.06, jitter_s=0.03, lost=0.1),
    "wrist/image/compressed": Manners(15, latency_s=0.02, silent_s=(2.0, 3.5)),
    "hand/joint_states": Manners(50, begins_s=3.0),
    "finger/wrench": Manners(50, restarts_s=5.0),
    "targets": Manners(100, latency_s=0.01, jitter_s=0.003),
    "device": Manners(100, offset_s=0.21, drift_ppm=-60, jitter_s=0.002),
    "bodies": Manners(60, jitter_s=0.002),
}

PROFILE = """
robot: rough
{clock}
deadline_ms: 200
streams:
  joints: {{topic: joint_states, type: sensor_msgs/msg/JointState, role: observation, rate_hz: 200, disorder_ms: 8}}
  command: {{topic: command, type: sensor_msgs/msg/JointState, role: action, rate_hz: 100}}
  wrench: {{topic: wrist/wrench, type: geometry_msgs/msg/WrenchStamped, role: observation, rate_hz: 250, clock: device, window: true}}
  head: {{topic: head/image/compressed, type: sensor_msgs/msg/CompressedImage, role: observation, rate_hz: 15, latency_ms: 5}}
  wrist: {{topic: wrist/image/compressed, type: sensor_msgs/msg/CompressedImage, role: observation, rate_hz: 15}}
  hand: {{topic: hand/joint_states, type: sensor_msgs/msg/JointState, role: observation, rate_hz: 50, required: false}}
  finger: {{topic: finger/wrench, type: geometry_msgs/msg/WrenchStamped, role: observation, rate_hz: 50}}
  glove: {{topic: glove/joint_states, type: sensor_msgs/msg/JointState, role: observation, rate_hz: 50, window: true, required: false}}
  targets: {{topic: targets, type: std_msgs/msg/Float64MultiArray, role: action, rate_hz: 100, as: joint_state, of: joints, names: [a, b]}}
  turned: {{topic: device, type: geometry_msgs/msg/PoseStamped, role: observation, rate_hz: 100, as: imu, map: {{orientation: pose.orientation}}, stamp: {{field: pose.position.x, unit: ms, bits: 16}}}}
  moved: {{topic: device, role: observation, rate_hz: 100, as: numbers, map: {{values: {{height: pose.position.z}}}}}}
  bodies: {{topic: bodies, type: sensor_msgs/msg/MultiDOFJointState, role: observation, rate_hz: 60}}
  left_hand: {{topic: bodies, role: observation, rate_hz: 60, as: poses, map: {{names: joint_names, pose: transforms}}, window: true}}
"""


_OTHERS = {"targets": Float64MultiArray, "device": PoseStamped, "bodies": MultiDOFJointState}


def _other(kind: Any, stamp_ns: int, seconds: float) -> Any:
    """Return a message without header, with a counter as its only stamp, or of bodies that come and go."""
    message = kind()
    if kind is Float64MultiArray:
        message.data = [math.sin(seconds), math.cos(2 * seconds)]
    elif kind is PoseStamped:
        message.pose.position.x = float(stamp_ns // 1_000_000 % 65536)
        message.pose.position.z = math.sin(seconds)
        message.pose.orientation.z, message.pose.orientation.w = (
            math.sin(seconds),
            math.cos(seconds),
        )
    else:
        for name in ("left", "right") if math.sin(seconds) > 0 else ("right",):
            turned = Transform()
            turned.translation.x = seconds
            turned.rotation.x, turned.rotation.w = math.sin(seconds), math.cos(seconds)
            message.joint_names.append(name)
            message.transforms.append(turned)
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, NS)
    return message


class RoughRobot:
    """A robot that publishes ``ROUGH`` from its own thread until closed."""

    def __init__(self, namespace: str, seed: int = 0) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._node = Node("rough", namespace=namespace, context=self._context)
        self._publishers = {topic: self._publisher(topic) for topic in ROUGH}
        self._restarts = {topic: manners.restarts_s for topic, manners in ROUGH.items()}
        self._marked_ns: int | None = None
        self._random = random.Random(seed)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rough")
        self._thread.start()

    def __enter__(self) -> RoughRobot:
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        self._node.destroy_node()
        self._context.try_shutdown()

    def mark(self) -> None:
        """Set the zero of times such as ``silent_s`` to now."""
        self._marked_ns = time.time_ns()

    def _publisher(self, topic: str) -> Any:
        return self._node.create_publisher(self._kind(topic), topic, 100)

    @staticmethod
    def _kind(topic: str) -> Any:
        if topic.endswith("compressed"):
            return CompressedImage
        if topic in _OTHERS:
            return _OTHERS[topic]
        return WrenchStamped if topic.endswith("wrench") else JointState

    def _restart(self, topic: str) -> None:
        self._restarts[topic] = math.inf
        self._node.destroy_publisher(self._publishers[topic])
        self._publishers[topic] = self._publisher(topic)

    def _run(self) -> None:
        begun_ns = time.time_ns()
        samples = [(begun_ns, topic) for topic in ROUGH]
        sends: list[tuple[int, int, str, bytes]] = []
        number = 0
        while not self._ending.is_set():
            now_ns = time.time_ns()
            while samples[0][0] <= now_ns:
                at_ns, topic = heapq.heappop(samples)
                manners = ROUGH[topic]
                heapq.heappush(samples, (at_ns + round(NS / manners.rate_hz), topic))
                seconds = (at_ns - begun_ns) / NS
                marked_s = (at_ns - self._marked_ns) / NS if self._marked_ns else -1.0
                silent = manners.silent_s[0] <= marked_s < manners.silent_s[1]
                silent |= marked_s < manners.begins_s
                if marked_s > self._restarts[topic]:
                    self._restart(topic)
                if silent or self._random.random() < manners.lost:
                    continue
                late_s = manners.latency_s + self._late_s(manners)
                number += 1
                stamp_ns = at_ns + round(manners.offset_s * NS + seconds * manners.drift_ppm * 1e3)
                data = self._message(topic, stamp_ns, seconds)
                heapq.heappush(sends, (at_ns + round(late_s * NS), number, topic, data))
            while sends and sends[0][0] <= now_ns:
                _, _, topic, data = heapq.heappop(sends)
                self._publishers[topic].publish(data)
            time.sleep(0.001)

    def _late_s(self, manners: Manners) -> float:
        return self._random.expovariate(1 / manners.jitter_s) if manners.jitter_s else 0.0

    def _message(self, topic: str, stamp_ns: int, seconds: float) -> bytes:
        kind = self._kind(topic)
        if topic in _OTHERS:
            return bytes(serialize_message(_other(kind, stamp_ns, seconds)))
        if kind is JointState:
            angles = [math.sin(seconds), math.cos(2 * seconds)]
            message = JointState(name=["a", "b"], position=angles, velocity=angles)
        elif kind is WrenchStamped:
            message = WrenchStamped()
            message.wrench.force.z = math.sin(3 * seconds)
        else:
            message = CompressedImage(format="jpeg", data=bytes(2000))
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, NS)
        return bytes(serialize_message(message))
