"""Parse message definitions: which fields a type has, so that its bytes can be read.

Source of the format: rosidl, "About ROS 2 interfaces"; several types in one text as in rosbag2 and
MCAP ("ros2msg": each further type after a line of ``=`` and a line ``MSG: package/Name``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from robot_recorder.model.errors import ConfigError

PRIMITIVES: dict[str, tuple[str, int]] = {
    "bool": ("u1", 1), "byte": ("u1", 1), "char": ("u1", 1), "octet": ("u1", 1),
    "int8": ("i1", 1), "uint8": ("u1", 1), "int16": ("i2", 2), "uint16": ("u2", 2),
    "int32": ("i4", 4), "uint32": ("u4", 4), "int64": ("i8", 8), "uint64": ("u8", 8),
    "float32": ("f4", 4), "float64": ("f8", 8),
}  # fmt: skip
"""numpy type without byte order, and size in bytes."""
BYTES = ("octet", "byte", "char", "uint8", "int8")
TEXTS = ("string", "wstring")
TIMES = ("builtin_interfaces/Time", "builtin_interfaces/Duration")
_ROS1 = {"time": TIMES[0], "duration": TIMES[1], "Header": "std_msgs/Header"}
_FIELD = re.compile(
    r"(?P<type>[A-Za-z][\w/]*)(?:<=\d+)?(?P<array>\[(?P<bound><=)?(?P<size>\d*)\])?"
    r"\s+(?P<name>[A-Za-z]\w*)\s*(?P<rest>.*)\Z"
)
_SECTION = re.compile(r"^=+\s*\n(?:MSG|IDL):\s*(\S+)[^\n]*\n", re.MULTILINE)
_BUILT_IN = """
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec
MSG: builtin_interfaces/Duration
int32 sec
uint32 nanosec
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
MSG: geometry_msgs/Point
float64 x
float64 y
float64 z
MSG: geometry_msgs/Vector3
float64 x
float64 y
float64 z
MSG: geometry_msgs/Quaternion
float64 x
float64 y
float64 z
float64 w
MSG: geometry_msgs/Pose
Point position
Quaternion orientation
MSG: geometry_msgs/Transform
Vector3 translation
Quaternion rotation
MSG: geometry_msgs/Twist
Vector3 linear
Vector3 angular
MSG: geometry_msgs/Wrench
Vector3 force
Vector3 torque
"""


@dataclass(frozen=True)
class Field:
    """One field of a message type.

    Attributes:
        name: its name.
        type: a primitive such as ``float64``, ``string``, ``wstring``, or ``package/Name``.
        size: number of elements of a fixed array; None: a single value, or a sequence.
        many: whether it is an array or a sequence.
    """

    name: str
    type: str
    size: int | None = None
    many: bool = False

    @property
    def text(self) -> str:
        """Return the type as it is written in a definition."""
        return self.type + (f"[{'' if self.size is None else self.size}]" if self.many else "")


class MessageTypes:
    """The fields of message types by name ``package/Name``."""

    def __init__(self, types: Mapping[str, tuple[Field, ...]]) -> None:
        self.types = dict(types)

    def with_types(self, types: Mapping[str, tuple[Field, ...]]) -> MessageTypes:
        """Return these types and others; of the same name, the others count."""
        return MessageTypes({**self.types, **types})

    def __contains__(self, name: str) -> bool:
        return name in self.types or name in _built_in()

    def __getitem__(self, name: str) -> tuple[Field, ...]:
        """Return the fields of a type.

        Raises:
            ConfigError: the type is not defined.
        """
        found = self.types.get(name)
        if found is None:
            found = _built_in().get(name)
        if found is None:
            raise ConfigError(f"message type {name} is not defined, so its messages cannot be read")
        return found

    def problem(self, name: str, above: tuple[str, ...] = ()) -> str:
        """Return why messages of a type cannot be read; empty: they can."""
        if name in PRIMITIVES or name in TEXTS:
            return ""
        if name in above:
            return f"message type {name} contains itself"
        if name not in self:
            return f"message type {name} is not defined"
        inner = dict.fromkeys(field.type for field in self[name])
        return next(filter(None, (self.problem(n, (*above, name)) for n in inner)), "")


def short_name(type_name: str) -> str:
    """Return ``package/Name`` of ``package/msg/Name``."""
    return type_name.replace("/msg/", "/")


@lru_cache(maxsize=256)
def parse_definition(type_name: str, text: str) -> MessageTypes:
    """Parse the definition of a type and of the types it needs.

    Args:
        type_name: package/msg/Name.
        text: in ros2msg format, with all types that it needs.

    Raises:
        ConfigError: a line is not understood.
    """
    own = short_name(type_name)
    parts = _SECTION.split(text)
    sections = [(own, parts[0]), *zip(parts[1::2], parts[2::2])]
    return MessageTypes({short_name(n): _fields(short_name(n), part) for n, part in sections})


def _fields(name: str, text: str) -> tuple[Field, ...]:
    """Parse the fields of one type."""
    package, found = name.rpartition("/")[0], []
    for line in text.splitlines():
        line = line.split("#", 1)[0].strip()
        if not line:
            continue
        match = _FIELD.match(line)
        if match is None:
            raise ConfigError(f"definition of {name}: '{line}' is not a field")
        if match["rest"].startswith("=") and "<=" not in match["name"]:
            continue  # a constant
        found.append(_field(match, package))
    return tuple(found)


def _field(match: re.Match[str], package: str) -> Field:
    type_name = match["type"]
    type_name = _ROS1.get(type_name, type_name) if type_name not in PRIMITIVES else type_name
    if type_name not in PRIMITIVES and type_name not in TEXTS:
        type_name = short_name(type_name) if "/" in type_name else f"{package}/{type_name}"
    size = int(match["size"]) if match["array"] and match["size"] and not match["bound"] else None
    return Field(match["name"], type_name, size, match["array"] is not None)


_SEQUENCE = re.compile(r"sequence<(?P<type>.+?)(?:,\s*\d+)?>\Z")
_OF_CLASSES = {"boolean": "bool", "double": "float64", "float": "float32"}


def field_of(name: str, text: str) -> Field:
    """Return a field as a message class of Python describes it, such as ``sequence<double, 3>``."""
    sequence = _SEQUENCE.match(text)
    array = re.match(r"(?P<type>.+)\[(?P<size>\d+)\]\Z", text)
    inner = sequence or array
    kind = re.sub(r"<\d+>\Z", "", inner["type"] if inner else text)
    size = int(array["size"]) if array and not sequence else None
    return Field(name, _OF_CLASSES.get(kind, kind), size, inner is not None)


@lru_cache(maxsize=1)
def _built_in() -> dict[str, tuple[Field, ...]]:
    """Return the types that other definitions are made of, known without any text."""
    parts = re.split(r"^MSG: (\S+)\n", _BUILT_IN, flags=re.MULTILINE)
    return {name: _fields(name, part) for name, part in zip(parts[1::2], parts[2::2])}


def begins_with_header(type_name: str, definition: str) -> bool:
    """Return whether messages of a type begin with a std_msgs/Header; False: not readable.

    Args:
        type_name: package/msg/Name.
        definition: in ros2msg format or IDL.
    """
    idl = re.search(rf"struct\s+{type_name.rpartition('/')[2]}\s*\{{([^;]*);", definition)
    if idl:  # the first member, after annotations
        return "std_msgs::msg::Header" in idl[1]
    try:
        types = parse_definition(type_name, definition)
        fields = types[short_name(type_name)]
    except ConfigError:
        return False
    return bool(fields) and fields[0] == Field(fields[0].name, "std_msgs/Header")


def is_time(name: str, types: MessageTypes) -> bool:
    """Return whether a type is a time: seconds and nanoseconds, as ROS's own or a vendor's."""
    if name in PRIMITIVES or name in TEXTS:
        return False
    fields = types[name]
    whole = len(fields) == 2 and not any(f.many or f.type[:5] == "float" for f in fields)
    return whole and bool(
        re.match(r"t?v?_?sec", fields[0].name) and re.match(r"t?v?_?n(ano)?_?s", fields[1].name)
    )


def carried_bytes(type_name: str, types: MessageTypes) -> str:
    """Return the field of a type that is made to carry bytes, such as a picture; empty: none.

    A type that also has arrays of numbers or messages is made for those.
    """
    fields = types[short_name(type_name)]
    if any(f.many and f.type not in BYTES for f in fields):
        return ""
    return next((f.name for f in fields if f.many and f.size is None and f.type in BYTES), "")


def definition_text(type_name: str, types: MessageTypes) -> str:
    """Write types as text in ros2msg format; ``parse_definition`` reads it back."""

    def lines(name: str) -> Iterable[str]:
        yield from (f"{field.text} {field.name}" for field in types[name])

    seen, left = {short_name(type_name)}, [short_name(type_name)]
    parts: list[str] = []
    while left:
        name = left.pop(0)
        head = [] if not parts else ["=" * 80, f"MSG: {name}"]
        parts.append("\n".join([*head, *lines(name)]) + "\n")
        for field in types[name]:
            if field.type not in PRIMITIVES and field.type not in TEXTS and field.type not in seen:
                seen.add(field.type)
                left.append(field.type)
    return "".join(parts)
