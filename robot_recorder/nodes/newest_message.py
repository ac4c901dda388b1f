"""Take the newest message of a topic on request; messages in between cost no Python time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy

from robot_recorder.messages.installed_types import message_class


class Newest:
    """A raw subscription on a node that is in no executor."""

    def __init__(self, node: Node, topic: str, type_name: str, depth: int = 1) -> None:
        """Subscribe to a topic.

        Args:
            node: a node in no executor.
            topic: the topic.
            type_name: its message type.
            depth: number of messages kept until they are taken.

        Raises:
            ConfigError: the type is not installed.
        """
        # Best effort is compatible with every publisher and causes no retransmissions.
        qos = QoSProfile(
            history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=ReliabilityPolicy.BEST_EFFORT
        )
        self._node = node
        self._type = message_class(type_name)
        self._subscription = node.create_subscription(self._type, topic, _ignore, qos, raw=True)

    def take(self) -> Iterator[bytes]:
        """Yield the CDR bytes received since the last call, oldest first."""
        while (taken := self._subscription.handle.take_message(self._type, True)) is not None:
            yield taken[0]

    def close(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._subscription)


def _ignore(_: Any) -> None:
    """Do nothing: no executor serves these subscriptions."""
