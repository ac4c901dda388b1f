"""The fields of a message type, and the numbers of several of its messages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice

import numpy as np

from robot_recorder.messages.definition import (
    PRIMITIVES,
    TEXTS,
    TIMES,
    MessageTypes,
    is_time,
    parse_definition,
    short_name,
)
from robot_recorder.messages.mapped import MOST_VALUES, MappedDecoder
from robot_recorder.messages.places import START, Leaf, Walker
from robot_recorder.model.errors import ConfigError, DecodeError
from robot_recorder.model.mapping import Meaning, StreamMapping, parse_path

_HEADER = "std_msgs/Header"
_DEEPEST = 5  # messages within messages
_MOST_FIELDS = 250
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_AXIS = re.compile(r"(?P<stem>.+?)_?(?P<axis>[xyzwXYZW])\Z")
VECTOR, QUATERNION, POSE, TWIST, WRENCH = "vector", "quaternion", "pose", "twist", "wrench"
# Scalars beside which x, y and z are a position.
_TURNS = ({"roll", "pitch", "yaw"}, {"qx", "qy", "qz", "qw"})
_SORTS: tuple[tuple[str, set[str]], ...] = ((VECTOR, {*"xyz"}), (QUATERNION, {*"xyzw"}))


def name_words(name: str) -> tuple[str, ...]:
    """Return the words of a field's name: joint, q for ``joint_q`` and ``jointQ``."""
    return tuple(word.lower() for word in _WORD.findall(name))


