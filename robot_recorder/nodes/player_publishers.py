"""The publishers of playback: one for each topic of a bag, with its recorded QoS."""

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
_LEAST_DEPTH = 10  # as rosbag2 plays
_KEPT_S = 0.5  # history of a fast topic, for slow subscribers
_STEADY_S = 0.5  # no new subscriber for this long: all are connected
_LOOK_S = 0.02
_ACKNOWLEDGED_S = 1.0  # timeout for subscribers to acknowledge the last messages


class Publishers:
    """The publishers of a bag's messages.

    Attributes:
        latched: history depth of each transient local topic.
        problems: reasons of the topics that cannot be played.
        doubts: reasons of the topics that are played but may be unreadable for subscribers.
        refused: number of messages that the middleware rejected, by topic.
    """

    def __init__(self, node: Node, choice: Selection, without: frozenset[str]) -> None:
        """Create the publishers.

        Args:
            node: the node that publishes.
            choice: the topics to play.
            without: topics to leave out, because the node publishes them itself.
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
            # Converted bags lack the first slash; without it the node's namespace would be added.
            name = topic.name if topic.name.startswith("/") else f"/{topic.name}"
            try:
                self._publishers[topic.name] = node.create_publisher(
                    message_class(topic.type), name, publisher_qos(offer, depth)
                )
            except Exception as error:  # whatever is wrong with it: play the other topics
                self.problems[topic.name] = str(error).partition("\n")[0]
                continue
            if offer.durability == "transient_local":
                self.latched[topic.name] = depth
            installed = type_hash(topic.type)
            if topic.type_hash and installed and topic.type_hash != installed:
                self.doubts[topic.name] = (
                    f"the installed version of {topic.type} differs from the recorded one"
                )

    @property
    def topics(self) -> set[str]:
        """Return the played topics."""
        return set(self._publishers)

    def publish(self, message: Message) -> None:
        """Publish a message's recorded bytes; count it as refused if they do not fit the type."""
        if not message.data:  # it could not be converted from ROS 1; the middleware would send it
            self.refused[message.topic] += 1
            return
        try:
            self._publishers[message.topic].publish(message.data)
        except Exception:
            self.refused[message.topic] += 1

    def wait_for_readers(self, most_s: float, ending: Callable[[], bool]) -> None:
        """Wait until running subscribers have connected.

        Args:
            most_s: timeout, s.
            ending: returns True to stop waiting.
        """
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
        """Return the topics that have other publishers, too."""
        return sorted(
            t for t, p in self._publishers.items() if self._node.count_publishers(p.topic_name) > 1
        )

    def finish(self) -> None:
        """Wait until subscribers have received the last messages, at most 1 s."""
        end = time.monotonic() + _ACKNOWLEDGED_S
        for publisher in self._publishers.values():
            publisher.wait_for_all_acked(Duration(seconds=max(end - time.monotonic(), 0.0)))


def publisher_qos(offer: OfferedQos, depth: int) -> QoSProfile:
    """Convert a recorded QoS to a profile of rclpy."""
    # rclpy has no manual_by_node
    manual = offer.liveliness in ("manual_by_node", "manual_by_topic")
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
