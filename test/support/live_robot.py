"""A robot that publishes a take with the real messages at real rates, and calls of the recorder's services."""

from __future__ import annotations

import heapq
import threading
import time

import numpy as np
from rclpy.qos import qos_profile_sensor_data

from support.robot import RecorderClient
from support.robot_bags import NS, Sent, send
from support.robot_messages import message_class
from support.robot_takes import Take


class LiveRobot(RecorderClient):
    """Publishes a take once, from a thread, and calls the recorder's services.

    Attributes:
        is_broken: whether it publishes the messages of the broken take.
        start_ns: when the take starts.
    """

    def __init__(self, take: Take, broken: Take, late_s: float = 2.0) -> None:
        """Create publishers and messages.

        Args:
            take: what to publish.
            broken: the same with a defect.
            late_s: until the take starts, time to make the messages in, s.
        """
        super().__init__("live_robot")
        self.is_broken = False
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
        super().__exit__()

    def _messages(self, take: Take) -> dict[str, Sent]:
        rng = np.random.default_rng(take.seed)
        return {name: send(topic, self.start_ns, rng) for name, topic in take.topics.items()}

    @property
    def now_s(self) -> float:
        """Return the time of the take, s."""
        return (time.time_ns() - self.start_ns) / NS

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
