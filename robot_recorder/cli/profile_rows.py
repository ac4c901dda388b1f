"""What ``profile check`` says of each stream: what its values are, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from robot_recorder.encoding.picture_encoder import lacking
from robot_recorder.messages.decoders import NO_VALUES, Decoded
from robot_recorder.messages.definition import (
    parse_definition,
    short_name,
)
from robot_recorder.messages.empty_message import empty_message, has_fixed_layout
from robot_recorder.messages.encoded import recorded_stream
from robot_recorder.messages.installed_types import readable_definition
from robot_recorder.messages.kinds import (
    CAMERA_INFO,
    MAP_IT,
    UNKNOWN_KIND,
    Sort,
    has_header,
    kind_of,
    lacks_values,
    needs_definition,
    stream_decoder,
    values_problem,
)
from robot_recorder.messages.stamps import StampReader
from robot_recorder.model.errors import ConfigError, DecodeError
from robot_recorder.model.mapping import Meaning
from robot_recorder.model.streams import Policy, Role, SourceClockKind, StreamConfig
from robot_recorder.model.text import plural
from robot_recorder.model.value_names import joint_of, split_name

_TEXTS = {"std_msgs/msg/String": "text"}


@dataclass
class CheckedStream:
    """One row of the table.

    Attributes:
        stream: its entry in the profile.
        values: what its values are.
        stamp: where its timestamps come from; empty: unknown.
        problem: why it cannot be recorded; empty: it can.
        warning: what should be done about it; empty: nothing.
        decode: decodes its messages; None: it has no values, or its type is unknown.
        reader: reads its timestamps; None: its type is unknown.
        count: number of values; None: it depends on the message.
    """

    stream: StreamConfig
    values: str
    stamp: str = ""
    problem: str = ""
    warning: str = ""
    decode: Callable[[bytes], Decoded] | None = None
    reader: StampReader | None = None
    count: int | None = None

    @property
    def clock(self) -> str:
        """Return stamp and clock, for people."""
        device = self.stream.clock is SourceClockKind.DEVICE
        return self.stamp + (" (device clock)" if device and self.stamp else "")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "name": self.stream.name, "topic": self.stream.topic, "type": self.stream.type,
            "role": self.stream.role.value, "required": self.stream.required,
            "values": self.values, "count": self.count, "rate_hz": self.stream.rate_hz,
            "stamp": self.stamp or None, "clock": self.stream.clock.value,
            "policy": self.stream.policy.value,
            "recorded_topic": recorded_stream(self.stream).topic,
            "recorded_type": recorded_stream(self.stream).type,
        }  # fmt: skip


def checked_stream(stream: StreamConfig, installed: bool) -> CheckedStream:
    """Check a stream against the definition of its type.

    Args:
        stream: its entry in the profile.
        installed: whether ROS 2 is there to be asked for the definition.
    """
    if not installed:
        row = CheckedStream(stream, described_values(stream, None))
        row.warning = _encode_warning(stream)
        return row
    try:
        return _checked(stream, readable_definition(stream.type))
    except ConfigError as error:
        text = str(error).removeprefix(f"stream '{stream.name}': ")
        return CheckedStream(stream, described_values(stream, None), problem=text)


def _checked(stream: StreamConfig, definition: str) -> CheckedStream:
    reader = StampReader(stream, has_header(stream.type, definition), definition)
    row = CheckedStream(stream, "", reader.text, reader=reader)
    names: tuple[str, ...] | None = None
    why = ""
    if stream.type not in _TEXTS and kind_of(stream).sort not in (Sort.IMAGE, Sort.TEXT):
        why = values_problem(stream, definition) if needs_definition(stream) else ""
        if not why:
            row.decode = stream_decoder(stream, definition)
            names = _fixed_names(stream, definition, row.decode)
    row.count = len(names) if names is not None else None
    row.values = why.removeprefix(NO_VALUES) or described_values(stream, names)
    row.warning = _warning(stream, why)
    return row


def _warning(stream: StreamConfig, why: str) -> str:
    """Return what should be done about a required stream that nobody has mapped."""
    if lacks_values(stream, why):
        return f"{why}: {MAP_IT}"
    unmapped = kind_of(stream) is UNKNOWN_KIND and stream.type not in _TEXTS and not why
    if unmapped and stream.required and stream.role is not Role.CONTEXT:
        return f"{stream.type} is read field by field, with unknown units: {MAP_IT}"
    return _encode_warning(stream)


def _encode_warning(stream: StreamConfig) -> str:
    """Return what is missing here to encode a stream's pictures; empty: nothing."""
    return "" if stream.encode is None else lacking(stream.encode)


