"""Values of message types the package does not know: every number in them, by its field's name.

For bags of others. Slower than ``core.decoding``, and only as good as the names are.
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
from robot_recorder.messages.kinds import Decoded
from robot_recorder.model.errors import DecodeError
from robot_recorder.model.units import JointUnit

_MOST_VALUES = 2000  # of one message; more is a picture or a cloud, not a table
_BYTES = ("octet", "byte", "char", "uint8", "int8")


def bag_types(path: Path) -> Typestore:
    """All message types that a bag defines, and beside them the usual ones.

    Raises:
        BagError: it can not be read.
    """
    store = get_typestore(Stores.EMPTY)  # what the bag says of a type goes before what is usual
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
    except Exception:  # a definition it can not parse: ``without_values`` says so
        pass


def without_values(store: Typestore, type_name: str) -> str:
    """Why messages of a type have no values; empty: they have."""
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
    """The first field that is a wstring, which cannot be read; empty: there is none."""
    seen.add(type_name)
    for name, node in store.fielddefs[type_name][1] if type_name in store.fielddefs else ():
        inner = node[1][0] if node[0] in (Nodetype.ARRAY, Nodetype.SEQUENCE) else node
        if inner[0] is Nodetype.BASE and inner[1][0] == "wstring":
            return str(name)
        if inner[0] is Nodetype.NAME and str(inner[1]).endswith("/wstring"):  # taken for a type
            return str(name)
        if inner[0] is Nodetype.NAME and inner[1] not in seen:
            found = _wide_text(store, inner[1], seen)
            if found:
                return f"{name}/{found}"
    return ""


def foreign_decoder(
    store: Typestore, type_name: str, unit: JointUnit | None = None
) -> Callable[[bytes], Decoded] | None:
    """A decoder of one type's numbers; None: see ``without_values``.

    Args:
        unit: of all of them; None: nobody knows.
    """
    if without_values(store, type_name):
        return None
    label, factor = (unit.unit, unit.factor) if unit else ("?", 1.0)

    def decode(data: bytes) -> Decoded:
        try:
            message = store.deserialize_cdr(data, type_name)
            pairs = list(islice(_numbers(message, ""), _MOST_VALUES + 1))
        except Exception as error:  # whatever the library calls rubbish
            raise DecodeError(f"not a {type_name}: {error}") from error
        if len(pairs) > _MOST_VALUES:
            note = f"no values: more than {_MOST_VALUES} numbers in a {type_name}"
            return Decoded((), np.empty(0), note=note)
        values = np.array([v for _, v in pairs], dtype=np.float64)
        return Decoded(tuple(f"{n} ({label})" for n, _ in pairs), values * factor)

    return decode


def _numbers(value: Any, name: str) -> Iterator[tuple[str, float]]:
    """Every number with the place it stands at; bytes are none."""
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
