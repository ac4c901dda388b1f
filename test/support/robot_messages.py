"""Many messages of one type as bytes, quickly: one is serialised by rclpy, the numbers of all are put into its bytes."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from rclpy.serialization import serialize_message

from support.robot_interfaces import use_interfaces

use_interfaces()

_NUMBERS = {
    "boolean": "u1", "octet": "u1", "uint8": "u1", "int8": "i1", "uint16": "<u2", "int16": "<i2",
    "uint32": "<u4", "int32": "<i4", "uint64": "<u8", "int64": "<i8", "float": "<f4", "double": "<f8",
}  # fmt: skip
_ARRAY = re.compile(r"(.+)\[(\d+)\]")
_SEQUENCE = re.compile(r"sequence<(.+?)(?:, *\d+)?>")


def message_class(type_name: str) -> Any:
    """Return the class of a message type such as ``pkg/msg/Name`` or ``pkg/Name``."""
    package, name = type_name.split("/")[0], type_name.split("/")[-1]
    return getattr(importlib.import_module(f"{package}.msg"), name)


def make(type_name: str, sizes: Mapping[str, int], fixed: Mapping[str, Any]) -> Any:
    """Return a message.

    Args:
        type_name: its type.
        sizes: lengths of its sequences, by path such as ``bt_data`` or ``sensors[].taxels``; outer
            ones first.
        fixed: values by path; a path with ``[]`` takes one value per element.
    """
    message = message_class(type_name)()
    for path, size in sizes.items():
        for owner, field in owners(message, path):
            item = _SEQUENCE.fullmatch(owner.get_fields_and_field_types()[field])
            assert item is not None, path
            numeric = item[1] in _NUMBERS or item[1] == "string"
            setattr(owner, field, [_zero(item[1]) if numeric else message_class(item[1])()
                                   for _ in range(size)])  # fmt: skip
    for path, value in fixed.items():
        places = owners(message, path)
        for (owner, field), one in zip(places, value if "[]" in path else [value], strict=True):
            setattr(owner, field, one)
    return message


def _zero(kind: str) -> Any:
    if kind == "string":
        return ""
    return 0.0 if kind in ("float", "double") else 0


def owners(message: Any, path: str) -> list[tuple[Any, str]]:
    """Return the messages that have the last field of a path, and that field's name."""
    *parts, last = path.split(".")
    found = [message]
    for part in parts:
        name = part.removesuffix("[]")
        inner = [getattr(one, name) for one in found]
        found = [x for several in inner for x in several] if part != name else inner
    return [(one, last) for one in found]


class _Layout:
    """Where the numbers of one message are in its bytes (CDR: aligned to their sizes)."""

    def __init__(self, message: Any) -> None:
        self.places: dict[str, list[tuple[int, str]]] = {}  # offset and dtype, by path
        self._at = 0
        self._walk(message, "")
        self.size = self._at + 4

    def _number(self, kind: str, path: str) -> None:
        dtype = np.dtype(_NUMBERS[kind])
        self._at += -self._at % dtype.itemsize
        self.places.setdefault(path, []).append((self._at + 4, _NUMBERS[kind]))
        self._at += dtype.itemsize

    def _item(self, kind: str, value: Any, path: str) -> None:
        if kind in _NUMBERS:
            self._number(kind, path)
        elif kind.startswith("string"):
            self._at += -self._at % 4 + 4 + len(value.encode()) + 1
        else:
            self._walk(value, path + ".")

    def _walk(self, message: Any, prefix: str) -> None:
        for name, kind in message.get_fields_and_field_types().items():
            value, path = getattr(message, name), prefix + name
            sequence, array = _SEQUENCE.fullmatch(kind), _ARRAY.fullmatch(kind)
            if sequence is None and array is None:
                self._item(kind, value, path)
                continue
            inner = sequence[1] if sequence else array[1]  # type: ignore[index]
            if sequence is not None:
                self._at += -self._at % 4 + 4
            for one in value:
                self._item(inner, one, path if inner in _NUMBERS else path + "[]")


def encode(
    type_name: str,
    sizes: Mapping[str, int],
    fixed: Mapping[str, Any],
    columns: Mapping[str, np.ndarray],
    count: int,
) -> list[bytes]:
    """Return messages of one shape as CDR.

    Args:
        type_name: their type.
        sizes: lengths of their sequences, by path.
        fixed: values of all messages, by path.
        columns: numbers by path, [n] or [n, k] for the first k elements; a path that ends on a Time
            takes ns.
        count: n.
    """
    message = make(type_name, sizes, fixed)
    layout = _Layout(message)
    first = np.frombuffer(serialize_message(message), np.uint8)
    assert layout.size <= len(first), type_name  # rclpy may append bytes that mean nothing
    rows = np.tile(first[: layout.size], (count, 1))
    for path, values in _plain(columns, layout):
        table = np.asarray(values).reshape(count, -1)
        places = layout.places[path][: table.shape[1]]
        assert len(places) == table.shape[1], f"{path} has {len(places)} elements"
        for start, end in _blocks(places):
            offset, dtype = places[start]
            data = np.ascontiguousarray(table[:, start:end].astype(dtype)).view(np.uint8)
            rows[:, offset : offset + data.shape[1]] = data
    return [row.tobytes() for row in rows]


def _plain(columns: Mapping[str, np.ndarray], layout: _Layout) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the columns, times in ns split into their two fields."""
    for path, values in columns.items():
        if f"{path}.nanosec" in layout.places:
            yield f"{path}.sec", values // 1_000_000_000
            yield f"{path}.nanosec", values % 1_000_000_000
        else:
            yield path, values


def _blocks(places: list[tuple[int, str]]) -> Iterator[tuple[int, int]]:
    """Yield first and last + 1 index of elements that lie behind each other."""
    size = np.dtype(places[0][1]).itemsize if places else 1
    ends = [n for n in range(1, len(places)) if places[n][0] != places[n - 1][0] + size]
    yield from zip([0, *ends], [*ends, len(places)])
