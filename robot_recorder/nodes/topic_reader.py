"""One topic's subscription: what has arrived on it is taken directly, not through an executor."""

from __future__ import annotations

import time
from typing import Any

from rclpy.subscription import Subscription

from robot_recorder.model.losses import Dropout, Place
from robot_recorder.model.qos import Qos
from robot_recorder.model.topics import Channel, Sample
from robot_recorder.nodes.qos import EventCounter

_ID_SIZE = 16  # of an RTPS id; the middlewares differ in what they append
_DISCOVERY_S = 5.0  # whoever is discovered later than this was not there before
_DISCOVERY_MOST = 5000  # more than that before it is discovered: nobody knows when it began to send
_UNKNOWN = (
    "a publisher had sent {} messages before it was discovered: how many since the start is unknown"
)
_new = tuple.__new__  # what Sample(...) does, at a third of its price


class TopicReader:
    """One channel and its current subscription."""

    def __init__(self, channel: Channel, message_type: Any, forced: Qos | None) -> None:
        self.channel = channel
        self.message_type = message_type
        self.forced = forced
        self.qos: Qos | None = None
        self.subscription: Subscription[Any] | None = None
        self.events = EventCounter(channel.events)
        self.publisher_count = -1
        # Of each publisher its id, one object for thousands of samples, its next message's number, and the last receipt.
        self._publishers: dict[bytes, list[Any]] = {}
        self._came_later: dict[bytes, bool] = {}
        self.since = time.monotonic()  # when the topic was first subscribed
        self._last_ns = 0

    def see(self, publishers: list[bytes]) -> frozenset[bytes]:
        """Take the ids of the publishers that the graph shows now; the same as samples carry them."""
        came_later = time.monotonic() - self.since > _DISCOVERY_S
        for publisher in publishers:
            self._came_later.setdefault(publisher[:_ID_SIZE], came_later)
        ids = {publisher[:_ID_SIZE] for publisher in publishers}
        return frozenset(p for p in self._publishers if p[:_ID_SIZE] in ids)

    def _first(
        self, publisher: bytes, number: int | None, received: int, dropouts: list[Dropout]
    ) -> int | None:
        """The number that a publisher's first message should have that could be heard.

        Of one that came after the subscription that is 1: what it sent before it was discovered is lost. Of one that had
        sent very much by then nobody knows how much of that is lost to the episode.
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
        """Take what has arrived, and find what did not, by the gaps in the publishers' numbers."""
        if self.subscription is None:
            return
        channel, message_type, publishers = self.channel, self.message_type, self._publishers
        take, append, last_ns = self.subscription.handle.take_message, samples.append, self._last_ns
        now_ns = time.time_ns()
        while (taken := take(message_type, True)) is not None:
            data, info = taken
            # Some middlewares do not stamp receipt; then it is when the message was taken.
            received = info["received_timestamp"] or time.time_ns()
            number = info.get("publication_sequence_number")  # since Jazzy
            gid = info.get("publisher_gid")  # since Kilted
            if gid is not None:
                publisher = gid["data"]
            else:  # numbers of several publishers that cannot be told apart say nothing
                publisher, number = b"", number if channel.publishers == 1 else None
            known = publishers.get(publisher)
            if known is None:
                first = self._first(publisher, number, received, dropouts)
                known = publishers[publisher] = [publisher, first, 0]
            publisher, expected, before = known
            # A message may wait in the middleware for an older one that is sent again: it is received behind it. A
            # clock that was set back is another matter.
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
