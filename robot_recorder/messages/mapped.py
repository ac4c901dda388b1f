"""Decode messages of any type by the mapping of a profile, or every number of an unknown type.

A message is walked through once. Messages of the same structure have their values at the same
offsets and are read as arrays, for a fraction of the cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

import numpy as np

from robot_recorder.messages.cdr import NumberSpan
from robot_recorder.messages.decoders import (
    NO_NUMBERS,
    NO_VALUES,
    UNNAMED,
    Decoded,
    numbered,
)
from robot_recorder.messages.definition import (
    BYTES,
    PRIMITIVES,
    TEXTS,
    Field,
    MessageTypes,
    short_name,
)
from robot_recorder.messages.places import START, Leaf, ValuePlace, Walker
from robot_recorder.model.arrays import Bytes
from robot_recorder.model.errors import ConfigError, DecodeError
from robot_recorder.model.mapping import OPEN_END, FieldPath, Meaning, Pad, Step, StreamMapping
from robot_recorder.model.units import JointUnit, unit_of

MOST_VALUES = 4000  # of a mapping
_MOST_NUMBERS = 2000  # of an unknown type; more belong to an image or a point cloud
_KEPT = 8  # arrangements kept per length of message
_LENGTHS = 64
_FEW = 6  # ranges of bytes that are compared one by one
_AXES, _QUATERNION = ("x", "y", "z"), ("x", "y", "z", "w")


@dataclass
class _FoundValues:
    """The values found in one message, so far.

    Attributes:
        names: with units.
        places: where they are.
        factors: by which they are multiplied.
        notes: what is unusual.
    """

    names: list[str] = field(default_factory=list)
    places: list[ValuePlace] = field(default_factory=list)
    factors: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, names: Iterable[str], places: Sequence[ValuePlace], factor: float = 1.0) -> None:
        """Add values of one unit."""
        self.names += names
        self.places += places
        self.factors += [factor] * len(places)


class Arrangement:
    """Where the values lie in messages of one structure."""

    def __init__(self, walker: Walker, values: _FoundValues, absent: float | None = None) -> None:
        """Take over what a walk has found.

        Args:
            walker: has walked through the message.
            values: what was found.
            absent: number that stands for no value.
        """
        self.absent = absent
        self.ranges = _merged(walker.fixed)
        self.spans = tuple(_spans(values.places, walker.order))
        self.names = tuple(values.names)
        factors = np.array(values.factors)
        self.factors = factors if bool((factors != 1.0).any()) else None
        self.note = "; ".join(dict.fromkeys(values.notes))
        data = walker.data
        self._probes = [(begin, data[begin:end]) for begin, end in self.ranges]
        at = [np.arange(begin, end) for begin, end in self.ranges]
        self._at = np.concatenate(at)
        self._expected: Bytes = np.frombuffer(data, np.uint8)[self._at]

    def fits(self, data: bytes) -> bool:
        """Return whether a message of the same length has this structure."""
        if len(self._probes) <= _FEW:
            return all(data.startswith(probe, begin) for begin, probe in self._probes)
        return bool((np.frombuffer(data, np.uint8)[self._at] == self._expected).all())

    def read(self, data: bytes) -> Decoded:
        """Read the values of a message that fits."""
        parts = [
            np.ndarray(span.length, span.kind, data, span.start, (span.stride,))
            for span in self.spans
        ]
        values = np.empty(len(self.names))
        at = 0
        for part in parts:
            values[at : at + len(part)] = part
            at += len(part)
        if self.absent is not None:
            values[values == self.absent] = np.nan
        if self.factors is not None:
            values *= self.factors
        return Decoded(
            self.names, values, self.spans, (), self.factors, self.note, self.ranges, self.absent
        )


def _merged(ranges: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Join ranges that touch."""
    found: list[tuple[int, int]] = []
    for begin, end in sorted(set(ranges)):
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        elif end > begin:
            found.append((begin, end))
    return tuple(found)


def _spans(places: Sequence[ValuePlace], order: str) -> Iterator[NumberSpan]:
    """Join places at equal distances to spans."""
    at = 0
    while at < len(places):
        start, kind = places[at]
        dtype = np.dtype(order + kind)
        stride, end = dtype.itemsize, at + 1
        if end < len(places) and places[end].kind == kind and places[end].at > start:
            stride = places[end].at - start
            while (
                end < len(places)
                and places[end].kind == kind
                and places[end].at == start + stride * (end - at)
            ):
                end += 1
        yield NumberSpan(start, end - at, dtype, stride)
        at = end


