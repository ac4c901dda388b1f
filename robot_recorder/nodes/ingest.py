"""The ingest: the only place where sensor messages enter the program.

One thread empties all subscriptions every 100 ms, or every 10 ms while somebody waits. rclpy's executors spend most
of a small message's time on scheduling its callback; taking messages directly, in batches, costs a fraction of that. The
call used is the one that rclpy's own executor makes, unchanged since Humble.
"""

from __future__ import annotations

import os
import signal
import struct
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import rclpy
from rclpy.node import Node

from robot_recorder.clocks.robot_clock import RobotClock
from robot_recorder.messages.installed_types import (
    message_class,
    message_definition,
    type_hash,
)
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.losses import Dropout, Place
from robot_recorder.model.qos import Durability, Qos
from robot_recorder.model.streams import follow_publishers, hears
from robot_recorder.model.topics import BagTopic, Batch, Channel, Sample, by_receipt
from robot_recorder.nodes.endpoint_ids import machine_of, processes_on
from robot_recorder.nodes.log import NodeLog
from robot_recorder.nodes.qos import core_qos, depth_of, offered_qos, subscription_qos
from robot_recorder.nodes.topic_reader import TopicReader

Sink = Callable[[Batch], None]

_PERIOD_S = 0.100  # between two drains: few and large batches cost less
_CLOCK_PERIOD_S = (
    0.050  # between two looks at the clock: around a jump, stamps may be wrong for twice as long
)
_PROMPT_PERIOD_S = 0.010  # while somebody waits for them; well below the deadline of frames
# What stamps messages when they arrive; other middlewares stamp them when they are taken.
_STAMPS_ARRIVAL = ("rmw_fastrtps", "rmw_zenoh")
_DEPTH = 2000  # messages DDS keeps per topic while this thread is busy: two seconds at 1 kHz
# A message gets its receive time a moment before it can be taken. Batches end this far in the past,
# so that samples stay in order of receipt across batches and flush() misses none.
_SETTLE_NS = 1_000_000
_GRAPH_PERIOD_S = 0.5
_GRAPH_PERIOD_FIRST_S = 0.1  # in the first seconds, when publishers are being found
_FIRST_S = 3.0
_GRAPH_PERIOD_FULL_S = 4.0  # asking for QoS is slow; in between only publishers are counted
_CLOCK = struct.Struct("<iI")


