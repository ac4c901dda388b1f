"""Ingest: the one place where sensor messages enter the program.

One thread waits on all subscriptions at once and drains them in batches. rclpy's executors spend most
of a small message's time on scheduling its callback; taking it directly costs a fraction of that. The
calls used are those rclpy's own executor makes, unchanged since Humble.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace
from operator import attrgetter
from typing import Any

import rclpy
from rclpy.impl.implementation_singleton import rclpy_implementation as _rclpy
from rclpy.node import Node
from rclpy.subscription import Subscription

from robot_recorder.core.errors import ConfigError
from robot_recorder.core.streams import Durability, Qos, follow_publishers
from robot_recorder.core.topics import BagTopic, Channel, Sample
from robot_recorder.installed_types import message_class, message_definition, type_hash
from robot_recorder.nodes.qos import core_qos, offered_qos, subscription_qos

Sink = Callable[[list[Sample]], None]

_DEPTH = 2000  # messages DDS keeps per topic while this thread is busy: two seconds at 1 kHz
_GATHER_S = 0.002  # after the first message of a batch, wait for the others
_WAIT_NS = 20_000_000
# The middleware stamps a message a moment before it can be taken. Batches end this far in the past,
# so that order of receipt holds across batches and flush() leaves nothing behind.
_SETTLE_NS = 1_000_000
_HOLD_MOST_NS = 1_000_000_000
_GRAPH_PERIOD_S = 0.2
_by_receipt = attrgetter("receive_ns")


class _Reader:
    """One channel and its current subscription."""

    def __init__(self, channel: Channel, message_type: Any, forced: Qos | None) -> None:
        self.channel = channel
        self.message_type = message_type
        self.forced = forced
        self.qos: Qos | None = None
        self.last_numbers: dict[bytes, int] = {}
        self.subscription: Subscription[Any] | None = None

    def count(self, publisher: bytes, number: int | None) -> None:
        """Find what was sent and never arrived, by the gaps in a publisher's numbers."""
        if number is None:
            return
        last = self.last_numbers.get(publisher)
        self.last_numbers[publisher] = number
        missed = number - last - 1 if last is not None else 0
        self.channel.missed = (self.channel.missed or 0) + max(missed, 0)


