"""A robot that publishes a take with the real messages at real rates, and calls of the recorder's services."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data

from robot_recorder.msg import EpisodeStatus
from support.robot_bags import NS, Sent, send
from support.robot_messages import message_class
from support.robot_takes import Take

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class LiveRobot:
    """Publishes a take once, from a thread, and calls the recorder's services.

    Attributes:
        is_broken: whether it publishes the messages of the broken take.
        start_ns: when the take starts.
        status: the recorder's EpisodeStatus, as soon as one came.
    """

    def __init__(self, take: Take, broken: Take, late_s: float = 2.0) -> None:
        """Create publishers and messages.

        Args:
            take: what to publish.
            broken: the same with a defect.
            late_s: until the take starts, time to make the messages in, s.
        """
        self.is_broken = False
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = Node("live_robot", context=self.context)
        self.executor = rclpy.executors.SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.status: Any = None
        self.node.create_subscription(EpisodeStatus, "recorder/status", self._on_status, LATCHED)
        self._publishers = {
            name: self.node.create_publisher(
                message_class(topic.type), f"/{name}",
                qos_profile_sensor_data if topic.blobs is not None else 100,
            )
            for name, topic in take.topics.items()
        }  # fmt: skip
        self.start_ns = time.time_ns() + round(late_s * NS)
        self._good, self._broken = self._messages(take), self._messages(broken)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._publish, name="live_robot")

    def __enter__(self) -> LiveRobot:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        self.executor.shutdown()
        self.node.destroy_node()
        self.context.try_shutdown()

    def _messages(self, take: Take) -> dict[str, Sent]:
        rng = np.random.default_rng(take.seed)
        return {name: send(topic, self.start_ns, rng) for name, topic in take.topics.items()}

    @property
    def now_s(self) -> float:
        """Return the time of the take, s."""
        return (time.time_ns() - self.start_ns) / NS

    def _on_status(self, status: EpisodeStatus) -> None:
        self.status = status

    def _publish(self) -> None:
        streams = (
            zip(sent.sends.tolist(), [name] * len(sent.messages), range(len(sent.messages)))
            for name, sent in self._good.items()
        )
        for at_ns, name, number in heapq.merge(*streams):
            wait_s = (at_ns - time.time_ns()) / NS
            if wait_s > 2e-4 and self._ending.wait(wait_s):
                return
            sent = self._broken if self.is_broken else self._good
            self._publishers[name].publish(sent[name].messages[number])

    def wait(self, what: str, condition: Callable[[], bool], timeout_s: float = 20) -> None:
        """Spin until a condition holds; fail the test after a timeout."""
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, f"waited {timeout_s} s for {what}; status: {self.status}"
            self.executor.spin_once(timeout_sec=0.05)

    def ready(self) -> bool:
        """Return whether the recorder receives every required stream."""
        return self.status is not None and all(
            s.health == 0 for s in self.status.streams if s.required
        )

    def call(self, kind: Any, service: str, /, **fields: Any) -> Any:
        """Call a service."""
        client: Any = self.node.create_client(kind, service)
        assert client.wait_for_service(20), f"service {service} does not exist"
        future = client.call_async(kind.Request(**fields))
        self.executor.spin_until_future_complete(future, timeout_sec=20)
        assert future.done(), f"service {service} did not answer"
        self.node.destroy_client(client)
        return future.result()
