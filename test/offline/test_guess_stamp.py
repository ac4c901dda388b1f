"""The field of a message that is its time, told by how fast it rises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.samples import T0
from support.vendor import messages_of

from robot_recorder.offline.field_values import read_fields
from robot_recorder.offline.guess_stamp import GuessedStamp, guess_stamp


def found(
    definition: str, make: Any, late_ns: int = 0, jitter_ms: float = 2.0
) -> GuessedStamp | None:
    messages = messages_of("acme/msg/T", definition, make, 100, 3.0)
    jitter = np.random.default_rng(0).uniform(0, jitter_ms * 1e6, len(messages)).astype(np.int64)
    receives = np.array([at for at, _ in messages], dtype=np.int64) + jitter + late_ns
    fields = read_fields("acme/msg/T", definition, [data for _, data in messages])
    return guess_stamp(fields, receives)


@pytest.mark.parametrize(
    ("kind", "unit", "per_s", "bits"),
    [
        ("uint32", "ms", 1e3, 32),
        ("uint64", "us", 1e6, 0),
        ("uint64", "ns", 1e9, 0),
        ("float64", "s", 1.0, 0),
        ("uint16", "ms", 1e3, 16),
        ("uint32", "us", 1e6, 32),
    ],
)
def test_the_unit_is_told_by_the_receipt(kind: str, unit: str, per_s: float, bits: int) -> None:
    begin = 60_000.0  # the counter of 16 bits begins at 0 again

    def make(number: int, at: float) -> dict[str, Any]:
        value = begin + at * per_s
        return {"tick": value if kind.startswith("float") else int(value) % (1 << (bits or 63))}

    stamp = found(f"{kind} tick\n", make)
    assert stamp is not None and stamp.clock == "", "it implies a device's clock"
    assert stamp.rule == {"field": "tick", "unit": unit, **({"bits": bits} if bits else {})}


def test_a_time_of_the_robots_clock_is_told_from_that_of_a_device() -> None:
    def of_robot(number: int, at: float) -> dict[str, Any]:
        sec, nanosec = divmod(T0 + round(at * 1e9), 10**9)
        return {"inner": {"stamp": {"sec": sec, "nanosec": nanosec}}}

    text = "Inner inner\n" + "=" * 80 + "\nMSG: acme/Inner\nbuiltin_interfaces/Time stamp\n"
    stamp = found(text, of_robot)
    assert stamp is not None and stamp.rule == {"field": "inner.stamp"} and stamp.clock == "robot"
    stamp = found(text, of_robot, late_ns=3600 * 10**9)
    assert stamp is not None and stamp.clock == ""


@pytest.mark.parametrize("nanosec", ["nanosec", "nsec"])
def test_a_vendors_own_time_is_one(nanosec: str) -> None:
    text = "TimeSpec stamp\n" + "=" * 80 + f"\nMSG: acme/TimeSpec\nint32 sec\nuint32 {nanosec}\n"

    def make(number: int, at: float) -> dict[str, Any]:
        sec, left = divmod(round(at * 1e9), 10**9)
        return {"stamp": {"sec": 100 + sec, nanosec: left}}

    stamp = found(text, make)
    assert stamp is not None and stamp.rule == {"field": "stamp"} and stamp.clock == ""


@pytest.mark.parametrize(
    ("definition", "make"),
    [
        ("uint32 tick\n", lambda n, t: {"tick": n}),  # a counter of messages
        ("uint32 tick\n", lambda n, t: {"tick": 7}),
        ("uint32 tick\n", lambda n, t: {"tick": int(1000 * t * (1 + t))}),
        ("uint32 seq\n", lambda n, t: {"seq": int(1000 * t)}),
        ("float32 time\n", lambda n, t: {"time": float("nan")}),
        ("uint32[2] tick\n", lambda n, t: {"tick": [int(1000 * t)] * 2}),
        ("builtin_interfaces/Time stamp\n", lambda n, t: {}),
        ("float32 tau\n", lambda n, t: {"tau": t}),
    ],
)
def test_what_does_not_rise_with_the_receipt_is_no_time(definition: str, make: Any) -> None:
    assert found(definition, make) is None


def test_a_few_messages_prove_nothing() -> None:
    definition = "uint32 tick\n"
    messages = messages_of(
        "acme/msg/T", definition, lambda n, t: {"tick": int(1000 * t)}, 100, 0.05
    )
    fields = read_fields("acme/msg/T", definition, [data for _, data in messages])
    assert guess_stamp(fields, np.array([at for at, _ in messages])) is None