class StructureCache:
    """Arrangements by length of message, the one used last first."""

    def __init__(self, make: Callable[[bytes], Arrangement]) -> None:
        """
        Args:
            make: walks through a message of a new structure.
        """
        self._make = make
        self._known: dict[int, list[Arrangement]] = {}

    def of(self, data: bytes) -> Arrangement:
        """Return the arrangement of a message.

        Raises:
            DecodeError: the bytes do not fit the type.
        """
        known = self._known.get(len(data))
        if known is None:
            if len(self._known) >= _LENGTHS:
                self._known.clear()
            known = self._known[len(data)] = []
        for number, arrangement in enumerate(known):
            if arrangement.fits(data):
                if number:
                    known.insert(0, known.pop(number))
                return arrangement
        found = self._make(data)
        known.insert(0, found)
        del known[_KEPT:]
        return found


class MappedDecoder:
    """Decoder of one stream of any message type."""

    def __init__(
        self,
        type_name: str,
        types: MessageTypes,
        mapping: StreamMapping | None,
        units: Sequence[JointUnit] = (),
    ) -> None:
        """
        Args:
            type_name: package/msg/Name.
            types: its definition, and those of the types it needs.
            mapping: which values to read; None: every number, named by its field.
            units: units of joints, see JointUnit; for an unknown type, of all numbers.

        Raises:
            ConfigError: the type is not defined, or has no field that the mapping names.
        """
        self._type = short_name(type_name)
        self._types, self._mapping, self._units = types, mapping, tuple(units)
        if problem := types.problem(self._type):
            raise ConfigError(f"{type_name}: {problem}, so its values cannot be read")
        if mapping is not None:
            check_mapping(mapping, self._type, types)
        self._structures = StructureCache(self._arranged)

    def __call__(self, data: bytes) -> Decoded:
        """Decode a message.

        Raises:
            DecodeError: the bytes do not fit the type, or not the mapping.
        """
        return self._structures.of(data).read(data)

    def _arranged(self, data: bytes) -> Arrangement:
        walker, values = Walker(self._types, data), _FoundValues()
        mapping = self._mapping
        if mapping is None:
            self._every_number(walker, values)
        else:
            _READERS[mapping.meaning](
                _MappedMessage(walker, self._type, mapping, self._units), values
            )
        if len(values.places) > MOST_VALUES:
            values = _FoundValues(notes=[f"{NO_VALUES}it has more than {MOST_VALUES} numbers"])
        return Arrangement(walker, values, mapping.absent if mapping is not None else None)

    def _every_number(self, walker: Walker, values: _FoundValues) -> None:
        unit = self._units[0] if self._units else None
        label, factor = (unit.unit, unit.factor) if unit else ("?", 1.0)
        found = list(islice(_all(walker, Leaf(self._type, START), ""), _MOST_NUMBERS + 1))
        if len(found) > _MOST_NUMBERS:
            values.notes.append(
                f"{NO_VALUES}more than {_MOST_NUMBERS} numbers in a {self._type}: "
                "map those that count"
            )
            return
        values.add((f"{name} ({label})" for name, _ in found), [p for _, p in found], factor)
        if not found:
            values.notes.append(NO_NUMBERS)


def _all(walker: Walker, leaf: Leaf, path: str) -> Iterator[tuple[str, ValuePlace]]:
    """Yield every number of a message with its path, except headers and arrays of bytes."""
    if leaf.type in PRIMITIVES:
        yield path, ValuePlace(leaf.at, PRIMITIVES[leaf.type][0])
        return
    if leaf.type in TEXTS:
        return
    for name, inner in walker.members(leaf, _is_left_out):
        yield from _all(walker, inner, f"{path}/{name}" if path else name)


def _is_left_out(member: Field) -> bool:
    return member.type == "std_msgs/Header" or (member.many and member.type in BYTES)


