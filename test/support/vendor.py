"""Messages of vendors' types, encoded by the library rosbags, and bags of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from support.made import bag
from support.samples import T0

_LINE = "=" * 80

LOW_STATE = f"""uint32[2] version
uint8 mode_pr
uint32 tick
IMUState imu_state
MotorState[35] motor_state
uint8[40] wireless_remote
uint32 crc
{_LINE}
MSG: unitree_hg/IMUState
float32[4] quaternion
float32[3] gyroscope
float32[3] accelerometer
float32[3] rpy
int16 temperature
{_LINE}
MSG: unitree_hg/MotorState
uint8 mode
float32 q
float32 dq
float32 ddq
float32 tau_est
int16[2] temperature
float32 vol
"""
LOW_COMMAND = f"""uint8 mode_pr
MotorCmd[35] motor_cmd
uint32 crc
{_LINE}
MSG: unitree_hg/MotorCmd
uint8 mode
float32 q
float32 dq
float32 tau
float32 kp
float32 kd
"""
VECTORS = f"""{_LINE}
MSG: geometry_msgs/Pose
Point position
Quaternion orientation
{_LINE}
MSG: geometry_msgs/Point
float64 x
float64 y
float64 z
{_LINE}
MSG: geometry_msgs/Quaternion
float64 x
float64 y
float64 z
float64 w
{_LINE}
MSG: geometry_msgs/Vector3
float64 x
float64 y
float64 z
"""


@lru_cache(maxsize=4)
def store_of(type_name: str, definition: str) -> Any:
    """Return the library's types of a definition."""
    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(get_types_from_msg(definition, type_name))
    return store


def encoded(type_name: str, definition: str, values: Mapping[str, Any]) -> bytes:
    """Return a message; fields that are not given are 0 or empty.

    Args:
        type_name: package/msg/Name.
        definition: in ros2msg format.
        values: by field; of a message, a mapping; of an array of messages, a list of mappings.
    """
    store = store_of(type_name, definition)
    return bytes(store.serialize_cdr(_message(store, type_name, values), type_name))


def _message(store: Any, name: str, values: Mapping[str, Any]) -> Any:
    fields = {f: _value(store, node, values.get(f)) for f, node in store.fielddefs[name][1]}
    return store.types[name](**fields)


def _value(store: Any, node: Any, given: Any) -> Any:
    kind, content = node
    if kind is Nodetype.BASE:
        base = content[0]
        if given is not None:
            return given
        return "" if base == "string" else False if base == "bool" else 0.0 if "f" in base else 0
    if kind is Nodetype.NAME:
        return _message(store, str(content), given or {})
    inner, size = content
    given = list(given if given is not None else [])
    if kind is Nodetype.ARRAY:
        given += [None] * (size - len(given))
    values = [_value(store, inner, one) for one in given]
    if inner[0] is Nodetype.BASE and inner[1][0] != "string":
        return np.array(values, dtype=inner[1][0])
    return values


Make = Callable[[int, float], Mapping[str, Any]]
"""Returns the fields of a message by its number and by its time, s."""


def messages_of(
    type_name: str, definition: str, make: Make, hz: float, seconds: float = 3.0
) -> list[tuple[int, bytes]]:
    """Return messages with their times of receipt, ns."""
    count = round(seconds * hz)
    return [(T0 + round(n * 1e9 / hz), encoded(type_name, definition, make(n, n / hz)))
            for n in range(count)]  # fmt: skip


def vendor_bag(
    path: Path, topics: Mapping[str, tuple[str, str, Make, float]], seconds: float = 3.0
) -> Path:
    """Write a bag.

    Args:
        path: of the bag.
        topics: type, definition, messages and rate (Hz) by topic.
        seconds: its length.
    """
    found = {
        name: (kind, messages_of(kind, text, make, hz, seconds))
        for name, (kind, text, make, hz) in topics.items()
    }
    definitions = {kind: text for kind, text, _, _ in topics.values()}
    return bag(path, found, definitions)


def low_state(number: int, at: float) -> dict[str, Any]:
    """Return a LowState with 29 of 35 motors, of a robot that stands upright."""
    motors = [{"q": 0.3 * np.sin(at + n), "dq": 0.3 * np.cos(at + n), "tau_est": 1.0 + n,
               "temperature": [30, 31]} for n in range(29)]  # fmt: skip
    half = 0.1 * np.sin(at)
    return {
        "tick": (4_294_967_000 + round(1000 * at)) % (1 << 32),  # begins at 0 again
        "imu_state": {"quaternion": [np.cos(half), 0, 0, np.sin(half)],
                      "gyroscope": [0, 0, 0.2 * np.cos(at)], "accelerometer": [0.1, 0, 9.8]},
        "motor_state": motors,
        "crc": 77 * number % 1000,
    }  # fmt: skip


def low_command(number: int, at: float) -> dict[str, Any]:
    """Return a LowCmd for the first 20 motors."""
    return {"motor_cmd": [{"q": 0.3 * np.sin(at + n), "kp": 40.0} for n in range(20)]}
