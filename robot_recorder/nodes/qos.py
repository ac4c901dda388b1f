"""Convert QoS between rclpy's profiles, the package's own type and that of bags."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rclpy.duration import Duration
from rclpy.impl.implementation_singleton import rclpy_implementation as _rclpy
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from robot_recorder.model.qos import (
    INFINITE_NS,
    Durability,
    OfferedQos,
    Qos,
    QosEvents,
    Reliability,
)
from robot_recorder.model.topics import RAW_TYPES

# Messages that DDS keeps per topic while the reader is busy, by type; others take little memory.
_DEPTHS = {**dict.fromkeys(RAW_TYPES, 60), "sensor_msgs/msg/CompressedImage": 300}


def depth_of(type_name: str, usual: int) -> int:
    """Return how many messages DDS may keep for a subscription, so that its memory is bounded.

    Args:
        type_name: of the messages.
        usual: how many for messages of some kB.
    """
    return min(usual, _DEPTHS.get(type_name, usual))


def subscription_qos(qos: Qos, depth: int) -> QoSProfile:
    """Return the profile to subscribe with."""
    profile = QoSProfile(
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
    if qos.deadline_ns < INFINITE_NS:
        profile.deadline = Duration(nanoseconds=qos.deadline_ns)
    return profile


def core_qos(profile: QoSProfile) -> Qos:
    """Return the part of a publisher's profile that decides about compatibility."""
    return Qos(
        Reliability.RELIABLE
        if profile.reliability == ReliabilityPolicy.RELIABLE
        else Reliability.BEST_EFFORT,
        Durability.TRANSIENT_LOCAL
        if profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
        else Durability.VOLATILE,
        # the middleware uses 0 for "not given"
        profile.deadline.nanoseconds or INFINITE_NS,
    )


def offered_qos(profile: QoSProfile) -> OfferedQos:
    """Return a publisher's profile as it is stored in bags."""
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


def event_handle(implementation: Any) -> Any:
    """Return rclpy's class of handles of events; None: it has none."""
    return getattr(implementation, "EventHandle", getattr(implementation, "QoSEvent", None))


_EventHandle = event_handle(_rclpy)  # the second name is that of Humble
_EVENT_TYPES = _rclpy.rcl_subscription_event_type_t
_EVENTS = {
    "deadline": _EVENT_TYPES.RCL_SUBSCRIPTION_REQUESTED_DEADLINE_MISSED,
    "lost": _EVENT_TYPES.RCL_SUBSCRIPTION_MESSAGE_LOST,
    "incompatible": _EVENT_TYPES.RCL_SUBSCRIPTION_REQUESTED_INCOMPATIBLE_QOS,
}


class EventCounter:
    """Counts the QoS events of the subscriptions of one topic.

    No executor serves these subscriptions, so the events are polled.
    """

    def __init__(self, events: QosEvents) -> None:
        """Create a counter without subscription.

        Args:
            events: the counts, updated by ``poll``.
        """
        self._events = events
        self._before = QosEvents()
        self._handles: dict[str, Any] = {}

    def attach(self, subscription: Any) -> None:
        """Count the events of a new subscription, too."""
        self._before = replace(self._events)
        for name, kind in _EVENTS.items():
            try:
                with subscription.handle:
                    self._handles[name] = _EventHandle(subscription.handle, kind)
            except _rclpy.UnsupportedEventTypeError:
                continue  # this middleware does not report it

    def detach(self) -> None:
        """Read the last events and stop counting; call it before the subscription is destroyed."""
        self.poll()
        for handle in self._handles.values():
            handle.destroy_when_not_in_use()
        self._handles.clear()

    def poll(self) -> None:
        """Add the events reported since the last call."""
        for name, handle in self._handles.items():
            with handle:
                status = handle.take_event()
            if status is not None:
                setattr(self._events, name, getattr(self._before, name) + status.total_count)