@dataclass(frozen=True)
class _MappedMessage:
    """One message and what is to be read from it."""

    walker: Walker
    type: str
    mapping: StreamMapping
    units: tuple[JointUnit, ...]

    def leaves(self, paths: Iterable[FieldPath], at: Leaf | None = None) -> list[Leaf]:
        """Return what some paths reach, one after the other, from the message or an element."""
        start = at or Leaf(self.type, START)
        return [leaf for path in paths for leaf in self.walker.leaves(path, start)]

    def numbers(self, name: str, at: Leaf | None = None) -> list[ValuePlace]:
        """Return the numbers of a field of the mapping."""
        return self.places(self.mapping.fields.get(name, ()), at)

    def places(self, paths: Iterable[FieldPath], at: Leaf | None = None) -> list[ValuePlace]:
        """Return the numbers that some paths reach."""
        return list(chain.from_iterable(map(self.walker.numbers, self.leaves(paths, at))))

    def names(self) -> list[str]:
        """Return the names of the mapping, or those in the message."""
        if self.mapping.names:
            return list(self.mapping.names)
        return [self.mapping.rename.get(text, text) for text in self.texts([None])]

    def texts(self, places: Iterable[Leaf | None]) -> list[str]:
        """Return the names in some elements, or in the message (None), as they are sent."""
        leaves = [leaf for at in places for leaf in self.leaves(self.mapping.name_paths, at)]
        return [self.walker.text(leaf) for leaf in leaves]

    def elements(self) -> list[Leaf]:
        """Return the elements of ``each``."""
        return self.leaves([self.mapping.each]) if self.mapping.each else []


def _read_joints(source: _MappedMessage, values: _FoundValues) -> None:
    fields = {name: source.numbers(name) for name in ("position", "velocity", "effort")}
    names = source.names()
    count = next((len(places) for places in fields.values() if places), 0)
    if not names and count and not (source.mapping.names or source.mapping.name_paths):
        names = [str(n) for n in range(count)]
        values.notes.append(UNNAMED)
    if count and fields["position"] and len(names) != count:
        raise DecodeError(f"{len(names)} names for {count} positions: correct the mapping")
    names = _unique(names, values)
    for index, (name, places) in enumerate(fields.items()):
        if not places:
            continue
        if len(places) != len(names):
            values.notes.append(f"{len(places)} {name} values for {len(names)} joints are ignored")
            continue
        for joint, place in zip(names, places):
            unit = unit_of(joint, source.units)
            values.add([f"{name}/{joint} ({unit.units[index]})"], [place], unit.factors[index])


def _unique(names: list[str], values: _FoundValues) -> list[str]:
    """Number names that occur twice."""
    if len(set(names)) == len(names):
        return names
    values.notes.append("its messages have a name twice: the second one is named ...#2")
    return numbered(names)


def _vector(
    source: _MappedMessage,
    values: _FoundValues,
    name: str,
    unit: str,
    factor: float = 1.0,
) -> None:
    """Read x, y and z of one field, if the mapping has it."""
    places = source.numbers(name)
    if not places:
        return
    if len(places) != 3:
        raise DecodeError(f"{name} has {len(places)} numbers, not 3: correct the mapping")
    values.add((f"{name}/{axis} ({unit})" for axis in _AXES), places, factor)


def _quaternion(source: _MappedMessage, places: Sequence[ValuePlace]) -> Sequence[ValuePlace]:
    """Return x, y, z, w of a quaternion."""
    if len(places) != 4:
        raise DecodeError(f"orientation has {len(places)} numbers, not 4: correct the mapping")
    return [*places[1:], places[0]] if source.mapping.wxyz else places


def _read_imu(source: _MappedMessage, values: _FoundValues) -> None:
    if orientation := source.numbers("orientation"):
        names = (f"orientation/{axis} (1)" for axis in _QUATERNION)
        values.add(names, _quaternion(source, orientation))
    _read_rpy(source, values)
    _vector(source, values, "angular_velocity", "rad/s")
    _vector(source, values, "linear_acceleration", "m/s^2")


def _read_rpy(source: _MappedMessage, values: _FoundValues) -> None:
    """Read roll, pitch and yaw, if the mapping has them."""
    if rpy := source.numbers("rpy"):
        if len(rpy) != 3:
            raise DecodeError(f"rpy has {len(rpy)} numbers, not 3: correct the mapping")
        values.add((f"rpy/{axis} (rad)" for axis in ("roll", "pitch", "yaw")), rpy)


