"""The QoS that a bag's publishers offered, and a single offer that replaces several.

Source: rosbag2_storage/src/rosbag2_storage/qos.cpp,
rosbag2_storage/include/rosbag2_storage/yaml.hpp.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from robot_recorder.bags.metadata import parse_qos
from robot_recorder.model.qos import INFINITE_NS, POLICY_NAMES, OfferedQos
from robot_recorder.model.streams import NS_PER_S

# Offers from weak to strong: a subscriber that matches a weak one also matches a stronger one.
_STRENGTH = {
    "reliability": ("best_effort", "reliable"),
    "durability": ("volatile", "transient_local"),
    "liveliness": ("automatic", "manual_by_node", "manual_by_topic"),
}
# The middlewares of Foxy wrote different values for infinity, all longer than 68 years.
_INFINITE_S = 0x7FFFFFFF


def recorded_offers(topic_metadata: dict[str, Any]) -> tuple[OfferedQos, ...]:
    """Return the offers in a topic's entry of ``metadata.yaml``, of any version.

    Empty if nothing is known; invalid offers are left out.
    """
    offers = parse_qos(topic_metadata.get("offered_qos_profiles"))
    return tuple(_offer(o) for o in offers if isinstance(o, dict))


def offer_for_all(offers: Sequence[OfferedQos]) -> OfferedQos:
    """Return the weakest offer that matches every subscriber that matched any of these.

    rosbag2 falls back to its default if offers differ; subscribers of latched topics do not match
    it.
    """
    if not offers:
        return OfferedQos()
    return OfferedQos(
        reliability=_strongest("reliability", (o.reliability for o in offers)),
        durability=_strongest("durability", (o.durability for o in offers)),
        history="keep_last",
        depth=max(o.depth for o in offers),
        deadline_ns=min(o.deadline_ns for o in offers),
        lifespan_ns=max(o.lifespan_ns for o in offers),
        liveliness=_strongest("liveliness", (o.liveliness for o in offers)),
        liveliness_lease_ns=min(o.liveliness_lease_ns for o in offers),
    )


def _strongest(policy: str, values: Iterable[str]) -> str:
    return max(values, key=_STRENGTH[policy].index)


def _offer(given: dict[str, Any]) -> OfferedQos:
    default, history = OfferedQos(), _name("history", given, "unknown")
    depth = given.get("depth")
    # The system's default at that time is unknown, so assume the default of ROS 2.
    return OfferedQos(
        reliability=_known("reliability", given, default.reliability),
        durability=_known("durability", given, default.durability),
        history=history,
        depth=depth if history == "keep_last" and isinstance(depth, int) else 0,
        deadline_ns=_duration_ns(given.get("deadline")),
        lifespan_ns=_duration_ns(given.get("lifespan")),
        liveliness=_known("liveliness", given, default.liveliness),
        liveliness_lease_ns=_duration_ns(given.get("liveliness_lease_duration")),
    )


def _known(policy: str, given: dict[str, Any], default: str) -> str:
    name = _name(policy, given, default)
    return name if name in _STRENGTH[policy] else default


def _name(policy: str, given: dict[str, Any], default: str) -> str:
    value, names = given.get(policy), POLICY_NAMES[policy]
    if isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    return value if isinstance(value, str) else default


def _duration_ns(value: Any) -> int:
    """Return a duration; missing values and 0 mean unlimited."""
    if not isinstance(value, dict):
        return INFINITE_NS
    sec, nsec = value.get("sec"), value.get("nsec")
    if not isinstance(sec, int) or not isinstance(nsec, int) or sec >= _INFINITE_S:
        return INFINITE_NS
    return sec * NS_PER_S + nsec or INFINITE_NS
