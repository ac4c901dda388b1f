"""QoS between rclpy's profiles, the core's own, and what a bag stores."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from robot_recorder.core.streams import Durability, Qos, Reliability
from robot_recorder.core.topics import OfferedQos


def subscription_qos(qos: Qos, depth: int) -> QoSProfile:
    """The profile to subscribe with."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=(
            ReliabilityPolicy.RELIABLE
            if qos.reliability is Reliability.RELIABLE
            else ReliabilityPolicy.BEST_EFFORT
        ),
        durability=(
            DurabilityPolicy.TRANSIENT_LOCAL
            if qos.durability is Durability.TRANSIENT_LOCAL
            else DurabilityPolicy.VOLATILE
        ),
    )


def core_qos(profile: QoSProfile) -> Qos:
    """What of a publisher's profile decides who hears it."""
    return Qos(
        Reliability.RELIABLE
        if profile.reliability == ReliabilityPolicy.RELIABLE
        else Reliability.BEST_EFFORT,
        Durability.TRANSIENT_LOCAL
        if profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
        else Durability.VOLATILE,
    )


def offered_qos(profile: QoSProfile) -> OfferedQos:
    """A publisher's profile as a bag stores it."""
    return OfferedQos(
        reliability=profile.reliability.name.lower(),
        durability=profile.durability.name.lower(),
        history=profile.history.name.lower(),
        depth=profile.depth,
        deadline_ns=profile.deadline.nanoseconds,
        lifespan_ns=profile.lifespan.nanoseconds,
        liveliness=profile.liveliness.name.lower(),
        liveliness_lease_ns=profile.liveliness_lease_duration.nanoseconds,
    )
