"""Decode messages of known types to named numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from robot_recorder.messages.cdr import CdrReader, NumberSpan
from robot_recorder.model.errors import DecodeError
from robot_recorder.model.units import JointUnit, unit_of


class TactileUnit(IntEnum):
    """Unit of tactile values, as TactileArray.UNIT_*."""

    PASCAL = 0
    NORMALISED = 1


Vector = npt.NDArray[np.float64]
_Gaps = tuple[tuple[int, int], ...]  # begin and end of padding
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Decoded:
    """The numbers of one message.

    Attributes:
        names: one per value, with its unit in brackets.
        values: float64[len(names)].
        spans: where the values are in the bytes, in order; empty: unknown.
        gaps: begin and end of the padding in the bytes.
        factors: float64[len(names)], factors applied to the numbers in the bytes; None: none.
        note: a remark for people, such as why there are no values; empty: none.
        fixed: begin and end of the bytes that messages with the same spans have in common; None:
            all except stamp, spans and gaps.
        absent: number in the bytes that stands for no value, which is NaN here; None: no number does.
    """

    names: tuple[str, ...]
    values: Vector
    spans: tuple[NumberSpan, ...] = ()
    gaps: _Gaps = ()
    factors: Vector | None = None
    note: str = ""
    fixed: _Gaps | None = None
    absent: float | None = None


_FIELDS = ("position", "velocity", "effort")
# Known sections of joint names: alignment, bytes, names, padding.
_joint_sections: list[tuple[int, bytes, tuple[str, ...], _Gaps]] = []
_SECTIONS = 8
_tactile_names: dict[tuple[int, int, int, tuple[str, ...], bool], tuple[str, ...]] = {}
NO_VALUES = "no values: "
"""How a note begins that says why a stream or message has none."""
NO_NUMBERS = f"{NO_VALUES}its messages have no numbers"
_CACHE_LIMIT = 256  # layouts; a robot has few, but a fuzzer must not fill the memory
UNNAMED = (
    "its messages name no joints, so they are numbered: let the driver fill name[], or set "
    "'names: [...]' in the profile"
)


def numbered(names: Sequence[str]) -> list[str]:
    """Return names with a number at those that came before, such as ``left``, ``left#2``."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return found


def _remember(cache: dict, key: object, value: _Value) -> _Value:  # type: ignore[type-arg]
    if len(cache) >= _CACHE_LIMIT:
        cache.clear()
    cache[key] = value
    return value


def _skip_header(data: bytes) -> CdrReader:
    reader = CdrReader(data)
    reader.stamp_ns()
    reader.skip_bytes()
    return reader


def _read_joint_names(reader: CdrReader) -> tuple[str, ...]:
    # Names are the same bytes in every message, so comparing them with known ones saves decoding.
    start = reader.at
    data, alignment = reader.data, start % 4
    for known_alignment, section, names, gaps in _joint_sections:
        if alignment == known_alignment and data.startswith(section, start):
            reader.at = start + len(section)
            reader.gaps += [(start + first, start + end) for first, end in gaps]
            return names
    gaps_before = len(reader.gaps)
    count = reader.u32()
    if count * 4 > len(data):
        raise DecodeError(f"{count} joints do not fit into {len(data)} bytes")
    names = tuple(reader.text() for _ in range(count))
    if len(_joint_sections) >= _SECTIONS:
        _joint_sections.pop()
    found = tuple((first - start, end - start) for first, end in reader.gaps[gaps_before:])
    _joint_sections.insert(0, (alignment, data[start : reader.at], names, found))
    return names


@dataclass(frozen=True)
class _Reading:
    """How joint states with certain names and field lengths are read."""

    fields: tuple[bool, ...]  # whether position, velocity, effort are used
    names: tuple[str, ...]
    factors: Vector | None
    note: str


class JointStates:
    """Decoder of sensor_msgs/JointState with the joint names and units of a profile."""

    def __init__(self, names: Sequence[str] = (), units: Sequence[JointUnit] = ()) -> None:
        """Create a decoder for one stream.

        Args:
            names: joint names, if messages have none.
            units: units of positions; the first match of a joint counts; no match: rad.
        """
        self._names = tuple(names)
        self._units = tuple(units)
        self._readings: dict[tuple[tuple[str, ...], tuple[int, ...]], _Reading] = {}

    def __call__(self, data: bytes) -> Decoded:
        """Decode position, velocity and effort of every joint, as far as they are filled in.

        Raises:
            DecodeError: the bytes are not a valid JointState.
        """
        reader = _skip_header(data)
        joints = _read_joint_names(reader)
        fields = [reader.double_sequence() for _ in _FIELDS]
        key = joints, tuple(map(len, fields))
        reading = self._readings.get(key)
        if reading is None:
            reading = _remember(self._readings, key, self._reading(*key))
        parts = [values for values, counts in zip(fields, reading.fields) if counts]
        spans, gaps = tuple(reader.spans), tuple(reader.gaps)
        if len(parts) < len(spans):  # values that cannot be assigned to joints
            there = [counts for values, counts in zip(fields, reading.fields) if len(values)]
            skipped = [span for span, counts in zip(spans, there) if not counts]
            spans = tuple(span for span, counts in zip(spans, there) if counts)
            gaps += tuple((span.start, span.start + 8 * span.length) for span in skipped)
        values = np.concatenate(parts) if parts else np.empty(0)
        if reading.factors is not None:
            values = values * reading.factors
        return Decoded(reading.names, values, spans, gaps, reading.factors, reading.note)

    def _reading(self, joints: tuple[str, ...], sizes: tuple[int, ...]) -> _Reading:
        joints, note = self._named(joints, sizes[0] or (0 if joints else max(sizes)))
        counts = tuple(0 < size == len(joints) for size in sizes)
        odd = [
            f"{size} {field} values for {len(joints)} joints are ignored"
            for field, size, fits in zip(_FIELDS, sizes, counts)
            if size and not fits
        ]
        units = [unit_of(joint, self._units) for joint in joints]
        chosen = [place for place, fits in enumerate(counts) if fits]
        names = tuple(
            f"{_FIELDS[f]}/{joint} ({unit.units[f]})"
            for f in chosen
            for joint, unit in zip(joints, units)
        )
        factors = np.array([unit.factors[f] for f in chosen for unit in units])
        scaled = bool((factors != 1.0).any())
        return _Reading(
            counts, names, factors if scaled else None, "; ".join(filter(None, [note, *odd]))
        )

    def _named(self, joints: tuple[str, ...], count: int) -> tuple[tuple[str, ...], str]:
        """Return the names of the joints, and a remark if they are invalid; empty: none."""
        if len(joints) == count or (joints and not count):
            if len(set(joints)) == len(joints):
                return joints, ""
            twice = "its messages name a joint twice: the second one is named ...#2"
            return tuple(numbered(joints)), twice
        if not joints and len(self._names) == count:
            return self._names, ""
        numbers = tuple(map(str, range(count)))
        if joints:
            return (
                numbers,
                f"its messages have {len(joints)} names for {count} positions, so the joints are numbered",
            )
        if self._names:
            return numbers, (
                f"its messages have {count} joints without names, the profile names "
                f"{len(self._names)}, so the joints are numbered"
            )
        return numbers, UNNAMED


