"""Messages without content: they tell how many values a mapping reads where the layout is fixed."""

from __future__ import annotations

from robot_recorder.messages.definition import PRIMITIVES, TEXTS, MessageTypes
from robot_recorder.model.mapping import FieldPath, StreamMapping

_ENCAPSULATION = b"\x00\x01\x00\x00"  # plain CDR, little-endian
_MOST_BYTES = 10_000_000


def empty_message(type_name: str, types: MessageTypes) -> bytes:
    """Return a message in CDR whose numbers are 0, and whose texts and sequences are empty.

    Args:
        type_name: package/Name.
        types: its definition, which contains no type within itself.
    """
    body = bytearray()
    _append(type_name, types, body)
    return _ENCAPSULATION + bytes(body)


def _append(type_name: str, types: MessageTypes, body: bytearray) -> None:
    if len(body) > _MOST_BYTES:
        return
    if type_name in PRIMITIVES:
        _append_zeros(PRIMITIVES[type_name][1], body)
    elif type_name in TEXTS:
        _append_zeros(4, body)
        if type_name == "string":
            body[-4] = 1  # its length counts the zero at its end
            body.append(0)
    else:
        for member in types[type_name]:
            if member.many and member.size is None:
                _append_zeros(4, body)
            for _ in range(1 if not member.many else member.size or 0):
                _append(member.type, types, body)


def _append_zeros(size: int, body: bytearray) -> None:
    body += bytes(-len(body) % size + size)


def has_fixed_layout(mapping: StreamMapping, type_name: str, types: MessageTypes) -> bool:
    """Return whether a mapping reads as many values of every message of a type.

    Args:
        mapping: which the type has all fields of.
        type_name: package/Name.
        types: its definition.
    """
    if mapping.each is not None or mapping.name_paths:
        return False
    return all(_is_fixed(path, type_name, types) for path in mapping.value_paths)


def _is_fixed(path: FieldPath, type_name: str, types: MessageTypes) -> bool:
    for step in path.steps:
        if step.key:
            return False
        members = {m.name: m for m in types[type_name]}
        if any(members[name].many and members[name].size is None for name in step.names):
            return False
        type_name = members[step.names[0]].type
    return _is_whole(type_name, types)


def _is_whole(type_name: str, types: MessageTypes) -> bool:
    """Return whether a type has as many numbers in every message."""
    if type_name in PRIMITIVES or type_name in TEXTS:
        return True
    return all(not (m.many and m.size is None) and _is_whole(m.type, types)
               for m in types[type_name])  # fmt: skip