class Ingest:
    """Raw subscriptions of one robot, shared by everyone in the process who wants their samples."""

    def __init__(self, name: str, namespace: str = "") -> None:
        # A node of its own, known to no executor: only this class's thread touches it once it runs.
        self._node: Node = rclpy.create_node(
            name, namespace=namespace, enable_rosout=False, start_parameter_services=False
        )
        self._readers: dict[str, _Reader] = {}
        self._sinks: list[Sink] = []
        self._held: list[Sample] = []
        self.failed = False  # the thread died of an error, and the process is ending
        self._settled_ns = 0
        self._settled = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)

    def subscribe(self, topic: str, type_name: str, qos: Qos | None = None) -> Channel:
        """The channel of a topic, made if it is new. Call before ``start``.

        Args:
            topic: relative names are resolved in the namespace.
            qos: forced; None follows the publishers.

        Raises:
            ConfigError: the type is not installed, or the topic has another type already.
        """
        name = self._node.resolve_topic_name(topic)
        known = self._readers.get(name)
        if known is None:
            message_type = message_class(type_name)
            definition = message_definition(type_name)
            bag_topic = BagTopic(name, type_name, (), type_hash(type_name), definition)
            known = self._readers[name] = _Reader(Channel(bag_topic), message_type, qos)
        elif known.channel.bag_topic.type != type_name:
            raise ConfigError(
                f"{name} is subscribed as {known.channel.bag_topic.type} already, not {type_name}"
            )
        return known.channel

    def add_sink(self, sink: Sink) -> None:
        """Have every batch handed to ``sink``, in this class's thread. Call before ``start``."""
        self._sinks.append(sink)

    def start(self) -> None:
        """Begin to subscribe and deliver."""
        self._thread.start()

    def close(self) -> None:
        """Deliver what has arrived, end the thread, destroy the subscriptions."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._node.destroy_node()

    def flush(self, until_ns: int, timeout_s: float = 5.0) -> bool:
        """Wait until every sample received up to ``until_ns`` has been delivered."""
        with self._settled:
            return self._settled.wait_for(
                lambda: self._settled_ns >= until_ns or not self._thread.is_alive(), timeout_s
            )

    def _run(self) -> None:
        context: Any = self._node.context
        wait_set = _rclpy.WaitSet(len(self._readers), 0, 0, 0, 0, 0, context.handle)
        try:
            with wait_set:
                self._loop(wait_set)
        except Exception:  # never be silently not recording: end the process, in order
            self.failed = True
            self._node.get_logger().fatal(f"ingest failed, ending: {traceback.format_exc()}")
            os.kill(os.getpid(), signal.SIGTERM)

    def _loop(self, wait_set: Any) -> None:
        next_graph = 0.0
        while not self._stopping.is_set():
            if time.monotonic() >= next_graph:
                self._follow_graph()
                next_graph = time.monotonic() + _GRAPH_PERIOD_S
            if self._wait(wait_set):
                time.sleep(_GATHER_S)
            self._drain(time.time_ns() - _SETTLE_NS)
        self._drain(time.time_ns())

    def _wait(self, wait_set: Any) -> bool:
        wait_set.clear_entities()
        for reader in self._readers.values():
            if reader.subscription is not None:
                wait_set.add_subscription(reader.subscription.handle)
        wait_set.wait(0 if self._held else _WAIT_NS)
        return bool(wait_set.get_ready_entities("subscription")) or bool(self._held)

    def _drain(self, until_ns: int) -> None:
        batch, self._held = self._held, []
        for reader in self._readers.values():
            self._take_all(reader, batch)
        batch.sort(key=_by_receipt)
        # Samples far ahead were received before the wall clock was set back: they wait for nothing.
        first = bisect_right(batch, until_ns, key=_by_receipt)
        last = bisect_right(batch, until_ns + _HOLD_MOST_NS, key=_by_receipt)
        self._held = batch[first:last]
        del batch[first:last]
        if batch:
            for sink in self._sinks:
                sink(batch)
        with self._settled:
            self._settled_ns = until_ns
            self._settled.notify_all()

    @staticmethod
    def _take_all(reader: _Reader, batch: list[Sample]) -> None:
        subscription, channel = reader.subscription, reader.channel
        if subscription is None:
            return
        take = subscription.handle.take_message
        while True:
            taken = take(reader.message_type, True)
            if taken is None:
                return
            data, info = taken
            gid = info.get("publisher_gid")  # since Kilted
            publisher = gid["data"] if gid else b""
            if publisher:
                reader.count(publisher, info["publication_sequence_number"])
            # Some middlewares do not stamp receipt; then it is when the message was taken.
            received = info["received_timestamp"] or time.time_ns()
            batch.append(
                Sample(channel, data, received, info["source_timestamp"] or received, publisher)
            )

    def _follow_graph(self) -> None:
        """Subscribe to what has publishers, with a QoS that hears all of them."""
        for name, reader in self._readers.items():
            offers = self._node.get_publishers_info_by_topic(name)
            fitting = [o for o in offers if o.topic_type == reader.channel.bag_topic.type]
            others = [o.topic_type for o in offers if o.topic_type != reader.channel.bag_topic.type]
            reader.channel.wrong_type = others[0] if others and not fitting else ""
            reader.channel.publishers = len(fitting)
            if not fitting:
                continue  # keep a subscription there may be: a publisher that restarts is heard at once
            offered = tuple(offered_qos(o.qos_profile) for o in fitting)
            if offered != reader.channel.bag_topic.offered_qos:
                reader.channel.bag_topic = replace(reader.channel.bag_topic, offered_qos=offered)
            wanted = reader.forced or follow_publishers([core_qos(o.qos_profile) for o in fitting])
            if wanted != reader.qos:
                self._resubscribe(name, reader, wanted)

    def _resubscribe(self, name: str, reader: _Reader, qos: Qos) -> None:
        old = reader.subscription
        if old is not None:
            self._take_all(reader, self._held)
            self._node.destroy_subscription(old)
        reader.subscription = self._node.create_subscription(
            reader.message_type, name, _ignore, subscription_qos(qos, _DEPTH), raw=True
        )
        reader.qos = qos
        reader.channel.latched = qos.durability is Durability.TRANSIENT_LOCAL


def _ignore(_: Any) -> None:
    """Callback of subscriptions no executor ever serves."""