decode_joint_state = JointStates()
"""Decodes sensor_msgs/JointState with the names in the message; positions are in rad."""


def decode_tactile(data: bytes) -> Decoded:
    """Decode robot_recorder/TactileArray: normal of every taxel, then shear x, y of every taxel."""
    reader = _skip_header(data)
    unit, rows, cols = reader.u8(), reader.u32(), reader.u32()
    taxels = reader.texts()
    normal = reader.floats(reader.u32())
    shear = reader.floats(reader.u32())
    if len(normal) != (len(taxels) or rows * cols):
        raise DecodeError(f"{len(normal)} normals for {len(taxels) or rows * cols} taxels")
    if len(shear) not in (0, 2 * len(normal)):
        raise DecodeError(f"{len(shear)} shear values for {len(normal)} taxels")
    key = (unit, rows, cols, taxels, len(shear) > 0)
    names = _tactile_names.get(key)
    if names is None:
        suffix = "(Pa)" if unit == TactileUnit.PASCAL else "(1)"
        taxels = taxels or tuple(f"{i // cols},{i % cols}" for i in range(len(normal)))
        names = tuple(f"normal/{t} {suffix}" for t in taxels)
        if len(shear):
            names += tuple(f"shear_{axis}/{t} {suffix}" for t in taxels for axis in "xy")
        _remember(_tactile_names, key, names)
    return Decoded(names, np.concatenate((normal, shear)), tuple(reader.spans), tuple(reader.gaps))


def fixed(*names: str, header: bool = True) -> Callable[[bytes], Decoded]:
    """Return a decoder of messages that consist only of float64 values.

    Args:
        names: of the values, with units.
        header: a std_msgs/Header comes first.
    """

    def decode(data: bytes) -> Decoded:
        reader = _skip_header(data) if header else CdrReader(data)
        values = reader.doubles(len(names))
        return Decoded(names, values, tuple(reader.spans), tuple(reader.gaps))

    return decode


_WRENCH = ("force/x (N)", "force/y (N)", "force/z (N)",
           "torque/x (N m)", "torque/y (N m)", "torque/z (N m)")  # fmt: skip
_QUATERNION = ("orientation/x (1)", "orientation/y (1)", "orientation/z (1)", "orientation/w (1)")
_POSITION = ("position/x (m)", "position/y (m)", "position/z (m)")
_IMU = (*_QUATERNION,
        "angular_velocity/x (rad/s)", "angular_velocity/y (rad/s)", "angular_velocity/z (rad/s)",
        "linear_acceleration/x (m/s^2)", "linear_acceleration/y (m/s^2)",
        "linear_acceleration/z (m/s^2)")  # fmt: skip


decode_wrench = fixed(*_WRENCH)
"""Decodes geometry_msgs/WrenchStamped: force and torque."""


def decode_imu(data: bytes) -> Decoded:
    """Decode sensor_msgs/Imu: orientation, angular velocity, acceleration; no covariances."""
    reader = _skip_header(data)
    orientation = reader.doubles(4)
    reader.doubles(9)
    rate = reader.doubles(3)
    reader.doubles(9)
    values = np.concatenate((orientation, rate, reader.doubles(3)))
    covariances = [(s.start, s.start + 8 * s.length) for s in reader.spans[1::2]]
    return Decoded(_IMU, values, tuple(reader.spans[::2]), (*reader.gaps, *covariances))


def decode_transform_stamped(data: bytes) -> Decoded:
    """Decode geometry_msgs/TransformStamped: translation and rotation."""
    reader = _skip_header(data)
    reader.skip_bytes()  # child_frame_id
    values = reader.doubles(7)
    return Decoded((*_POSITION, *_QUATERNION), values, tuple(reader.spans), tuple(reader.gaps))


decode_pose = fixed(*_POSITION, *_QUATERNION)
"""Decodes geometry_msgs/PoseStamped: position and orientation."""
