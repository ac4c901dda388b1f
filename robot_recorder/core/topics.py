"""A topic as it is subscribed and stored, and the samples that arrive on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

_INFINITE_NS = 2**63 - 1


@dataclass(frozen=True)
class OfferedQos:
    """A publisher's QoS as rosbag2 stores it; policies by their rmw names.

    Source: rosbag2_storage/src/rosbag2_storage/qos.cpp (metadata version 9).
    """

    reliability: str = "reliable"
    durability: str = "volatile"
    history: str = "unknown"  # DDS discovery does not carry it
    depth: int = 0
    deadline_ns: int = _INFINITE_NS
    lifespan_ns: int = _INFINITE_NS
    liveliness: str = "automatic"
    liveliness_lease_ns: int = _INFINITE_NS

    def to_dict(self) -> dict[str, Any]:
        """The nine keys, in rosbag2's order."""
        return {
            "history": self.history,
            "depth": self.depth,
            "reliability": self.reliability,
            "durability": self.durability,
            "deadline": _duration(self.deadline_ns),
            "lifespan": _duration(self.lifespan_ns),
            "liveliness": self.liveliness,
            "liveliness_lease_duration": _duration(self.liveliness_lease_ns),
            "avoid_ros_namespace_conventions": False,
        }


def _duration(ns: int) -> dict[str, int]:
    sec, nsec = divmod(ns, 1_000_000_000)
    return {"sec": sec, "nsec": nsec}


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
        latched: its publishers keep the last message for late joiners (transient local).
        wrong_type: the type it is really published with, when that is not the subscribed one.
        publishers: how many there are now.
        missed: messages that were sent and never arrived here, by the gaps in their publishers'
            sequence numbers; None where the middleware does not number them.
    """

    bag_topic: BagTopic
    latched: bool = False
    wrong_type: str = ""
    publishers: int = 0
    missed: int | None = None

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
