"""Layouts of one stream's messages: the names of all values, and which messages have which of them.

Drivers leave fields empty for a while, add joints later, or share a topic with another driver. The
values of a stream have one order that only grows; values that a message does not have are NaN.

A shape is a set of names that some messages have, identified by a number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from robot_recorder.model.arrays import Bools, Places
from robot_recorder.model.value_names import joint_of, split_name

# Robots need only a few of each; the limits bound memory and time for malicious or broken input.
MOST_NAMES = 4096
_MOST_SHAPES = 32
_MOST_GROUPS = 64
_MOST_ORDERS = 256
_NAMED = 4  # most joints listed in a sentence

NO_SHAPE = -1  # the shape of a message that cannot be read, or has no names
Order = tuple[int, Places]  # a message's shape, and the place of each of its values among the names


@dataclass(frozen=True)
class JointGroup:
    """Joints that always occur together in messages.

    Attributes:
        shapes: bool[shapes], which shapes contain these joints.
        fields: values that occur in the same shapes: places among the names, and bool[shapes].
    """

    shapes: Bools
    fields: tuple[tuple[Places, Bools], ...]


class Layouts:
    """The names of one stream's values, and the shapes of its messages.

    Attributes:
        names: names of all values, only ever appended to; None: not known yet.
        notes: sentences about what is unusual in messages, by shape.
        refused: whether a message was refused because it exceeded a limit.
    """

    def __init__(self, names: tuple[str, ...] | None = None) -> None:
        self.names = names
        self.notes: dict[int, str] = {}
        self.refused = False
        self._places: dict[str, int] = {name: place for place, name in enumerate(names or ())}
        self._orders: dict[tuple[str, ...], Order | None] = {}
        self._shapes: dict[bytes, int] = {}
        self._members: list[Places] = []
        self._groups: list[JointGroup] = []

    def __len__(self) -> int:
        """Return the number of shapes."""
        return len(self._members)

    def order(self, names: tuple[str, ...]) -> Order | None:
        """Return the shape and places of a message's values; None: it exceeds a limit.

        Args:
            names: of the message's values.
        """
        found = self._orders.get(names)
        if found is None and names not in self._orders:
            if len(self._orders) >= _MOST_ORDERS:
                self._orders.clear()
            found = self._orders[names] = self._add(names)
        return found

    def _add(self, names: tuple[str, ...]) -> Order | None:
        """Add the names of a message that are new."""
        if self.names is None:
            self.names = ()
        fresh = [name for name in names if name not in self._places]
        if len(self.names) + len(fresh) > MOST_NAMES:
            self.refused = True
            return None
        every = dict(self._places)
        every.update((name, len(self.names) + at) for at, name in enumerate(fresh))
        places = np.array([every[name] for name in names], dtype=np.intp)
        members = np.sort(places)
        shape = self._shapes.get(members.tobytes())
        if shape is None:
            groups = _grouped([*self._members, members], (*self.names, *fresh))
            if len(self) >= _MOST_SHAPES or len(groups) > _MOST_GROUPS:
                self.refused = True
                return None
            shape = self._shapes[members.tobytes()] = len(self)
            self._members.append(members)
            self._groups = groups
        if fresh:
            self._places = every
            self.names = names if not self.names else (*self.names, *fresh)
        return shape, places

    @property
    def groups(self) -> list[JointGroup]:
        """Joints grouped by the shapes that contain them."""
        return self._groups

    def has(self, shapes: Places, columns: Places) -> Bools:
        """Return whether messages of these shapes have the values in these columns, bool[n, k]."""
        table = np.zeros((len(self), len(self.names or ())), dtype=bool)
        for shape, members in enumerate(self._members):
            table[shape, members] = True
        return np.asarray(table[shapes][:, columns])

    def parts(self) -> list[tuple[list[int], list[int]]]:
        """Group shapes by shared joints, one group per driver: (shapes, places of their values)."""
        parts: list[tuple[set[str], list[int], set[int]]] = []
        for shape, members in enumerate(self._members):
            if not len(members):
                continue
            names = self.names or ()
            joints = {joint_of(names[place]) for place in members.tolist()}
            together = [part for part in parts if part[0] & joints]
            merged = (joints, [shape], set(members.tolist()))
            for part in together:
                merged = (merged[0] | part[0], part[1] + merged[1], merged[2] | part[2])
                parts.remove(part)
            parts.append(merged)
        return [(sorted(shapes), sorted(columns)) for _, shapes, columns in parts]

    def drivers(self, seen: Mapping[int, int]) -> tuple[int, ...]:
        """Return the number of messages of each driver.

        Args:
            seen: number of messages by shape.
        """
        counts = (sum(seen.get(n, 0) for n in shapes) for shapes, _ in self.parts())
        return tuple(count for count in counts if count)

    def words(self, seen: Mapping[int, int]) -> list[str]:
        """Return sentences about what is unusual, and about values that only some messages have.

        Args:
            seen: number of messages by shape.
        """
        found = list(dict.fromkeys(self.notes.values()))
        parts = [(s, c) for s, c in self.parts() if sum(seen.get(n, 0) for n in s)]
        names = self.names or ()
        if len(parts) > 1:
            drivers = [
                f"{_some([names[c] for c in columns])} in {sum(seen.get(n, 0) for n in shapes)}"
                for shapes, columns in parts
            ]
            found.append(f"{len(parts)} drivers publish it: {'; '.join(drivers)} messages")
        for shapes, _ in parts:
            found += self._partial(shapes, seen)
        return found

    def _partial(self, shapes: list[int], seen: Mapping[int, int]) -> list[str]:
        """Return sentences about values that only some messages of a driver have."""
        total = sum(seen.get(shape, 0) for shape in shapes)
        some: dict[tuple[str, int], list[str]] = {}
        for group in self._groups:
            for columns, own in group.fields:
                count = sum(seen.get(shape, 0) for shape in shapes if own[shape])
                if 0 < count < total:
                    for name in [(self.names or ())[c] for c in columns]:
                        field = split_name(name)[0].partition("/")[0]
                        some.setdefault((field, count), []).append(name)
        return [
            f"{field} of {_some(names)} was sent in {count} of {total} messages, and is NaN in the "
            "other frames"
            for (field, count), names in some.items()
        ]


def _some(names: Sequence[str]) -> str:
    """List the first few joints of some values."""
    joints = list(dict.fromkeys(joint_of(name) for name in names))
    return ", ".join(joints[:_NAMED]) + (", ..." if len(joints) > _NAMED else "")


def _grouped(members: Sequence[Places], names: Sequence[str]) -> list[JointGroup]:
    """Group joints by the shapes that contain them."""
    has = np.zeros((len(members), len(names)), dtype=bool)
    for shape, places in enumerate(members):
        has[shape, places] = True
    joints: dict[str, list[int]] = {}
    for place in np.flatnonzero(has.any(axis=0)).tolist():
        joints.setdefault(joint_of(names[place]), []).append(place)
    groups: dict[bytes, dict[bytes, list[int]]] = {}
    for own_places in joints.values():
        fields = groups.setdefault(has[:, own_places].any(axis=1).tobytes(), {})
        for place in own_places:
            fields.setdefault(has[:, place].tobytes(), []).append(place)
    return [
        JointGroup(
            np.frombuffer(shapes, dtype=bool),
            tuple(
                (np.array(sorted(places), dtype=np.intp), np.frombuffer(own, dtype=bool))
                for own, places in fields.items()
            ),
        )
        for shapes, fields in groups.items()
    ]
