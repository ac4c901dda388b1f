"""What the messages of one stream name: the union of their values, and which messages have which of them.

Drivers leave fields empty for a while, add joints later, or share a topic with another driver. A stream's
values stand in one order that only grows; a message that does not name a value has NaN there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from robot_recorder.model.arrays import Bools, Places
from robot_recorder.model.value_names import joint_of, split_name

# A robot has a handful; a fuzzer must fill neither memory nor time.
MOST_NAMES = 4096
_MOST_SHAPES = 32
_MOST_GROUPS = 64
_MOST_ORDERS = 256
_NAMED = 4  # joints that a sentence names

NO_SHAPE = -1  # of a message that can not be read, or names nothing
Order = tuple[int, Places]  # a shape, and where each of a message's values stands among the names


@dataclass(frozen=True)
class JointGroup:
    """Joints that are always named together.

    Attributes:
        shapes: bool[shapes], which of them name these joints.
        fields: their values by the shapes that have them: places among the names, and bool[shapes].
    """

    shapes: Bools
    fields: tuple[tuple[Places, Bools], ...]


class Layouts:
    """The names of one stream's values, and the sets of them that messages have.

    Attributes:
        names: only ever appended to; None: nothing is known yet.
        notes: what is odd about messages, by shape, one sentence each.
        refused: a message named more than is kept.
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
        """How many shapes there are."""
        return len(self._members)

    def order(self, names: tuple[str, ...]) -> Order | None:
        """Where a message's values belong; None: it names more than a stream may have."""
        found = self._orders.get(names)
        if found is None and names not in self._orders:
            if len(self._orders) >= _MOST_ORDERS:
                self._orders.clear()
            found = self._orders[names] = self._add(names)
        return found

    def _add(self, names: tuple[str, ...]) -> Order | None:
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
        """Joints by the messages that name them."""
        return self._groups

    def has(self, shapes: Places, columns: Places) -> Bools:
        """bool[n, k]: whether messages of these shapes have these values."""
        table = np.zeros((len(self), len(self.names or ())), dtype=bool)
        for shape, members in enumerate(self._members):
            table[shape, members] = True
        return np.asarray(table[shapes][:, columns])

    def parts(self) -> list[tuple[list[int], list[int]]]:
        """Shapes that share joints, as those of one driver do, with the places of their values."""
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
        """Messages by driver.

        Args:
            seen: messages by shape.
        """
        counts = (sum(seen.get(n, 0) for n in shapes) for shapes, _ in self.parts())
        return tuple(count for count in counts if count)

    def words(self, seen: Mapping[int, int]) -> list[str]:
        """What is odd about the messages, and which values only some of them have, one sentence each.

        Args:
            seen: messages by shape.
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
        """Values that only some messages of a driver have."""
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
            f"{field} of {_some(names)} was sent in {count} of {total} messages, and is not a number "
            "in the other frames"
            for (field, count), names in some.items()
        ]


def _some(names: Sequence[str]) -> str:
    """Their joints, the first few."""
    joints = list(dict.fromkeys(joint_of(name) for name in names))
    return ", ".join(joints[:_NAMED]) + (", ..." if len(joints) > _NAMED else "")


def _grouped(members: Sequence[Places], names: Sequence[str]) -> list[JointGroup]:
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
                (np.array(places, dtype=np.intp), np.frombuffer(own, dtype=bool))
                for own, places in fields.items()
            ),
        )
        for shapes, fields in groups.items()
    ]
