"""Find where values lie in the bytes of a message, by its definition.

Values of messages with the same structure (lengths of sequences, texts that were read) lie at the
same places, so that only the first of them is walked through, see ``mapped.py``.

Source of the encoding: see ``cdr.py``; a wstring is a uint32 number of characters, then 4 bytes for
each character (Fast CDR, ``Cdr::serialize(const std::wstring&)``).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from robot_recorder.messages.definition import PRIMITIVES, TEXTS, Field, MessageTypes
from robot_recorder.model.errors import DecodeError
from robot_recorder.model.mapping import OPEN_END, FieldPath, Step

_WCHAR_BYTES = 4
START = 4
"""Bytes of a message before its first field, which alignment is counted from."""


class ValuePlace(NamedTuple):
    """A number in a message: offset in bytes, and numpy type without byte order."""

    at: int
    kind: str


class Leaf(NamedTuple):
    """A field that is reached by a path: its type, and where it begins (aligned)."""

    type: str
    at: int


@dataclass
class Walker:
    """Walks through one message.

    Attributes:
        types: definitions.
        data: bytes of the message.
        fixed: (begin, end) of the bytes that the places found depend on.
    """

    types: MessageTypes
    data: bytes
    fixed: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Read the encapsulation.

        Raises:
            DecodeError: the message is too short, or in an encoding other than plain CDR.
        """
        if len(self.data) < START:
            raise DecodeError(f"{len(self.data)} bytes are too few for a CDR message")
        if self.data[1] > 1 or self.data[0]:
            raise DecodeError(
                f"its encapsulation is {self.data[0]:02x}{self.data[1]:02x}, only plain CDR (0000, "
                "0001) is read"
            )
        self.order = "<" if self.data[1] else ">"
        self._u32 = struct.Struct(self.order + "I")
        self.fixed.append((0, 2))

    def leaves(self, path: FieldPath, message: Leaf) -> list[Leaf]:
        """Return what a path reaches in a message, in order; empty: it is absent.

        Raises:
            DecodeError: the message ends too early, or has too few elements for an index.
        """
        return self._reached(message, path.steps)

    def numbers(self, leaf: Leaf) -> Iterator[ValuePlace]:
        """Yield all numbers of a leaf, those of a message in the order of its fields."""
        if leaf.type in PRIMITIVES:
            yield ValuePlace(leaf.at, PRIMITIVES[leaf.type][0])
        elif leaf.type not in TEXTS:
            for _, inner in self.members(leaf):
                yield from self.numbers(inner)

    def members(
        self, leaf: Leaf, left_out: Callable[[Field], bool] = lambda _: False
    ) -> Iterator[tuple[str, Leaf]]:
        """Yield name and leaf of every element of every field of a message.

        Args:
            leaf: the message.
            left_out: says which fields are passed over.
        """
        at = leaf.at
        for member in self.types[leaf.type]:
            if left_out(member):
                at = self._skip(member, at)
                continue
            if not member.many:
                at = self._aligned(member.type, at)
                yield member.name, Leaf(member.type, at)
                at = self._skip_one(member.type, at)
                continue
            starts, at = self._elements(member, at)
            for number, start in enumerate(starts):
                yield f"{member.name}/{number}", Leaf(member.type, start)

    def text(self, leaf: Leaf) -> str:
        """Return the text or whole number at a leaf; the places found then depend on it."""
        if leaf.type in TEXTS:
            return self._string(leaf)
        if leaf.type not in PRIMITIVES:
            raise DecodeError(f"a {leaf.type} cannot be a name")
        kind, size = PRIMITIVES[leaf.type]
        self._need(leaf.at + size)
        self.fixed.append((leaf.at, leaf.at + size))
        code = {"u1": "B", "i1": "b", "u2": "H", "i2": "h", "u4": "I", "i4": "i", "u8": "Q",
                "i8": "q", "f4": "f", "f8": "d"}[kind]  # fmt: skip
        value = struct.unpack_from(self.order + code, self.data, leaf.at)[0]
        return f"{value:g}" if isinstance(value, float) else str(value)

    def _string(self, leaf: Leaf) -> str:
        wide = leaf.type == "wstring"
        size = self._length(leaf.at) * (_WCHAR_BYTES if wide else 1)
        first = leaf.at + 4
        self._need(first + size)
        self.fixed.append((first, first + size))
        raw = self.data[first : first + size]
        if wide:
            return raw.decode("utf-32-le" if self.order == "<" else "utf-32-be", "replace")
        return raw[:-1].decode("utf-8", "replace")

    # -- walking

    def _follow(self, type_name: str, at: int, steps: tuple[Step, ...], found: list[Leaf]) -> None:
        """Add the leaves that the steps reach from a message."""
        step, rest = steps[0], steps[1:]
        for name in step.names:
            member, start = self._member(type_name, name, at)
            starts: Sequence[int] = [self._aligned(member.type, start)]
            if member.many:
                starts, _ = self._elements(member, start)
                if step.key:
                    starts = self._named(Leaf(type_name, at), step, member, starts)
                starts = self._chosen(step, member, starts)
            for one in starts:
                if rest:
                    self._follow(member.type, one, rest, found)
                else:
                    found.append(Leaf(member.type, one))

    def _named(
        self, message: Leaf, step: Step, member: Field, starts: Sequence[int]
    ) -> Sequence[int]:
        """Return the elements with the wanted text: in them, or of numbers in the array beside.

        Raises:
            DecodeError: the array beside has another length.
        """
        if member.type not in PRIMITIVES:
            key = tuple(Step((name,)) for name in step.key.split("."))
            own = [(start, self._reached(Leaf(member.type, start), key)) for start in starts]
            return [at for at, keys in own if keys and self.text(keys[0]) == step.value]
        keys = self._reached(message, (Step((step.key,)),))
        if len(keys) != len(starts):
            raise DecodeError(f"{len(keys)} {step.key} for {len(starts)} {step.names[0]}")
        return [at for at, key in zip(starts, keys) if self.text(key) == step.value]

    def _reached(self, message: Leaf, steps: tuple[Step, ...]) -> list[Leaf]:
        """Return the leaves that the steps reach from a message."""
        found: list[Leaf] = []
        self._follow(message.type, message.at, steps, found)
        return found

    def _member(self, type_name: str, name: str, at: int) -> tuple[Field, int]:
        """Return a field and where it begins, before its alignment."""
        for member in self.types[type_name]:
            if member.name == name:
                return member, at
            at = self._skip(member, at)
        raise DecodeError(f"{type_name} has no field {name}")

    def _chosen(self, step: Step, member: Field, starts: Sequence[int]) -> Sequence[int]:
        if step.index is None:
            return starts
        chosen: list[int] = []
        if not starts and member.size is None:
            return chosen  # an empty sequence: nothing was sent
        for first, end in step.index:
            last = first if end is None else end - 1
            there = -len(starts) <= last < len(starts)
            if not there and end != OPEN_END:
                raise DecodeError(
                    f"{member.name} has {len(starts)} elements, the profile asks for number {last}"
                )
            chosen += [starts[first]] if end is None else starts[first:end]
        return chosen

    def _elements(self, member: Field, at: int) -> tuple[Sequence[int], int]:
        """Return where the elements of an array begin, and where it ends."""
        count = member.size
        if count is None:
            at = _up(at, 4)
            count = self._length(at)
            at += 4
        if not count:
            return [], at
        if member.type in PRIMITIVES:
            size = PRIMITIVES[member.type][1]
            at = _up(at, size)
            end = at + size * count
            self._need(end)
            return range(at, end, size), end
        if count > len(self.data):
            raise DecodeError(f"{count} elements of {member.name} do not fit into the message")
        starts = []
        for _ in range(count):
            at = self._aligned(member.type, at)
            starts.append(at)
            at = self._skip_one(member.type, at)
        return starts, at

    def _length(self, at: int) -> int:
        self._need(at + 4)
        self.fixed.append((at, at + 4))
        value: int = self._u32.unpack_from(self.data, at)[0]
        return value

    def _need(self, end: int) -> None:
        if end > len(self.data):
            raise DecodeError(f"message ends at byte {len(self.data)}, {end} are needed")

    def _aligned(self, type_name: str, at: int) -> int:
        """Return where a value begins: primitives and texts are aligned, messages are not."""
        if type_name in PRIMITIVES:
            return _up(at, PRIMITIVES[type_name][1])
        return _up(at, 4) if type_name in TEXTS else at

    def _skip(self, member: Field, at: int) -> int:
        """Return where a field ends."""
        if not member.many:
            return self._skip_one(member.type, self._aligned(member.type, at))
        return self._elements(member, at)[1]

    def _skip_one(self, type_name: str, at: int) -> int:
        """Return where one value ends, which begins at ``at``."""
        if type_name in PRIMITIVES:
            end = at + PRIMITIVES[type_name][1]
        elif type_name in TEXTS:
            size = self._length(at)
            end = at + 4 + size * (_WCHAR_BYTES if type_name == "wstring" else 1)
        else:
            fixed = fixed_size(self.types, type_name, (at - START) % 8)
            if fixed is None:
                for member in self.types[type_name]:
                    at = self._skip(member, at)
                return at
            end = at + fixed
        self._need(end)
        return end


@lru_cache(maxsize=4096)
def fixed_size(types: MessageTypes, type_name: str, phase: int) -> int | None:
    """Return the size of a message in bytes, with the padding in it; None: it varies.

    Args:
        types: definitions.
        type_name: package/Name.
        phase: where the message begins, modulo 8: padding depends on it.
    """
    at = phase
    for member in types[type_name]:
        if member.type in TEXTS or (member.many and member.size is None):
            return None
        count = 1 if member.size is None else member.size
        if member.type in PRIMITIVES:
            size = PRIMITIVES[member.type][1]
            at = -(-at // size) * size + size * count
            continue
        for _ in range(count):
            inner = fixed_size(types, member.type, at % 8)
            if inner is None:
                return None
            at += inner
    return at - phase


def _up(at: int, size: int) -> int:
    """Return the next aligned offset."""
    return at + (-(at - START)) % size
