"""Decode message types that the package does not know: every number, named by its field.

Meant for bags of other recorders. It is slower than ``messages.kinds``, and units are unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from robot_recorder.bags.bag import opened
from robot_recorder.messages.decoders import Decoded
from robot_recorder.model.errors import DecodeError
from robot_recorder.model.units import JointUnit

_MOST_VALUES = 2000  # per message; more belong to an image or a point cloud
_BYTES = ("octet", "byte", "char", "uint8", "int8")


def bag_types(path: Path) -> Typestore:
    """Return all message types that a bag defines, and the standard ones of ROS 2.

    Raises:
        BagError: the bag cannot be read.
    """
    store = get_typestore(Stores.EMPTY)  # the bag's definitions take precedence
    with opened(path) as bag:
        for topic in bag.topics():
            if topic.type not in store.types and topic.definition:
                _register(store, topic.type, topic.definition, topic.definition_encoding)
    usual = get_typestore(Stores.ROS2_JAZZY).fielddefs
    store.register({k: v for k, v in usual.items() if k not in store.fielddefs})
    return store


def _register(store: Typestore, type_name: str, definition: str, encoding: str) -> None:
    try:
        if encoding == "ros2idl":
            found = get_types_from_idl(definition)
        else:
            found = get_types_from_msg(definition, type_name)
        store.register({k: v for k, v in found.items() if k not in store.types})
    except Exception:  # a definition that cannot be parsed: ``without_values`` reports it
        pass


def without_values(store: Typestore, type_name: str) -> str:
    """Return why messages of a type have no values; empty: they have values."""
    if type_name not in store.types:
        return f"no values: {type_name} is not understood, and the bag does not define it readably"
    for name, node in store.fielddefs[type_name][1]:
        if node[0] is Nodetype.SEQUENCE and _is_bytes(node):
            return f"no values: {type_name} carries bytes ({name})"
    wide = _wide_text(store, type_name, set())
    return f"no values: {type_name} has a wstring ({wide})" if wide else ""


def _is_bytes(node: Any) -> bool:
    return bool(node[1][0][0] is Nodetype.BASE and node[1][0][1][0] in _BYTES)


def _wide_text(store: Typestore, type_name: str, seen: set[str]) -> str:
    """Return the first field that is a wstring, which cannot be read; empty: there is none."""
    seen.add(type_name)
    for name, node in store.fielddefs[type_name][1] if type_name in store.fielddefs else ():
        inner = node[1][0] if node[0] in (Nodetype.ARRAY, Nodetype.SEQUENCE) else node
        if inner[0] is Nodetype.BASE and inner[1][0] == "wstring":
            return str(name)
        if inner[0] is Nodetype.NAME and str(inner[1]).endswith(
            "/wstring"
        ):  # rosbags takes it for a message type
            return str(name)
        if inner[0] is Nodetype.NAME and inner[1] not in seen:
            found = _wide_text(store, inner[1], seen)
            if found:
                return f"{name}/{found}"
    return ""


def foreign_decoder(
    store: Typestore, type_name: str, unit: JointUnit | None = None
) -> Callable[[bytes], Decoded] | None:
    """Return a decoder for the numbers of a type; None: ``without_values`` says why not.

    Args:
        store: known message types.
        type_name: package/msg/Name.
        unit: unit of all numbers; None: unknown.
    """
    if without_values(store, type_name):
        return None
    label, factor = (unit.unit, unit.factor) if unit else ("?", 1.0)

    def decode(data: bytes) -> Decoded:
        try:
            message = store.deserialize_cdr(data, type_name)
            pairs = list(islice(_numbers(message, ""), _MOST_VALUES + 1))
        except Exception as error:  # the library raises many types for invalid messages
            raise DecodeError(f"not a {type_name}: {error}") from error
        if len(pairs) > _MOST_VALUES:
            note = f"no values: more than {_MOST_VALUES} numbers in a {type_name}"
            return Decoded((), np.empty(0), note=note)
        values = np.array([v for _, v in pairs], dtype=np.float64)
        return Decoded(tuple(f"{n} ({label})" for n, _ in pairs), values * factor)

    return decode


def _numbers(value: Any, name: str) -> Iterator[tuple[str, float]]:
    """Yield every number with its field path; byte arrays are skipped."""
    if isinstance(value, (bool, int, float, np.number)):
        yield name, float(value)
    elif isinstance(value, np.ndarray):
        if value.dtype.itemsize > 1 or value.dtype == np.bool_:
            for i, number in enumerate(value.ravel()[: _MOST_VALUES + 1].tolist()):
                yield f"{name}/{i}", float(number)
    elif isinstance(value, (list, tuple)):
        for i, part in enumerate(value[: _MOST_VALUES + 1]):
            yield from _numbers(part, f"{name}/{i}")
    elif hasattr(value, "__dataclass_fields__"):
        for field in value.__dataclass_fields__:
            if field not in ("header", "__msgtype__"):
                yield from _numbers(getattr(value, field), f"{name}/{field}" if name else field)
