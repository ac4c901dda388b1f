"""Message types of a ROS 1 bag as those of ROS 2, and its messages as CDR.

ROS 2 has the same fields in the same order, with three differences: a std_msgs/Header has no seq,
time and duration are messages, and numbers are aligned. Constants are left out of the definitions.
"""

from __future__ import annotations

import hashlib
import keyword
import re
import threading
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from robot_recorder.messages.kinds import KINDS

_HEADER = "std_msgs/msg/Header"
_SEPARATOR = re.compile(r"^=+[ \t]*$", re.MULTILINE)
_PART = re.compile(r"\s*MSG:[ \t]*(\S+)[ \t]*$", re.MULTILINE)
_FIELD = re.compile(r"([A-Za-z][\w/]*)\s*(?:\[(\d*)\])?\s+([A-Za-z]\w*)\s*(?:#.*)?\Z", re.ASCII)
_CONSTANT = re.compile(r"[a-z]+[0-9]*\s+[A-Za-z]\w*\s*=", re.ASCII)
_BASE = {name: name for name in ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32",
         "int64", "uint64", "float32", "float64", "string")}  # fmt: skip
_BASE |= {"byte": "int8", "char": "uint8"}  # ROS 1's meaning of them; ROS 2's byte has no sign
_SAME_BYTES = {"octet": "int8", "byte": "int8", "char": "int8", "uint8": "int8", "bool": "int8"}
_ROOT = {"time": "builtin_interfaces/msg/Time", "duration": "builtin_interfaces/msg/Duration",
         "Header": _HEADER}  # fmt: skip


class Ros1Field(NamedTuple):
    """A field of a message type.

    Attributes:
        type: a number type, "string", or a message type, package/msg/Name.
        array: "[]", "[n]", or empty: a single value.
        name: name of the field.
    """

    type: str
    array: str
    name: str


Layout = tuple[Ros1Field, ...]
_FIXED: dict[str, Layout] = {  # as in ROS 2, whatever the bag says
    _ROOT["time"]: (Ros1Field("int32", "", "sec"), Ros1Field("uint32", "", "nanosec")),
    _ROOT["duration"]: (Ros1Field("int32", "", "sec"), Ros1Field("uint32", "", "nanosec")),
    _HEADER: (Ros1Field(_ROOT["time"], "", "stamp"), Ros1Field("string", "", "frame_id")),
}
_ROS1_HEADER = (Ros1Field("uint32", "", "seq"), *_FIXED[_HEADER])


class Ros1Types:
    """The message types of a bag.

    Two definitions of one type may be in one bag. The first keeps the name; every other gets a name
    that ends in a digest of its fields, so that each message is decoded by its own definition.
    """

    def __init__(self) -> None:
        from rosbags.typesys import Stores, get_typestore

        self._layouts = dict(_FIXED)
        self._store = get_typestore(Stores.EMPTY)
        self._lock = threading.Lock()

    def add(self, type_name: str, definition: str) -> tuple[str, str]:
        """Add a type and its parts.

        Args:
            type_name: as the bag spells it, package/Name.
            definition: of the type and its parts, as in the bag.

        Returns:
            The name of the type, package/msg/Name, and its definition, ros2msg.

        Raises:
            ValueError: the definition cannot be parsed, or lacks a part.
        """
        from rosbags.typesys import get_types_from_msg

        name = self._place(full_type(type_name), _parsed(type_name, definition), ())
        text = self._text(name)
        try:
            found = get_types_from_msg(text, name)
            new = {k: v for k, v in found.items() if k not in self._store.fielddefs}
            self._store.register(new)
        except Exception as error:  # the library raises many types for names it does not take
            raise ValueError(f"rosbags does not take the type {name}") from error
        return name, text

    def to_cdr(self, name: str, data: bytes | memoryview) -> bytes:
        """Convert a message.

        Args:
            name: of its type, as ``add`` returned it.
            data: ROS 1 serialization.

        Raises:
            ValueError: the bytes do not fit the type.
        """
        # No sequence has more elements than the message has bytes: damage must not cost hours.
        try:
            with self._lock:
                self._store.max_sequence_length = max(len(data), 1)
                return bytes(self._store.ros1_to_cdr(data, name))
        except Exception as error:  # the library raises many types for invalid messages
            raise ValueError(str(error) or "its bytes do not fit its type") from error

    def _place(self, name: str, parsed: dict[str, Layout], outer: tuple[str, ...]) -> str:
        """Add a type below a name that no other definition has; return that name."""
        if name in _FIXED and parsed.get(name, _ROS1_HEADER) == _ROS1_HEADER:
            return name
        if name not in parsed or name in outer:
            raise ValueError(
                f"{name} is not defined" if name not in parsed else f"{name} in itself"
            )
        outer = (*outer, name)
        layout = tuple(
            field if field.type in _BASE else
            field._replace(type=self._place(field.type, parsed, outer))
            for field in parsed[name]
        )  # fmt: skip
        if self._layouts.get(name, layout) != layout or not self._as_known(name, layout):
            name = f"{name}_{hashlib.sha256(repr(layout).encode()).hexdigest()[:8]}"
        self._layouts[name] = layout
        return name

    def _as_known(self, name: str, layout: Layout) -> bool:
        """Tell whether a type has the fields that this package's decoder of its name expects."""
        known = _standard(name) if name in KINDS else None
        return known is None or tuple(self._flat(layout)) == known

    def _flat(self, layout: Layout) -> Iterator[tuple[str, str]]:
        """Yield number type and array of every field, those of parts in their place."""
        for field in layout:
            if field.type in _BASE:
                yield _SAME_BYTES.get(field.type, field.type), field.array
            else:
                yield "", field.array
                yield from self._flat(self._layouts[field.type])

    def _text(self, name: str) -> str:
        """Return the definition of a type and its parts."""
        sections: dict[str, str] = {}

        def add(part: str) -> None:
            lines = [f"{_short(f.type)}{f.array} {f.name}\n" for f in self._layouts[part]]
            sections[part] = "".join(lines) or "# no fields\n"
            for field in self._layouts[part]:
                if field.type not in _BASE and field.type not in sections:
                    add(field.type)

        add(name)
        own, *parts = sections
        rule = "=" * 80
        return sections[own] + "".join(f"{rule}\nMSG: {_short(p)}\n{sections[p]}" for p in parts)


