"""Values of message types the package does not know: every number in them, by its field's name.

For bags of others. Slower than ``core.decoding``, and only as good as the names are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import Reader
from rosbags.rosbag2.errors import ReaderError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from robot_recorder.core.decoding import Decoded
from robot_recorder.core.errors import DecodeError
from robot_recorder.storage.reader import unreadable

_MOST_VALUES = 2000  # of one message; more is a picture or a cloud, not a table


def bag_types(path: Path) -> Typestore:
    """All message types that a bag defines, and beside them the usual ones.

    Raises:
        BagError: it can not be read.
    """
    store = get_typestore(Stores.EMPTY)  # what the bag says of a type goes before what is usual
    try:
        with Reader(path) as reader:
            for connection in reader.connections:
                if connection.msgtype not in store.types and connection.msgdef.data:
                    _register(store, connection.msgtype, connection.msgdef.data)
    except (ReaderError, OSError) as error:
        raise unreadable(path, error) from error
    usual = get_typestore(Stores.ROS2_JAZZY).fielddefs
    store.register({k: v for k, v in usual.items() if k not in store.fielddefs})
    return store


def _register(store: Typestore, type_name: str, definition: str) -> None:
    try:
        found = get_types_from_msg(definition, type_name)
        store.register({k: v for k, v in found.items() if k not in store.types})
    except Exception:  # a definition it can not parse: that type has no values then
        pass


def foreign_decoder(store: Typestore, type_name: str) -> Callable[[bytes], Decoded] | None:
    """A decoder of one type's numbers; None when the bag does not define it."""
    if type_name not in store.types:
        return None

    def decode(data: bytes) -> Decoded:
        try:
            message = store.deserialize_cdr(data, type_name)
            pairs = list(_numbers(message, ""))
        except Exception as error:  # whatever the library calls rubbish
            raise DecodeError(f"not a {type_name}: {error}") from error
        if len(pairs) > _MOST_VALUES:
            raise DecodeError(f"more than {_MOST_VALUES} numbers in a {type_name}")
        return Decoded(
            tuple(n for n, _ in pairs), np.array([v for _, v in pairs], dtype=np.float64)
        )

    return decode


def _numbers(value: Any, name: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, (bool, int, float, np.number)):
        yield f"{name} (?)", float(value)
    elif isinstance(value, np.ndarray):
        for i, number in enumerate(value.ravel()[: _MOST_VALUES + 1].tolist()):
            yield f"{name}/{i} (?)", float(number)
    elif isinstance(value, (list, tuple)):
        for i, part in enumerate(value[: _MOST_VALUES + 1]):
            yield from _numbers(part, f"{name}/{i}")
    elif hasattr(value, "__dataclass_fields__"):
        for field in value.__dataclass_fields__:
            if field not in ("header", "__msgtype__"):
                yield from _numbers(getattr(value, field), f"{name}/{field}" if name else field)
