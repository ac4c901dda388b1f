"""Topics as they are subscribed and stored, and the samples received on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from typing import NamedTuple

from robot_recorder.model.losses import Dropout
from robot_recorder.model.qos import OfferedQos, QosEvents

RAW_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/PointCloud2")  # about 1 MB a message


@dataclass(frozen=True)
class BagTopic:
    """A topic of a bag.

    Attributes:
        name: fully qualified name.
        type: message type, package/msg/Name.
        offered_qos: QoS of the publishers known when the topic was added.
        type_hash: RIHS01 hash of the type; empty: unknown.
        definition: message definition in ros2msg format; empty: unknown.
    """

    name: str
    type: str
    offered_qos: tuple[OfferedQos, ...] = ()
    type_hash: str = ""
    definition: str = ""


@dataclass(eq=False)
class Channel:
    """A subscribed topic. Hashed by identity, because it is looked up for every sample.

    Attributes:
        bag_topic: its description in a bag; replaced when the publishers change.
        latched: whether its publishers keep messages for late subscribers (transient local).
        wrong_type: the type it is published with, if that differs from the subscribed one.
        publishers: current number of publishers.
        unheard: number of publishers that the profile's QoS is incompatible with.
        alive: ids of the current publishers that have sent a message.
        processes: low 16 bits of the numbers of its publishers' processes on this machine, as they see
            themselves, where the middleware tells them.
        numbered: whether messages carry sequence numbers, so that losses in DDS are known.
        events: counts of QoS events.
    """

    bag_topic: BagTopic
    latched: bool = False
    wrong_type: str = ""
    publishers: int = 0
    unheard: int = 0
    alive: frozenset[bytes] = frozenset()
    processes: frozenset[int] = frozenset()
    numbered: bool = False
    events: QosEvents = field(default_factory=QosEvents)

    @property
    def topic(self) -> str:
        """Return the fully qualified name."""
        return self.bag_topic.name


class Sample(NamedTuple):
    """A message as received.

    Attributes:
        channel: its channel.
        data: CDR bytes.
        receive_ns: when the middleware received it, robot clock.
        send_ns: when its publisher sent it, publisher's clock.
        publisher: id of the publisher; empty: unknown.
    """

    channel: Channel
    data: bytes
    receive_ns: int
    send_ns: int
    publisher: bytes = b""


@dataclass(frozen=True)
class Batch:
    """Samples that the ingest delivers together.

    Attributes:
        samples: in order of receipt; samples of later batches are never older.
        dropouts: losses found in the middleware.
        shift_ns: by how much the robot clock was set; add it to earlier times to compare them with
            times from this batch on. 0: it was not set.
        until_ns: everything received before is in this batch or an earlier one.
        hurry: whether somebody waits for what is published because of it.
    """

    samples: list[Sample]
    dropouts: list[Dropout] = field(default_factory=list)
    shift_ns: int = 0
    until_ns: int = 0
    hurry: bool = False

    @cached_property
    def bytes(self) -> int:
        """Return the size of all messages, bytes."""
        return sum(map(len, map(_DATA, self.samples)))


_DATA, by_receipt = itemgetter(1), itemgetter(2)  # fields of a Sample
