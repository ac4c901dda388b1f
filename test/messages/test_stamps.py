"""Timestamps: from headers, fields, DDS or the receipt, one by one and many together."""

from __future__ import annotations

import struct
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.configuration.profile import parse_profile
from robot_recorder.messages.stamps import LazyStamps, StampReader, stamp_text
from robot_recorder.model.errors import ConfigError

T0 = 1_700_000_000_000_000_000
MS = 1_000_000
TICKS = "uint32 tick\nfloat64 seconds\nbuiltin_interfaces/Time when\nuint64 ns\n"


def reader(rest: str, header: bool = False, definition: str = TICKS) -> StampReader:
    """Return the reader of a stream with these keys."""
    text = f"robot: r\nstreams:\n  s: {{topic: t, type: own_msgs/msg/Ticks, role: observation, rate_hz: 9{rest}}}\n"
    return StampReader(parse_profile(text, "p").streams[0], header, definition)


def ticks(tick: int, at_ns: int) -> bytes:
    seconds = struct.pack("<d", at_ns / 1e9)
    when = struct.pack("<iI", at_ns // 10**9, at_ns % 10**9)
    return (
        b"\0\1\0\0" + struct.pack("<I", tick) + bytes(4) + seconds + when + struct.pack("<Q", at_ns)
    )


def stamped(sec: int, nanosec: int) -> bytes:
    return b"\0\1\0\0" + struct.pack("<iI", sec, nanosec) + bytes(8)


def read(
    found: StampReader, messages: list[bytes], sends: list[int], receives: list[int]
) -> list[int]:
    """Read stamps together, and make sure that they are the same one by one and lazily."""
    many = found.read(messages, np.array(sends), np.array(receives)).tolist()
    assert all(isinstance(one, int) for one in many)
    assert many == [found.one(*each) for each in zip(messages, sends, receives)]
    assert (
        many
        == LazyStamps.joined(
            [LazyStamps(found, messages, np.array(sends), np.array(receives))]
        ).tolist()
    )
    return list(many)


def test_the_header_counts_unless_it_is_zero() -> None:
    found = reader("", header=True)
    messages = [stamped(1_700_000_000, 5), stamped(0, 0), stamped(0, 0), b"short"]
    receives = [T0 + 9, T0 + 9 * MS, T0 + 9 * MS, T0 + 9 * MS]
    sends = [T0, T0 + 8 * MS, T0 - 5_000 * MS, T0 + 9 * MS]
    assert read(found, messages, sends, receives) == [T0 + 5, T0 + 8 * MS, 0, 0]
    assert found.text == "header"
    half = {k: n // 2 for k, n in found.used.items()}
    assert half == {"header": 1, "DDS source stamp": 1, "receipt": 2}
    assert stamp_text("header", Counter({"receipt": 3})) == "receipt: its header is 0"
    assert stamp_text("header", found.used) == (
        "header; DDS source stamp of 2, receipt of 4 of 8 samples"
    )


def test_without_header_dds_counts_where_it_agrees_with_the_receipt() -> None:
    found = reader("")
    data = [ticks(1, T0)] * 3
    sends = [T0, T0 - 3_600_000 * MS, T0 + 500 * MS]
    assert read(found, data, sends, [T0 + MS] * 3) == [T0, 0, 0]
    assert found.text == "DDS source stamp"
    assert read(reader(", stamp: receipt"), data, sends, [T0 + MS] * 3) == [0, 0, 0]
    device = reader(", stamp: source, clock: device")
    assert read(device, data, sends, [T0 + MS] * 3) == sends


@pytest.mark.parametrize(
    ("rule", "error_ns"),
    [("{field: seconds, unit: s}", 300), ("{field: when}", 0), ("{field: ns, unit: ns}", 0)],
)
def test_a_field_is_read_in_its_unit(rule: str, error_ns: int) -> None:
    at = [T0 + 12_345, T0 + 20 * MS]
    found = read(reader(f", stamp: {rule}"), [ticks(1, t) for t in at], at, at)
    assert np.abs(np.array(found) - at).max() <= error_ns


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**31 - 1), st.integers(1, 50))
def test_a_counter_that_wraps_around_goes_on(start: int, late_ms: int, step: int) -> None:
    found = reader(", stamp: {field: tick, unit: ms, bits: 32}")
    raw = [(start + n * step) % 2**32 for n in range(4)]
    receives = [T0 + late_ms * MS + n * step * MS for n in range(4)]
    stamps = read(found, [ticks(tick, T0) for tick in raw], receives, receives)
    assert all(stamp // MS % 2**32 == tick for stamp, tick in zip(stamps, raw))
    assert (np.abs(np.array(stamps) - receives) <= 2**31 * MS + MS).all()
    near = abs(abs(stamps[0] - receives[0]) - 2**31 * MS) > 100 * MS
    assert not near or np.diff(stamps).tolist() == [step * MS] * 3


def test_a_device_without_stamps_is_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match="has no header; name its field with 'stamp"):
        reader(", clock: device")
    with pytest.raises(ConfigError, match="'device' needs stamps of the device"):
        reader(", clock: device, stamp: receipt")
    with pytest.raises(ConfigError, match="has no header to stamp it"):
        reader(", stamp: header")
    with pytest.raises(ConfigError, match="give its unit"):
        reader(", stamp: {field: tick}")
    with pytest.raises(ConfigError, match="own_msgs/Ticks has no field tock; it has tick"):
        reader(", stamp: {field: tock, unit: ms}")
    assert reader(", stamp: {field: tick, unit: ms}").text == "tick"
