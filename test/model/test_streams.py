"""What a subscription asks of its publishers."""

from __future__ import annotations

from robot_recorder.model.qos import Durability, Qos, Reliability
from robot_recorder.model.streams import follow_publishers


def test_qos_requests_only_what_every_publisher_offers() -> None:
    reliable = Qos(Reliability.RELIABLE, Durability.TRANSIENT_LOCAL)
    assert follow_publishers([reliable, reliable]) == reliable
    assert follow_publishers([reliable, Qos()]) == Qos(Reliability.BEST_EFFORT, Durability.VOLATILE)
    mixed = Qos(Reliability.RELIABLE, Durability.VOLATILE)
    assert follow_publishers([reliable, mixed]) == mixed
    assert follow_publishers([]) == Qos()
