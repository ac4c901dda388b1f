"""A topic that is read: its subscription, its publishers, and which of their messages are lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.subscription import Subscription

from robot_recorder.model.losses import Dropout, Place
from robot_recorder.model.qos import Qos
from robot_recorder.model.topics import Channel, Sample
from robot_recorder.nodes.qos import EventCounter
from robot_recorder.nodes.taker import Taker, taker_of

_ID_SIZE = 16  # bytes of an RTPS id; middlewares append different bytes
_DISCOVERY_S = 5.0  # a publisher discovered later than this is a new one
_DISCOVERY_MOST = 5000  # above this count, it is unknown when the publisher began to send
_UNKNOWN = (
    "a publisher had sent {} messages before it was discovered: how many since the start is unknown"
)
_MIXED = "it has several publishers, whose messages this ROS 2 cannot tell apart: how many were lost is unknown"
_NOBODY = b"?"  # no publisher's id


class TopicReader:
    """A channel and its current subscription."""

    def __init__(self, channel: Channel, message_type: Any, forced: Qos | None) -> None:
        """Create it without subscription.

        Args:
            channel: the channel of the samples.
            message_type: class of the messages.
            forced: QoS of the profile; None: follow the publishers.
        """
        self.channel = channel
        self.message_type = message_type
        self.forced = forced
        self.qos: Qos | None = None
        self.subscription: Subscription[Any] | None = None  # see ``attach``
        self.events = EventCounter(channel.events)
        self.publisher_count = -1
        # By publisher: its id (one object for all samples), next message number, last receive time.
        self._publishers: dict[bytes, list[Any]] = {}
        self._came_later: dict[bytes, bool] = {}
        self.since = time.monotonic()  # when the topic was first subscribed
        self._latest: list[Any] = [_NOBODY, None, 0]  # the publisher of the last message
        # Without ids in messages (rclpy before Kilted) their numbers mean something only while the graph
        # has one publisher, ``_sole``, and nothing while ``_mixed``.
        self.ask_graph: Callable[[], list[bytes]] | None = None  # for the ids of the publishers
        self._sole = b""
        self._mixed = False
        self.taker: Taker | None = None

    def attach(self, subscription: Subscription[Any]) -> None:
        """Take messages from a subscription from now on."""
        self.subscription = subscription
        self.taker = taker_of(subscription, self.message_type, self.channel)
        self.events.attach(subscription)

    def detach(self) -> None:
        """Let go of the subscription, before it is destroyed."""
        self.subscription = self.taker = None
        self.events.detach()

    def see(self, publishers: list[bytes]) -> frozenset[bytes]:
        """Note the ids of the publishers in the graph; return them as samples carry them."""
        came_later = time.monotonic() - self.since > _DISCOVERY_S
        for publisher in publishers:
            self._came_later.setdefault(publisher[:_ID_SIZE], came_later)
        ids = {publisher[:_ID_SIZE] for publisher in publishers}
        sole = min(ids) if len(publishers) == 1 else b""
        if sole != self._sole:
            self._publishers.pop(b"", None)
            self._latest = [_NOBODY, None, self._latest[2]]
            self._sole = sole
        return frozenset(p for p in self._publishers if p[:_ID_SIZE] in ids)

    def _first(
        self, publisher: bytes, number: int | None, received: int, dropouts: list[Dropout]
    ) -> int | None:
        """Return the expected number of a publisher's first message.

        For a publisher that came after the subscription it is 1: messages sent before discovery are
        lost. If it had sent very many by then, the loss is noted as unknown.
        """
        came_later = self._came_later.get(
            publisher[:_ID_SIZE], time.monotonic() - self.since > _DISCOVERY_S
        )
        if number is None or not publisher or self.channel.latched or not came_later or self._mixed:
            return number
        if number <= _DISCOVERY_MOST:
            return 1
        why = _UNKNOWN.format(number - 1)
        dropouts.append(Dropout(self.channel.topic, Place.DDS, None, received, received, why))
        return number

    def take_all(self, samples: list[Sample], dropouts: list[Dropout]) -> None:
        """Take all received messages, and find losses by gaps in the publishers' message numbers.

        Args:
            samples: gets the samples, in order of receipt.
            dropouts: gets the losses.
        """
        if self.taker is None:
            return
        now_ns = time.time_ns()
        while True:
            known = self._latest
            odd, known[1], known[2] = self.taker.take(samples, known[0], known[1], known[2], now_ns)
            if odd is None:
                return
            samples.append(self._take_odd(*odd, now_ns, dropouts))

    def _take_odd(
        self,
        data: bytes,
        received: int,
        sent: int,
        number: int | None,
        publisher: bytes,
        now_ns: int,
        dropouts: list[Dropout],
    ) -> Sample:
        """Return the sample of a message that is not the next one of the latest publisher."""
        channel, last_ns = self.channel, self._latest[2]
        if not publisher and number is not None:
            number = self._of_sole(number, received, dropouts)
        known = self._publishers.get(publisher)
        if known is None:
            first = self._first(publisher or self._sole, number, received, dropouts)
            known = self._publishers[publisher] = [publisher, first, 0]
            self._mixed = self._mixed and number is None
        self._latest = known
        publisher, expected, before = known
        if received < before <= now_ns:  # as in Taker
            received = before
        known[2] = received
        if number is not None:
            channel.numbered = True
            if expected is not None and number > expected:
                missed = number - expected
                dropouts.append(
                    Dropout(channel.topic, Place.DDS, missed, last_ns or received, received)
                )
            known[1] = max(number + 1, expected or 0)  # Zenoh sends latched ones again, later
        return Sample(channel, data, received, sent if sent > 0 else received, publisher)

    def _of_sole(self, number: int, received: int, dropouts: list[Dropout]) -> int | None:
        """Return the number of a message without publisher's id; None: it may be any publisher's.

        The loss is noted as unknown when a second publisher comes, and again when it has gone: an
        episode may have begun in between.
        """
        if self._sole and b"" in self._publishers and self.ask_graph is not None:
            self.see(self.ask_graph())  # a gap, a restart, or a second publisher?
        known = self._publishers.get(b"")
        back = known is not None and known[1] is not None and number < known[1]
        if back or bool(self._sole) == self._mixed:
            dropouts.append(
                Dropout(self.channel.topic, Place.DDS, None, received, received, _MIXED)
            )
        if back:
            return None  # of a publisher that has gone again: numbers of one only grow
        if self._sole:
            return number
        self.channel.numbered, self._mixed = False, True
        return None
