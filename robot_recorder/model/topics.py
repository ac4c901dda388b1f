"""A topic as it is subscribed and stored, and the samples that arrive on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from typing import NamedTuple

from robot_recorder.model.losses import Dropout
from robot_recorder.model.qos import OfferedQos, QosEvents


@dataclass(frozen=True)
class BagTopic:
    """A topic of a bag.

    Attributes:
        name: fully qualified.
        type: as package/msg/Name.
        offered_qos: of the publishers known when the topic was added.
        type_hash: RIHS01 hash of the type, empty when unknown.
        definition: message definition in ros2msg form, empty when unknown.
    """

    name: str
    type: str
    offered_qos: tuple[OfferedQos, ...] = ()
    type_hash: str = ""
    definition: str = ""


@dataclass(eq=False)
class Channel:
    """One subscribed topic. Hashed by identity: it is looked up for every sample.

    Attributes:
        bag_topic: how a bag describes it; replaced when the publishers change.
        stamped: its messages begin with a std_msgs/Header.
        latched: its publishers keep the last message for late joiners (transient local).
        wrong_type: the type it is really published with, when that is not the subscribed one.
        publishers: how many there are now.
        unheard: how many of them cannot be heard, because the profile forces another QoS.
        alive: ids of the publishers there are now, as far as they have been heard.
        numbered: its messages carry their publisher's numbers, so what is lost on the way is known.
        events: QoS events.
    """

    bag_topic: BagTopic
    stamped: bool = False
    latched: bool = False
    wrong_type: str = ""
    publishers: int = 0
    unheard: int = 0
    alive: frozenset[bytes] = frozenset()
    numbered: bool = False
    events: QosEvents = field(default_factory=QosEvents)

    @property
    def topic(self) -> str:
        """Fully qualified name."""
        return self.bag_topic.name


class Sample(NamedTuple):
    """One message as it arrived.

    Attributes:
        receive_ns: when the middleware received it, robot clock.
        send_ns: when its publisher sent it, by the publisher's clock.
        publisher: which publisher sent it; empty where the middleware does not say.
    """

    channel: Channel
    data: bytes
    receive_ns: int
    send_ns: int
    publisher: bytes = b""


@dataclass(frozen=True)
class Batch:
    """What the ingest hands over at once.

    Attributes:
        samples: in order of receipt; samples of later batches are never older.
        dropouts: what was found to be lost on the way.
        until_ns: everything received before has been handed over, with this batch or an earlier one.
        shift_ns: not 0 when the robot clock was set: what earlier stamps have to be moved by to
            compare with the ones from this batch on.
    """

    samples: list[Sample]
    dropouts: list[Dropout] = field(default_factory=list)
    shift_ns: int = 0
    until_ns: int = 0

    @cached_property
    def bytes(self) -> int:
        """Size of all messages together."""
        return sum(map(len, map(_DATA, self.samples)))


_DATA = itemgetter(1)