class Ingest:
    """Raw subscriptions of one robot, shared by all nodes of the process."""

    def __init__(self, name: str, namespace: str = "") -> None:
        """Create it without subscriptions, except that of ``/clock`` with use_sim_time.

        Args:
            name: name of its node.
            namespace: namespace of its node; empty: that of the command line.
        """
        # Its own node, in no executor: once started, only this class's thread uses it.
        self._node: Node = rclpy.create_node(
            name, namespace=namespace, enable_rosout=False, start_parameter_services=False
        )
        self._log = NodeLog(self._node)
        self._readers: dict[str, TopicReader] = {}
        self._sinks: list[Sink] = []
        self._held: list[Sample] = []  # received, but not settled yet
        self._taken: list[Sample] = []  # from subscriptions that were replaced
        self._dropouts: list[Dropout] = []
        self._machine = b""
        self.clock = RobotClock()
        self.failed = False  # the thread ended with an error; the process ends
        self.prompt = False  # whether somebody waits for what sinks make of batches
        stamps_arrival = rclpy.get_rmw_implementation_identifier().startswith(_STAMPS_ARRIVAL)
        self._stamps_late = not stamps_arrival
        self._awaited = threading.Event()  # a drain is
        self._awaited_ns = 0  # since when, monotonic
        self._hurried_ns = 0  # when ``flush`` was called last, monotonic
        self._settled_ns = 0  # monotonic
        self._until_ns = 0  # of the batch before, robot clock
        self._settled = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)
        self._clock_channel: Channel | None = None
        if self._node.get_parameter("use_sim_time").value:
            self.clock.simulated = True
            self._clock_channel = self.subscribe("/clock", "rosgraph_msgs/msg/Clock")

    def subscribe(self, topic: str, type_name: str, qos: Qos | None = None) -> Channel:
        """Return the channel of a topic; subscribe to it if it is new. Call before ``start``.

        Args:
            topic: its name; relative names are resolved in the namespace.
            type_name: its message type.
            qos: QoS to subscribe with; None: follow the publishers.

        Raises:
            ConfigError: the type is not installed, or the topic has another type already.
        """
        name = self._node.resolve_topic_name(topic)
        known = self._readers.get(name)
        if known is None:
            message_type = message_class(type_name)
            definition = message_definition(type_name)
            bag_topic = BagTopic(name, type_name, (), type_hash(type_name), definition)
            channel = Channel(bag_topic)
            known = self._readers[name] = TopicReader(channel, message_type, qos)
            known.ask_graph = partial(self._publishers, name, type_name)
        elif known.channel.bag_topic.type != type_name:
            raise ConfigError(
                f"{name} is subscribed as {known.channel.bag_topic.type} already, not {type_name}"
            )
        return known.channel

    def reads(self, topic: str) -> bool:
        """Tell whether a topic is subscribed here, by its full name."""
        return topic in self._readers

    def add_sink(self, sink: Sink) -> None:
        """Register a function to be called with every batch, in the ingest's thread, before ``start``."""
        self._sinks.append(sink)

    def start(self) -> None:
        """Start to subscribe and to deliver batches."""
        self._thread.start()

    def close(self) -> None:
        """Deliver everything received, end the thread, destroy the subscriptions."""
        self._stopping.set()
        self._awaited.set()
        if self._thread.is_alive():
            self._thread.join()
        self._node.destroy_node()

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until all samples received so far are delivered, and what sinks publish because of them.

        Returns:
            Whether they were, before the timeout.
        """
        self._hurried_ns = time.monotonic_ns()
        return self.catch_up(timeout_s) and self.catch_up(timeout_s)

    def catch_up(self, timeout_s: float) -> bool:
        """Wait until all samples received so far are delivered; return whether they were, before the timeout."""
        until_ns = self._awaited_ns = time.monotonic_ns()
        self._awaited.set()
        with self._settled:
            return self._settled.wait_for(
                lambda: self._settled_ns >= until_ns or not self._thread.is_alive(), timeout_s
            )

    def _run(self) -> None:
        try:
            self._loop()
        except Exception:  # without ingest nothing is recorded: end the process in order
            self.failed = True
            self._log.fatal("the ingest failed, ending the process")
            os.kill(os.getpid(), signal.SIGTERM)

    def _loop(self) -> None:
        next_graph = next_full = 0.0
        first_until = time.monotonic() + _FIRST_S
        while not self._stopping.is_set():
            now = time.monotonic()
            if now >= next_graph:
                full = now >= next_full
                self._follow_graph(full)
                next_graph = now + (_GRAPH_PERIOD_FIRST_S if now < first_until else _GRAPH_PERIOD_S)
                next_full = now + _GRAPH_PERIOD_FULL_S if full else next_full
            self._wait()
            self._drain(_SETTLE_NS)
        self._drain(0)

    def _wait(self) -> None:
        """Wait until the subscriptions are to be emptied."""
        end = time.monotonic() + self._period_s()
        while (left := end - time.monotonic()) > 0:
            if self._awaited.wait(min(left, _CLOCK_PERIOD_S)):
                break
            self.clock.now_ns()  # looks for a jump
        self._awaited.clear()

    def _period_s(self) -> float:
        awaited = self.prompt or self._stamps_late or self.clock.simulated
        return _PROMPT_PERIOD_S if awaited or self._settled_ns < self._awaited_ns else _PERIOD_S

    def _drain(self, settle_ns: int) -> None:
        began_ns = time.monotonic_ns()
        fresh, self._taken = self._taken, []
        for reader in self._readers.values():
            reader.take_all(fresh, self._dropouts)
        now_ns = self.clock.now_ns()
        shift_ns = self.clock.follow()
        if shift_ns:
            now_ns += shift_ns
            self._until_ns += shift_ns
            self._held = [s._replace(receive_ns=s.receive_ns + shift_ns) for s in self._held]
        if not self.clock.plain:
            fresh = self._restamp(fresh)
        samples, self._held = self._held + fresh, []
        if not self.clock.simulated:
            samples.sort(key=by_receipt)
            self._keep_order(samples, now_ns)
            settled = bisect_right(samples, now_ns - settle_ns, key=by_receipt)
            self._held = samples[settled:]
            del samples[settled:]
        until_ns = self.clock.now_ns() if self.clock.simulated else now_ns - settle_ns
        dropouts: list[Dropout] = []
        if samples or shift_ns:
            dropouts, self._dropouts = self._dropouts, []
        self._until_ns = until_ns
        # Until all that was received before the call of ``flush`` is delivered.
        hurry = self._settled_ns < self._hurried_ns
        batch = Batch(samples, dropouts, shift_ns, until_ns, hurry)
        for sink in self._sinks:  # also an empty batch: it carries the time
            sink(batch)
        with self._settled:
            self._settled_ns = began_ns - settle_ns
            self._settled.notify_all()

    def _keep_order(self, samples: list[Sample], now_ns: int) -> None:
        """Let what the middleware delivered late, on a busy machine, be received after the batch before.

        That batch said that all received before its end had come: frames of a live run and of its bag would differ.
        """
        late = bisect_left(samples, self._until_ns, key=by_receipt)
        if late and self._until_ns <= now_ns:  # else the clock was set back
            samples[:late] = [s._replace(receive_ns=self._until_ns) for s in samples[:late]]

    def _restamp(self, samples: list[Sample]) -> list[Sample]:
        """Replace system receive times by those of the robot clock."""
        clock = self.clock
        if not clock.simulated:
            self._stamp_dropouts(clock.stamp)
            return [s._replace(receive_ns=clock.stamp(s.receive_ns)) for s in samples]
        # As in rosbag2: a message's receive time is that of the last message of /clock.
        stamped = []
        for sample in sorted(samples, key=by_receipt):
            if sample.channel is self._clock_channel:
                self._follow_clock(sample.data)
            stamped.append(sample._replace(receive_ns=clock.now_ns()))
        self._stamp_dropouts(lambda _: clock.now_ns())
        return stamped

    def _follow_clock(self, data: bytes) -> None:
        if len(data) < 4 + _CLOCK.size:
            self._log.seldom_warning(
                f"a message on /clock has {len(data)} bytes, {4 + _CLOCK.size} are needed: ignored"
            )
            return
        sec, nanosec = _CLOCK.unpack_from(data, 4)
        self.clock.simulate(sec * 1_000_000_000 + nanosec)

    def _stamp_dropouts(self, stamp: Callable[[int], int]) -> None:
        self._dropouts = [
            replace(d, start_ns=stamp(d.start_ns), end_ns=stamp(d.end_ns)) for d in self._dropouts
        ]

    def _follow_graph(self, full: bool) -> None:
        """Subscribe to topics with publishers, with a QoS that receives from all of them."""
        for name, reader in self._readers.items():
            if full:
                reader.events.poll()
            count = self._node.count_publishers(name)
            if not full and count == reader.publisher_count:
                continue
            reader.publisher_count = count
            offers = self._node.get_publishers_info_by_topic(name)
            channel = reader.channel
            fitting = [o for o in offers if o.topic_type == channel.bag_topic.type]
            others = [o.topic_type for o in offers if o.topic_type != channel.bag_topic.type]
            channel.wrong_type = others[0] if others and not fitting else ""
            if others:
                self._not_recorded(name, others[0])
            channel.publishers = len(fitting)
            if not fitting:
                continue  # keep the subscription, for publishers that restart
            ids = [bytes(o.endpoint_gid) for o in fitting]
            reader.take_all(self._taken, self._dropouts)  # what the publishers before sent
            channel.alive = reader.see(ids)
            offered = tuple(offered_qos(o.qos_profile) for o in fitting)
            if offered != channel.bag_topic.offered_qos:
                channel.bag_topic = replace(channel.bag_topic, offered_qos=offered)
            offers_qos = [core_qos(o.qos_profile) for o in fitting]
            wanted = reader.forced or follow_publishers(offers_qos)
            channel.unheard = sum(not hears(wanted, offer) for offer in offers_qos)
            if wanted != reader.qos:
                self._resubscribe(name, reader, wanted)
            channel.processes = self._processes(name, ids)

    def _publishers(self, name: str, type_name: str) -> list[bytes]:
        """Return the ids of a topic's publishers as the graph has them now."""
        offers = self._node.get_publishers_info_by_topic(name)
        return [bytes(o.endpoint_gid) for o in offers if o.topic_type == type_name]

    def _processes(self, name: str, publishers: list[bytes]) -> frozenset[int]:
        """Return the processes of publishers on this machine; see ``Channel.processes``."""
        if not self._machine:  # how ids of this machine begin is known from our own subscription
            ours = self._node.get_name(), self._node.get_namespace()
            infos = self._node.get_subscriptions_info_by_topic(name)
            own = [bytes(i.endpoint_gid) for i in infos if (i.node_name, i.node_namespace) == ours]
            self._machine = machine_of(own, os.getpid())
        return processes_on(self._machine, publishers)

    def _not_recorded(self, name: str, other: str) -> None:
        """Note an unknown loss: a publisher of another type whose messages are not recorded."""
        now_ns, why = time.time_ns(), f"it is also published as {other}, which is not recorded"
        self._dropouts.append(Dropout(name, Place.DDS, None, now_ns, now_ns, why))

    def _resubscribe(self, name: str, reader: TopicReader, qos: Qos) -> None:
        old = reader.subscription
        if old is None:
            reader.since = time.monotonic()
        else:
            reader.take_all(self._taken, self._dropouts)
            reader.detach()
            self._node.destroy_subscription(old)
        depth = depth_of(reader.channel.bag_topic.type, _DEPTH)
        subscription = self._node.create_subscription(
            reader.message_type, name, _ignore, subscription_qos(qos, depth), raw=True
        )
        reader.attach(subscription)
        reader.qos = qos
        reader.channel.latched = qos.durability is Durability.TRANSIENT_LOCAL


def _ignore(_: Any) -> None:
    """Do nothing: no executor serves these subscriptions."""
