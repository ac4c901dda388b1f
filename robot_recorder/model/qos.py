"""QoS settings of streams and publishers, and QoS events of subscriptions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

INFINITE_NS = 2**63 - 1  # the middleware's value for "no limit"


class Reliability(str, Enum):
    """Reliability policy of DDS."""

    RELIABLE = "reliable"
    BEST_EFFORT = "best_effort"


class Durability(str, Enum):
    """Durability policy of DDS."""

    VOLATILE = "volatile"
    TRANSIENT_LOCAL = "transient_local"


@dataclass(frozen=True)
class Qos:
    """The part of a QoS profile that decides about compatibility."""

    reliability: Reliability = Reliability.BEST_EFFORT
    durability: Durability = Durability.VOLATILE
    deadline_ns: int = INFINITE_NS


# The policies' names by their numbers, as bags up to metadata version 8 have them (rmw/types.h).
POLICY_NAMES = {
    "history": ("system_default", "keep_last", "keep_all", "unknown"),
    "reliability": ("system_default", "reliable", "best_effort", "unknown"),
    "durability": ("system_default", "transient_local", "volatile", "unknown"),
    "liveliness": ("system_default", "automatic", "manual_by_node", "manual_by_topic", "unknown"),
}


@dataclass(frozen=True)
class OfferedQos:
    """A publisher's QoS as rosbag2 stores it; policies by their rmw names.

    Source: rosbag2_storage/src/rosbag2_storage/qos.cpp (metadata version 9).
    """

    reliability: str = "reliable"
    durability: str = "volatile"
    history: str = "unknown"  # not part of DDS discovery
    depth: int = 0
    deadline_ns: int = INFINITE_NS
    lifespan_ns: int = INFINITE_NS
    liveliness: str = "automatic"
    liveliness_lease_ns: int = INFINITE_NS

    def to_dict(self) -> dict[str, Any]:
        """Return the nine keys of rosbag2, in its order."""
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
    """Counts of the QoS events of a subscription since it was created.

    Attributes:
        deadline: missed deadlines of publishers.
        lost: messages that the middleware reports as lost.
        incompatible: publishers with an incompatible QoS.
    """

    deadline: int = 0
    lost: int = 0
    incompatible: int = 0
