"""The publishers of playback: one for each topic of a bag, with the QoS that was recorded."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSProfile,
    ReliabilityPolicy,
)

from robot_recorder.messages.installed_types import message_class, type_hash
from robot_recorder.model.qos import INFINITE_NS, OfferedQos
from robot_recorder.playback.recorded_qos import offer_for_all
from robot_recorder.playback.selection import Selection
from robot_recorder.playback.timeline import Message

_MOST_DEPTH = 10_000
_LEAST_DEPTH = 10  # what rosbag2 plays with
_KEPT_S = 0.5  # of a fast topic more is kept, for readers that are busy
_STEADY_S = 0.5  # nobody joined for so long: everybody is there
_LOOK_S = 0.02
_ACKNOWLEDGED_S = 1.0  # given to readers to get the last messages


class Publishers:
    """Publishes a bag's messages.

    Attributes:
        latched: how many messages are kept of each topic whose publisher was transient local.
        problems: topics that cannot be played, and why.
        doubts: topics that are played, but perhaps not understood, and why.
        refused: messages that the middleware did not take, by topic.
    """

    def __init__(self, node: Node, choice: Selection, without: frozenset[str]) -> None:
        """
        Args:
            without: topics of the bag that the node publishes itself.
        """
        self._node = node
        self._publishers: dict[str, Publisher[Any]] = {}
        self.latched: dict[str, int] = {}
        self.problems = dict(choice.unplayable)
        self.doubts: dict[str, str] = {}
        self.refused: Counter[str] = Counter()
        for topic, count in choice.topics.items():
            if topic.name in without:
                continue
            offer = offer_for_all(topic.offered_qos)
            rate_hz = count / max(choice.duration_s, _KEPT_S)
            depth = max(offer.depth, len(topic.offered_qos), round(rate_hz * _KEPT_S), _LEAST_DEPTH)
            depth = min(depth, _MOST_DEPTH)
            # Converted bags name topics without the first slash; they belong into no namespace.
            name = topic.name if topic.name.startswith("/") else f"/{topic.name}"
            try:
                self._publishers[topic.name] = node.create_publisher(
                    message_class(topic.type), name, publisher_qos(offer, depth)
                )
            except Exception as error:  # whatever a bag says; the other topics are played
                self.problems[topic.name] = str(error).partition("\n")[0]
                continue
            if offer.durability == "transient_local":
                self.latched[topic.name] = depth
            installed = type_hash(topic.type)
            if topic.type_hash and installed and topic.type_hash != installed:
                self.doubts[topic.name] = (
                    f"{topic.type} is installed here in another version than it was recorded with"
                )

    @property
    def topics(self) -> set[str]:
        """What is played."""
        return set(self._publishers)

    def publish(self, message: Message) -> None:
        """Publish a message's bytes as they are. Of another version of its type they may not fit."""
        try:
            self._publishers[message.topic].publish(message.data)
        except Exception:
            self.refused[message.topic] += 1

    def wait_for_readers(self, most_s: float, ending: Callable[[], bool]) -> None:
        """Give readers that are running time to find the publishers, until no more join."""
        end = since = time.monotonic()
        end, count = end + most_s, 0
        while time.monotonic() < end and not ending():
            now = sum(p.get_subscription_count() for p in self._publishers.values())
            if now != count:
                since, count = time.monotonic(), now
            if count and time.monotonic() - since > _STEADY_S:
                return
            time.sleep(_LOOK_S)

    def shared(self) -> list[str]:
        """Topics that somebody else publishes, too."""
        return sorted(
            t for t, p in self._publishers.items() if self._node.count_publishers(p.topic_name) > 1
        )

    def finish(self) -> None:
        """Wait a moment until readers have the last messages."""
        end = time.monotonic() + _ACKNOWLEDGED_S
        for publisher in self._publishers.values():
            publisher.wait_for_all_acked(Duration(seconds=max(end - time.monotonic(), 0.0)))


def publisher_qos(offer: OfferedQos, depth: int) -> QoSProfile:
    """An offer as rclpy wants it."""
    manual = offer.liveliness in (
        "manual_by_node",
        "manual_by_topic",
    )  # rclpy has no manual_by_node
    profile = QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy[offer.reliability.upper()],
        durability=DurabilityPolicy[offer.durability.upper()],
        liveliness=LivelinessPolicy.MANUAL_BY_TOPIC if manual else LivelinessPolicy.AUTOMATIC,
    )
    if offer.deadline_ns < INFINITE_NS:
        profile.deadline = Duration(nanoseconds=offer.deadline_ns)
    if offer.lifespan_ns < INFINITE_NS:
        profile.lifespan = Duration(nanoseconds=offer.lifespan_ns)
    if offer.liveliness_lease_ns < INFINITE_NS:
        profile.liveliness_lease_duration = Duration(nanoseconds=offer.liveliness_lease_ns)
    return profile
