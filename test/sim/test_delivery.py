"""Messages are delivered late by their sensor's latency, in the order of each stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.model.errors import ConfigError
from robot_recorder.sim.delivery import Delivery, Timing, parse_timings

MS = 1_000_000


def test_timings_are_read_in_milliseconds_and_default_to_none():
    text = "camera: {offset_ms: -3, latency_ms: 40, jitter_ms: 1.5}\nwrench: {noise: 0.1}\n"
    assert parse_timings(text, "t") == {
        "camera": Timing(-3 * MS, 40 * MS, 1_500_000),
        "wrench": Timing(noise=0.1),
    }
    assert parse_timings("vr: {drift_ppm: 80}", "t")["vr"] == Timing(drift_ppm=80.0)
    with pytest.raises(ConfigError, match=r"t:1: .*'latency_s'.*did you mean 'latency_ms'"):
        parse_timings("camera: {latency_s: 1}", "t")


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 50)), max_size=40), st.integers(0, 9))
def test_messages_keep_the_order_of_their_stream_whatever_the_jitter(sent, seed):
    delivery = Delivery(seed)
    arrived: tuple[list[bytes], list[bytes]] = ([], [])
    timing = Timing(latency_ns=5 * MS, jitter_ns=20 * MS)
    publish = [arrived[0].append, arrived[1].append]
    wanted: tuple[list[bytes], list[bytes]] = ([], [])
    for number, (stream, at) in enumerate(sorted(sent, key=lambda s: s[1])):
        data = number.to_bytes(2, "big")
        delivery.send(publish[stream], data, at * MS, timing)
        wanted[stream].append(data)
    delivery.run(10**12)
    assert arrived == wanted


def test_a_drifting_clock_gains_on_its_offset():
    timing = Timing(offset_ns=-5 * MS, drift_ppm=100.0)
    began = 1_700_000_000 * 1000 * MS
    assert timing.stamp_ns(began, began) == began - 5 * MS
    assert timing.stamp_ns(began + 10_000 * MS, began) == began + 10_000 * MS - 4 * MS


def test_nothing_is_published_before_it_is_due():
    delivery = Delivery(0)
    arrived: list[bytes] = []
    delivery.send(arrived.append, b"a", 100 * MS, Timing(latency_ns=40 * MS))
    delivery.run(140 * MS - 1)
    assert arrived == []
    delivery.run(140 * MS)
    assert arrived == [b"a"]