def _read_pair(
    source: _MappedMessage, values: _FoundValues, whole: str, parts: tuple[tuple[str, str], ...]
) -> None:
    """Read two vectors from a message that has both, or from two paths."""
    factor = source.mapping.factor
    places = source.numbers(whole)
    if not places:
        for name, unit in parts:
            _vector(source, values, name, unit, factor=factor)
        return
    if len(places) != 6:
        raise DecodeError(f"{whole} has {len(places)} numbers, not 6: correct the mapping")
    names = [f"{name}/{axis} ({unit})" for name, unit in parts for axis in _AXES]
    values.add(names, places, factor)


def _read_wrench(source: _MappedMessage, values: _FoundValues) -> None:
    _read_pair(source, values, "wrench", (("force", "N"), ("torque", "N m")))


def _read_twist(source: _MappedMessage, values: _FoundValues) -> None:
    _read_pair(source, values, "twist", (("linear", "m/s"), ("angular", "rad/s")))


def _add_pose(
    source: _MappedMessage, values: _FoundValues, body: str, places: Sequence[ValuePlace]
) -> None:
    """Add position and orientation of one body; of an unnamed one if ``body`` is empty."""
    if len(places) not in (3, 4, 7):
        raise DecodeError(
            f"a pose has {len(places)} numbers: 7 (position and orientation), 3 or 4 are needed, "
            "correct the mapping"
        )
    position, orientation = places[:3], places[3:]
    if len(places) == 4:
        position, orientation = [], places
    path = f"{body}/" if body else ""
    values.add((f"position/{path}{a} (m)" for a in _AXES if position), position,
               source.mapping.factor)  # fmt: skip
    if orientation:
        names = (f"orientation/{path}{axis} (1)" for axis in _QUATERNION)
        values.add(names, _quaternion(source, orientation))


def _pose_places(source: _MappedMessage, at: Leaf | None = None) -> list[ValuePlace]:
    return source.numbers("pose", at) or [
        *source.numbers("position", at), *source.numbers("orientation", at)
    ]  # fmt: skip


def _read_pose(source: _MappedMessage, values: _FoundValues) -> None:
    if places := _pose_places(source):
        _add_pose(source, values, "", places)
    _read_rpy(source, values)
    _vector(source, values, "linear", "m/s")  # of an odometry
    _vector(source, values, "angular", "rad/s")


def _read_poses(source: _MappedMessage, values: _FoundValues) -> None:
    if source.mapping.each is not None:
        elements = source.elements()
        names = [source.mapping.rename.get(text, text) for text in source.texts(elements)]
        bodies = [_pose_places(source, element) for element in elements]
    else:
        leaves = source.leaves(source.mapping.fields["pose"])
        bodies = [list(source.walker.numbers(leaf)) for leaf in leaves]
        names = source.names()
    if not names:
        names = [str(number) for number in range(len(bodies))]
    if len(names) != len(bodies):
        raise DecodeError(f"{len(names)} names for {len(bodies)} poses: correct the mapping")
    for name, places in zip(_unique(names, values), bodies):
        _add_pose(source, values, name, places)


def _read_tactile(source: _MappedMessage, values: _FoundValues) -> None:
    if source.mapping.each is None:
        for pad in source.mapping.pads:
            _add_pad(source, values, pad, pad.name, None)
        return
    pad = source.mapping.pads[0]
    elements = source.elements()
    names = source.texts(elements)
    names = _unique(names or [str(n) for n in range(len(elements))], values)
    for name, element in zip(names, elements):
        _add_pad(source, values, pad, source.mapping.rename.get(name, name), element)


def _add_pad(
    source: _MappedMessage, values: _FoundValues, pad: Pad, name: str, element: Leaf | None
) -> None:
    """Add the taxels of one pad: pressure of each, then shear x, y of each."""
    normal, shear = source.places(pad.normal, element), source.places(pad.shear, element)
    if pad.shape is not None and normal and len(normal) != pad.shape[0] * pad.shape[1]:
        raise DecodeError(
            f"pad {name or 'of the stream'} has {len(normal)} taxels, not {pad.shape[0]} x "
            f"{pad.shape[1]}: correct the mapping"
        )
    if len(shear) not in (0, 2 * len(normal)):
        raise DecodeError(f"{len(shear)} shear values for {len(normal)} taxels")
    columns = pad.shape[1] if pad.shape else 0
    taxels = [f"{n // columns},{n % columns}" if columns else str(n) for n in range(len(normal))]
    taxels = [f"{name}/{taxel}" if name else taxel for taxel in taxels]
    unit, factor = source.mapping.unit or "raw", source.mapping.factor
    values.add((f"normal/{taxel} ({unit})" for taxel in taxels), normal, factor)
    if shear:
        names = (f"shear_{axis}/{taxel} ({unit})" for taxel in taxels for axis in "xy")
        values.add(names, shear, factor)


