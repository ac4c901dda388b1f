"""Take the messages of one topic directly from its subscription, without an executor."""

from __future__ import annotations

import time
from typing import Any

from rclpy.subscription import Subscription

from robot_recorder.model.losses import Dropout, Place
from robot_recorder.model.qos import Qos
from robot_recorder.model.topics import Channel, Sample
from robot_recorder.nodes.qos import EventCounter

_ID_SIZE = 16  # bytes of an RTPS id; middlewares append different bytes
_DISCOVERY_S = 5.0  # a publisher discovered later than this is a new one
_DISCOVERY_MOST = 5000  # above this count, it is unknown when the publisher began to send
_UNKNOWN = (
    "a publisher had sent {} messages before it was discovered: how many since the start is unknown"
)
_new = tuple.__new__  # as Sample(...), in a third of the time


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
        self.subscription: Subscription[Any] | None = None
        self.events = EventCounter(channel.events)
        self.publisher_count = -1
        # By publisher: its id (one object for all samples), next message number, last receive time.
        self._publishers: dict[bytes, list[Any]] = {}
        self._came_later: dict[bytes, bool] = {}
        self.since = time.monotonic()  # when the topic was first subscribed
        self._last_ns = 0

    def see(self, publishers: list[bytes]) -> frozenset[bytes]:
        """Note the ids of the publishers in the graph; return them as samples carry them."""
        came_later = time.monotonic() - self.since > _DISCOVERY_S
        for publisher in publishers:
            self._came_later.setdefault(publisher[:_ID_SIZE], came_later)
        ids = {publisher[:_ID_SIZE] for publisher in publishers}
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
        if number is None or not publisher or self.channel.latched or not came_later:
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
        if self.subscription is None:
            return
        channel, message_type, publishers = self.channel, self.message_type, self._publishers
        take, append, last_ns = self.subscription.handle.take_message, samples.append, self._last_ns
        now_ns = time.time_ns()
        while (taken := take(message_type, True)) is not None:
            data, info = taken
            # Some middlewares give no receive time: use the time of taking.
            received = info["received_timestamp"] or time.time_ns()
            number = info.get("publication_sequence_number")  # since Jazzy
            gid = info.get("publisher_gid")  # since Kilted
            if gid is not None:
                publisher = gid["data"]
            else:  # numbers are useless if several publishers cannot be distinguished
                publisher, number = b"", number if channel.publishers == 1 else None
            known = publishers.get(publisher)
            if known is None:
                first = self._first(publisher, number, received, dropouts)
                known = publishers[publisher] = [publisher, first, 0]
            publisher, expected, before = known
            # The middleware may hold a message until an older one is sent again: use the later
            # receive time. A time above now means that the clock was set back.
            if received < before <= now_ns:
                received = before
            known[2] = received
            if number is not None:
                channel.numbered = True
                if expected is not None and number > expected:
                    missed = number - expected
                    dropouts.append(
                        Dropout(channel.topic, Place.DDS, missed, last_ns or received, received)
                    )
                known[1] = number + 1
            sent = info["source_timestamp"]
            last_ns = received
            append(
                _new(
                    Sample,
                    (channel, data, received, sent if sent > 0 else received, publisher),
                )
            )
        self._last_ns = last_ns
