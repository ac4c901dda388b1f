"""What some fields of a message type seem to be: a stream that is proposed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from robot_recorder.offline.field_values import ReadField


@dataclass
class GuessedStream:
    """What some fields of a message type seem to be.

    Attributes:
        meaning: ``as`` of a profile.
        map: its mapping.
        suffix: for the name of the stream, if the topic has several.
        remarks: by key of the mapping, or by "": what a person should know.
        unit: of the values; empty: not written.
        paths: of the fields that it reads.
        named: path of the names; empty: none.
        index: of the elements of the array that unnamed joints are; empty: all.
        elements: length of that array; 0: unknown.
        made_up: whether the names of the joints are.
        required: as in a profile.
    """

    meaning: str
    map: dict[str, Any]
    suffix: str = ""
    remarks: dict[str, list[str]] = field(default_factory=dict)
    unit: str = ""
    paths: set[str] = field(default_factory=set)
    named: str = ""
    index: str = ""
    elements: int = 0
    made_up: bool = False
    required: bool = True


def by_parent(fields: Iterable[ReadField]) -> dict[str, list[ReadField]]:
    """Return fields by the message that has them."""
    found: dict[str, list[ReadField]] = {}
    for one in fields:
        found.setdefault(one.parent, []).append(one)
    return found


def suffix_of(parent: str, name: str = "") -> str:
    """Return the end of a stream's name, by the path of a message and a field in it."""
    return "_".join(filter(None, (*parent.replace("[]", "").split("."), name)))


def elements_of(members: Sequence[ReadField]) -> int:
    """Return the number of elements of the array that some fields are in; 0: it varies."""
    width = {"vector": 3, "quaternion": 4, "pose": 7, "twist": 6, "wrench": 6}
    for one in members:
        if one.count and one.fixed and not one.many:
            return one.count // width.get(one.sort, 1)
    return next((len(one.texts) for one in members if one.texts and not one.many), 0)