def _fixed_names(
    stream: StreamConfig, definition: str, decode: Callable[[bytes], Decoded] | None
) -> tuple[str, ...] | None:
    """Return the names of the values if they are the same in every message; None: they are not.

    Raises:
        ConfigError: the mapping does not fit, such as 29 names for 28 positions.
    """
    mapping, name = kind_of(stream).mapping, short_name(stream.type)
    types = parse_definition(stream.type, definition)
    if decode is None or mapping is None or not has_fixed_layout(mapping, name, types):
        return None
    try:
        return decode(empty_message(name, types)).names
    except DecodeError as error:
        raise ConfigError(f"'map': {error}") from error


def described_values(stream: StreamConfig, names: tuple[str, ...] | None) -> str:
    """Return what the values of a stream are, for people.

    Args:
        stream: its entry in the profile.
        names: of its values, with units; None: unknown before a message comes.
    """
    kind = kind_of(stream)
    if stream.type in _TEXTS or kind.sort is Sort.TEXT:
        return "text"
    if kind.sort is Sort.IMAGE and stream.encode is not None:
        return f"pictures, recorded as {stream.encode.codec.value}: {recorded_stream(stream).topic}"
    if kind.sort is Sort.IMAGE:
        return "pictures"
    if stream.type == CAMERA_INFO:
        return "about a camera"
    if kind is UNKNOWN_KIND:
        if stream.policy is Policy.NONE:
            return "recorded only"
        declared = {unit.unit for unit in stream.units} or {"unknown"}
        many = f"{len(names)} " if names else ""
        return f"{many}numbers by name of field, unit {', '.join(sorted(declared))}"
    if kind.sort is Sort.JOINTS:
        return _joints(stream, names)
    if kind.sort is Sort.TACTILE:
        return _taxels(stream, names)
    if (
        stream.mapping is not None and stream.mapping.meaning is Meaning.POSES
    ) or kind.label == "poses":
        return _bodies(stream, names)
    if kind.label in ("number", "numbers") and names:
        units = dict.fromkeys(split_name(name)[1] or "unit unknown" for name in names)
        return f"{plural(len(names), 'number')}, {', '.join(units)}"
    return kind.label


def _joints(stream: StreamConfig, names: tuple[str, ...] | None) -> str:
    mapping = stream.mapping
    units = list(dict.fromkeys(unit.unit for unit in stream.units)) or ["rad"]
    listed = stream.joint_names or (mapping.names if mapping is not None else ())
    if names is not None:
        joints = dict.fromkeys(joint_of(name) for name in names)
        found = dict.fromkeys(split_name(n)[1] for n in names if n.startswith("position/"))
        return f"{len(joints)} joints, {', '.join(filter(None, found)) or units[0]}"
    if listed:
        return f"{len(listed)} joints, {', '.join(units)}"
    return f"joints named in messages, {', '.join(units)}"


def _taxels(stream: StreamConfig, names: tuple[str, ...] | None) -> str:
    unit = stream.mapping.unit if stream.mapping is not None else ""
    pads = [pad.name for pad in stream.mapping.pads] if stream.mapping is not None else []
    if names is None:
        shapes = [p.shape for p in stream.mapping.pads] if stream.mapping is not None else []
        if shapes and all(shapes) and stream.mapping is not None and stream.mapping.each is None:
            count = sum(shape[0] * shape[1] for shape in shapes if shape is not None)
            return f"{count} taxels in {len(pads)} pads, {unit or 'raw'}"
        return f"taxels, {unit}" if unit else "taxels"
    normal = [split_name(name) for name in names if name.startswith("normal/")]
    found = {path.split("/")[1] for path, _ in normal if path.count("/") > 1}
    many = f" in {len(found)} pads" if len(found) > 1 else ""
    return f"{len(normal)} taxels{many}, {normal[0][1] if normal else unit or 'raw'}"


def _bodies(stream: StreamConfig, names: tuple[str, ...] | None) -> str:
    listed = stream.joint_names or (stream.mapping.names if stream.mapping is not None else ())
    if names is not None:
        count = len({split_name(name)[0].split("/")[1] for name in names if name.count("/") > 1})
        return f"{count} bodies"
    return f"{len(listed)} bodies" if listed else "bodies named in messages"
