"""A profile that is being drafted: its streams, with remarks, and how they are written as YAML."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from robot_recorder.model.text import visible

_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n", "~"}
_PLAIN = re.compile(r"(same_as )?[A-Za-z_/][\w/.]*\Z", re.ASCII)
_WIDTH = 96
_LONGEST_KEY = 1000  # of a key that needs no mark; YAML allows 1024


@dataclass
class DraftStream:
    """One stream of a draft.

    Attributes:
        name: of the stream.
        topic, type, role, rate_hz: as in a profile.
        disorder_ms: as in a profile; 0: not written.
        required: as in a profile.
        of: the observation that follows a command; empty: not written.
        clock: as in a profile; empty: not written.
        meaning: ``as`` of a mapping; empty: the stream is not mapped.
        map: the mapping.
        unit: of its values; empty: not written.
        names: of the joints of a type that has a mapping of its own; empty: not written.
        stamp: a word, or field, unit and bits; None: not written.
        remarks: by key of the stream, what a person should know; by "": about the stream.
        unread: whether its values are read field by field.
        joints: names that the messages give to the joints; empty: unknown.
        index: of the elements of the array that unnamed joints are; empty: all.
        elements: length of that array, or of an array of plain numbers; 0: unknown.
        made_up: whether the names of its joints in the mapping are.
        group: words of the fields that it reads.
    """

    name: str
    topic: str
    type: str
    role: str
    rate_hz: float
    disorder_ms: int = 0
    required: bool = True
    of: str = ""
    clock: str = ""
    meaning: str = ""
    map: dict[str, Any] = field(default_factory=dict)
    unit: str = ""
    names: list[str] = field(default_factory=list)
    stamp: str | Mapping[str, Any] | None = None
    remarks: dict[str, list[str]] = field(default_factory=dict)
    unread: bool = False
    joints: tuple[str, ...] = ()
    index: str = ""
    elements: int = 0
    made_up: bool = False
    group: str = ""

    def remark(self, key: str, text: str) -> None:
        """Add a remark to a key, or with an empty key to the stream."""
        text = visible(text)  # of a definition or bag: no line of it may end the comment
        if text and text not in self.remarks.setdefault(key, []):
            self.remarks[key].append(text)

    def lines(self) -> Iterator[str]:
        """Yield its lines in a profile."""
        yield f"  {self.name}:" + (
            "  # a type whose values are read field by field" if self.unread else ""
        )
        yield from self._remarks("", "    ")
        for key, value in self._entries():
            text = value if isinstance(value, str) and key == "type" else written(value)
            remarks = self.remarks.get(key, [])
            line = f"    {key}: {text}"
            short = len(remarks) == 1 and len(line) + len(remarks[0]) < _WIDTH
            if not short:
                yield from self._remarks(key, "    ")
            yield line + (f"  # {remarks[0]}" if short else "")
        if self.map:
            yield from self._remarks("map", "    ")
            yield "    map:"
            for key, value in self.map.items():
                yield from self._remarks(f"map.{key}", "      ")
                yield from _wrapped(f"      {key}: ", value)

    def _entries(self) -> Iterator[tuple[str, Any]]:
        yield "topic", self.topic
        yield "type", self.type
        yield "role", self.role
        yield "rate_hz", Number(f"{self.rate_hz:g}")
        if not self.required:
            yield "required", False
        if self.disorder_ms:
            yield "disorder_ms", self.disorder_ms
        for key in ("of", "clock", "unit", "names", "stamp"):
            if getattr(self, key):
                yield key, getattr(self, key)
        if self.meaning:
            yield "as", self.meaning

    def _remarks(self, key: str, indent: str) -> Iterator[str]:
        for text in self.remarks.get(key, []):
            yield from textwrap.wrap(text, _WIDTH, initial_indent=f"{indent}# ",
                                     subsequent_indent=f"{indent}# ")  # fmt: skip


class Number(str):
    """A number that is written as given."""


@dataclass
class ProfileDraft:
    """A profile that is being drafted.

    Attributes:
        robot: its name.
        streams: in order.
        left_out: reason by topic for every topic that did not become a stream.
        head: remarks for the first lines.
        deadline_ms: as in a profile; 0: not written.
    """

    robot: str
    streams: list[DraftStream]
    left_out: dict[str, str] = field(default_factory=dict)
    head: tuple[str, ...] = ()
    deadline_ms: int = 0

    def text(self) -> str:
        """Return the profile as YAML."""
        lines = [f"# {line}" for line in self.head]
        lines += [f"robot: {self.robot}", "frame_rate_hz: 30"]
        if self.deadline_ms:
            lines.append(f"deadline_ms: {self.deadline_ms}  # messages are that much out of order")
        lines.append("streams:")
        for stream in self.streams:
            lines += stream.lines()
        lines += [
            f"# left out: {json.dumps(n)}: {visible(why)}"
            for n, why in sorted(self.left_out.items())
        ]
        return "\n".join(lines) + "\n"


def written(value: Any) -> str:
    """Write a value as YAML on one line."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, str):
        plain = _PLAIN.match(value) and value.lower() not in _WORDS
        return value if plain else _quoted(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)}: {written(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(written, value)) + "]"
    return json.dumps(value)


def _key(key: Any) -> str:
    """Write a key of a mapping on one line; YAML wants a mark before a very long one."""
    text = written(key)
    return f"? {text} " if len(text) > _LONGEST_KEY else text


def _quoted(text: str) -> str:
    """Write a text in quotes; YAML has other escapes than JSON for most of Unicode."""
    safe = (c if " " <= c <= "~" and c not in '"\\' else f"\\U{ord(c):08X}" for c in text)
    return f'"{"".join(safe)}"'


def _wrapped(start: str, value: Any) -> Iterator[str]:
    """Yield a key of a mapping, over several lines if it is long."""
    line = start + written(value)
    if len(line) <= _WIDTH:
        yield line
    elif isinstance(value, Mapping) and all(len(written(k)) <= _LONGEST_KEY for k in value):
        yield start.rstrip()
        indent = " " * (len(start) - len(start.lstrip()) + 2)
        for key, inner in value.items():
            yield from _wrapped(f"{indent}{written(key)}: ", inner)
    elif isinstance(value, (list, tuple)):
        indent = " " * (len(start) - len(start.lstrip()) + 2)
        yield from _filled(start + "[", indent, list(map(written, value)))
    else:
        yield line


def _filled(line: str, indent: str, words: list[str]) -> Iterator[str]:
    """Yield the elements of a list, as many to a line as fit."""
    for number, word in enumerate(words):
        word += "," if number < len(words) - 1 else "]"
        if len(line) + len(word) + 1 > _WIDTH and line.strip() != "":
            yield line.rstrip()
            line = indent
        line += word if line.endswith(("[", indent)) else f" {word}"
    yield line
