"""QoS as bags of all versions store it, and a single offer that replaces several.

Holds also: model/qos.py.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
import yaml

from robot_recorder.model.qos import INFINITE_NS, Durability, OfferedQos, Qos, Reliability
from robot_recorder.model.streams import hears
from robot_recorder.playback.recorded_qos import offer_for_all, recorded_offers

SECOND = 10**9
CAMERA = OfferedQos("best_effort", "volatile", deadline_ns=SECOND // 25)
LATCHED = OfferedQos("reliable", "transient_local", "keep_last", 3)


def test_offers_in_our_own_metadata_are_read_back() -> None:
    described = {"offered_qos_profiles": [CAMERA.to_dict(), LATCHED.to_dict()]}
    assert recorded_offers(described) == (CAMERA, LATCHED)


# As rosbag2 of Humble writes it, in one string.
NUMBERS = """- history: 1
  depth: 7
  reliability: 2
  durability: 1
  deadline:
    sec: 9223372036
    nsec: 854775807
  lifespan:
    sec: 2147483647
    nsec: 4294967295
  liveliness: 3
  liveliness_lease_duration:
    sec: 2
    nsec: 500
  avoid_ros_namespace_conventions: false
"""


def test_numeric_policies_in_a_string_are_read() -> None:
    (offer,) = recorded_offers({"offered_qos_profiles": NUMBERS})
    assert offer == OfferedQos(
        "best_effort", "transient_local", "keep_last", 7,
        liveliness="manual_by_topic", liveliness_lease_ns=2 * SECOND + 500,
    )  # fmt: skip


def test_missing_policies_become_the_default() -> None:
    zero = {"sec": 0, "nsec": 0}
    vague = yaml.safe_load(NUMBERS)[0] | {
        "history": 3, "depth": 0, "reliability": 0, "durability": "unknown", "liveliness": 0,
        "deadline": zero, "lifespan": zero, "liveliness_lease_duration": zero,
    }  # fmt: skip
    assert recorded_offers({"offered_qos_profiles": [vague]}) == (OfferedQos(),)


@pytest.mark.parametrize("content", ["", "[", "- 3\n- x", None, [], 7, {"a": 1}])
def test_without_offers_the_default_is_offered(content) -> None:
    assert recorded_offers({"offered_qos_profiles": content}) == ()
    assert recorded_offers({}) == ()
    assert offer_for_all(()) == OfferedQos()


def core(offer: OfferedQos) -> Qos:
    return Qos(Reliability(offer.reliability), Durability(offer.durability), offer.deadline_ns)


def test_a_subscriber_that_matched_one_of_several_offers_matches_the_combined_one() -> None:
    kinds = [
        OfferedQos(r, d, deadline_ns=t)
        for r, d, t in product(
            ("reliable", "best_effort"), ("volatile", "transient_local"), (SECOND, INFINITE_NS)
        )
    ]
    for offers in product(kinds, repeat=2):
        chosen = offer_for_all(offers)
        for reader in map(core, kinds):
            if any(hears(reader, core(offer)) for offer in offers):
                assert hears(reader, core(chosen)), (reader, offers)
        if offers[0] == offers[1]:
            assert core(chosen) == core(offers[0])


def test_the_largest_depth_of_several_is_kept() -> None:
    chosen = offer_for_all([LATCHED, replace(CAMERA, lifespan_ns=5, liveliness="manual_by_topic")])
    assert (chosen.depth, chosen.lifespan_ns, chosen.liveliness) == (
        3,
        INFINITE_NS,
        "manual_by_topic",
    )