def full_type(name: str) -> str:
    """Return package/msg/Name of package/Name."""
    package, _, rest = name.partition("/")
    return name if "/" in rest else f"{package}/msg/{rest}"


def _short(name: str) -> str:
    return name.replace("/msg/", "/")


def _parsed(type_name: str, definition: str) -> dict[str, Layout]:
    """Return the fields of a type and its parts, by full name.

    Raises:
        ValueError: a line is not understood.
    """
    found: dict[str, Layout] = {}
    own, *parts = _SEPARATOR.split(definition.replace("\r", ""))
    sections = [(type_name, own)]
    for part in parts:
        begin = _PART.match(part)
        if begin is None:
            raise ValueError("a part of the definition has no name")
        sections.append((begin[1], part[begin.end() :]))
    for name, text in sections:
        lines = (line.strip() for line in text.splitlines())
        fields = [_field(line, name) for line in lines if line and line[0] != "#"]
        found.setdefault(full_type(name), tuple(field for field in fields if field is not None))
    return found


def _field(line: str, owner: str) -> Ros1Field | None:
    """Return the field that a line defines; None: it is a constant."""
    if _CONSTANT.match(line):
        return None
    match = _FIELD.match(line)
    if match is None:
        raise ValueError(f"the line {line[:80]!r} of {owner} is not understood")
    kind, count, name = match.groups()
    kind = _BASE.get(kind) or _ROOT.get(kind) or kind
    if kind not in _BASE and "/" not in kind:
        kind = f"{owner.partition('/')[0]}/{kind}"
    array = "" if count is None else f"[{count}]"
    full = kind if kind in _BASE else full_type(kind)
    return Ros1Field(full, array, f"{name}_" if keyword.iskeyword(name) else name)


@cache
def _standard(name: str) -> tuple[tuple[str, str], ...] | None:
    """Return the fields of a type of ROS 2 as ``Ros1Types._flat`` does; None: it is not standard."""
    from rosbags.typesys import Stores, get_typestore

    definitions = get_typestore(Stores.ROS2_JAZZY).fielddefs
    return tuple(_flat_standard(name, definitions)) if name in definitions else None


def _flat_standard(name: str, definitions: Any) -> Iterator[tuple[str, str]]:
    from rosbags.interfaces import Nodetype

    for _, node in definitions[name][1]:
        array = ""
        if node[0] in (Nodetype.ARRAY, Nodetype.SEQUENCE):
            array = f"[{node[1][1] or ''}]"
            node = node[1][0]
        if node[0] is Nodetype.BASE:
            yield _SAME_BYTES.get(node[1][0], node[1][0]), array
        else:
            yield "", array
            yield from _flat_standard(node[1], definitions)
