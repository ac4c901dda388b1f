"""The message definitions of a bag, and the decoders of its streams that are read by them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_idl, get_typestore

from robot_recorder.bags.bag import opened
from robot_recorder.messages.decoders import NO_VALUES, Decoded
from robot_recorder.messages.definition import (
    Field,
    MessageTypes,
    definition_text,
    parse_definition,
    short_name,
)
from robot_recorder.messages.kinds import needs_definition, stream_decoder, values_problem
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.streams import StreamConfig

Definitions = Mapping[str, str]
"""Definitions in ros2msg format, by message type."""


def bag_definitions(path: Path) -> dict[str, str]:
    """Return the definitions of all message types of a bag, in ros2msg format.

    Types that the bag does not define are those of ROS 2 Jazzy; types unknown there are left out.

    Raises:
        BagError: the bag cannot be read.
    """
    found: dict[str, str] = {}
    with opened(path) as bag:
        for topic in bag.topics():
            if topic.type and topic.type not in found:
                text = _readable(topic.type, topic.definition, topic.definition_encoding)
                if text:
                    found[topic.type] = text
    return found


def _readable(type_name: str, definition: str, encoding: str) -> str:
    """Return a complete definition; empty: unknown."""
    try:
        types = _own_types(type_name, definition, encoding)
        if types.problem(short_name(type_name)):
            types = _usual_types().with_types(types.types)
        if short_name(type_name) not in types:
            return ""
        return definition_text(type_name, types)
    except Exception:  # the library raises many types for a damaged definition
        return definition if encoding != "ros2idl" else ""  # ``values_problem`` says what is wrong


def _own_types(type_name: str, definition: str, encoding: str) -> MessageTypes:
    """Return the types that a bag defines."""
    if not definition:
        return MessageTypes({})
    if encoding == "ros2idl":
        return MessageTypes(_converted(get_types_from_idl(definition)))
    return parse_definition(type_name, definition)


@cache
def _usual_types() -> MessageTypes:
    """Return the standard types, for bags that do not define all their types."""
    return MessageTypes(_converted(get_typestore(Stores.ROS2_JAZZY).fielddefs))


def _converted(fields: Mapping[str, Any]) -> dict[str, tuple[Field, ...]]:
    """Convert the library's field definitions."""
    return {
        short_name(name): tuple(_field(member, node) for member, node in members)
        for name, (_, members) in fields.items()
    }


def _field(name: str, node: Any) -> Field:
    kind, content = node
    if kind is Nodetype.BASE:
        return Field(name, content[0])
    if kind is Nodetype.NAME:
        wide = str(content).endswith("/wstring")  # the library takes it for a message type
        return Field(name, "wstring" if wide else short_name(content))
    inner = _field(name, content[0])
    return Field(name, inner.type, content[1] if kind is Nodetype.ARRAY else None, True)


def decoders_of(
    streams: Iterable[StreamConfig], definitions: Definitions
) -> tuple[dict[str, Callable[[bytes], Decoded]], dict[str, str]]:
    """Return the decoders of streams that are read by definitions, and why others have none.

    Args:
        streams: any streams.
        definitions: by message type.
    """
    found: dict[str, Callable[[bytes], Decoded]] = {}
    why: dict[str, str] = {}
    for stream in streams:
        if not needs_definition(stream):
            continue
        definition = definitions.get(stream.type, "")
        if problem := values_problem(stream, definition):
            why[stream.name] = problem
            continue
        try:
            decoder = stream_decoder(stream, definition)
        except ConfigError as error:
            why[stream.name] = f"{NO_VALUES}{error}"
        else:
            if decoder is not None:
                found[stream.name] = decoder
    return found, why