@dataclass(frozen=True, eq=False)
class ReadField:
    """One field of a message type with numbers, or with texts.

    Attributes:
        path: to it, with ``[]`` after the arrays of messages on the way.
        parent: path of the message that has it; empty: the whole message.
        within: type of that message.
        name: its name.
        type: a primitive, a text, a time, or a message.
        sort: VECTOR, QUATERNION, POSE, TWIST or WRENCH; empty: plain numbers.
        many: whether the field itself is an array.
        axes: names of the numbers of a VECTOR or QUATERNION, in order.
        values: float64[n, k], of n messages; of messages of unlike lengths, the commonest length.
        texts: what the first message says, for texts and whole numbers.
        fixed: whether all messages had as many values.
        covers: paths of the single numbers that were put together to this VECTOR or QUATERNION.
        parts: of an array in the elements of an array: its length in each, in the first message.
    """

    path: str
    parent: str
    within: str
    name: str
    type: str
    sort: str = ""
    many: bool = False
    axes: tuple[str, ...] = ()
    values: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    texts: tuple[str, ...] = ()
    fixed: bool = True
    covers: tuple[str, ...] = ()
    parts: tuple[int, ...] = ()

    @property
    def count(self) -> int:
        """Return the number of values in a message."""
        return int(self.values.shape[1]) if self.values.ndim == 2 else 0

    @property
    def whole(self) -> bool:
        """Return whether its numbers are whole numbers by type."""
        return self.type in PRIMITIVES and not self.type.startswith("float")

    @property
    def in_array(self) -> bool:
        """Return whether it is a field of the elements of an array."""
        return self.parent.endswith("[]")

    @property
    def claims(self) -> set[str]:
        """Return the paths that nothing else reads once this field is read."""
        return {self.path, *self.covers}

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Return the words of its name."""
        return name_words(self.name)

    @cached_property
    def most(self) -> float:
        """Return the largest absolute value; NaN: it has no values."""
        with np.errstate(all="ignore"):
            finite = np.abs(self.values[np.isfinite(self.values)])
        return float(finite.max()) if finite.size else float("nan")


def read_fields(type_name: str, definition: str, messages: Sequence[bytes]) -> list[ReadField]:
    """Return the fields of a type, with the values in some of its messages.

    Args:
        type_name: package/msg/Name.
        definition: of it, in ros2msg format.
        messages: CDR; those that do not fit the type are skipped.

    Raises:
        ConfigError: the definition cannot be read.
    """
    types = parse_definition(type_name, definition)
    name = short_name(type_name)
    if problem := types.problem(name):
        raise ConfigError(problem)
    found = []
    declared = list(islice(_fields(types, name, "", 0), _MOST_FIELDS))
    for one in (*declared, *_put_together(declared)):
        found.append(_with_values(one, types, name, messages))
    return found


def _put_together(fields: Sequence[ReadField]) -> Iterator[ReadField]:
    """Yield vectors and quaternions of fields such as ``gyro_x``, ``gyro_y`` and ``gyro_z``."""
    groups: dict[tuple[str, str], dict[str, ReadField]] = {}
    bare: dict[str, dict[str, ReadField]] = {}  # beside other fields; alone they are a vector
    for one in fields:
        match = _AXIS.match(one.name)
        if one.many or one.type not in ("float32", "float64"):
            continue
        if match and one.name not in "xyzw":
            groups.setdefault((one.parent, match["stem"]), {})[match["axis"].lower()] = one
        elif one.name in ("x", "y", "z", "w") and "[]" not in one.parent:
            bare.setdefault(one.parent, {})[one.name] = one
    beside = {(one.parent, one.name) for one in fields}
    for parent, axes in bare.items():
        if "w" in axes:
            groups[parent, "orientation"] = axes
        elif any({(parent, n) for n in turn} <= beside for turn in _TURNS):
            groups[parent, "position"] = axes
    for (parent, stem), parts in groups.items():
        sort = next((s for s, axes in _SORTS if parts.keys() == axes), "")
        if sort:
            order = tuple(sorted(parts, key="xyzw".index))
            inside = "{" + ",".join(parts[axis].name for axis in order) + "}"
            covers = tuple(one.path for one in parts.values())
            path = f"{parent}.{inside}" if parent else inside
            within = parts[order[0]].within
            yield ReadField(
                path, parent, within, stem, "float64", sort, False, order, covers=covers
            )


def _fields(types: MessageTypes, type_name: str, parent: str, depth: int) -> Iterator[ReadField]:
    for member in types[type_name]:
        path = f"{parent}.{member.name}" if parent else member.name
        if member.type == _HEADER:
            if parent.endswith("[]") and not member.many:  # may be the name of the element
                name = f"{member.name}.frame_id"
                yield ReadField(f"{parent}.{name}", parent, type_name, name, "string")
            continue
        sort, axes = shape_of(types, member.type)
        plain = member.type in PRIMITIVES or member.type in TEXTS or member.type in TIMES
        time = not plain and is_time(member.type, types)  # a vendor's own
        if plain or sort or time:
            kind = TIMES[0] if time else member.type
            yield ReadField(path, parent, type_name, member.name, kind, sort, member.many, axes)
        elif depth < _DEEPEST:
            inner = f"{path}[]" if member.many else path
            yield from _fields(types, member.type, inner, depth + 1)


def shape_of(types: MessageTypes, type_name: str) -> tuple[str, tuple[str, ...]]:
    """Return what a message type is by its fields, and the names of its numbers; empty: neither."""
    if type_name in PRIMITIVES or type_name in TEXTS or type_name in TIMES:
        return "", ()
    members = types[type_name]
    names = {m.name for m in members}
    if all(m.type in ("float32", "float64") and not m.many for m in members):
        found = next((sort for sort, axes in _SORTS if names == axes), "")
        return found, tuple(m.name for m in members) if found else ()
    inner = [shape_of(types, m.type)[0] for m in members if not m.many and m.type != type_name]
    if inner == [VECTOR, QUATERNION] and len(members) == 2:
        return POSE, ()
    if inner == [VECTOR, VECTOR] and len(members) == 2:
        words = {w for name in names for w in name_words(name)}
        if {"linear", "angular"} <= words:
            return TWIST, ()
        if {"force", "torque"} <= words:
            return WRENCH, ()
    return "", ()


def _with_values(
    one: ReadField, types: MessageTypes, type_name: str, messages: Sequence[bytes]
) -> ReadField:
    """Return a field with the values of all messages that can be read."""
    texts = _texts(one, types, type_name, messages)
    values, fixed = np.empty((0, 0)), True
    if one.type not in TEXTS:
        rows = _rows(one, types, type_name, messages)
        lengths = Counter(len(row) for row in rows)
        if lengths:
            usual = lengths.most_common(1)[0][0]
            kept = [row for row in rows if len(row) == usual]
            values = np.array(kept).reshape(len(kept), usual)
            fixed = len(lengths) == 1 and len(rows) == len(messages)
    parts = _parts(one, types, type_name, messages)
    return replace(one, values=values, texts=texts, fixed=fixed, parts=parts)


def _parts(
    one: ReadField, types: MessageTypes, type_name: str, messages: Sequence[bytes]
) -> tuple[int, ...]:
    """Return the lengths of an array in the elements of an array, in the first message."""
    if not (one.many and one.in_array) or one.path.count("[]") > 1:
        return ()
    for data in messages:
        try:
            walker = Walker(types, data)
            elements = walker.leaves(parse_path(one.parent), Leaf(type_name, START))[:MOST_VALUES]
            path = parse_path(one.name)
            return tuple(len(walker.leaves(path, e)) for e in elements)
        except DecodeError:
            continue
    return ()


def _rows(
    one: ReadField, types: MessageTypes, type_name: str, messages: Sequence[bytes]
) -> list[np.ndarray]:
    mapping = StreamMapping(Meaning.NUMBERS, {"n": (parse_path(one.path),)})
    decode = MappedDecoder(type_name, types, mapping)
    rows = []
    for data in messages:
        try:
            decoded = decode(data)
        except DecodeError:
            continue
        if not decoded.note:  # it has more values than can be kept
            rows.append(decoded.values)
    return rows


def _texts(
    one: ReadField, types: MessageTypes, type_name: str, messages: Sequence[bytes]
) -> tuple[str, ...]:
    """Return the texts or whole numbers that the first message says; empty: other numbers."""
    if not (one.type in TEXTS or one.whole) or one.sort:
        return ()
    for data in messages:
        try:
            walker = Walker(types, data)
            leaves = walker.leaves(parse_path(one.path), Leaf(type_name, START))
            if len(leaves) > MOST_VALUES:
                return ()
            return tuple(walker.text(leaf) for leaf in leaves)
        except DecodeError:
            continue
    return ()
