"""QoS: what a stream asks for, what publishers offer, and what the middleware reports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

INFINITE_NS = 2**63 - 1  # the middleware's word for "no limit"


class Reliability(str, Enum):
    RELIABLE = "reliable"
    BEST_EFFORT = "best_effort"


class Durability(str, Enum):
    VOLATILE = "volatile"
    TRANSIENT_LOCAL = "transient_local"


@dataclass(frozen=True)
class Qos:
    """The part of a QoS profile that decides who hears whom."""

    reliability: Reliability = Reliability.BEST_EFFORT
    durability: Durability = Durability.VOLATILE
    deadline_ns: int = INFINITE_NS


@dataclass(frozen=True)
class OfferedQos:
    """A publisher's QoS as rosbag2 stores it; policies by their rmw names.

    Source: rosbag2_storage/src/rosbag2_storage/qos.cpp (metadata version 9).
    """

    reliability: str = "reliable"
    durability: str = "volatile"
    history: str = "unknown"  # DDS discovery does not carry it
    depth: int = 0
    deadline_ns: int = INFINITE_NS
    lifespan_ns: int = INFINITE_NS
    liveliness: str = "automatic"
    liveliness_lease_ns: int = INFINITE_NS

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


@dataclass
class QosEvents:
    """What the middleware reported about a subscription since it was made.

    Attributes:
        deadline: a publisher did not keep the deadline it offers.
        lost: the middleware itself says that messages were lost.
        incompatible: a publisher could not be heard with the QoS subscribed with.
    """

    deadline: int = 0
    lost: int = 0
    incompatible: int = 0
