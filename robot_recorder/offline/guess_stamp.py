"""Find the field of a message type that is its time: it rises as fast as the clock of the receipt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robot_recorder.configuration.mapping import STAMP_UNITS_NS
from robot_recorder.messages.definition import PRIMITIVES, TIMES
from robot_recorder.model.arrays import Int64s
from robot_recorder.model.streams import NS_PER_S
from robot_recorder.offline.field_values import ReadField

_NAMES = {"tick", "ticks", "stamp", "time", "timestamp", "clock", "t", "ts", "ns", "us", "ms", "sec",
          "secs", "seconds", "tus", "tns", "tms", "nsec", "usec", "msec", "timestampe"}  # fmt: skip
_NOT = {"seq", "sequence", "count", "counter", "frame", "id", "out", "timeout", "delay", "nanosec"}
_BITS = {"uint8": 8, "uint16": 16, "uint32": 32, "int32": 32, "int16": 16}
_LEAST, _LEAST_SPAN_NS = 10, 300_000_000
_RATE_ERROR = (
    0.02  # share by which a device's clock may run faster or slower, as far as can be told
)
_SCATTER = 0.05  # of the span: more is no clock
_AGREES_NS = NS_PER_S  # a clock nearer to the receipt than this is the robot's


@dataclass(frozen=True)
class GuessedStamp:
    """The field that is a message's time.

    Attributes:
        rule: ``stamp`` of a profile.
        clock: ``clock`` of a profile; empty: the device's, as is usual for a field.
        remark: how that is known.
    """

    rule: dict[str, Any]
    clock: str
    remark: str


def guess_stamp(fields: Sequence[ReadField], receives: Int64s) -> GuessedStamp | None:
    """Return the field that is the time of the messages; None: no field is.

    Args:
        fields: of the type, with values of n messages.
        receives: int64[n], ns, when they were received.
    """
    fitting = [
        f
        for f in fields
        if f.values.shape[0] == len(receives) and f.count and f.fixed and _may_be(f)
    ]
    # A field of the message itself before one of its parts; a time before a number.
    fitting.sort(key=lambda f: (f.type not in TIMES, f.path.count("."), f.path))
    for one in fitting:
        found = _time(one, receives) if one.type in TIMES else _number(one, receives)
        if found is not None:
            return found
    return None


def _may_be(one: ReadField) -> bool:
    words = set(one.words)
    if one.type in TIMES:
        return not one.many and one.type == TIMES[0]
    number = one.type in PRIMITIVES and one.type not in ("bool", "int8") and not one.sort
    return number and not one.many and bool(words & _NAMES) and not words & _NOT


def _path(one: ReadField) -> str:
    return one.path.replace("[]", "[0]")


def _time(one: ReadField, receives: Int64s) -> GuessedStamp | None:
    values = np.rint(one.values[:, 0]) * 1e9 + one.values[:, 1]
    if clock_slope(values, receives, 1.0) is None:
        return None
    return _found(one, {"field": _path(one)}, values, receives)


def _number(one: ReadField, receives: Int64s) -> GuessedStamp | None:
    values = one.values[:, 0]
    bits = _BITS.get(one.type, 0)
    if bits:
        steps = np.diff(values) % float(1 << bits)
        values = values[:1].tolist()[0] + np.concatenate([[0.0], np.cumsum(steps)])
    for unit, unit_ns in STAMP_UNITS_NS.items():
        if clock_slope(values, receives, unit_ns) is None:
            continue
        rule = {"field": _path(one), "unit": unit, **({"bits": bits} if bits else {})}
        return _found(one, rule, values * unit_ns, receives)
    return None


def clock_slope(values: np.ndarray, receives: Int64s, unit_ns: float) -> float | None:
    """Return how fast values rise against the receipt, 1: as fast; None: they are no clock.

    Args:
        values: float64[n], in units of ``unit_ns``.
        receives: int64[n], ns.
        unit_ns: length of the unit, ns.
    """
    if len(values) < _LEAST or not np.isfinite(values).all():
        return None
    span_ns = float(receives[-1] - receives[0])
    with np.errstate(all="ignore"):
        own = (values - values[0]) * unit_ns
        if span_ns < _LEAST_SPAN_NS or not np.isfinite(own).all() or (np.diff(own) < 0).any():
            return None
        # Several messages may carry one time, but not all of them.
        if not 0 < float(own[-1]) < 100 * span_ns or len(np.unique(own)) < len(own) / 4:
            return None
        since = (receives - receives[0]).astype(np.float64)
        centred = since - since.mean()
        slope = float((centred * own).sum() / (centred**2).sum())
        scatter = float((own - own.mean() - slope * centred).std())
    tolerance = max(_RATE_ERROR, 2 * 20e6 / span_ns)
    if abs(slope - 1) > tolerance or scatter > _SCATTER * span_ns:
        return None
    return slope


def _found(
    one: ReadField, rule: dict[str, Any], values: np.ndarray, receives: Int64s
) -> GuessedStamp:
    late = float(np.median(receives.astype(np.float64) - values))
    if abs(late) < _AGREES_NS:
        return GuessedStamp(
            rule, "robot", f"it agrees with the robot's clock to {abs(late) / 1e6:.0f} ms"
        )
    return GuessedStamp(rule, "", "it rises as fast as the robot's clock: a device's clock")
