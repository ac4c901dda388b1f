"""The newest message of a topic, taken when it is wanted: what is sent in between costs no Python."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy

from robot_recorder.messages.installed_types import message_class


class Newest:
    """A raw subscription of a node that no executor serves."""

    def __init__(self, node: Node, topic: str, type_name: str, depth: int = 1) -> None:
        """
        Args:
            depth: messages that are kept until they are taken.

        Raises:
            ConfigError: the type is not installed.
        """
        # A best-effort reader hears every publisher, and has nothing sent twice.
        qos = QoSProfile(
            history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=ReliabilityPolicy.BEST_EFFORT
        )
        self._node = node
        self._type = message_class(type_name)
        self._subscription = node.create_subscription(self._type, topic, _ignore, qos, raw=True)

    def take(self) -> Iterator[bytes]:
        """What has come since, oldest first, as CDR."""
        while (taken := self._subscription.handle.take_message(self._type, True)) is not None:
            yield taken[0]

    def close(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._subscription)


def _ignore(_: Any) -> None:
    """Callback of subscriptions no executor ever serves."""