def _read_numbers(source: _MappedMessage, values: _FoundValues) -> None:
    mapping = source.mapping
    unit, names = mapping.unit or "?", source.names()
    for name, paths in mapping.fields.items():
        leaves = source.leaves(paths)
        found = [
            pair
            for number, leaf in enumerate(leaves)
            for pair in _all(source.walker, leaf, f"{name}/{number}" if len(leaves) > 1 else name)
        ]
        if names and len(names) != len(found):
            raise DecodeError(f"{len(names)} names for {len(found)} numbers of {name}")
        own = names or [path for path, _ in found]
        values.add((f"{one} ({unit})" for one in own), [p for _, p in found], mapping.factor)


_READERS: dict[Meaning, Callable[[_MappedMessage, _FoundValues], None]] = {
    Meaning.JOINT_STATE: _read_joints,
    Meaning.IMU: _read_imu,
    Meaning.WRENCH: _read_wrench,
    Meaning.POSE: _read_pose,
    Meaning.POSES: _read_poses,
    Meaning.TWIST: _read_twist,
    Meaning.TACTILE: _read_tactile,
    Meaning.NUMBERS: _read_numbers,
}


def check_mapping(mapping: StreamMapping, type_name: str, types: MessageTypes) -> None:
    """Check that a type has all fields that a mapping names.

    Raises:
        ConfigError: it has not; the message names the field and those that there are.
    """
    start = type_name
    if mapping.each is not None:
        start = reached_type(mapping.each, type_name, types)
        if start in PRIMITIVES or start in TEXTS:
            raise ConfigError(f"'{mapping.each.text}' must reach messages, {start} has no fields")
    for path in (*mapping.name_paths, *mapping.value_paths):
        reached_type(path, start, types)


def reached_type(path: FieldPath, type_name: str, types: MessageTypes) -> str:
    """Return the type that a path reaches.

    Raises:
        ConfigError: there is no such field.
    """
    for step in path.steps:
        reached = {_field_type(path, step_name, type_name, types) for step_name in step.names}
        (inner, many), *_ = reached
        if (step.index is not None or step.key) and not many:
            raise ConfigError(f"'{path.text}': {step.names[0]} of {type_name} is no array")
        if many and step.index is not None:
            _check_index(path, step, type_name, types)
        if step.key and inner in PRIMITIVES:
            if not _field_type(path, step.key, type_name, types)[1]:
                raise ConfigError(f"'{path.text}': {step.key} of {type_name} is no array")
        elif step.key:
            for part in step.key.split("."):
                _field_type(path, part, inner, types)
        type_name = inner
    return type_name


def _field_type(
    path: FieldPath, name: str, type_name: str, types: MessageTypes
) -> tuple[str, bool]:
    if type_name in PRIMITIVES or type_name in TEXTS:
        raise ConfigError(f"'{path.text}': a {type_name} has no field {name}")
    members = {m.name: m for m in types[type_name]}
    if name not in members:
        raise ConfigError(
            f"'{path.text}': {type_name} has no field {name}; it has {', '.join(members)}"
        )
    return members[name].type, members[name].many


def _check_index(path: FieldPath, step: Step, type_name: str, types: MessageTypes) -> None:
    """Check the index of a step against an array of fixed size."""
    name = step.names[0]
    member = next(m for m in types[type_name] if m.name == name)
    for first, end in step.index or ():
        last = first if end is None else end - 1
        if member.size is not None and end != OPEN_END and last >= member.size:
            raise ConfigError(
                f"'{path.text}': {name} of {type_name} has {member.size} elements, number {last} "
                "does not exist"
            )


def read_arrangement(walker: Walker, places: list[ValuePlace]) -> Arrangement:
    """Return where some unnamed numbers lie in messages of the structure walked through."""
    values = _FoundValues()
    values.add([""] * len(places), places)
    return Arrangement(walker, values)
